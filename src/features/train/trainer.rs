//! The training loop: loads portions of rows into memory, draws batches in a seeded order, and takes a step per batch.

use super::adam::Adam;
use super::gradient::Loss;
use super::init::{RowScale, SAMPLE};
use super::parameters::Parameters;
use super::row_source::RowSource;
use super::settings::TrainSettings;
use crate::error::{Error, Result};
use crate::features::Dictionary;
use crate::hook_point::HookPoint;
use crate::limits::{check_memory, product};
use crate::progress::Observer;
use ndarray::ArrayView2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The statistics of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepStatistics {
    /// The number of steps taken, this one included.
    pub step: usize,
    /// The number of all steps.
    pub n_steps: usize,
    /// The number of rows of the batch.
    pub n_rows: usize,
    /// The fraction of the batch's variance that was explained before the step.
    pub fve: f64,
    /// The mean number of active latents per row.
    pub l0: f64,
    /// The number of dead latents.
    pub n_dead: usize,
}

/// A planned portion: the parts that are in memory together, in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Planned {
    parts: Vec<usize>,
    n_rows: usize,
    first_step: usize,
}

/// The rows in memory.
struct Portion {
    /// The portion's index in the plan.
    at: usize,
    rows: Vec<f32>,
    /// The order of the rows in batches.
    order: Vec<u32>,
}

/// A dictionary in training.
pub struct DictionaryTrainer<'a> {
    source: &'a dyn RowSource,
    settings: TrainSettings,
    plan: Vec<Planned>,
    n_steps: usize,
    portion: Option<Portion>,
    pub(super) row_scale: RowScale,
    pub(super) params: Parameters,
    pub(super) adam: Adam,
    /// The number of rows since each latent was last active.
    pub(super) since: Vec<u64>,
}

impl<'a> DictionaryTrainer<'a> {
    /// A trainer of a new dictionary for the rows of a source.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings out of range, or rows that are all equal; as [`RowSource::read`].
    pub fn begin(
        source: &'a dyn RowSource,
        settings: TrainSettings,
        observer: &mut dyn Observer,
    ) -> Result<DictionaryTrainer<'a>> {
        let unset = RowScale { factor: 1.0, median: vec![0.0; source.width()] };
        let mut trainer = DictionaryTrainer::with(source, settings, unset)?;
        trainer.load_portion(0, observer)?;
        let d = source.width();
        let rows = trainer.portion.as_ref().map_or(&[][..], |portion| &portion.rows);
        let every = (rows.len() / d).div_ceil(SAMPLE).max(1);
        let sample: Vec<f32> = rows.chunks_exact(d).step_by(every).flatten().copied().collect();
        let scale = RowScale::of(&sample, d);
        trainer.row_scale =
            scale.ok_or_else(|| Error::invalid("training rows", "only equal rows", "more texts"))?;
        trainer.params = trainer.row_scale.initial(&trainer.settings);
        Ok(trainer)
    }

    /// A trainer without rows in memory.
    pub(super) fn with(
        source: &'a dyn RowSource,
        settings: TrainSettings,
        row_scale: RowScale,
    ) -> Result<DictionaryTrainer<'a>> {
        settings.check()?;
        settings.check_memory(source.width())?;
        let planned = product([settings.n_epochs, source.parts().len() + size_of::<Planned>(), 8]);
        check_memory("the plan of all epochs", planned, "train for fewer --epochs")?;
        if source.n_rows() == 0 {
            return Err(Error::invalid("training rows", 0, "at least one"));
        }
        let (plan, n_steps) = plan(source, &settings);
        let params = Parameters::zeros(source.width(), settings.d_sae);
        let (adam, since) = (Adam::new(&params), vec![0; settings.d_sae]);
        Ok(DictionaryTrainer {
            source,
            settings,
            plan,
            n_steps,
            portion: None,
            row_scale,
            params,
            adam,
            since,
        })
    }

    /// The number of steps taken, and the total number.
    pub fn steps(&self) -> (usize, usize) {
        (self.adam.step, self.n_steps)
    }

    /// True if all rows fit into memory, so that they are computed only once.
    pub fn has_all_rows(&self) -> bool {
        self.plan.len() == self.settings.n_epochs
    }

    /// The latents that were inactive for [`TrainSettings::dead_after`] rows.
    pub fn dead(&self) -> Vec<u32> {
        let latents = (0..).zip(&self.since);
        latents.filter(|(_, since)| **since >= self.settings.dead_after).map(|(latent, _)| latent).collect()
    }

    /// Takes the next step; `None` after the last.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the loss is not finite; as [`RowSource::read`].
    pub fn step(&mut self, observer: &mut dyn Observer) -> Result<Option<StepStatistics>> {
        let (step, n_steps) = self.steps();
        if step == n_steps {
            return Ok(None);
        }
        let at = self.plan.partition_point(|planned| planned.first_step <= step) - 1;
        self.load_portion(at, observer)?;
        let x = self.batch(step - self.plan[at].first_step);
        let dead = self.dead();
        let TrainSettings { k, k_aux, aux_weight, .. } = self.settings;
        let outcome = Loss { k, dead: &dead, k_aux, aux_weight }.gradient(&self.params, &x);
        if !(outcome.loss + outcome.aux).is_finite() {
            return Err(Error::NonFinite {
                place: format!("the loss of step {step}"),
                found: outcome.loss + outcome.aux,
                advice: "train with a lower --rate".into(),
            });
        }
        let n_rows = x.len() / self.source.width();
        for (since, n_active) in self.since.iter_mut().zip(&outcome.n_active) {
            *since = if *n_active > 0 { 0 } else { *since + n_rows as u64 };
        }
        let rate = self.settings.rate_at(step, n_steps);
        self.adam.step(&mut self.params, outcome.gradient, rate);
        let n_active: u64 = outcome.n_active.iter().map(|n| u64::from(*n)).sum();
        Ok(Some(StepStatistics {
            step: step + 1,
            n_steps,
            n_rows,
            fve: 1.0 - outcome.loss * x.len() as f64 / variance(&x, self.source.width()),
            l0: n_active as f64 / n_rows as f64,
            n_dead: dead.len(),
        }))
    }

    /// The dictionary after the steps taken, for unscaled rows.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn dictionary(&self, point: HookPoint) -> Result<Dictionary> {
        self.params.dictionary(point, self.settings.k, self.row_scale.factor)
    }

    /// The dictionary before the first step.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub fn untrained(&self, point: HookPoint) -> Result<Dictionary> {
        self.row_scale.initial(&self.settings).dictionary(point, self.settings.k, self.row_scale.factor)
    }

    /// The rows in memory; if there are none, the last planned portion is loaded.
    ///
    /// # Errors
    /// As [`RowSource::read`].
    pub fn rows(&mut self, observer: &mut dyn Observer) -> Result<ArrayView2<'_, f32>> {
        if self.portion.is_none() {
            self.load_portion(self.plan.len() - 1, observer)?;
        }
        let rows = self.portion.as_ref().map_or(&[][..], |portion| &portion.rows);
        let shape = (rows.len() / self.source.width(), self.source.width());
        ArrayView2::from_shape(shape, rows).map_err(|e| Error::Internal(e.to_string()))
    }

    /// Loads a planned portion into memory, and shuffles its rows with a seed of its own.
    fn load_portion(&mut self, at: usize, observer: &mut dyn Observer) -> Result<()> {
        if self.portion.as_ref().is_some_and(|portion| portion.at == at) {
            return Ok(());
        }
        let Planned { parts, n_rows, .. } = &self.plan[at];
        let rows = match self.portion.take() {
            Some(held) if self.plan[held.at].parts == *parts => held.rows,
            held => {
                drop(held); // Two portions are never in memory at once.
                self.source.read(parts, observer)?
            }
        };
        let mut order: Vec<u32> = (0..*n_rows as u32).collect();
        order.shuffle(&mut seeded(self.settings.seed, 2 * at as u64 + 1));
        self.portion = Some(Portion { at, rows, order });
        Ok(())
    }

    /// The rows of a batch of the portion in memory, scaled.
    fn batch(&self, batch: usize) -> Vec<f32> {
        let (d, Some(Portion { rows, order, .. })) = (self.source.width(), &self.portion) else {
            return vec![];
        };
        let (from, scale) = (batch * self.settings.batch, self.row_scale.factor);
        let chosen = &order[from..(from + self.settings.batch).min(order.len())];
        let row = |at: &u32| rows[*at as usize * d..(*at as usize + 1) * d].iter().map(|x| x * scale);
        chosen.iter().flat_map(row).collect()
    }
}

