//! The verdict of a causal test, by a written rule.

use super::job::OwnAnswers;
use crate::results::{
    DAS, DAS_ARBITRARY, DAS_ELSEWHERE, InterchangeRow, NOTHING, PATTERN, PROBE, RANDOM, STREAM,
};
use std::fmt;

/// The verdict about the use of the searched subspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The model does not answer the question: nothing follows.
    NoAnswers,
    /// An exchange of the found subspace gives the source's answer more often than all controls.
    Used,
    /// It does not.
    NotShown,
}

/// The verdict of a test at the reported layer, with the numbers that decide it.
#[derive(Debug, Clone, PartialEq)]
pub struct UseVerdict {
    /// About the subspace that was found by gradient.
    pub das: Use,
    /// True if an exchange of the probe's subspace gives the source's answer more often than random subspaces.
    pub probe: bool,
    /// The row of the subspace that was found.
    pub of_das: InterchangeRow,
    /// The row of the probe's subspace, or that of its pattern if more answers follow it.
    pub of_probe: InterchangeRow,
    /// The share after an exchange of the whole stream, for comparison.
    pub whole: f64,
    /// The highest share of a control.
    pub control: f64,
    /// The model's own answers.
    pub own: OwnAnswers,
}

/// The numbers of standard errors by which the model's correct answers must exceed chance.
const SURE: f64 = 2.0;

impl UseVerdict {
    /// The verdict from the rows of the reported layer and of its controls; `None` without them.
    ///
    /// - *no answers*: the share of correct answers of the model itself is not above chance by two standard errors;
    /// - *used*: the lower end of the interval after an exchange of the found subspace is above the upper ends without an
    ///   exchange and after exchanges of random subspaces, and above the shares for arbitrary answers and at another layer;
    /// - the probe's subspace or its pattern counts as used if the lower end of its interval is above the upper ends
    ///   without an exchange and for random subspaces.
    pub fn of(rows: &[InterchangeRow], layer: usize, own: OwnAnswers) -> Option<UseVerdict> {
        let at = |name: &str| {
            rows.iter().filter(|row| row.layer == layer && row.exchanged == name).collect::<Vec<_>>()
        };
        let control_of = |name: &str| rows.iter().find(|row| row.exchanged == name).map(|row| row.accuracy);
        let of_das = *at(DAS).first()?;
        let of_probe =
            [at(PROBE), at(PATTERN)].concat().into_iter().max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))?;
        let without = [at(NOTHING), at(RANDOM)].concat();
        let floor = without.iter().map(|row| row.high).fold(f64::NEG_INFINITY, f64::max);
        let others = [DAS_ARBITRARY, DAS_ELSEWHERE].into_iter().filter_map(control_of);
        let floor_of_das = others.fold(floor, f64::max);
        let chance = of_das.chance;
        let n = own.n as f64;
        let answers = own.n_right as f64 / n > chance + SURE * (chance * (1.0 - chance) / n).sqrt();
        let das = match (answers, of_das.low > floor_of_das) {
            (false, _) => Use::NoAnswers,
            (true, true) => Use::Used,
            (true, false) => Use::NotShown,
        };
        let control = without.iter().map(|row| row.accuracy);
        let control = control.chain([DAS_ARBITRARY, DAS_ELSEWHERE].into_iter().filter_map(control_of));
        Some(UseVerdict {
            das,
            probe: answers && of_probe.low > floor,
            of_das: of_das.clone(),
            of_probe: of_probe.clone(),
            whole: at(STREAM).first().map_or(f64::NAN, |row| row.accuracy),
            control: control.fold(0.0, f64::max),
            own,
        })
    }
}

/// A row's share with its interval.
fn share(row: &InterchangeRow) -> String {
    format!("{:.0} % ({:.0} to {:.0})", 100.0 * row.accuracy, 100.0 * row.low, 100.0 * row.high)
}

impl fmt::Display for UseVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UseVerdict { das, probe, of_das, of_probe, whole, control, own } = self;
        let chance = 100.0 * of_das.chance;
        if *das == Use::NoAnswers {
            return write!(
                f,
                "the model does not answer this question: {} of {} answers are correct, {chance:.0} % by chance; nothing \
                 follows about use",
                own.n_right, own.n
            );
        }
        let verdict = if *das == Use::Used { "used" } else { "not shown to be used" };
        write!(
            f,
            "{verdict}: at layer {}, exchanging {} dimensions found by gradient gives the source's answer in {} of \
             pairs, the whole stream {:.0} %, the highest control {:.0} %; ",
            of_das.layer,
            of_das.rank,
            share(of_das),
            100.0 * whole,
            100.0 * control
        )?;
        let which = if of_probe.exchanged == PROBE { "subspace" } else { "pattern" };
        match probe {
            true => write!(f, "the probe's {which} is used as well: {}", share(of_probe)),
            false => write!(f, "the probe's {which} is not shown to be used: {}", share(of_probe)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(exchanged: &str, accuracy: f64) -> InterchangeRow {
        InterchangeRow {
            dataset: "d".into(),
            model: "m".into(),
            prompt: "p".into(),
            hook_point: "blocks.3.hook_resid_post".into(),
            layer: 3,
            exchanged: exchanged.into(),
            rank: 2,
            seed: 0,
            n_pairs: 100,
            n_groups: 50,
            accuracy,
            low: accuracy - 0.1,
            high: accuracy + 0.1,
            chance: 0.25,
            log_odds: 0.0,
            train_accuracy: None,
        }
    }

    #[test]
    fn the_rule_decides_by_intervals_controls_and_the_models_own_answers() {
        let rows = |das: f64, probe: f64, arbitrary: f64| {
            let all = [
                (NOTHING, 0.05),
                (RANDOM, 0.1),
                (STREAM, 0.95),
                (DAS, das),
                (PROBE, probe),
                (PATTERN, 0.05),
                (DAS_ARBITRARY, arbitrary),
            ];
            all.map(|(name, accuracy)| row(name, accuracy))
        };
        let able = OwnAnswers { n: 100, n_right: 80 };
        let of = |rows: &[InterchangeRow], own| UseVerdict::of(rows, 3, own).unwrap();
        let both = of(&rows(0.9, 0.5, 0.2), able);
        assert_eq!((both.das, both.probe), (Use::Used, true));
        assert!(
            both.to_string().starts_with("used: at layer 3") && both.to_string().contains("90 % (80 to 100)")
        );
        let one = of(&rows(0.9, 0.25, 0.2), able);
        assert_eq!((one.das, one.probe), (Use::Used, false));
        assert!(one.to_string().contains("not shown to be used: 25 %"));
        assert_eq!(of(&rows(0.9, 0.5, 0.85), able).das, Use::NotShown);
        assert_eq!(of(&rows(0.28, 0.1, 0.2), able).das, Use::NotShown);
        let unable = of(&rows(0.9, 0.5, 0.2), OwnAnswers { n: 100, n_right: 30 });
        assert_eq!((unable.das, unable.probe), (Use::NoAnswers, false));
        assert!(unable.to_string().contains("30 of 100"));
        assert!(UseVerdict::of(&rows(0.9, 0.5, 0.2), 2, able).is_none());
    }
}
