//! How far a score could have come out otherwise: percentile intervals over resampled entities.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

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
        values.sort_by(f64::total_cmp);
        Interval { low: percentile(&values, 0.025), high: percentile(&values, 0.975) }
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

    #[test]
    fn percentiles_lie_between_neighbours() {
        assert_eq!(percentile(&[0.0, 1.0, 2.0, 3.0], 0.5), 1.5);
        assert_eq!(percentile(&[4.0], 0.975), 4.0);
    }
}
