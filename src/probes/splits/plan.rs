//! The plan of a split: the dataset's own split, random, by group or by block of the map.

use super::split::{Fold, Split};
use crate::datasets::{Dataset, Target, labels, numbered};
use crate::error::{Error, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::str::FromStr;

/// The default number of folds of blocks of the map.
const BLOCK_FOLDS: usize = 5;

/// The rule by which entities are divided into training and test entities.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum SplitPlan {
    /// The dataset's own `is_test` column.
    #[default]
    Dataset,
    /// Takes a random fifth of the entities as test entities.
    Random {
        /// The seed.
        seed: u64,
    },
    /// Takes each group of a column in turn as test entities, all other groups as training entities.
    Groups {
        /// A column of [`labels`].
        column: String,
        /// The number of folds that the groups are distributed over; by default one fold per group.
        n_folds: Option<usize>,
    },
    /// As `Groups`, where each block of the map is a group.
    Blocks {
        /// The width and the height of a block, in degrees.
        degrees: f64,
        /// The number of folds that the blocks are distributed over.
        n_folds: usize,
    },
}

impl SplitPlan {
    /// Divides a dataset.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than 10 training entities in a fold, fewer than 5 test entities in total, a
    /// column with fewer than two groups, or blocks of a dataset without places.
    pub fn divide(&self, dataset: &Dataset) -> Result<Split> {
        let n = dataset.entities.len();
        match self {
            SplitPlan::Dataset => Split::of_dataset(dataset),
            SplitPlan::Random { seed } => {
                let mut order: Vec<usize> = (0..n).collect();
                order.shuffle(&mut ChaCha8Rng::seed_from_u64(*seed));
                let (test, train) = order.split_at(n / 5);
                let ascending = |of: &[usize]| {
                    let mut of = of.to_vec();
                    of.sort_unstable();
                    of
                };
                let fold = Fold { train: ascending(train), test: ascending(test) };
                Split::checked(dataset, vec![fold], "add rows")
            }
            SplitPlan::Groups { column, n_folds } => {
                let labels = labels(dataset, column)?;
                self.by_groups(dataset, &labels, (*n_folds).unwrap_or(usize::MAX))
            }
            SplitPlan::Blocks { degrees, n_folds } => {
                let block = |target: Target| match target {
                    Target::Place { lat, lon } => {
                        let cell = |from_edge: f64| (from_edge / degrees).floor();
                        Ok(format!("{} {}", cell(lat.degrees() + 90.0), cell(lon.degrees() + 180.0)))
                    }
                    _ => Err(Error::invalid(
                        "--split",
                        self,
                        "a dataset of places; for years use group:century",
                    )),
                };
                let labels = dataset.entities.iter().map(|e| block(e.target)).collect::<Result<Vec<_>>>()?;
                self.by_groups(dataset, &labels, *n_folds)
            }
        }
    }

    /// True if each entity is a test entity of one of several folds.
    pub fn has_folds(&self) -> bool {
        matches!(self, SplitPlan::Groups { .. } | SplitPlan::Blocks { .. })
    }

    /// Distributes whole groups over folds: largest group first, each into the fold that is smallest so far.
    fn by_groups(&self, dataset: &Dataset, labels: &[String], n_folds: usize) -> Result<Split> {
        let (of, names) = numbered(labels);
        if names.len() < 2 {
            let found = format!("one group, `{}`", names.first().map_or("", String::as_str));
            let expected = "at least two groups, so that one can be held out";
            return Err(Error::invalid(format!("{self} on {}", dataset.name), found, expected));
        }
        let mut sizes = vec![0; names.len()];
        of.iter().for_each(|&group| sizes[group] += 1);
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by_key(|&group| std::cmp::Reverse(sizes[group]));
        let mut filled = vec![0; n_folds.min(names.len())];
        let mut fold_of = vec![0; names.len()];
        for group in order {
            let least = (0..filled.len()).min_by_key(|&fold| filled[fold]).unwrap_or(0);
            fold_of[group] = least;
            filled[least] += sizes[group];
        }
        let fold = |number: usize| {
            let (test, train) = (0..of.len()).partition(|&entity| fold_of[of[entity]] == number);
            Fold { train, test }
        };
        let way_out = "choose smaller groups or blocks";
        Split::checked(dataset, (0..filled.len()).map(fold).collect(), way_out)
    }
}

impl fmt::Display for SplitPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitPlan::Dataset => write!(f, "is_test"),
            SplitPlan::Random { seed } => write!(f, "random:{seed}"),
            SplitPlan::Groups { column, n_folds: None } => write!(f, "group:{column}"),
            SplitPlan::Groups { column, n_folds: Some(n) } => write!(f, "group:{column}:{n}"),
            SplitPlan::Blocks { degrees, n_folds } => write!(f, "blocks:{degrees}:{n_folds}"),
        }
    }
}

impl FromStr for SplitPlan {
    type Err = Error;

