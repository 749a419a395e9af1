//! Transfer: trains on one dataset or prompt and tests on another; both are joined into one dataset with one split.

use super::split::{Fold, Split};
use crate::datasets::{Dataset, Entity};
use crate::error::{Error, Result};
use ndarray::{Array2, Axis};

/// Two joined datasets: first the training dataset, then the test dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// The entities of both datasets, under the name of the test dataset.
    pub dataset: Dataset,
    /// The training entities of the first and the test entities of the second dataset.
    pub split: Split,
}

/// A dataset with its split.
#[derive(Debug, Clone, Copy)]
pub struct SplitDataset<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Its split.
    pub split: &'a Split,
}

/// Joins a training and a test dataset.
///
/// Each dataset keeps its own split, so the test entities are the same as for a probe trained on the second dataset.
///
/// # Errors
/// [`Error::Invalid`] if the targets differ in kind, or a split has several folds.
pub fn joined(train: SplitDataset, test: SplitDataset) -> Result<Transfer> {
    let SplitDataset { dataset: first, split: from } = train;
    let SplitDataset { dataset: second, split: to } = test;
    if first.kind != second.kind {
        let targets = |dataset: &Dataset| dataset.kind.names().join(" and ");
        let found =
            format!("{} of {} and {} of {}", targets(first), first.name, targets(second), second.name);
        return Err(Error::invalid("--train", found, "two datasets with the same kind of target"));
    }
    let ([from], [to]) = (&from.folds[..], &to.folds[..]) else {
        let found = format!("{} and {} folds", from.folds.len(), to.folds.len());
        return Err(Error::invalid("--split of a transfer", found, "is_test or random, which have one fold"));
    };
    // Only a column that both datasets have can group all entities.
    let shared: Vec<&String> =
        second.group_columns.iter().filter(|column| first.group_columns.contains(column)).collect();
    let place = |dataset: &Dataset, column: &String| dataset.group_columns.iter().position(|c| c == column);
    let regrouped = |dataset: &Dataset, entity: &Entity| {
        let groups = shared.iter().filter_map(|column| place(dataset, column));
        Entity { groups: groups.map(|at| entity.groups[at].clone()).collect(), ..entity.clone() }
    };
    let before = first.entities.iter().map(|entity| regrouped(first, entity));
    let after = second.entities.iter().map(|entity| regrouped(second, entity));
    let dataset = Dataset {
        entities: before.chain(after).collect(),
        group_columns: shared.iter().map(|column| (*column).clone()).collect(),
        ..second.clone()
    };
    let test = to.test.iter().map(|i| first.entities.len() + i).collect();
    Ok(Transfer { dataset, split: Split { folds: vec![Fold { train: from.train.clone(), test }] } })
}

/// Joins the activations of two datasets, in the entity order of [`joined`].
///
/// # Errors
/// [`Error::Invalid`] if their widths differ.
pub fn stacked(mut train: Array2<f32>, test: &Array2<f32>) -> Result<Array2<f32>> {
    if train.ncols() != test.ncols() {
        let found = format!("{} and {} columns", train.ncols(), test.ncols());
        return Err(Error::invalid("activations of a transfer", found, "activations of the same model"));
    }
    train.append(Axis(0), test.view()).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(train)
}

#[cfg(test)]
mod tests {
    use super::super::plan::SplitPlan;
    use super::*;
    use crate::datasets::bundled;

    fn of<'a>(dataset: &'a Dataset, split: &'a Split) -> SplitDataset<'a> {
        SplitDataset { dataset, split }
    }

    #[test]
    fn the_first_dataset_trains_and_the_second_tests() {
        let [us, world] = ["us_place", "world_place"].map(|name| bundled(name).unwrap());
        let [from, to] = [&us, &world].map(|dataset| Split::of_dataset(dataset).unwrap());
        let Transfer { dataset, split } = joined(of(&us, &from), of(&world, &to)).unwrap();
        assert_eq!(dataset.entities.len(), us.entities.len() + world.entities.len());
        assert_eq!(
            (dataset.name.as_str(), &dataset.group_columns[..]),
            ("world_place", &["entity_type".into()][..])
        );
        let [fold] = &split.folds[..] else { panic!("one fold") };
        assert!(fold.train.iter().all(|&i| i < us.entities.len()));
        let test: Vec<usize> = fold.test.iter().map(|i| i - us.entities.len()).collect();
        assert_eq!(test, to.folds[0].test);
        let last = dataset.entities.last().unwrap();
        assert_eq!(last.name, world.entities.last().unwrap().name);
        assert_eq!(last.groups.len(), 1);
    }

    #[test]
    fn activations_are_in_the_order_of_the_entities() {
        let (a, b) = (ndarray::array![[1.0f32, 2.0]], ndarray::array![[3.0f32, 4.0], [5.0, 6.0]]);
        assert_eq!(stacked(a.clone(), &b).unwrap(), ndarray::array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
        let error = stacked(a, &ndarray::array![[1.0f32]]).unwrap_err().to_string();
        assert!(error.contains("2 and 1 columns"), "{error}");
    }

    #[test]
    fn two_kinds_of_target_and_several_folds_are_refused() {
        let [places, years] = ["us_place", "art"].map(|name| bundled(name).unwrap());
        let [a, b] = [&places, &years].map(|dataset| Split::of_dataset(dataset).unwrap());
        let error = joined(of(&places, &a), of(&years, &b)).unwrap_err().to_string();
        assert!(
            error.contains("latitude and longitude of us_place") && error.contains("year of art"),
            "{error}"
        );
        let folds = "group:state_name:3".parse::<SplitPlan>().unwrap().divide(&places).unwrap();
        assert!(joined(of(&places, &a), of(&places, &folds)).unwrap_err().to_string().contains("3 folds"));
    }
}
