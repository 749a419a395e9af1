//! Learning from one dataset or prompt, and reading another: both as one dataset with one split.

use super::split::{Fold, Split};
use crate::datasets::{Dataset, Entity};
use crate::error::{Error, Result};
use ndarray::{Array2, Axis};

/// Two datasets one after the other: what is learnt from, then what is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// The entities of both; the name is that of the dataset that is read.
    pub dataset: Dataset,
    /// Training entities of the first, test entities of the second.
    pub split: Split,
}

/// Joins the dataset that is learnt from and the one that is read; each keeps its own training and test
/// entities, so that the test entities are those of a probe that learnt from the second dataset itself.
///
/// # Errors
/// [`Error::Invalid`] if their targets are of two kinds, or a split has several folds.
pub fn joined((learnt, from): (&Dataset, &Split), (read, to): (&Dataset, &Split)) -> Result<Transfer> {
    if learnt.kind != read.kind {
        let targets = |dataset: &Dataset| dataset.kind.names().join(" and ");
        let found = format!("{} of {} and {} of {}", targets(learnt), learnt.name, targets(read), read.name);
        return Err(Error::invalid("--train", found, "two datasets with the same kind of target"));
    }
    let ([from], [to]) = (&from.folds[..], &to.folds[..]) else {
        let found = format!("{} and {} folds", from.folds.len(), to.folds.len());
        return Err(Error::invalid("--split of a transfer", found, "is_test or random, which have one"));
    };
    // Only a column that both have can group the entities of both.
    let shared: Vec<&String> =
        read.group_columns.iter().filter(|column| learnt.group_columns.contains(column)).collect();
    let place = |dataset: &Dataset, column: &String| dataset.group_columns.iter().position(|c| c == column);
    let regrouped = |dataset: &Dataset, entity: &Entity| {
        let groups = shared.iter().filter_map(|column| place(dataset, column));
        Entity { groups: groups.map(|at| entity.groups[at].clone()).collect(), ..entity.clone() }
    };
    let first = learnt.entities.iter().map(|entity| regrouped(learnt, entity));
    let second = read.entities.iter().map(|entity| regrouped(read, entity));
    let dataset = Dataset {
        entities: first.chain(second).collect(),
        group_columns: shared.iter().map(|column| (*column).clone()).collect(),
        ..read.clone()
    };
    let test = to.test.iter().map(|i| learnt.entities.len() + i).collect();
    Ok(Transfer { dataset, split: Split { folds: vec![Fold { train: from.train.clone(), test }] } })
}

/// The activations of two datasets one after the other, as [`joined`] joins their entities.
///
/// # Errors
/// [`Error::Invalid`] if they are of two widths.
pub fn stacked(mut learnt: Array2<f32>, read: &Array2<f32>) -> Result<Array2<f32>> {
    if learnt.ncols() != read.ncols() {
        let found = format!("{} and {} columns", learnt.ncols(), read.ncols());
        return Err(Error::invalid("activations of a transfer", found, "activations of one model"));
    }
    learnt.append(Axis(0), read.view()).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(learnt)
}

#[cfg(test)]
mod tests {
    use super::super::SplitPlan;
    use super::*;
    use crate::datasets::bundled;

    #[test]
    fn one_is_learnt_from_and_the_other_is_read() {
        let [us, world] = ["us_place", "world_place"].map(|name| bundled(name).unwrap());
        let [from, to] = [&us, &world].map(|dataset| Split::official(dataset).unwrap());
        let Transfer { dataset, split } = joined((&us, &from), (&world, &to)).unwrap();
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
    fn activations_are_put_in_the_order_of_the_entities() {
        let (a, b) = (ndarray::array![[1.0f32, 2.0]], ndarray::array![[3.0f32, 4.0], [5.0, 6.0]]);
        assert_eq!(stacked(a.clone(), &b).unwrap(), ndarray::array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
        let error = stacked(a, &ndarray::array![[1.0f32]]).unwrap_err().to_string();
        assert!(error.contains("2 and 1 columns"), "{error}");
    }

    #[test]
    fn two_kinds_of_target_and_several_folds_are_refused() {
        let [places, years] = ["us_place", "art"].map(|name| bundled(name).unwrap());
        let [a, b] = [&places, &years].map(|dataset| Split::official(dataset).unwrap());
        let error = joined((&places, &a), (&years, &b)).unwrap_err().to_string();
        assert!(
            error.contains("latitude and longitude of us_place") && error.contains("year of art"),
            "{error}"
        );
        let folds = "group:state_name:3".parse::<SplitPlan>().unwrap().divide(&places).unwrap();
        assert!(joined((&places, &a), (&places, &folds)).unwrap_err().to_string().contains("3 folds"));
    }
}