    fn from_str(text: &str) -> Result<SplitPlan> {
        let odd = || {
            let expected = "is_test, random, random:SEED, group:COLUMN, group:COLUMN:FOLDS, blocks:DEGREES \
                            or blocks:DEGREES:FOLDS, with at least 2 folds";
            Error::invalid("--split", text, expected)
        };
        let folds = |text: &str| text.parse::<usize>().ok().filter(|n| *n > 1).ok_or_else(odd);
        let degrees =
            |text: &str| text.parse::<f64>().ok().filter(|d| d.is_finite() && *d > 0.0).ok_or_else(odd);
        match text.split(':').collect::<Vec<_>>()[..] {
            ["is_test"] => Ok(SplitPlan::Dataset),
            ["random"] => Ok(SplitPlan::Random { seed: 0 }),
            ["random", seed] => Ok(SplitPlan::Random { seed: seed.parse().map_err(|_| odd())? }),
            ["group", column] if !column.is_empty() => {
                Ok(SplitPlan::Groups { column: column.into(), n_folds: None })
            }
            ["group", column, n] if !column.is_empty() => {
                Ok(SplitPlan::Groups { column: column.into(), n_folds: Some(folds(n)?) })
            }
            ["blocks", width] => Ok(SplitPlan::Blocks { degrees: degrees(width)?, n_folds: BLOCK_FOLDS }),
            ["blocks", width, n] => Ok(SplitPlan::Blocks { degrees: degrees(width)?, n_folds: folds(n)? }),
            _ => Err(odd()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{BUNDLED, bundled, parse};
    use std::collections::HashSet;
    use std::path::Path;

    fn divide(plan: &str, dataset: &Dataset) -> Result<Split> {
        plan.parse::<SplitPlan>()?.divide(dataset)
    }

    #[test]
    fn test_entities_are_disjoint_and_never_training_entities() {
        for name in BUNDLED {
            let dataset = bundled(name).unwrap();
            let n = dataset.entities.len();
            let column = &dataset.group_columns[0];
            let mut plans = vec!["is_test".into(), "random:3".into(), format!("group:{column}:4")];
            plans.push(match dataset.kind {
                crate::datasets::TargetKind::Place => "blocks:0.1".to_string(),
                _ => "group:decade:6".to_string(),
            });
            for plan in plans {
                let split = divide(&plan, &dataset).unwrap();
                assert_eq!(
                    plan.parse::<SplitPlan>().unwrap().to_string().split(':').next(),
                    plan.split(':').next()
                );
                for fold in &split.folds {
                    let all: HashSet<usize> = fold.train.iter().chain(&fold.test).copied().collect();
                    assert_eq!((all.len(), fold.train.len() + fold.test.len()), (n, n), "{name} {plan}");
                }
                let test = split.test();
                assert!(test.windows(2).all(|pair| pair[0] < pair[1]), "{name} {plan}");
                assert_eq!(test.len() == n, split.folds.len() > 1, "{name} {plan}");
            }
        }
    }

    #[test]
    fn no_group_is_in_both_train_and_test() {
        let dataset = bundled("world_place").unwrap();
        let countries = labels(&dataset, "country").unwrap();
        let groups: HashSet<&String> = countries.iter().collect();
        for (plan, n_folds) in [("group:country", groups.len()), ("group:country:7", 7)] {
            let split = divide(plan, &dataset).unwrap();
            assert_eq!(split.folds.len(), n_folds);
            for fold in &split.folds {
                let of = |side: &[usize]| side.iter().map(|&i| &countries[i]).collect::<HashSet<_>>();
                assert!(of(&fold.train).is_disjoint(&of(&fold.test)));
            }
        }
        let sizes: Vec<usize> =
            divide("group:country:7", &dataset).unwrap().folds.iter().map(|f| f.test.len()).collect();
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() < 30, "{sizes:?}");
    }

    #[test]
    fn blocks_keep_near_places_together() {
        let dataset = bundled("us_place").unwrap();
        let split = divide("blocks:5", &dataset).unwrap();
        assert_eq!(split.folds.len(), 5);
        let block = |i: usize| {
            let values = dataset.entities[i].target.values();
            ((values[0] / 5.0).floor() as i64, (values[1] / 5.0).floor() as i64)
        };
        for fold in &split.folds {
            let of = |side: &[usize]| side.iter().map(|&i| block(i)).collect::<HashSet<_>>();
            assert!(of(&fold.train).is_disjoint(&of(&fold.test)));
        }
    }

    #[test]
    fn the_seed_of_a_random_split_decides() {
        let dataset = bundled("art").unwrap();
        assert_eq!(divide("random", &dataset).unwrap(), divide("random:0", &dataset).unwrap());
        assert_ne!(divide("random", &dataset).unwrap(), divide("random:1", &dataset).unwrap());
        assert_eq!(divide("random", &dataset).unwrap().test().len(), dataset.entities.len() / 5);
    }

    fn years(n: usize, n_test: usize) -> Dataset {
        let rows: String = (0..n).map(|i| format!("a{i},{i},same,{}\n", i < n_test)).collect();
        parse(Path::new("years.csv"), format!("name,year,kind,is_test\n{rows}").as_bytes()).unwrap()
    }

    #[test]
    fn a_split_too_small_is_refused_with_its_sizes() {
        for (n_test, sizes) in [(2, "18 training and 2 test"), (19, "1 training and 19 test")] {
            let error = Split::of_dataset(&years(20, n_test)).unwrap_err().to_string();
            assert!(error.contains("years") && error.contains(sizes), "{error}");
        }
        let error = divide("random", &years(8, 2)).unwrap_err().to_string();
        assert!(error.contains("7 training and 1 test"), "{error}");
    }

    #[test]
    fn a_column_of_one_group_and_unknown_plans_are_refused() {
        let dataset = years(30, 6);
        let error = divide("group:kind", &dataset).unwrap_err().to_string();
        assert!(error.contains("group:kind") && error.contains("`same`") && error.contains("two"), "{error}");
        assert!(divide("blocks:5", &dataset).unwrap_err().to_string().contains("places"));
        assert!(divide("group:nowhere", &dataset).unwrap_err().to_string().contains("century"));
        for odd in [
            "",
            "half",
            "group:",
            "group:a:1",
            "random:x",
            "blocks:0",
            "blocks:-3",
            "blocks:5:1",
            "group:a:2:3",
        ] {
            assert!(odd.parse::<SplitPlan>().unwrap_err().to_string().contains("group:COLUMN"), "{odd}");
        }
    }
}
