//! A ridge on blocks of columns, each with its own penalty, with exact leave-one-out errors.
//!
//! A penalty `λ / w²` on a block equals a penalty `λ` on the block times `w`. So each block is centred and scaled to a
//! mean squared row length of 1, the first of two blocks is multiplied by a weight `w`, and one exact ridge fits all
//! columns.

use crate::error::{Error, Result};
use crate::probes::probe::Probe;
use crate::probes::ridge::{Decomposition, PenaltyGrid};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use std::borrow::Cow;

/// The predictions of another fit are divided by the standard deviation of their target and multiplied by this number.
/// A larger number means a weaker penalty: good predictions need coefficients near 1, which it must not shrink.
const OF_PREDICTIONS: f64 = 3.0;
/// Maximum number of training entities in the search for a ratio of penalties; more hardly change the best ratio.
const SEARCH_ROWS: usize = 8192;
/// Maximum number of steps of that search in each direction; a step changes the ratio by a factor of 10.
const MAX_STEPS: i32 = 5;

/// Blocks of columns of all entities, and the training entities with their targets.
pub(super) struct BlockTask<'a> {
    /// Predictions of the targets by another fit, `[n_entities, n_targets]`.
    pub predictions: Option<ArrayView2<'a, f64>>,
    /// One or two blocks, each with its own penalty, `[n_entities, n]` each.
    pub blocks: Vec<ArrayView2<'a, f32>>,
    /// The training entities.
    pub train: &'a [usize],
    /// Their targets, `[n_train, n_targets]`.
    pub targets: &'a Array2<f64>,
}

/// The result of a fit.
pub(in crate::probes) struct BlockFit {
    /// The prediction for each entity, `[n_entities, n_targets]`.
    pub predictions: Array2<f64>,
    /// The prediction for each training entity by a fit without it, `[n_train, n_targets]`.
    pub leave_one_out: Array2<f64>,
    /// The weight of the first of two blocks, relative to the second.
    pub weight: f64,
}

/// Columns that are scaled for a fit.
struct Scaled<'a> {
    predictions: Option<Array2<f32>>,
    blocks: Vec<Array2<f32>>,
    /// The training entities.
    train: Cow<'a, [usize]>,
    targets: Cow<'a, Array2<f64>>,
}

/// A fit at one weight of the first block.
struct Trial {
    error: f64,
    /// The penalty of all columns.
    penalty: f64,
    probe: Probe,
    leave_one_out: Array2<f64>,
}

impl BlockTask<'_> {
    /// Fits, and predicts all entities. For two blocks, a local search finds the ratio of penalties with the least
    /// leave-one-out error; it starts from `weight`, or from the ratio of the best penalties of each block alone.
    ///
    /// # Errors
    /// Those of the ridge; [`Error::Internal`] for no blocks, or more than two.
    pub(super) fn fit_predict(&self, weight: Option<f64>) -> Result<BlockFit> {
        let all = self.scaled();
        let weight = match &all.blocks[..] {
            [_] => 1.0,
            [_, _] => all.some_rows().weight(weight)?,
            other => return Err(Error::Internal(format!("{} blocks of columns", other.len()))),
        };
        let columns = all.columns(weight)?;
        let Trial { probe, leave_one_out, .. } = all.fit(&columns)?;
        Ok(BlockFit { predictions: probe.predict_all(columns.view()), leave_one_out, weight })
    }

    fn scaled(&self) -> Scaled<'_> {
        let spread = self.targets.std_axis(Axis(0), 0.0);
        let of_targets = |columns: ArrayView2<f64>| {
            let mut columns = columns.to_owned();
            for (mut column, spread) in columns.columns_mut().into_iter().zip(&spread) {
                let scale = if *spread > 0.0 { OF_PREDICTIONS / spread } else { 0.0 };
                column.mapv_inplace(|value| value * scale);
            }
            columns.mapv(|value| value as f32)
        };
        let predictions = self.predictions.map(of_targets);
        let blocks = self.blocks.iter().map(|block| scaled(block.view(), self.train)).collect();
        Scaled { predictions, blocks, train: Cow::Borrowed(self.train), targets: Cow::Borrowed(self.targets) }
    }
}

