//! The strata of one property of the entities; those with few test entities are merged.

use super::ranges::Range;
use crate::datasets::numbered;

/// The least number of test entities of a stratum; smaller ones are merged.
pub const LEAST_ENTITIES: usize = 20;

/// The ranks at which a stratum ends.
const RANKS: [u64; 5] = [10, 100, 1000, 10_000, 100_000];
/// The numbers of tokens at which a stratum ends.
const TOKENS: [u64; 6] = [1, 2, 3, 4, 5, 6];

/// The strata of the test entities by one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strata {
    /// The property: `rank`, `tokens`, `script`, or a column.
    pub by: String,
    /// The strata; each has a test entity.
    pub strata: Vec<Stratum>,
    /// The stratum of each test entity, in their order.
    pub of: Vec<usize>,
}

/// A stratum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stratum {
    /// The name.
    pub name: String,
    /// The names of the groups that were too small and are merged in it; empty for a single one.
    pub merged: Vec<String>,
}

impl Strata {
    /// Strata by the rank of the rarest word of each test entity's name, in powers of ten; `None` if a word has no rank.
    pub fn by_rank(ranks: &[Option<u64>]) -> Strata {
        Strata::by_ranges("rank", ranks, Range::between(&RANKS, "a word has none"))
    }

    /// Strata by the number of tokens of each test entity's name.
    pub fn by_tokens(counts: &[usize]) -> Strata {
        let counts: Vec<Option<u64>> = counts.iter().map(|count| Some(*count as u64)).collect();
        Strata::by_ranges("tokens", &counts, Range::between(&TOKENS, "none"))
    }

    /// Strata by a label of each test entity, largest first; all labels with fewer than [`LEAST_ENTITIES`] test entities
    /// are one stratum, the last.
    pub fn by_label(by: &str, labels: &[String]) -> Strata {
        let (of, names) = numbered(labels);
        let mut counts = vec![0; names.len()];
        of.iter().for_each(|&label| counts[label] += 1);
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|&a, &b| counts[b].cmp(&counts[a]).then_with(|| names[a].cmp(&names[b])));
        let n_large = order.iter().take_while(|&&label| counts[label] >= LEAST_ENTITIES).count();
        let (large, small) = order.split_at(n_large);
        let name = |label: &usize| match names[*label].as_str() {
            "" => "(empty)".to_string(),
            name => name.to_string(),
        };
        let mut strata: Vec<Stratum> =
            large.iter().map(|label| Stratum { name: name(label), merged: Vec::new() }).collect();
        match small {
            [] => {}
            [only] => strata.push(Stratum { name: name(only), merged: Vec::new() }),
            several => {
                let rest = if large.is_empty() { "all" } else { "other" };
                let name_of_all = format!("{rest} ({} of fewer than {LEAST_ENTITIES})", several.len());
                strata.push(Stratum { name: name_of_all, merged: several.iter().map(name).collect() });
            }
        }
        let mut place = vec![n_large; names.len()];
        large.iter().enumerate().for_each(|(at, &label)| place[label] = at);
        Strata { by: by.into(), strata, of: of.into_iter().map(|label| place[label]).collect() }
    }

    /// Strata by ranges of numbers; while one has fewer than [`LEAST_ENTITIES`] test entities, the smallest is merged
    /// with its smaller neighbour.
    fn by_ranges(by: &str, numbers: &[Option<u64>], ranges: Vec<Range>) -> Strata {
        let count = |range: &Range| numbers.iter().filter(|number| range.holds(**number)).count();
        let counted = ranges.into_iter().map(|range| (count(&range), range));
        let mut all: Vec<(usize, Range, Vec<String>)> =
            counted.filter(|(n, _)| *n > 0).map(|(n, range)| (n, range, Vec::new())).collect();
        while all.len() > 1
            && let Some(at) = (0..all.len()).min_by_key(|&at| all[at].0)
            && all[at].0 < LEAST_ENTITIES
        {
            let before = at.checked_sub(1).map(|before| (all[before].0, before));
            let after = all.get(at + 1).map(|after| (after.0, at));
            let Some((_, first)) = before.into_iter().chain(after).min() else { break };
            let (n, next, parts) = all.remove(first + 1);
            let (n_first, range, merged) = &mut all[first];
            let names = |range: &Range, parts: &[String]| match parts {
                [] => vec![range.name()],
                parts => parts.to_vec(),
            };
            *merged = [names(range, merged), names(&next, &parts)].concat();
            *range = range.with_next(&next);
            *n_first += n;
        }
        let of =
            |number: &Option<u64>| all.iter().position(|(_, range, _)| range.holds(*number)).unwrap_or(0);
        let of = numbers.iter().map(of).collect();
        let strata =
            all.into_iter().map(|(_, range, merged)| Stratum { name: range.name(), merged }).collect();
        Strata { by: by.into(), strata, of }
    }

    /// The number of test entities of each stratum.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.strata.len()];
        self.of.iter().for_each(|&stratum| counts[stratum] += 1);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(strata: &Strata) -> Vec<&str> {
        strata.strata.iter().map(|stratum| stratum.name.as_str()).collect()
    }

    #[test]
    fn small_ranges_are_merged_with_their_smaller_neighbour_and_named() {
        let repeated = |numbers: &[(Option<u64>, usize)]| -> Vec<Option<u64>> {
            numbers.iter().flat_map(|(number, n)| vec![*number; *n]).collect()
        };
        let ranks =
            repeated(&[(Some(5), 3), (Some(50), 40), (Some(700), 30), (Some(2_000_000), 60), (None, 7)]);
        let strata = Strata::by_rank(&ranks);
        assert_eq!(names(&strata), ["1 to 100", "101 to 1,000", "100,001 or more, or a word has none"]);
        assert_eq!(strata.counts(), [43, 30, 67]);
        assert_eq!(strata.strata[0].merged, ["1 to 10", "11 to 100"]);
        assert!(strata.strata[1].merged.is_empty());
        assert_eq!((strata.of[0], strata.of[139]), (0, 2));
        let few = Strata::by_rank(&repeated(&[(Some(5), 3), (Some(500), 4)]));
        assert_eq!((names(&few), few.counts()), (vec!["1 to 1,000"], vec![7]));
        let tokens = [vec![1; 25], vec![2; 25], vec![9; 25]].concat();
        assert_eq!(names(&Strata::by_tokens(&tokens)), ["1", "2", "7 or more"]);
    }

    #[test]
    fn small_groups_are_one_stratum_that_names_them() {
        let labels = |groups: &[(&str, usize)]| -> Vec<String> {
            groups.iter().flat_map(|(name, n)| vec![name.to_string(); *n]).collect()
        };
        let strata =
            Strata::by_label("country", &labels(&[("Chad", 2), ("France", 20), ("", 3), ("Japan", 30)]));
        assert_eq!(names(&strata), ["Japan", "France", "other (2 of fewer than 20)"]);
        assert_eq!(strata.strata[2].merged, ["(empty)", "Chad"]);
        assert_eq!(strata.counts(), [30, 20, 5]);
        let one = Strata::by_label("script", &labels(&[("Latin", 100), ("Greek", 2)]));
        assert_eq!(names(&one), ["Latin", "Greek"]);
        let none = Strata::by_label("country", &labels(&[("Chad", 2), ("Mali", 3)]));
        assert_eq!(names(&none), ["all (2 of fewer than 20)"]);
    }
}
