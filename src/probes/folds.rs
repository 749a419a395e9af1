//! The decomposition of each fold's training rows: of many folds, what is common to them is computed once.

use super::ridge::{ActivationRows, Decomposition, Moments};
use super::split::{Fold, Split};
use crate::error::Result;
use ndarray::ArrayView2;

/// A layer's activations, to be decomposed fold by fold.
///
/// With several folds the moments of all rows are counted once; a fold takes its test rows off them, which are
/// few, in place of counting its training rows anew.
pub(super) struct Folds<'a> {
    activations: ArrayView2<'a, f32>,
    /// What the kept probe learns from; with several folds, all entities.
    entities: &'a [usize],
    whole: Option<(Moments, ActivationRows<'a>)>,
}

impl<'a> Folds<'a> {
    /// `entities` are [`Split::kept`].
    ///
    /// # Errors
    /// As [`Decomposition::of_rows`].
    pub fn of(activations: ArrayView2<'a, f32>, split: &Split, entities: &'a [usize]) -> Result<Folds<'a>> {
        let whole = match Decomposition::stored(activations, entities).filter(|_| split.folds.len() > 1) {
            Some(stored) => Some((Moments::of(&stored)?, stored)),
            None => None,
        };
        Ok(Folds { activations, entities, whole })
    }

    /// Of a fold's training rows.
    ///
    /// # Errors
    /// As [`Decomposition::of_rows`].
    pub fn train(&self, fold: &'a Fold) -> Result<Decomposition<'a>> {
        if let (Some((moments, all)), Some(stored)) =
            (&self.whole, Decomposition::stored(self.activations, &fold.train))
            && is_rest(self.entities, fold)
            && let Some(left) = moments.without(all, &fold.test)?
        {
            return Decomposition::from_moments(left, stored);
        }
        Decomposition::of_rows(self.activations, &fold.train)
    }

    /// Of all that the kept probe learns from.
    ///
    /// # Errors
    /// As [`Decomposition::of_rows`].
    pub fn kept(self) -> Result<Decomposition<'a>> {
        match self.whole {
            Some((moments, stored)) => Decomposition::from_moments(moments, stored),
            None => Decomposition::of_rows(self.activations, self.entities),
        }
    }
}

/// Whether a fold learns from just those of some ascending entities that it is not scored on, which are fewer.
fn is_rest(entities: &[usize], fold: &Fold) -> bool {
    let mut both = [&fold.train[..], &fold.test[..]].concat();
    both.sort_unstable();
    fold.test.len() < fold.train.len() && both == entities
}

#[cfg(test)]
mod tests {
    use super::super::PenaltyGrid;
    use super::super::fixture::noise;
    use super::*;
    use ndarray::{Array2, Axis};

    /// Three folds, one of most rows, and one that learns from others than it leaves.
    fn split() -> Split {
        let fold = |test: Vec<usize>, skip: usize| Fold {
            train: (0..600).filter(|i| !test.contains(i) && i % 600 >= skip).collect(),
            test,
        };
        Split {
            folds: vec![
                fold((0..40).collect(), 0),
                fold((40..560).collect(), 0),
                fold((560..600).collect(), 9),
            ],
        }
    }

    #[test]
    fn folds_fit_what_their_training_rows_fit() {
        let (split, x) = (split(), (noise((600, 12), 1) * 3.0 + 2.0).mapv(|v| v as f32));
        let y: Array2<f64> = noise((600, 2), 2);
        let entities = split.kept();
        let folds = Folds::of(x.view(), &split, &entities).unwrap();
        let rest: Vec<bool> = split.folds.iter().map(|fold| is_rest(&entities, fold)).collect();
        assert_eq!(rest, [true, false, false]);
        let grid = PenaltyGrid::default();
        for fold in &split.folds {
            let targets = y.select(Axis(0), &fold.train);
            let found = folds.train(fold).unwrap().solve(&targets, &grid).unwrap();
            let expected =
                Decomposition::of_rows(x.view(), &fold.train).unwrap().solve(&targets, &grid).unwrap();
            assert!((found.probe.penalty / expected.probe.penalty - 1.0).abs() < 1e-11);
            let near = |a: &Array2<f64>, b: &Array2<f64>| (a - b).iter().all(|e| e.abs() < 1e-11);
            assert!(near(&found.probe.weights, &expected.probe.weights));
            assert!(near(&found.leave_one_out, &expected.leave_one_out));
        }
        let (found, expected) = (folds.kept().unwrap(), Decomposition::of_rows(x.view(), &entities).unwrap());
        assert_eq!(found.solve(&y, &grid).unwrap(), expected.solve(&y, &grid).unwrap());
    }
}
