//! The surplus of the activations over the text in parts of the test entities.

use super::settings::Scorer;
use super::surplus::{LEAST_UNITS, TextScores, WithText};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::limits::{check_memory, product};
use crate::probes::metrics::{Interval, SamplingUnits, single_counts};
use crate::probes::strata::{Measures, Strata, StratumSums};
use crate::results::{ALL, MEAN, StratumRow, hook_columns};
use ndarray::ArrayView2;
use std::collections::HashSet;

/// A hook point, a text baseline, and a division of the test entities.
struct Part<'a> {
    point: HookPoint,
    with_text: &'a WithText,
    strata: &'a Strata,
}

impl Scorer<'_> {
    /// The test entities, in the order of the strata of [`Scorer::strata_scores`].
    pub fn test_entities(&self) -> Vec<usize> {
        self.split.test()
    }

    /// Fits each text baseline together with the activations at a hook point, by the same fits as [`Scorer::surplus`], and
    /// scores them in strata of the test entities: for each text, all test entities, then the strata of each property.
    ///
    /// # Shapes
    /// `activations` is `[n_entities, d_model]`, in dataset order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if strata do not have one entry per test entity, or the resamples may not fit into the free
    /// memory; those of the fits.
    pub fn strata_scores(
        &self,
        text: &TextScores,
        point: HookPoint,
        activations: ArrayView2<f32>,
        strata: &[Strata],
    ) -> Result<Vec<StratumRow>> {
        let n_test = self.split.test().len();
        let whole = Strata::by_label(ALL, &vec![ALL.to_string(); n_test]);
        if let Some(bad) = strata.iter().find(|strata| strata.of.len() != n_test) {
            let expected = format!("{n_test}, one for each test entity");
            return Err(Error::invalid(format!("entities in strata by {}", bad.by), bad.of.len(), expected));
        }
        let mut rows = Vec::new();
        for with_text in &self.with_text(text, activations)? {
            for strata in [&whole].into_iter().chain(strata) {
                rows.extend(self.part_rows(&Part { point, with_text, strata })?);
            }
        }
        Ok(rows)
    }

    /// The rows of the strata of one property.
    fn part_rows(&self, part: &Part) -> Result<Vec<StratumRow>> {
        let (test, strata, text) = (self.split.test(), part.strata, part.with_text);
        let sums = StratumSums::new(strata, &self.targets(&test), [&text.alone, &text.both]);
        let units = self.units(&test);
        let n_values = strata.strata.len() * sums.n_columns() * Measures::LEN;
        let bytes = product([self.bootstrap.n_resamples, n_values, size_of::<f64>()]);
        check_memory(&format!("the resamples of strata by {}", strata.by), bytes, "fewer --resamples")?;
        let flat = |measures: Vec<Vec<Measures>>| -> Vec<f64> {
            measures.into_iter().flatten().flat_map(Measures::values).collect()
        };
        let found = sums.measures(&single_counts(&units));
        // All strata and both fits share the resamples, so that errors in common cancel.
        let resamples = self
            .bootstrap
            .values_of(&units, |some| some.each().map(|counts| flat(sums.measures(counts))).collect());
        let (n_units, counts) = (units_of(&units, strata), strata.counts());
        let targets =
            self.dataset.kind.names().into_iter().map(|name| name.to_string()).chain([MEAN.to_string()]);
        let targets: Vec<String> = targets.collect();
        let mut rows = Vec::new();
        for (stratum, found) in found.into_iter().enumerate() {
            for (column, (measures, target)) in found.into_iter().zip(&targets).enumerate() {
                let first = (stratum * sums.n_columns() + column) * Measures::LEN;
                // Resamples of few units say nothing about the stratum.
                let interval = |measure: usize| match n_units[stratum] >= LEAST_UNITS {
                    true => Interval::of_value(&resamples, first + measure, n_units[stratum]),
                    false => Interval { low: f64::NAN, high: f64::NAN },
                };
                let stratum = Numbered { at: stratum, n_test: counts[stratum], n_units: n_units[stratum] };
                let intervals = std::array::from_fn(interval);
                rows.push(self.stratum_row(part, &stratum, target, Scored { measures, intervals }));
            }
        }
        Ok(rows)
    }

    fn stratum_row(&self, part: &Part, stratum: &Numbered, target: &str, scored: Scored) -> StratumRow {
        let Part { point, with_text, strata } = part;
        let (hook_point, layer) = hook_columns(*point);
        let about = &strata.strata[stratum.at];
        let Scored { measures, intervals: [_, text, both, surplus, contribution, rest] } = scored;
        StratumRow {
            dataset: self.dataset.name.to_string(),
            model: self.model.clone(),
            prompt: self.prompt.clone(),
            hook_point,
            layer,
            text: with_text.kind.name().to_string(),
            by: strata.by.clone(),
            stratum: about.name.clone(),
            merged: about.merged.join("; "),
            n_test: stratum.n_test,
            n_units: stratum.n_units,
            target: target.to_string(),
            share: measures.share,
            r2_text: measures.text,
            r2_text_low: text.low,
            r2_text_high: text.high,
            r2_both: measures.both,
            r2_both_low: both.low,
            r2_both_high: both.high,
            surplus: measures.surplus,
            surplus_low: surplus.low,
            surplus_high: surplus.high,
            contribution: measures.contribution,
            contribution_low: contribution.low,
            contribution_high: contribution.high,
            against_rest: measures.against_rest,
            against_rest_low: rest.low,
            against_rest_high: rest.high,
        }
    }
}

/// A stratum by its index, with its sizes.
struct Numbered {
    at: usize,
    n_test: usize,
    n_units: usize,
}

/// The measures of a stratum with their intervals.
struct Scored {
    measures: Measures,
    intervals: [Interval; Measures::LEN],
}

/// The number of resampled units with an entity in each stratum.
fn units_of(units: &SamplingUnits, strata: &Strata) -> Vec<usize> {
    let mut found = vec![HashSet::new(); strata.strata.len()];
    strata.of.iter().enumerate().for_each(|(row, &stratum)| _ = found[stratum].insert(units.unit_of(row)));
    found.iter().map(HashSet::len).collect()
}

#[cfg(test)]
#[path = "strata_tests.rs"]
mod tests;
