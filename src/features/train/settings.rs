//! The settings of a training: the size of the dictionary, the number of epochs, the learning rate.

use crate::error::{Error, Result};
use crate::limits::{BATCH, EPOCHS, LATENTS, check_memory, product};

/// The settings of a dictionary's training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSettings {
    /// The number of latents.
    pub d_sae: usize,
    /// Maximum number of active latents per row.
    pub k: usize,
    /// The number of times that training uses each row.
    pub n_epochs: usize,
    /// The number of rows per step.
    pub batch: usize,
    /// The highest learning rate: reached after the warm-up steps, falling linearly to zero in the last fifth.
    pub rate: f32,
    /// A latent counts as dead after this number of consecutive rows without its activation.
    pub dead_after: u64,
    /// Maximum number of dead latents that reconstruct a row's residual (auxiliary loss).
    pub k_aux: usize,
    /// The weight of the auxiliary loss.
    pub aux_weight: f32,
    /// Maximum bytes of rows in memory; if all rows need more, they are computed again in each epoch.
    pub memory: usize,
    /// Seeds the first parameters and the order of the rows.
    pub seed: u64,
}

/// Maximum number of steps over which the rate rises.
const WARM_UP: usize = 100;

impl TrainSettings {
    /// The default settings for rows of width `d_in`.
    pub fn of(d_in: usize, d_sae: usize, k: usize) -> TrainSettings {
        TrainSettings {
            d_sae,
            k,
            n_epochs: 10,
            batch: 1024,
            rate: 1e-3,
            dead_after: 100_000,
            k_aux: (d_in / 2).max(1),
            aux_weight: 1.0 / 32.0,
            memory: 4 << 30,
            seed: 5,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting that is out of range.
    pub fn check(&self) -> Result<()> {
        LATENTS.check("latents", self.d_sae as u64)?;
        EPOCHS.check("epochs", self.n_epochs as u64)?;
        BATCH.check("rows of a batch", self.batch as u64)?;
        let counts = [
            ("inactive rows until a latent is dead", self.dead_after),
            ("dead latents that reconstruct the residual", self.k_aux as u64),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, n)| *n == 0) {
            return Err(Error::invalid(name, 0, "at least 1"));
        }
        if !(1..=self.d_sae).contains(&self.k) {
            return Err(Error::invalid("k", self.k, format!("1 to {}, the number of latents", self.d_sae)));
        }
        for (name, value) in [("rate", self.rate), ("weight of the auxiliary loss", self.aux_weight)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::invalid(name, value, "a number that is not negative"));
            }
        }
        Ok(())
    }

    /// Refuses a dictionary for rows of this width if its training does not fit into the free memory.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the bytes that are needed and free.
    pub fn check_memory(&self, width: usize) -> Result<()> {
        // The parameters, their two moments and their gradient each have two matrices of this size.
        let matrices = product([4, 2, width, self.d_sae, size_of::<f32>()]);
        check_memory("the dictionary's training", matrices, "train with fewer --latents")
    }

    /// The rate of a step, counted from 0.
    pub(super) fn rate_at(&self, step: usize, n_steps: usize) -> f32 {
        let rise = (step + 1) as f32 / WARM_UP.min(n_steps / 10 + 1) as f32;
        let fall = (n_steps - step) as f32 / (n_steps as f32 / 5.0).max(1.0);
        self.rate * rise.min(fall).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_stays_and_falls_to_almost_zero() {
        let settings = TrainSettings::of(8, 16, 2);
        let rates: Vec<f32> = (0..1000).map(|step| settings.rate_at(step, 1000)).collect();
        assert!(rates[0] < 2e-5 && (rates[99] - 1e-3).abs() < 1e-9 && (rates[500] - 1e-3).abs() < 1e-9);
        assert!((rates[900] - 5e-4).abs() < 1e-5 && rates[999] > 0.0 && rates[999] < 1e-5);
        assert!(settings.rate_at(0, 1) > 0.0);
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let good = TrainSettings::of(8, 16, 2);
        assert!(good.check().is_ok());
        let bad = [
            (TrainSettings { k: 17, ..good.clone() }, "k: found 17"),
            (TrainSettings { k: 0, ..good.clone() }, "k: found 0"),
            (TrainSettings { batch: 0, ..good.clone() }, "rows of a batch"),
            (TrainSettings { rate: f32::NAN, ..good.clone() }, "rate"),
        ];
        for (settings, name) in bad {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