/// A generator for one use: each use has its own random stream.
fn seeded(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// The portions of each epoch, and the number of steps.
///
/// If all rows fit into memory, there is one portion for all epochs; otherwise each epoch shuffles the parts and
/// divides them into new portions.
fn plan(source: &dyn RowSource, settings: &TrainSettings) -> (Vec<Planned>, usize) {
    let sizes = source.parts();
    let most = (settings.memory / (4 * source.width())).max(1);
    let (mut plan, mut n_steps): (Vec<Planned>, usize) = (Vec::new(), 0);
    for epoch in 0..settings.n_epochs {
        let mut parts: Vec<usize> = (0..sizes.len()).collect();
        if source.n_rows() > most {
            parts.shuffle(&mut seeded(settings.seed, 2 * epoch as u64 + 2));
        }
        let begin = plan.len();
        for part in parts {
            match plan[begin..].last_mut().filter(|planned| planned.n_rows + sizes[part] <= most) {
                Some(planned) => {
                    planned.parts.push(part);
                    planned.n_rows += sizes[part];
                }
                None => plan.push(Planned { parts: vec![part], n_rows: sizes[part], first_step: 0 }),
            }
        }
        for planned in &mut plan[begin..] {
            planned.first_step = n_steps;
            n_steps += planned.n_rows.div_ceil(settings.batch);
        }
    }
    (plan, n_steps)
}

/// The sum of the rows' squared distances from their mean.
fn variance(x: &[f32], d: usize) -> f64 {
    let n = (x.len() / d) as f64;
    let (mut sums, mut squares) = (vec![0f64; d], 0f64);
    for row in x.chunks_exact(d) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += f64::from(*x);
            squares += f64::from(*x) * f64::from(*x);
        }
    }
    squares - sums.iter().map(|sum| sum * sum / n).sum::<f64>()
}

#[cfg(test)]
#[path = "trainer_tests.rs"]
mod tests;
