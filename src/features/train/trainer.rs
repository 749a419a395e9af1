//! The training loop: portions of rows that are held, batches of them in a seeded order, steps.

use super::adam::Adam;
use super::begin::{Middle, SAMPLE};
use super::gradient::Loss;
use super::parameters::Parameters;
use super::settings::TrainSettings;
use super::source::{Source, Watch};
use crate::error::{Error, Result};
use crate::features::Dictionary;
use crate::hook_point::HookPoint;
use ndarray::ArrayView2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps taken so far, this one included.
    pub step: usize,
    /// Steps in all.
    pub n_steps: usize,
    /// Rows of the batch.
    pub n_rows: usize,
    /// The fraction of the batch's variance that was explained before the step.
    pub fve: f64,
    /// Active units of a row, on average.
    pub l0: f64,
    /// Units that have not been active for long.
    pub n_dead: usize,
}

/// Rows that are held at once, in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Planned {
    parts: Vec<usize>,
    n_rows: usize,
    first_step: usize,
}

/// The rows that are held.
struct Portion {
    /// Which of the planned ones it is.
    at: usize,
    rows: Vec<f32>,
    /// The order in which batches take them.
    order: Vec<u32>,
}

/// A dictionary in training.
pub struct Trainer<'a> {
    source: &'a dyn Source,
    settings: TrainSettings,
    plan: Vec<Planned>,
    n_steps: usize,
    portion: Option<Portion>,
    pub(super) middle: Middle,
    pub(super) params: Parameters,
    pub(super) adam: Adam,
    /// Rows since each unit was last active.
    pub(super) since: Vec<u64>,
}

impl<'a> Trainer<'a> {
    /// A fresh dictionary for the rows of a source.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings that do not serve, or rows that do not differ; what the source answers.
    pub fn begin(
        source: &'a dyn Source,
        settings: TrainSettings,
        watch: &mut dyn Watch,
    ) -> Result<Trainer<'a>> {
        let blank = Middle { scale: 1.0, median: vec![0.0; source.width()] };
        let mut trainer = Trainer::with(source, settings, blank)?;
        trainer.hold(0, watch)?;
        let d = source.width();
        let rows = trainer.portion.as_ref().map_or(&[][..], |portion| &portion.rows);
        let every = (rows.len() / d).div_ceil(SAMPLE).max(1);
        let sample: Vec<f32> = rows.chunks_exact(d).step_by(every).flatten().copied().collect();
        let middle = Middle::of(&sample, d);
        trainer.middle =
            middle.ok_or_else(|| Error::invalid("rows to learn from", "no two that differ", "more texts"))?;
        trainer.params = trainer.middle.begin(&trainer.settings);
        Ok(trainer)
    }

    /// A trainer that has not looked at its rows.
    pub(super) fn with(
        source: &'a dyn Source,
        settings: TrainSettings,
        middle: Middle,
    ) -> Result<Trainer<'a>> {
        settings.check()?;
        if source.n_rows() == 0 {
            return Err(Error::invalid("rows to learn from", 0, "at least one"));
        }
        let (plan, n_steps) = plan(source, &settings);
        let params = Parameters::zeros(source.width(), settings.d_sae);
        let (adam, since) = (Adam::new(&params), vec![0; settings.d_sae]);
        Ok(Trainer { source, settings, plan, n_steps, portion: None, middle, params, adam, since })
    }

    /// Steps taken and steps in all.
    pub fn steps(&self) -> (usize, usize) {
        (self.adam.step, self.n_steps)
    }

    /// Whether all rows are held at once, so that they are computed once.
    pub fn holds_all(&self) -> bool {
        self.plan.len() == self.settings.n_epochs
    }

    /// Units that have not been active for long.
    pub fn dead(&self) -> Vec<u32> {
        let units = (0..).zip(&self.since);
        units.filter(|(_, since)| **since >= self.settings.dead_after).map(|(unit, _)| unit).collect()
    }

    /// Takes the next step, or answers `None` when all are taken.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the loss is no longer a number; what the source answers.
    pub fn step(&mut self, watch: &mut dyn Watch) -> Result<Option<Progress>> {
        let (step, n_steps) = self.steps();
        if step == n_steps {
            return Ok(None);
        }
        let at = self.plan.partition_point(|planned| planned.first_step <= step) - 1;
        self.hold(at, watch)?;
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
        Ok(Some(Progress {
            step: step + 1,
            n_steps,
            n_rows,
            fve: 1.0 - outcome.loss * x.len() as f64 / variance(&x, self.source.width()),
            l0: n_active as f64 / n_rows as f64,
            n_dead: dead.len(),
        }))
    }

    /// The dictionary as it stands, for rows as they pass.
    ///
    /// # Errors
    /// None that rows can cause.
    pub fn dictionary(&self, point: HookPoint) -> Result<Dictionary> {
        self.params.dictionary((point, self.settings.k), self.middle.scale)
    }

    /// The dictionary as it was before the first step.
    ///
    /// # Errors
    /// None that rows can cause.
    pub fn untrained(&self, point: HookPoint) -> Result<Dictionary> {
        self.middle.begin(&self.settings).dictionary((point, self.settings.k), self.middle.scale)
    }

    /// The rows that are held, or would be next.
    ///
    /// # Errors
    /// What the source answers.
    pub fn rows(&mut self, watch: &mut dyn Watch) -> Result<ArrayView2<'_, f32>> {
        if self.portion.is_none() {
            self.hold(self.plan.len() - 1, watch)?;
        }
        let rows = self.portion.as_ref().map_or(&[][..], |portion| &portion.rows);
        let shape = (rows.len() / self.source.width(), self.source.width());
        ArrayView2::from_shape(shape, rows).map_err(|e| Error::Internal(e.to_string()))
    }

    /// Sees to it that a planned portion is held, in its own order.
    fn hold(&mut self, at: usize, watch: &mut dyn Watch) -> Result<()> {
        if self.portion.as_ref().is_some_and(|portion| portion.at == at) {
            return Ok(());
        }
        let Planned { parts, n_rows, .. } = &self.plan[at];
        let rows = match self.portion.take() {
            Some(held) if self.plan[held.at].parts == *parts => held.rows,
            held => {
                drop(held); // Two portions are never held at once.
                self.source.read(parts, watch)?
            }
        };
        let mut order: Vec<u32> = (0..*n_rows as u32).collect();
        order.shuffle(&mut seeded(self.settings.seed, 2 * at as u64 + 1));
        self.portion = Some(Portion { at, rows, order });
        Ok(())
    }

    /// The rows of a batch of the portion that is held, scaled.
    fn batch(&self, batch: usize) -> Vec<f32> {
        let (d, Some(Portion { rows, order, .. })) = (self.source.width(), &self.portion) else {
            return vec![];
        };
        let (from, scale) = (batch * self.settings.batch, self.middle.scale);
        let chosen = &order[from..(from + self.settings.batch).min(order.len())];
        let row = |at: &u32| rows[*at as usize * d..(*at as usize + 1) * d].iter().map(|x| x * scale);
        chosen.iter().flat_map(row).collect()
    }
}

/// A stream of draws of its own for each use.
fn seeded(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// Which parts are held together in each epoch, and the number of steps.
///
/// Where all fit, it is always the same portion; else an epoch's parts are drawn into portions anew.
fn plan(source: &dyn Source, settings: &TrainSettings) -> (Vec<Planned>, usize) {
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

/// The squared distances of rows from their mean, summed.
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
