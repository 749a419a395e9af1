//! Training and test entities, in one fold or several.

use crate::datasets::Dataset;
use crate::error::{Error, Result};

/// Minimum number of training entities per fold.
const MIN_TRAIN: usize = 10;
/// Minimum number of test entities over all folds.
const MIN_TEST: usize = 5;

/// One division of a dataset into training and test entities, as ascending indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// The training entities.
    pub train: Vec<usize>,
    /// The test entities.
    pub test: Vec<usize>,
}

/// One fold, or several folds with disjoint test entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The folds; no entity is a test entity in more than one fold.
    pub folds: Vec<Fold>,
}

impl Split {
    /// The dataset's own split.
    ///
    /// # Errors
    /// [`Error::Invalid`] with fewer than 10 training or 5 test entities.
    pub fn of_dataset(dataset: &Dataset) -> Result<Split> {
        let (test, train) = (0..dataset.entities.len()).partition(|&i| dataset.entities[i].is_test);
        Split::checked(
            dataset,
            vec![Fold { train, test }],
            "add rows, or choose the test rows by a column: `is_test`, or --test of `mappa datasets import`",
        )
    }

    /// A split with these folds; refused if a fold has too few training entities, or all folds together too few
    /// test entities.
    pub(super) fn checked(dataset: &Dataset, folds: Vec<Fold>, way_out: &str) -> Result<Split> {
        let train = folds.iter().map(|fold| fold.train.len()).min().unwrap_or(0);
        let test: usize = folds.iter().map(|fold| fold.test.len()).sum();
        if train < MIN_TRAIN || test < MIN_TEST {
            let found = format!("{train} training and {test} test entities");
            let expected = format!("at least {MIN_TRAIN} training and {MIN_TEST} test entities; {way_out}");
            return Err(Error::invalid(format!("split of {}", dataset.name), found, expected));
        }
        Ok(Split { folds })
    }

    /// The test entities of all folds, ascending.
    pub fn test(&self) -> Vec<usize> {
        let mut test: Vec<usize> = self.folds.iter().flat_map(|fold| fold.test.iter().copied()).collect();
        test.sort_unstable();
        test
    }

    /// The training entities of the saved probe: those of the only fold, or all entities if there are several folds.
    pub fn saved_train(&self) -> Vec<usize> {
        match &self.folds[..] {
            [one] => one.train.clone(),
            _ => self.test(),
        }
    }
}
