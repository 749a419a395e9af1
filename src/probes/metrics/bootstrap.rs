//! Bootstrap: intervals of scores over resampled entities or groups.

use super::quantiles::interpolated;
use super::resamples::{AT_ONCE, Resamples};
use super::score::{TargetScore, values_of_each};
use super::t_distribution::expanded_share;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Resamples entities with replacement, from a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// The number of resamples.
    pub n_resamples: usize,
    /// The seed; it gives the same resamples on any number of threads.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Bootstrap {
        Bootstrap { n_resamples: 500, seed: 0 }
    }
}

/// The units that are resampled: single rows, or groups of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SamplingUnits {
    /// This number of single rows.
    Rows(usize),
    /// Whole groups: the group of each row, and the number of groups.
    ///
    /// Rows of one group resemble each other. Resampling single rows would give too narrow an interval for new groups.
    Groups(Vec<usize>, usize),
}

impl SamplingUnits {
    /// The number of rows.
    fn n_rows(&self) -> usize {
        match self {
            SamplingUnits::Rows(n) => *n,
            SamplingUnits::Groups(of, _) => of.len(),
        }
    }

    /// The unit of a row.
    pub(in crate::probes) fn unit_of(&self, row: usize) -> usize {
        match self {
            SamplingUnits::Rows(_) => row,
            SamplingUnits::Groups(of, _) => of[row],
        }
    }

    /// The number of units.
    pub(in crate::probes) fn n_units(&self) -> usize {
        match self {
            SamplingUnits::Rows(n) | SamplingUnits::Groups(_, n) => *n,
        }
    }
}

/// The ends of a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Bootstrap {
    /// The 95 % interval of a metric over `n` entities: percentiles of the resamples, wider apart for few entities.
    ///
    /// The metric receives the indices of the drawn entities, which may repeat. Resamples with a non-finite value are
    /// ignored; without any finite value, both ends are NaN.
    pub fn interval(&self, n: usize, metric: impl Fn(&[usize]) -> f64 + Sync) -> Interval {
        if n == 0 {
            return Interval { low: f64::NAN, high: f64::NAN };
        }
        let mut values: Vec<f64> = (0..self.n_resamples)
            .into_par_iter()
            .map_init(
                || vec![0; n],
                |indices, resample| {
                    self.draw(resample, indices);
                    metric(indices)
                },
            )
            .filter(|value| value.is_finite())
            .collect();
        Interval::of(&mut values, n)
    }

    /// The 95 % interval of each score; all scores share the resamples.
    ///
    /// If the units are rows, the resamples are the same as in [`Bootstrap::interval`].
    pub(in crate::probes) fn intervals(
        &self,
        units: &SamplingUnits,
        scores: &[TargetScore],
    ) -> Vec<Interval> {
        self.intervals_of(units, scores.len(), |resamples| values_of_each(scores, resamples))
    }

    /// The 95 % interval of each of `n` values; `compute` returns them for several resamples at once.
    pub(in crate::probes) fn intervals_of(
        &self,
        units: &SamplingUnits,
        n: usize,
        compute: impl Fn(&Resamples) -> Vec<Vec<f64>> + Sync,
    ) -> Vec<Interval> {
        let resamples = self.values_of(units, compute);
        (0..n).map(|value| Interval::of_value(&resamples, value, units.n_units())).collect()
    }

    /// The values of each resample; `compute` returns them for several resamples at once. Without units there are no resamples.
    pub(in crate::probes) fn values_of(
        &self,
        units: &SamplingUnits,
        compute: impl Fn(&Resamples) -> Vec<Vec<f64>> + Sync,
    ) -> Vec<Vec<f64>> {
        if units.n_units() == 0 {
            return Vec::new();
        }
        let firsts: Vec<usize> = (0..self.n_resamples).step_by(AT_ONCE).collect();
        // Each thread reuses its memory: for a million rows, new memory for each batch costs more than a score.
        let new = || (vec![0; units.n_units()], Resamples::default());
        let some = |(drawn, resamples): &mut (Vec<usize>, Resamples), first: usize| {
            resamples.refill(AT_ONCE.min(self.n_resamples - first), |resample, counts| {
                self.draw(first + resample, drawn);
                write_counts(units, drawn, counts);
            });
            compute(resamples)
        };
        firsts.into_par_iter().map_init(new, some).flatten_iter().collect()
    }

    /// Draws the units of one resample.
    fn draw(&self, resample: usize, indices: &mut [usize]) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // Each resample has its own stream, so that it does not depend on the thread that draws it.
        rng.set_stream(resample as u64);
        let n = indices.len() as u64;
        for index in indices {
            *index = rng.random_range(0..n) as usize;
        }
    }
}

impl Interval {
    /// The interval of one of the values of each resample, which depends on `n_units` units; ignores values that are not
    /// finite.
    pub(in crate::probes) fn of_value(resamples: &[Vec<f64>], value: usize, n_units: usize) -> Interval {
        let values = resamples.iter().map(|values| values[value]);
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        Interval::of(&mut values, n_units)
    }

