//! The rule that says, from a dataset's scores, what a model has beyond its text.

use super::selection::test_r2;
use crate::hook_point::HookPoint;
use crate::results::{MEAN, NAMES_ONLY, RIDGE, SURPLUS, ScoreKey, ScoreRow, TEXT};
use std::fmt;

/// A surplus below this R² counts as none.
pub const MARGIN: f64 = 0.02;

/// The surplus of the activations at a hook point over a text baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surplus {
    /// R² of the text alone.
    pub text: f64,
    /// R² of the text and the activations together.
    pub both: f64,
    /// The difference.
    pub value: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end of its 95 % interval.
    pub high: f64,
}

impl Surplus {
    /// Finds the surplus over a text baseline, by the baseline's name in the rows.
    pub fn over(baseline: &str, rows: &[ScoreRow], point: HookPoint) -> Option<Surplus> {
        let method = format!("{RIDGE}+{baseline}");
        let surplus = ScoreKey::test(&method, SURPLUS, MEAN).at(rows, Some(point))?;
        let both = test_r2(rows, &method, Some(point))?.value;
        let ScoreRow { value, low, high, .. } = *surplus;
        Some(Surplus { text: both - value, both, value, low, high })
    }
}

/// The result of the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// The surplus over the text is above 0, its interval included.
    BeyondText(Surplus),
    /// The surplus over the text is below [`MARGIN`], its interval included.
    NoMoreThanText(Surplus),
    /// The surplus over the spelling of the names alone is below [`MARGIN`], its interval included.
    NoMoreThanSpelling(Surplus),
    /// The interval of the surplus contains both 0 and [`MARGIN`].
    CannotTell(Surplus),
}

impl Verdict {
    /// Applies the rule to the scores at a hook point; `None` without text baselines.
    ///
    /// The text is the spelling of the names and their word vectors, or the spelling alone if there are no vectors.
    pub fn of(rows: &[ScoreRow], point: HookPoint) -> Option<Verdict> {
        let spelling = Surplus::over(NAMES_ONLY, rows, point)?;
        let text = Surplus::over(TEXT, rows, point);
        let surplus = text.unwrap_or(spelling);
        Some(if surplus.low > 0.0 {
            Verdict::BeyondText(surplus)
        } else if spelling.high < MARGIN {
            Verdict::NoMoreThanSpelling(spelling)
        } else if surplus.high < MARGIN {
            Verdict::NoMoreThanText(surplus)
        } else {
            Verdict::CannotTell(surplus)
        })
    }

    /// The surplus that the verdict is about.
    pub fn surplus(&self) -> Surplus {
        match *self {
            Verdict::BeyondText(surplus)
            | Verdict::NoMoreThanText(surplus)
            | Verdict::NoMoreThanSpelling(surplus)
            | Verdict::CannotTell(surplus) => surplus,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Verdict::BeyondText(_) => "beyond its text",
            Verdict::NoMoreThanText(_) => "no more than its text",
            Verdict::NoMoreThanSpelling(_) => "no more than the spelling of the names",
            Verdict::CannotTell(_) => "cannot tell",
        };
        let Surplus { text, both, value, low, high } = self.surplus();
        write!(
            f,
            "{words}: R² {both:.3} from text and activations, {text:.3} from the text alone, surplus {value:.3} \
             (95 % {low:.3} to {high:.3})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{R2, TEST};

    const POINT: HookPoint = HookPoint::ResidPost(3);

    fn rows(baseline: &str, interval: [f64; 2]) -> Vec<ScoreRow> {
        let row = |metric: &str, value: f64| ScoreRow {
            dataset: "d".into(),
            model: "m".into(),
            prompt: "empty".into(),
            hook_point: POINT.to_string(),
            layer: POINT.label(),
            method: format!("{RIDGE}+{baseline}"),
            split: TEST.into(),
            metric: metric.into(),
            target: MEAN.into(),
            value,
            low: interval[0],
            high: interval[1],
        };
        vec![row(R2, 0.4), row(SURPLUS, 0.01)]
    }

    fn verdict(spelling: [f64; 2], text: Option<[f64; 2]>) -> String {
        let text = text.map(|interval| rows(TEXT, interval)).unwrap_or_default();
        let found = Verdict::of(&[rows(NAMES_ONLY, spelling), text].concat(), POINT).unwrap().to_string();
        found.split(':').next().unwrap().to_string()
    }

    #[test]
    fn the_rule_has_four_results() {
        assert_eq!(verdict([0.1, 0.2], Some([0.001, 0.03])), "beyond its text");
        assert_eq!(verdict([0.1, 0.2], Some([-0.01, 0.019])), "no more than its text");
        assert_eq!(verdict([-0.03, 0.01], Some([-0.01, 0.019])), "no more than the spelling of the names");
        assert_eq!(verdict([0.1, 0.2], Some([-0.01, 0.021])), "cannot tell");
    }

    #[test]
    fn without_word_vectors_the_text_is_the_spelling() {
        assert_eq!(verdict([0.1, 0.2], None), "beyond its text");
        assert_eq!(verdict([-0.1, 0.2], None), "cannot tell");
        assert_eq!(verdict([-0.1, 0.0], None), "no more than the spelling of the names");
        assert!(Verdict::of(&[], POINT).is_none());
    }

    #[test]
    fn the_sentence_has_the_numbers() {
        let found = Verdict::of(&rows(NAMES_ONLY, [-0.02, 0.04]), POINT).unwrap().to_string();
        let expected = "cannot tell: R² 0.400 from text and activations, 0.390 from the text alone, surplus 0.010 \
                        (95 % -0.020 to 0.040)";
        assert_eq!(found, expected);
    }
}