impl Scaled<'_> {
    /// The same columns, with at most [`SEARCH_ROWS`] training entities.
    fn some_rows(&self) -> Scaled<'_> {
        let every = self.train.len().div_ceil(SEARCH_ROWS).max(1);
        let rows: Vec<usize> = (0..self.train.len()).step_by(every).collect();
        Scaled {
            predictions: self.predictions.clone(),
            blocks: self.blocks.clone(),
            train: Cow::Owned(rows.iter().map(|&row| self.train[row]).collect()),
            targets: Cow::Owned(self.targets.select(Axis(0), &rows)),
        }
    }

    /// All columns side by side; the first of two blocks is multiplied by a weight.
    fn columns(&self, weight: f64) -> Result<Array2<f32>> {
        let weighted = match &self.blocks[..] {
            [first, _] => Some(first * weight as f32),
            _ => None,
        };
        let rest = &self.blocks[usize::from(weighted.is_some())..];
        let views = self.predictions.iter().chain(&weighted).chain(rest).map(|block| block.view());
        let views: Vec<ArrayView2<f32>> = views.collect();
        concatenate(Axis(1), &views).map_err(|e| Error::Internal(e.to_string()))
    }

    fn fit(&self, columns: &Array2<f32>) -> Result<Trial> {
        let decomposition = Decomposition::of_rows(columns.view(), &self.train)?;
        let solution = decomposition.solve(&self.targets, &PenaltyGrid::default())?;
        let error = solution.trials.iter().map(|trial| trial.error).fold(f64::INFINITY, f64::min);
        let (probe, leave_one_out) = (solution.probe, solution.leave_one_out);
        Ok(Trial { error, penalty: probe.penalty, probe, leave_one_out })
    }

    /// The weight of the first block with the least leave-one-out error.
    fn weight(&self, start: Option<f64>) -> Result<f64> {
        let start = match start {
            Some(start) => start,
            None => {
                // The ratio of the best penalties of each block alone is near the best ratio for both together.
                let alone = |block: usize| self.fit(&self.blocks[block]).map(|trial| trial.penalty);
                (alone(1)? / alone(0)?).sqrt()
            }
        };
        let weight_at = |step: i32| start * 10f64.powf(f64::from(step) / 2.0);
        let error = |step: i32| Ok::<f64, Error>(self.fit(&self.columns(weight_at(step))?)?.error);
        let mut best = (error(0)?, 0);
        for direction in [1, -1] {
            for step in 1..=MAX_STEPS {
                let next = error(direction * step)?;
                if next >= best.0 {
                    break;
                }
                best = (next, direction * step);
            }
        }
        Ok(weight_at(best.1))
    }
}

/// A block minus its mean over the training entities, scaled to a mean squared row length of 1.
fn scaled(block: ArrayView2<f32>, train: &[usize]) -> Array2<f32> {
    let (n, width) = (train.len().max(1) as f64, block.ncols());
    let mut mean = vec![0.0; width];
    for &row in train {
        mean.iter_mut().zip(block.row(row)).for_each(|(sum, value)| *sum += f64::from(*value) / n);
    }
    let squares = |&row: &usize| -> f64 {
        block.row(row).iter().zip(&mean).map(|(value, mean)| (f64::from(*value) - mean).powi(2)).sum()
    };
    let length = (train.iter().map(squares).sum::<f64>() / n).sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    let mut scaled = block.to_owned();
    for mut row in scaled.rows_mut() {
        row.iter_mut()
            .zip(&mean)
            .for_each(|(value, mean)| *value = ((f64::from(*value) - mean) * scale) as f32);
    }
    scaled
}
