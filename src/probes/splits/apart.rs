//! The column whose groups a split keeps apart, such as the creators of artworks.

use super::split::{Fold, Split};
use crate::datasets::{Dataset, column_values, numbered};
use std::collections::HashSet;

/// Minimum number of groups with several entities. Fewer groups may be kept apart by chance; 20 groups of two, if a
/// fifth of the entities are test entities, with a probability of 0.68²⁰ = 0.0004.
const MIN_GROUPS: usize = 20;

/// A column, and the group of each entity in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsApart {
    /// The column's heading.
    pub column: String,
    /// The group of each entity; an entity without a value is a group of its own.
    pub groups: Vec<usize>,
}

impl GroupsApart {
    /// Finds the columns in which no group has both training and test entities of a fold, and takes the one with the
    /// fewest groups; `None` if the split keeps no groups apart.
    pub fn of(dataset: &Dataset, split: &Split) -> Option<GroupsApart> {
        let candidates = dataset.table.columns().iter().filter(|column| **column != dataset.name_column);
        let apart = candidates.filter_map(|column| {
            let groups = groups(dataset, column)?;
            let is_apart = split.folds.iter().all(|fold| are_apart(&groups, fold));
            is_apart.then(|| (groups.iter().max().map_or(0, |last| last + 1), column, groups))
        });
        let (_, column, groups) = apart.min_by_key(|(n_groups, ..)| *n_groups)?;
        Some(GroupsApart { column: column.clone(), groups })
    }
}

/// The group of each entity in a column; `None` if too few groups have several entities.
fn groups(dataset: &Dataset, column: &str) -> Option<Vec<usize>> {
    let values = column_values(dataset, column).ok()?.into_iter().enumerate();
    let labels: Vec<String> = values
        .map(|(i, value)| if value.is_empty() { format!("\n{i}") } else { value.into_owned() })
        .collect();
    let (of, names) = numbered(&labels);
    let mut sizes = vec![0; names.len()];
    of.iter().for_each(|&group| sizes[group] += 1);
    (sizes.iter().filter(|size| **size > 1).count() >= MIN_GROUPS).then_some(of)
}

fn are_apart(groups: &[usize], fold: &Fold) -> bool {
    let train: HashSet<usize> = fold.train.iter().map(|&i| groups[i]).collect();
    fold.test.iter().all(|&i| !train.contains(&groups[i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::parse;
    use std::path::Path;

    /// Sixty works of thirty creators; `is_test` by creator, or by row.
    fn works(is_test: impl Fn(usize) -> bool) -> Dataset {
        let row = |i: usize| {
            let test = if is_test(i) { "True" } else { "False" };
            format!(
                "Work {i},Maker {},{},{},{test}\n",
                i / 2,
                1900 + i,
                if i.is_multiple_of(2) { "novel" } else { "film" }
            )
        };
        let rows: String = (0..60).map(row).collect();
        parse(Path::new("works.csv"), format!("title,maker,year,kind,is_test\n{rows}").as_bytes()).unwrap()
    }

    #[test]
    fn the_column_that_explains_the_split_is_found() {
        let by_maker = works(|i| (i / 2).is_multiple_of(5));
        let found = GroupsApart::of(&by_maker, &Split::of_dataset(&by_maker).unwrap()).unwrap();
        assert_eq!(found.column, "maker");
        assert_eq!(found.groups[..5], [0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_split_by_rows_keeps_no_groups_apart() {
        let by_row = works(|i| i.is_multiple_of(5));
        assert_eq!(GroupsApart::of(&by_row, &Split::of_dataset(&by_row).unwrap()), None);
    }
}
