//! How far a score could have come out otherwise: percentile intervals over resampled entities or groups.

use super::measure::{Measure, values_of_each};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Resamples that are counted together.
const AT_ONCE: usize = 16;

/// Draws entities with replacement, again and again, from a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// How many resamples are drawn.
    pub n_resamples: usize,
    /// The seed; the same seed draws the same resamples on any number of threads.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Bootstrap {
        Bootstrap { n_resamples: 500, seed: 0 }
    }
}

/// What is drawn as a whole: single rows, or groups of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Units {
    /// Each of so many rows by itself.
    Rows(usize),
    /// All rows of a group together: the group of each row, and how many groups there are.
    ///
    /// Rows of one group are alike. Drawn one by one they make an interval that is too narrow for the
    /// question how a score would come out on other groups.
    Groups(Vec<usize>, usize),
}

impl Units {
    /// How many rows there are.
    fn n_rows(&self) -> usize {
        match self {
            Units::Rows(n) => *n,
            Units::Groups(of, _) => of.len(),
        }
    }

    /// How many units are drawn from.
    fn n_units(&self) -> usize {
        match self {
            Units::Rows(n) | Units::Groups(_, n) => *n,
        }
    }
}

/// The ends of a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

impl Bootstrap {
    /// The 95 % percentile interval of a metric over `n` entities.
    ///
    /// The metric is given the indices of the entities drawn, which may repeat. Resamples on which it
    /// is not finite do not count; where none is left, both ends are not a number.
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
        Interval::of(&mut values)
    }

    /// The 95 % percentile interval of each of some scores; one resample serves all of them.
    ///
    /// As [`Bootstrap::interval`]; with rows as units both draw the same.
    pub(super) fn intervals(&self, units: &Units, measures: &[Measure]) -> Vec<Interval> {
        self.intervals_of((units, measures.len()), |resamples| values_of_each(measures, resamples))
    }

    /// The 95 % percentile interval of each of `n` values, which are counted for some resamples together, given how often
    /// each row was drawn in each of them.
    pub(super) fn intervals_of(
        &self,
        (units, n): (&Units, usize),
        count: impl Fn(&[Vec<f64>]) -> Vec<Vec<f64>> + Sync,
    ) -> Vec<Interval> {
        if units.n_units() == 0 {
            return vec![Interval { low: f64::NAN, high: f64::NAN }; n];
        }
        let firsts: Vec<usize> = (0..self.n_resamples).step_by(AT_ONCE).collect();
        let some = |drawn: &mut Vec<usize>, first: usize| {
            let resamples = first..(first + AT_ONCE).min(self.n_resamples);
            let drawn = resamples.map(|resample| {
                self.draw(resample, drawn);
                counts(units, drawn)
            });
            count(&drawn.collect::<Vec<_>>())
        };
        let resamples: Vec<Vec<f64>> =
            firsts.into_par_iter().map_init(|| vec![0; units.n_units()], some).flatten_iter().collect();
        let of = |measure: usize| {
            let values = resamples.iter().map(|values| values[measure]);
            Interval::of(&mut values.filter(|value| value.is_finite()).collect::<Vec<f64>>())
        };
        (0..n).map(of).collect()
    }

    fn draw(&self, resample: usize, indices: &mut [usize]) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // A stream of its own makes each resample independent of the thread that draws it.
        rng.set_stream(resample as u64);
        let n = indices.len() as u64;
        for index in indices {
            *index = rng.random_range(0..n) as usize;
        }
    }
}

impl Interval {
    /// The middle 95 % of some values, which are sorted.
    fn of(values: &mut [f64]) -> Interval {
        values.sort_by(f64::total_cmp);
        Interval { low: percentile(values, 0.025), high: percentile(values, 0.975) }
    }
}

/// How often each row stands in what was drawn.
fn counts(units: &Units, drawn: &[usize]) -> Vec<f64> {
    let mut of_units = vec![0.0; units.n_units()];
    drawn.iter().for_each(|&unit| of_units[unit] += 1.0);
    match units {
        Units::Rows(_) => of_units,
        Units::Groups(of, _) => of.iter().map(|&group| of_units[group]).collect(),
    }
}

/// The counts of all rows as they are.
pub(super) fn once(units: &Units) -> Vec<f64> {
    vec![1.0; units.n_rows()]
}

/// A percentile of sorted values, between neighbours in proportion.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = share * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
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
    fn the_seed_decides_and_the_threads_do_not() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let bootstrap = Bootstrap { n_resamples: 64, seed: 7 };
        let many = bootstrap.interval(100, mean_of(&values));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(many, pool.install(|| bootstrap.interval(100, mean_of(&values))));
        assert_ne!(many, Bootstrap { seed: 8, ..bootstrap }.interval(100, mean_of(&values)));
    }

    #[test]
    fn what_is_not_finite_does_not_count() {
        let bootstrap = Bootstrap::default();
        assert!(bootstrap.interval(3, |_| f64::NAN).low.is_nan());
        assert!(bootstrap.interval(0, |_| 1.0).high.is_nan());
        assert_eq!(bootstrap.interval(3, |_| 1.5), Interval { low: 1.5, high: 1.5 });
    }

    fn mean_measure(values: &[f64]) -> Measure {
        let values = values.to_vec();
        Measure::new("mean", "value", move |counts| super::super::metrics::mean_counted(&values, counts))
    }

    #[test]
    fn rows_counted_and_rows_listed_have_the_same_interval() {
        let values: Vec<f64> = (0..80).map(|i| f64::from(i * i % 53)).collect();
        let bootstrap = Bootstrap { n_resamples: 100, seed: 4 };
        let listed = bootstrap.interval(80, mean_of(&values));
        let counted = bootstrap.intervals(&Units::Rows(80), &[mean_measure(&values)])[0];
        assert!((listed.low - counted.low).abs() < 1e-12 && (listed.high - counted.high).abs() < 1e-12);
    }

    #[test]
    fn alike_rows_drawn_as_groups_have_a_wider_interval() {
        // Twenty groups of fifty equal rows hold no more than twenty values.
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i / 50 * 7 % 20)).collect();
        let groups = Units::Groups((0..1000).map(|i| i / 50).collect(), 20);
        let bootstrap = Bootstrap { n_resamples: 2000, seed: 1 };
        let width = |interval: Interval| interval.high - interval.low;
        let by_group = width(bootstrap.intervals(&groups, &[mean_measure(&values)])[0]);
        let by_row = width(bootstrap.intervals(&Units::Rows(1000), &[mean_measure(&values)])[0]);
        let of_twenty: Vec<f64> = (0..20).map(|group| values[group * 50]).collect();
        let of_groups = width(bootstrap.interval(20, mean_of(&of_twenty)));
        assert!((by_group / of_groups - 1.0).abs() < 1e-9, "{by_group} {of_groups}");
        assert!((by_group / by_row / 50f64.sqrt() - 1.0).abs() < 0.1, "{by_group} {by_row}");
        let none = bootstrap.intervals(&Units::Groups(vec![], 0), &[mean_measure(&[])]);
        assert!(none[0].low.is_nan());
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        assert_eq!(percentile(&[0.0, 1.0, 2.0, 3.0], 0.5), 1.5);
        assert_eq!(percentile(&[4.0], 0.975), 4.0);
    }
}
