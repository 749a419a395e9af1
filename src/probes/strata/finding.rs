//! A sentence about where the surplus lies, by a written rule.

use crate::probes::metrics::{rejected_by_holm, two_sided};
use crate::results::{ALL, MEAN, StratumRow};
use std::fmt;

/// Maximum probability of a false difference among the strata of one property.
const LEVEL: f64 = 0.05;
/// The number of standard errors from the middle to an end of a 95 % interval.
const LIMIT_OF_95: f64 = 1.959964;
/// Degrees of freedom at which Student's t distribution is practically the normal one.
const MANY: f64 = 1e9;

/// Strata of one property whose surplus differs from that of all others together.
#[derive(Debug, Clone, PartialEq)]
pub struct StrataFinding {
    /// The property.
    pub by: String,
    /// The number of strata.
    pub n_strata: usize,
    /// The strata with a larger surplus than all others together.
    pub larger: Vec<String>,
    /// The strata with a smaller one.
    pub smaller: Vec<String>,
    /// The stratum with the greatest contribution, and its shares of the surplus and of the test entities; `None` if the
    /// interval of the surplus of all test entities is not above 0.
    pub most: Option<MostOfSurplus>,
}

/// The stratum with the greatest contribution to the surplus.
#[derive(Debug, Clone, PartialEq)]
pub struct MostOfSurplus {
    /// The stratum.
    pub stratum: String,
    /// Its share of the surplus.
    pub of_surplus: f64,
    /// Its share of the test entities.
    pub of_entities: f64,
}

impl StrataFinding {
    /// The text baseline with the greatest R² on all test entities.
    pub fn strongest_text(rows: &[StratumRow]) -> Option<&str> {
        let whole = rows.iter().filter(|row| row.by == ALL && row.target == MEAN);
        whole.max_by(|a, b| a.r2_text.total_cmp(&b.r2_text)).map(|row| row.text.as_str())
    }

    /// Applies the rule to the strata of one property, over the strongest text: a stratum differs if the surplus in it
    /// minus that in all others is not 0 by Holm's rule, with the p-value of a normal variable with the interval's width.
    pub fn of(by: &str, rows: &[StratumRow]) -> Option<StrataFinding> {
        let text = StrataFinding::strongest_text(rows)?;
        let of = |by: &str| -> Vec<&StratumRow> {
            rows.iter().filter(|row| row.by == by && row.text == text && row.target == MEAN).collect()
        };
        let (strata, whole) = (of(by), *of(ALL).first()?);
        let p_value = |row: &&StratumRow| {
            let standard_error = (row.against_rest_high - row.against_rest_low) / (2.0 * LIMIT_OF_95);
            // Without a width, or without variance in the others, nothing can be said.
            match row.against_rest.is_finite() && standard_error > 0.0 {
                true => two_sided(row.against_rest / standard_error, MANY),
                false => f64::NAN,
            }
        };
        let differs = rejected_by_holm(&strata.iter().map(p_value).collect::<Vec<_>>(), LEVEL);
        let differing = strata.iter().zip(&differs).filter(|(_, differs)| **differs).map(|(row, _)| row);
        let (larger, smaller): (Vec<&StratumRow>, Vec<&StratumRow>) =
            differing.partition(|row| row.against_rest > 0.0);
        let names = |rows: Vec<&StratumRow>| rows.into_iter().map(|row| row.stratum.clone()).collect();
        let most = strata.iter().max_by(|a, b| a.contribution.total_cmp(&b.contribution));
        let most = most.filter(|_| whole.surplus_low > 0.0 && strata.len() > 1).map(|row| MostOfSurplus {
            stratum: row.stratum.clone(),
            of_surplus: row.contribution / whole.surplus,
            of_entities: row.n_test as f64 / whole.n_test.max(1) as f64,
        });
        let (larger, smaller) = (names(larger), names(smaller));
        Some(StrataFinding { by: by.into(), n_strata: strata.len(), larger, smaller, most })
    }
}

impl fmt::Display for StrataFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StrataFinding { by, n_strata, larger, smaller, most } = self;
        if *n_strata < 2 {
            return write!(f, "{by}: all test entities are in one stratum");
        }
        let than = |words: &str, strata: &[String]| match strata {
            [] => None,
            some => Some(format!("{words} in {}", some.join("; in "))),
        };
        let parts: Vec<String> =
            [than("larger", larger), than("smaller", smaller)].into_iter().flatten().collect();
        match parts.is_empty() {
            true => {
                write!(f, "{by}: no stratum's surplus differs from that of the others by more than chance")?;
            }
            false => write!(f, "{by}: the surplus is {} than elsewhere", parts.join(", "))?,
        }
        match most {
            Some(MostOfSurplus { stratum, of_surplus, of_entities }) => write!(
                f,
                "; {stratum} has {:.0} % of the surplus and {:.0} % of the entities",
                100.0 * of_surplus,
                100.0 * of_entities
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stratum with this surplus against the rest, and an interval of 0.1 to each side of it.
    fn row(by: &str, stratum: &str, against_rest: f64) -> StratumRow {
        StratumRow {
            dataset: "d".into(),
            model: "m".into(),
            prompt: "empty".into(),
            hook_point: "blocks.0.hook_resid_post".into(),
            layer: "0".into(),
            text: "text".into(),
            by: by.into(),
            stratum: stratum.into(),
            merged: String::new(),
            n_test: if by == ALL { 100 } else { 25 },
            n_units: 25,
            target: MEAN.into(),
            share: 0.25,
            r2_text: 0.2,
            r2_text_low: 0.1,
            r2_text_high: 0.3,
            r2_both: 0.4,
            r2_both_low: 0.3,
            r2_both_high: 0.5,
            surplus: 0.2,
            surplus_low: 0.1,
            surplus_high: 0.3,
            contribution: 0.05 + against_rest / 10.0,
            contribution_low: 0.0,
            contribution_high: 0.1,
            against_rest,
            against_rest_low: against_rest - 0.1,
            against_rest_high: against_rest + 0.1,
        }
    }

    fn sentence(differences: &[f64]) -> String {
        let strata =
            differences.iter().zip(["a", "b", "c"]).map(|(difference, name)| row("rank", name, *difference));
        let rows: Vec<StratumRow> = [row(ALL, ALL, f64::NAN)].into_iter().chain(strata).collect();
        StrataFinding::of("rank", &rows).unwrap().to_string()
    }

    #[test]
    fn a_difference_must_hold_for_all_strata_together() {
        let found = sentence(&[0.5, -0.5, 0.0]);
        let expected = "rank: the surplus is larger in a, smaller in b than elsewhere; a has 50 % of the surplus and \
                        25 % of the entities";
        assert_eq!(found, expected);
        // One difference of 0.11 with an interval of ±0.1 would be significant alone, not among three.
        assert!(sentence(&[0.11, 0.0, 0.0]).contains("no stratum's surplus differs"));
        assert!(sentence(&[f64::NAN]).contains("in one stratum"));
        assert!(StrataFinding::of("rank", &[]).is_none());
    }
}
