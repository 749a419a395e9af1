//! The decomposition of each fold's training rows, with the moments of all rows computed once.

use crate::error::Result;
use crate::probes::ridge::{ActivationRows, Decomposition, Moments};
use crate::probes::splits::{Fold, Split};
use ndarray::ArrayView2;

/// The activations of a layer, decomposed fold by fold.
///
/// With several folds, the moments of a fold's training rows are computed from those of all rows by removing its
/// few test rows.
pub(super) struct FoldDecompositions<'a> {
    activations: ArrayView2<'a, f32>,
    /// The training entities of the saved probe: with several folds, all entities.
    entities: &'a [usize],
    all_rows: Option<(Moments, ActivationRows<'a>)>,
}

impl<'a> FoldDecompositions<'a> {
    /// Computes the moments of all rows if there are several folds; `entities` are [`Split::saved_train`].
    ///
    /// # Errors
    /// As [`Decomposition::of_rows`].
    pub(super) fn of(
        activations: ArrayView2<'a, f32>,
        split: &Split,
        entities: &'a [usize],
    ) -> Result<FoldDecompositions<'a>> {
        let all_rows = match Decomposition::stored(activations, entities).filter(|_| split.folds.len() > 1) {
            Some(stored) => Some((Moments::of(&stored)?, stored)),
            None => None,
        };
        Ok(FoldDecompositions { activations, entities, all_rows })
    }

    /// The decomposition of a fold's training rows.
    ///
    /// # Errors
    /// As [`Decomposition::of_rows`].
    pub(super) fn train(&self, fold: &'a Fold) -> Result<Decomposition<'a>> {
        if let (Some((moments, all)), Some(stored)) =
            (&self.all_rows, Decomposition::stored(self.activations, &fold.train))
            && is_rest(self.entities, fold)
            && let Some(left) = moments.without(all, &fold.test)?
        {
            return Decomposition::from_moments(left, stored);
        }
        Decomposition::of_rows(self.activations, &fold.train)
    }

    /// The decomposition of the saved probe's training rows.
    ///
    /// # Errors
    /// As [`Decomposition::of_rows`].
    pub(super) fn saved_train(self) -> Result<Decomposition<'a>> {
        match self.all_rows {
            Some((moments, stored)) => Decomposition::from_moments(moments, stored),
            None => Decomposition::of_rows(self.activations, self.entities),
        }
    }
}

/// Returns true if a fold's training and test entities together are exactly `entities`, and the test entities are
/// the smaller part.
fn is_rest(entities: &[usize], fold: &Fold) -> bool {
    let mut both = [&fold.train[..], &fold.test[..]].concat();
    both.sort_unstable();
    fold.test.len() < fold.train.len() && both == entities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::PenaltyGrid;
    use crate::probes::fixture::noise;
    use ndarray::{Array2, Axis};

    /// Three folds: one with few test rows, one with most rows, and one that does not train on all other rows.
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
    fn fold_decompositions_equal_those_of_the_training_rows() {
        let (split, x) = (split(), (noise([600, 12], 1) * 3.0 + 2.0).mapv(|v| v as f32));
        let y: Array2<f64> = noise([600, 2], 2);
        let entities = split.saved_train();
        let folds = FoldDecompositions::of(x.view(), &split, &entities).unwrap();
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
        let (found, expected) =
            (folds.saved_train().unwrap(), Decomposition::of_rows(x.view(), &entities).unwrap());
        assert_eq!(found.solve(&y, &grid).unwrap(), expected.solve(&y, &grid).unwrap());
    }
}
