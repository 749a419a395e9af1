//! Which entities a probe learns from and which it is scored on.

use crate::datasets::Dataset;
use crate::error::{Error, Result};

/// Fewer training entities than this say nothing of a penalty.
const MIN_TRAIN: usize = 10;
/// Fewer test entities than this say nothing of a score.
const MIN_TEST: usize = 5;

/// Indices of a dataset's entities, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// What everything that learns learns on.
    pub train: Vec<usize>,
    /// What scores are counted on.
    pub test: Vec<usize>,
}

impl Split {
    /// The dataset's own split.
    ///
    /// # Errors
    /// [`Error::Invalid`] with fewer than 10 training or 5 test entities.
    pub fn official(dataset: &Dataset) -> Result<Split> {
        let (test, train): (Vec<usize>, Vec<usize>) =
            (0..dataset.entities.len()).partition(|&i| dataset.entities[i].is_test);
        if train.len() < MIN_TRAIN || test.len() < MIN_TEST {
            let found = format!("{} training and {} test entities", train.len(), test.len());
            let expected = format!("at least {MIN_TRAIN} and {MIN_TEST}; add rows or mend `is_test`");
            return Err(Error::invalid(format!("split of {}", dataset.name), found, expected));
        }
        Ok(Split { train, test })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{BUNDLED, bundled, parse};
    use std::path::Path;

    #[test]
    fn the_official_split_divides_every_bundled_dataset() {
        for name in BUNDLED {
            let dataset = bundled(name).unwrap();
            let split = Split::official(&dataset).unwrap();
            let mut all = [split.train, split.test].concat();
            all.sort_unstable();
            assert_eq!(all, (0..dataset.entities.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_split_too_small_is_refused_with_its_sizes() {
        let rows: String = (0..20).map(|i| format!("a{i},{i},{}\n", i < 2)).collect();
        let text = format!("name,year,is_test\n{rows}");
        let dataset = parse(Path::new("years.csv"), text.as_bytes()).unwrap();
        let error = Split::official(&dataset).unwrap_err().to_string();
        assert!(error.contains("years") && error.contains("18 training and 2 test"), "{error}");
    }
}
