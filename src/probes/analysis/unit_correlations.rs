//! Rank correlations of MLP neurons with a target, p-values and false discovery rates.

use crate::probes::metrics::two_sided;
use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

/// A neuron's rank correlation with a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankCorrelation {
    /// Spearman's correlation, where equal values get their mean rank; 0 if the neuron or the target is constant.
    pub rho: f64,
    /// The two-sided p-value by Student's t; 1 if the neuron or the target is constant, NaN for two rows.
    pub p: f64,
}

/// The rank correlation of each neuron with a target over the given rows.
///
/// # Shapes
/// `activations` is `[n_all, n_units]`, `target` has one value for each of `rows`; the result has one correlation
/// per neuron.
pub fn correlate_units(activations: ArrayView2<f32>, rows: &[usize], target: &[f64]) -> Vec<RankCorrelation> {
    let target = centred_ranks(target);
    let columns: Vec<_> = activations.axis_iter(Axis(1)).collect();
    columns
        .into_par_iter()
        .map(|column| {
            let values: Vec<f64> = rows.iter().map(|&row| f64::from(column[row])).collect();
            correlation(&centred_ranks(&values), &target)
        })
        .collect()
}

/// The mean activation of each neuron over the given rows.
///
/// # Shapes
/// `activations` is `[n_all, n_units]`; the result has one mean per neuron.
pub fn unit_means(activations: ArrayView2<f32>, rows: &[usize]) -> Vec<f32> {
    let mean = |column: ArrayView1<f32>| {
        (rows.iter().map(|&row| f64::from(column[row])).sum::<f64>() / rows.len() as f64) as f32
    };
    activations.columns().into_iter().map(mean).collect()
}

/// The correlation of two lists of centred ranks.
fn correlation(a: &[f64], b: &[f64]) -> RankCorrelation {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let scale = (dot(a, a) * dot(b, b)).sqrt();
    if scale == 0.0 {
        return RankCorrelation { rho: 0.0, p: 1.0 };
    }
    let rho = (dot(a, b) / scale).clamp(-1.0, 1.0);
    let freedom = a.len() as f64 - 2.0;
    let t = rho * (freedom / ((1.0 + rho) * (1.0 - rho))).sqrt();
    let p = if a.len() < 3 { f64::NAN } else { two_sided(t, freedom) };
    RankCorrelation { rho, p }
}

/// Ranks minus the mean rank; equal values get their mean rank. All are multiples of one half, so sums are exact.
fn centred_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mean = (values.len() as f64 + 1.0) / 2.0;
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let same = |&&i: &&usize| values[i] == values[order[start]];
        let end = start + order[start..].iter().take_while(same).count();
        let rank = (start + 1 + end) as f64 / 2.0 - mean;
        order[start..end].iter().for_each(|&i| ranks[i] = rank);
        start = end;
    }
    ranks
}

/// Adjusts p-values for multiple tests: each becomes the lowest false discovery rate at which its test is significant.
///
/// # Source
/// Benjamini and Hochberg 1995, "Controlling the false discovery rate".
pub fn false_discovery(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let (n, mut least) = (p.len() as f64, 1.0_f64);
    let mut adjusted = vec![1.0; p.len()];
    for (rank, &i) in order.iter().enumerate().rev() {
        least = least.min(p[i] * n / (rank as f64 + 1.0));
        adjusted[i] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[derive(serde::Deserialize)]
    struct Fixture {
        target: Vec<f64>,
        units: Vec<Vec<f32>>,
        rho: Vec<f64>,
        p: Vec<f64>,
        q: Vec<f64>,
        student: Vec<[f64; 3]>,
    }

    fn fixture() -> Fixture {
        let text = include_str!("../../../tests/fixtures/neurons/units.json");
        serde_json::from_str(text).unwrap()
    }

    fn near(found: f64, expected: f64, what: &str) {
        let off = (found - expected).abs() / expected.abs().max(1e-300);
        assert!(
            off < 1e-9 || found == expected,
            "{what}: found {found:e}, expected {expected:e}, relative error {off:e}"
        );
    }

    #[test]
    fn correlations_p_values_and_false_discovery_rates_equal_scipys() {
        let Fixture { target, units, rho, p, q, .. } = fixture();
        let x = Array2::from_shape_fn((target.len(), units.len()), |(i, unit)| units[unit][i]);
        let rows: Vec<usize> = (0..target.len()).collect();
        let found = correlate_units(x.view(), &rows, &target);
        for (unit, found) in found.iter().enumerate() {
            near(found.rho, rho[unit], "rho");
            near(found.p, p[unit], "p");
        }
        let adjusted = false_discovery(&found.iter().map(|one| one.p).collect::<Vec<f64>>());
        adjusted.iter().zip(&q).for_each(|(found, expected)| near(*found, *expected, "q"));
        assert!(p.iter().any(|p| *p < 1e-12) && p.iter().any(|p| *p > 0.5), "small and large p-values");
    }

    #[test]
    fn p_values_equal_scipys_down_to_the_smallest() {
        for [t, freedom, expected] in fixture().student {
            near(two_sided(t, freedom), expected, &format!("t = {t}, {freedom} degrees"));
        }
    }

    #[test]
    fn a_constant_neuron_has_correlation_0_and_a_monotone_one_plus_or_minus_1() {
        let x = Array2::from_shape_fn((30, 3), |(i, unit)| [1.0, i as f32, -(i as f32).exp()][unit]);
        let target: Vec<f64> = (0..30).map(f64::from).collect();
        let rows: Vec<usize> = (0..30).collect();
        let found = correlate_units(x.view(), &rows, &target);
        assert_eq!(unit_means(x.view(), &rows)[1], 14.5);
        assert_eq!(found[0], RankCorrelation { rho: 0.0, p: 1.0 });
        assert_eq!((found[1].rho, found[1].p, found[2].rho), (1.0, 0.0, -1.0));
        assert_eq!(correlate_units(x.view(), &rows, &[2.0; 30])[1].rho, 0.0);
    }
}