    /// The interval around the middle 95 % of the resampled values, or more for few units; sorts the values.
    fn of(values: &mut [f64], n: usize) -> Interval {
        values.sort_by(f64::total_cmp);
        let share = expanded_share(n);
        Interval { low: percentile(values, share), high: percentile(values, 1.0 - share) }
    }
}

/// Writes the count of each row in a resample, from the drawn units.
fn write_counts(units: &SamplingUnits, drawn: &[usize], counts: &mut Vec<f64>) {
    counts.clear();
    match units {
        SamplingUnits::Rows(n) => {
            counts.resize(*n, 0.0);
            drawn.iter().for_each(|&unit| counts[unit] += 1.0);
        }
        SamplingUnits::Groups(of, n) => {
            let mut of_units = vec![0.0; *n];
            drawn.iter().for_each(|&unit| of_units[unit] += 1.0);
            counts.extend(of.iter().map(|&group| of_units[group]));
        }
    }
}

/// A count of 1 for each row: no resampling.
pub(in crate::probes) fn single_counts(units: &SamplingUnits) -> Vec<f64> {
    vec![1.0; units.n_rows()]
}

/// A percentile of sorted values, interpolated between neighbours.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    interpolated(sorted, share * last as f64)
}

#[cfg(test)]
mod tests {
    use super::super::counted::mean_counted;
    use super::*;

    fn mean_of(values: &[f64]) -> impl Fn(&[usize]) -> f64 + Sync {
        move |indices| indices.iter().map(|&i| values[i]).sum::<f64>() / indices.len() as f64
    }

    #[test]
    fn the_interval_of_a_mean_is_the_normal_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let values: Vec<f64> = (0..2000).map(|_| rng.random::<f64>()).collect();
        let interval = Bootstrap { n_resamples: 4000, seed: 2 }.interval(values.len(), mean_of(&values));
        // A uniform variable has variance 1/12; 1.96 standard errors each way.
        let width = 2.0 * 1.96 * (1.0 / 12.0 / 2000.0_f64).sqrt();
        assert!(((interval.high - interval.low) / width - 1.0).abs() < 0.08, "{interval:?}");
    }

    #[test]
    fn the_interval_depends_on_the_seed_and_not_on_the_threads() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let bootstrap = Bootstrap { n_resamples: 64, seed: 7 };
        let many = bootstrap.interval(100, mean_of(&values));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(many, pool.install(|| bootstrap.interval(100, mean_of(&values))));
        assert_ne!(many, Bootstrap { seed: 8, ..bootstrap }.interval(100, mean_of(&values)));
    }

    #[test]
    fn values_that_are_not_finite_are_ignored() {
        let bootstrap = Bootstrap::default();
        assert!(bootstrap.interval(3, |_| f64::NAN).low.is_nan());
        assert!(bootstrap.interval(0, |_| 1.0).high.is_nan());
        assert_eq!(bootstrap.interval(3, |_| 1.5), Interval { low: 1.5, high: 1.5 });
    }

    fn mean_score(values: &[f64]) -> TargetScore {
        let values = values.to_vec();
        TargetScore::new("mean", "value", move |counts| mean_counted(&values, counts))
    }

    #[test]
    fn counted_rows_and_listed_rows_have_the_same_interval() {
        let values: Vec<f64> = (0..80).map(|i| f64::from(i * i % 53)).collect();
        let bootstrap = Bootstrap { n_resamples: 100, seed: 4 };
        let listed = bootstrap.interval(80, mean_of(&values));
        let counted = bootstrap.intervals(&SamplingUnits::Rows(80), &[mean_score(&values)])[0];
        assert!((listed.low - counted.low).abs() < 1e-12 && (listed.high - counted.high).abs() < 1e-12);
    }

    #[test]
    fn equal_rows_drawn_as_groups_have_a_wider_interval() {
        // Twenty groups of fifty equal rows contain only twenty values.
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i / 50 * 7 % 20)).collect();
        let groups = SamplingUnits::Groups((0..1000).map(|i| i / 50).collect(), 20);
        let bootstrap = Bootstrap { n_resamples: 2000, seed: 1 };
        let width = |interval: Interval| interval.high - interval.low;
        let by_group = width(bootstrap.intervals(&groups, &[mean_score(&values)])[0]);
        let by_row = width(bootstrap.intervals(&SamplingUnits::Rows(1000), &[mean_score(&values)])[0]);
        let of_twenty: Vec<f64> = (0..20).map(|group| values[group * 50]).collect();
        let of_groups = width(bootstrap.interval(20, mean_of(&of_twenty)));
        assert!((by_group / of_groups - 1.0).abs() < 1e-9, "{by_group} {of_groups}");
        assert!((by_group / by_row / 50f64.sqrt() - 1.0).abs() < 0.1, "{by_group} {by_row}");
        let none = bootstrap.intervals(&SamplingUnits::Groups(vec![], 0), &[mean_score(&[])]);
        assert!(none[0].low.is_nan());
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        assert_eq!(percentile(&[0.0, 1.0, 2.0, 3.0], 0.5), 1.5);
        assert_eq!(percentile(&[4.0], 0.975), 4.0);
    }
}
