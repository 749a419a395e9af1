//! The initial parameters: random directions, the same in encoder and decoder, about the rows' geometric median.

use super::adam::UnitLength;
use super::parameters::Parameters;
use super::settings::TrainSettings;
use pulp::Arch;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The scale and the centre of rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowScale {
    /// The factor by which rows are multiplied, so that their values have variance 1 on average.
    pub factor: f32,
    /// The geometric median of the unscaled rows.
    pub median: Vec<f32>,
}

/// The number of rows from which scale and centre are estimated.
pub(super) const SAMPLE: usize = 16_384;

impl RowScale {
    /// The scale of rows, `[n, d_in]`; `None` if all rows are equal.
    ///
    /// # Source
    /// Weiszfeld 1937: iterated mean of the rows, each row weighted by the inverse of its distance from the last mean.
    pub(super) fn of(rows: &[f32], d: usize) -> Option<RowScale> {
        let n = (rows.len() / d) as f64;
        let mut mean = vec![0f64; d];
        for row in rows.chunks_exact(d) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += f64::from(*x) / n);
        }
        let away = |row: &[f32], from: &[f64]| -> f64 {
            row.iter().zip(from).map(|(x, m)| (f64::from(*x) - m).powi(2)).sum()
        };
        let spread =
            |from: &[f64]| rows.chunks_exact(d).map(|row| away(row, from)).sum::<f64>() / (n * d as f64);
        let variance = spread(&mean);
        if variance <= 1e-12 * spread(&vec![0.0; d]) {
            return None; // only rounding errors
        }
        let mut median = mean;
        for _ in 0..32 {
            let (mut sums, mut total) = (vec![0f64; d], 0.0);
            for row in rows.chunks_exact(d) {
                let weight = 1.0 / away(row, &median).sqrt().max(1e-12);
                total += weight;
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * f64::from(*x));
            }
            median = sums.into_iter().map(|sum| sum / total).collect();
        }
        let factor = (1.0 / variance.sqrt()) as f32;
        let median = median.into_iter().map(|x| x as f32).collect();
        (factor.is_finite() && factor > 0.0).then_some(RowScale { factor, median })
    }

    /// The parameters before the first step.
    pub(super) fn initial(&self, settings: &TrainSettings) -> Parameters {
        let d = self.median.len();
        let mut params = Parameters::zeros(d, settings.d_sae);
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        params.w_dec.iter_mut().for_each(|x| *x = StandardNormal.sample(&mut rng));
        let arch = Arch::new();
        params.w_dec.chunks_exact_mut(d).for_each(|row| arch.dispatch(UnitLength { row }));
        params.w_enc.clone_from(&params.w_dec);
        params.b_dec = self.median.iter().map(|x| x * self.factor).collect();
        params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_one_distant_row_and_the_scale_gives_unit_variance() {
        let mut rows = Vec::new();
        for i in 0..100 {
            let angle = i as f32;
            rows.extend([3.0 + 4.0 * angle.sin(), -1.0 + 4.0 * angle.cos()]);
        }
        let near = RowScale::of(&rows, 2).unwrap();
        assert!((near.factor * 8f32.sqrt() - 1.0).abs() < 0.02, "{near:?}");
        rows.extend([1e4, 1e4]);
        let far = RowScale::of(&rows, 2).unwrap();
        assert!((far.median[0] - 3.0).abs() < 0.3 && (far.median[1] + 1.0).abs() < 0.3, "{far:?}");
        assert_eq!(RowScale::of(&[0.1, 2.3].repeat(70), 2), None);
    }
}
