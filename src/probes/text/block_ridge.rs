//! A ridge on blocks of columns, each with a penalty of its own, with exact leave-one-out errors.
//!
//! A penalty `λ / w²` on a block is the penalty `λ` on the block times `w`. So each block is centred and scaled to a mean
//! squared row length of 1, multiplied by its weight `w`, and one exact ridge fits all of them.

use crate::error::{Error, Result};
use crate::probes::ridge::{Decomposition, PenaltyGrid};
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use std::ops::AddAssign;

/// The weight of a block that is practically not penalised.
const FREE: f32 = 100.0;
/// The most steps of the search for a weight in each direction; a step is a factor of 10 between two penalties.
const MAX_STEPS: i32 = 5;

/// Blocks of columns of all entities, and the training entities with their targets.
pub(super) struct BlockTask<'a> {
    /// Columns that are practically not penalised, `[n_entities, n]`.
    pub free: Option<ArrayView2<'a, f64>>,
    /// Blocks with a penalty of their own, `[n_entities, n]` each.
    pub blocks: Vec<ArrayView2<'a, f32>>,
    /// The training entities.
    pub train: &'a [usize],
    /// Their targets, `[n_train, n_targets]`.
    pub targets: &'a Array2<f64>,
}

/// A fit at some weights.
struct Trial {
    error: f64,
    predictions: Array2<f64>,
}

impl BlockTask<'_> {
    /// Fits, with the ratio of the penalties of two blocks chosen by leave-one-out error, and predicts all entities.
    ///
    /// # Shapes
    /// `[n_entities, n_targets]`.
    ///
    /// # Errors
    /// Those of the ridge; [`Error::Internal`] for no blocks, or more than two.
    pub(super) fn fit_predict(&self) -> Result<Array2<f64>> {
        let free = self.free.map(|columns| columns.mapv(|value| value as f32));
        let free = free.as_ref().map(|columns| self.scaled(columns.view(), FREE));
        let blocks: Vec<Array2<f32>> =
            self.blocks.iter().map(|block| self.scaled(block.view(), 1.0)).collect();
        let at = |step: i32| {
            let weighted: Vec<Array2<f32>> = match &blocks[..] {
                [first, rest @ ..] => {
                    let weight = 10f32.powf(step as f32 / 2.0);
                    [&[first * weight], rest].concat()
                }
                [] => Vec::new(),
            };
            self.fit(free.as_ref(), &weighted)
        };
        match blocks.len() {
            1 => Ok(at(0)?.predictions),
            2 => search(at),
            n => Err(Error::Internal(format!("{n} blocks of columns"))),
        }
    }

    /// A block minus its mean over the training entities, scaled to a mean squared row length of `weight²`.
    fn scaled(&self, block: ArrayView2<f32>, weight: f32) -> Array2<f32> {
        let (n, width) = (self.train.len().max(1) as f64, block.ncols());
        let mut mean = vec![0.0; width];
        for &row in self.train {
            mean.iter_mut()
                .zip(block.row(row))
                .for_each(|(sum, value)| sum.add_assign(f64::from(*value) / n));
        }
        let squares = |&row: &usize| -> f64 {
            block.row(row).iter().zip(&mean).map(|(value, mean)| (f64::from(*value) - mean).powi(2)).sum()
        };
        let length = (self.train.iter().map(squares).sum::<f64>() / n).sqrt();
        let scale = if length > 0.0 { f64::from(weight) / length } else { 0.0 };
        Array2::from_shape_fn(block.dim(), |(row, column)| {
            ((f64::from(block[[row, column]]) - mean[column]) * scale) as f32
        })
    }

    /// Fits all columns side by side.
    fn fit(&self, free: Option<&Array2<f32>>, blocks: &[Array2<f32>]) -> Result<Trial> {
        let views: Vec<ArrayView2<f32>> = free.into_iter().chain(blocks).map(|block| block.view()).collect();
        let columns = concatenate(Axis(1), &views).map_err(|e| Error::Internal(e.to_string()))?;
        let decomposition = Decomposition::of_rows(columns.view(), self.train)?;
        let solution = decomposition.solve(self.targets, &PenaltyGrid::default())?;
        let errors = solution.trials.iter().map(|trial| trial.error);
        let error = errors.fold(f64::INFINITY, f64::min);
        Ok(Trial { error, predictions: solution.probe.predict_all(columns.slice(s![.., ..])) })
    }
}

/// Descends from step 0, upwards or downwards, until the error rises.
fn search(at: impl Fn(i32) -> Result<Trial>) -> Result<Array2<f64>> {
    let mut best = at(0)?;
    for direction in [1, -1] {
        let mut has_moved = false;
        for step in 1..=MAX_STEPS {
            let next = at(direction * step)?;
            if next.error >= best.error {
                break;
            }
            (best, has_moved) = (next, true);
        }
        if has_moved {
            break;
        }
    }
    Ok(best.predictions)
}
