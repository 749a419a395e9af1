//! The verdict, from a dataset's scores: do the activations predict more than the text alone?

use super::metrics::{rejected_by_holm, two_sided};
use crate::hook_point::HookPoint;
use crate::results::{
    ACCURACY, LOG_LOSS, MCFADDEN_R2, MEAN, NAMES_ONLY, NESTED, R2, RIDGE, SURPLUS, SURPLUS_OF_ACCURACY,
    SURPLUS_OF_LOG_LOSS, SURPLUS_OF_MCFADDEN_R2, ScoreKey, ScoreRow, TEXT, WORD_VECTORS,
};
use std::fmt;

/// A surplus below this R² counts as none.
pub const MARGIN: f64 = 0.02;
/// Maximum probability of a false *beyond its text* among all datasets of a table.
const LEVEL: f64 = 0.05;
/// The number of standard errors from the middle to an end of a 95 % interval.
const LIMIT_OF_95: f64 = 1.959964;
/// Degrees of freedom at which Student's t distribution is practically the normal one.
const MANY: f64 = 1e9;

/// A score of text and activations together, its surplus over the text alone, and their target.
#[derive(Debug, Clone, Copy)]
struct Measure<'a> {
    score: &'a str,
    surplus: &'a str,
    target: &'a str,
}

/// R², averaged over the targets.
const OF_NUMBERS: Measure = Measure { score: R2, surplus: SURPLUS, target: MEAN };

/// The surplus of the activations at a hook point over a text baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surplus {
    /// The score of the text alone: R², if targets are numbers.
    pub text: f64,
    /// The score of the text and the activations together.
    pub both: f64,
    /// The lower end of its 95 % interval.
    pub both_low: f64,
    /// The difference.
    pub value: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end of its 95 % interval.
    pub high: f64,
}

impl Surplus {
    /// Finds the surplus of R² over a text baseline, by the baseline's name in the rows: with several folds at the layers
    /// that the folds chose themselves, otherwise at `point`.
    pub fn over(baseline: &str, rows: &[ScoreRow], point: HookPoint) -> Option<Surplus> {
        Surplus::by(OF_NUMBERS, baseline, rows, point)
    }

    fn by(measure: Measure, baseline: &str, rows: &[ScoreRow], point: HookPoint) -> Option<Surplus> {
        let nested = Surplus::of(measure, &format!("{NESTED}+{baseline}"), rows, None);
        nested.or_else(|| Surplus::of(measure, &format!("{RIDGE}+{baseline}"), rows, Some(point)))
    }

    fn of(measure: Measure, method: &str, rows: &[ScoreRow], point: Option<HookPoint>) -> Option<Surplus> {
        let find = |metric| ScoreKey::test(method, metric, measure.target).at(rows, point);
        let ScoreRow { value, low, high, .. } = *find(measure.surplus)?;
        let ScoreRow { value: both, low: both_low, .. } = *find(measure.score)?;
        Some(Surplus { text: both - value, both, both_low, value, low, high })
    }

    /// The two-sided p-value of the hypothesis that the surplus is 0, from the width of the interval.
    pub fn p_value(&self) -> f64 {
        let standard_error = (self.high - self.low) / (2.0 * LIMIT_OF_95);
        two_sided(self.value / standard_error, MANY)
    }
}

/// The result of the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TextVerdict {
    /// The surplus over each text baseline and the R² of both are above 0, their intervals included; for several
    /// datasets, also by Holm's rule.
    BeyondText(Surplus),
    /// The surplus over the strongest text baseline is below [`MARGIN`], its interval included.
    NoMoreThanText(Surplus),
    /// The surplus over the spelling of the names alone is below [`MARGIN`], its interval included.
    NoMoreThanSpelling(Surplus),
    /// No other verdict is certain.
    CannotTell(Surplus),
}

impl TextVerdict {
    /// Applies the rule to the scores at a hook point; `None` without text baselines.
    ///
    /// The text is the strongest text baseline: n-grams, word vectors, or both; without vectors, n-grams.
    pub fn of(rows: &[ScoreRow], point: HookPoint) -> Option<TextVerdict> {
        TextVerdict::by(OF_NUMBERS, rows, point)
    }

    fn by(measure: Measure, rows: &[ScoreRow], point: HookPoint) -> Option<TextVerdict> {
        let spelling = Surplus::by(measure, NAMES_ONLY, rows, point)?;
        let others = [WORD_VECTORS, TEXT].map(|baseline| Surplus::by(measure, baseline, rows, point));
        let all: Vec<Surplus> = others.into_iter().flatten().chain([spelling]).collect();
        let strongest = |best: Surplus, next: &Surplus| if next.text > best.text { *next } else { best };
        let surplus = all.iter().fold(spelling, strongest);
        // Without a width, the interval says nothing: the target is constant, or its resamples are.
        Some(if all.iter().any(|surplus| surplus.high <= surplus.low) {
            TextVerdict::CannotTell(surplus)
        } else if all.iter().all(|surplus| surplus.low > 0.0 && surplus.both_low > 0.0) {
            TextVerdict::BeyondText(surplus)
        } else if spelling.high < MARGIN {
            TextVerdict::NoMoreThanSpelling(spelling)
        } else if surplus.high < MARGIN {
            TextVerdict::NoMoreThanText(surplus)
        } else {
            TextVerdict::CannotTell(surplus)
        })
    }

    /// The verdicts on several datasets. Holm's rule limits to 5 % the probability that any of them is called *beyond
    /// its text* by chance: the i-th smallest of `m` p-values must be at most `0.05 / (m − i + 1)`, and all smaller
    /// ones must be at most their own limits.
    ///
    /// # Source
    /// S. Holm, "A simple sequentially rejective multiple test procedure" (1979).
    pub fn of_several(datasets: &[(&[ScoreRow], HookPoint)]) -> Vec<Option<TextVerdict>> {
        let of = |(rows, point): &(&[ScoreRow], HookPoint)| TextVerdict::of(rows, *point);
        TextVerdict::limited(datasets.iter().map(of).collect())
    }

    /// Replaces *beyond its text* where Holm's rule does not allow it.
    fn limited(mut verdicts: Vec<Option<TextVerdict>>) -> Vec<Option<TextVerdict>> {
        if verdicts.iter().flatten().count() < 2 {
            return verdicts;
        }
        // An interval without a width and a surplus of 0 have no p-value, but count as a hypothesis.
        let p_value =
            |verdict: &TextVerdict| Some(verdict.surplus().p_value()).filter(|p| !p.is_nan()).unwrap_or(1.0);
        let p_values: Vec<f64> = verdicts.iter().map(|one| one.as_ref().map_or(f64::NAN, p_value)).collect();
        for (verdict, is_rejected) in verdicts.iter_mut().zip(rejected_by_holm(&p_values, LEVEL)) {
            if let Some(TextVerdict::BeyondText(surplus)) = *verdict
                && !is_rejected
            {
                *verdict = Some(TextVerdict::CannotTell(surplus));
            }
        }
        verdicts
    }

    /// The surplus that the verdict is about.
    pub fn surplus(&self) -> Surplus {
        match *self {
            TextVerdict::BeyondText(surplus)
            | TextVerdict::NoMoreThanText(surplus)
            | TextVerdict::NoMoreThanSpelling(surplus)
            | TextVerdict::CannotTell(surplus) => surplus,
        }
    }

    /// The verdict in words.
    fn words(&self) -> &'static str {
        match self {
            TextVerdict::BeyondText(_) => "beyond its text",
            TextVerdict::NoMoreThanText(_) => "no more than its text",
            TextVerdict::NoMoreThanSpelling(_) => "no more than the spelling of the names",
            TextVerdict::CannotTell(_) => "cannot tell",
        }
    }
}

/// The verdict on classes: the rule of [`TextVerdict`], with McFadden's R² in place of R².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassVerdict {
    /// The result of the rule.
    pub verdict: TextVerdict,
    /// The surplus of accuracy over the text that the verdict is about.
    pub accuracy: Surplus,
    /// The surplus of log-loss over the same text, in nats.
    pub log_loss: Surplus,
}

impl ClassVerdict {
    /// Applies the rule to the scores of a column's classes at a hook point; `None` without text baselines.
    pub fn of(rows: &[ScoreRow], point: HookPoint, column: &str) -> Option<ClassVerdict> {
        let measure = |score, surplus| Measure { score, surplus, target: column };
        let rule = measure(MCFADDEN_R2, SURPLUS_OF_MCFADDEN_R2);
        let verdict = TextVerdict::by(rule, rows, point)?;
        let baselines = [NAMES_ONLY, WORD_VECTORS, TEXT];
        let is_meant = |baseline: &&str| Surplus::by(rule, baseline, rows, point) == Some(verdict.surplus());
        let baseline = baselines.into_iter().find(|baseline| is_meant(baseline))?;
        Some(ClassVerdict {
            verdict,
            accuracy: Surplus::by(measure(ACCURACY, SURPLUS_OF_ACCURACY), baseline, rows, point)?,
            log_loss: Surplus::by(measure(LOG_LOSS, SURPLUS_OF_LOG_LOSS), baseline, rows, point)?,
        })
    }

    /// The verdicts on the classes of several datasets, each with its column; Holm's rule as in
    /// [`TextVerdict::of_several`].
    pub fn of_several(
        datasets: &[(&[ScoreRow], HookPoint)],
        columns: &[Option<String>],
    ) -> Vec<Option<ClassVerdict>> {
        let of = |((rows, point), column): (&(&[ScoreRow], HookPoint), &Option<String>)| {
            ClassVerdict::of(rows, *point, column.as_deref()?)
        };
        let all: Vec<Option<ClassVerdict>> = datasets.iter().zip(columns).map(of).collect();
        let limited = TextVerdict::limited(all.iter().map(|one| one.map(|one| one.verdict)).collect());
        let with = |(one, verdict): (Option<ClassVerdict>, Option<TextVerdict>)| {
            Some(ClassVerdict { verdict: verdict?, ..one? })
        };
        all.into_iter().zip(limited).map(with).collect()
    }
}

impl fmt::Display for ClassVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Surplus { text, both, value, low, high, .. } = self.accuracy;
        let [text, both, value, low, high] = [text, both, value, low, high].map(three_decimals);
        let [loss, loss_low, loss_high] =
            [self.log_loss.value, self.log_loss.low, self.log_loss.high].map(three_decimals);
        write!(
            f,
            "{}: accuracy {both} from text and activations, {text} from the text alone, surplus {value} \
             (95 % {low} to {high}); log-loss lower by {loss} nats (95 % {loss_low} to {loss_high})",
            self.verdict.words()
        )
    }
}

/// A score with three decimals; a score that rounds to 0 has no sign.
fn three_decimals(score: f64) -> String {
    format!("{score:.3}").replace("-0.000", "0.000")
}

impl fmt::Display for TextVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words();
        let Surplus { text, both, value, low, high, .. } = self.surplus();
        let [text, both, value, low, high] = [text, both, value, low, high].map(three_decimals);
        write!(
            f,
            "{words}: R² {both} from text and activations, {text} from the text alone, surplus {value} \
             (95 % {low} to {high})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::TEST;

    const POINT: HookPoint = HookPoint::ResidPost(3);

    /// The rows of a text baseline; [`TEXT`] has the greater R².
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
        let both = if baseline == TEXT { 0.5 } else { 0.4 };
        let of_both = ScoreRow { low: both - 0.1, high: both + 0.1, ..row(R2, both) };
        vec![of_both, row(SURPLUS, 0.01)]
    }

    #[test]
    fn predictions_that_explain_nothing_are_not_beyond_the_text() {
        let mut worse = rows(NAMES_ONLY, [0.1, 0.2]);
        assert!(matches!(TextVerdict::of(&worse, POINT), Some(TextVerdict::BeyondText(_))));
        worse[0].low = -0.1;
        assert!(matches!(TextVerdict::of(&worse, POINT), Some(TextVerdict::CannotTell(_))));
        let constant = rows(NAMES_ONLY, [0.0, 0.0]);
        assert!(matches!(TextVerdict::of(&constant, POINT), Some(TextVerdict::CannotTell(_))));
    }

    fn verdict(spelling: [f64; 2], text: Option<[f64; 2]>) -> String {
        let text = text.map(|interval| rows(TEXT, interval)).unwrap_or_default();
        let found = TextVerdict::of(&[rows(NAMES_ONLY, spelling), text].concat(), POINT).unwrap().to_string();
        found.split(':').next().unwrap().to_string()
    }

    #[test]
    fn the_rule_has_four_results() {
        assert_eq!(verdict([0.1, 0.2], Some([0.001, 0.03])), "beyond its text");
        assert_eq!(verdict([-0.1, 0.2], Some([0.001, 0.03])), "cannot tell", "not beyond the spelling");
        assert_eq!(verdict([0.1, 0.2], Some([-0.01, 0.019])), "no more than its text");
        assert_eq!(verdict([-0.03, 0.01], Some([-0.01, 0.019])), "no more than the spelling of the names");
        assert_eq!(verdict([0.1, 0.2], Some([-0.01, 0.021])), "cannot tell");
    }

    #[test]
    fn without_word_vectors_the_text_is_the_spelling() {
        assert_eq!(verdict([0.1, 0.2], None), "beyond its text");
        assert_eq!(verdict([-0.1, 0.2], None), "cannot tell");
        assert_eq!(verdict([-0.1, 0.0], None), "no more than the spelling of the names");
        assert!(TextVerdict::of(&[], POINT).is_none());
    }

    #[test]
    fn several_datasets_need_smaller_p_values() {
        let alone = rows(NAMES_ONLY, [0.0001, 0.03]);
        let sure = rows(NAMES_ONLY, [0.009, 0.011]);
        assert!(matches!(TextVerdict::of(&alone, POINT), Some(TextVerdict::BeyondText(_))));
        let both = TextVerdict::of_several(&[(&alone, POINT), (&sure, POINT)]);
        assert!(matches!(both[..], [Some(TextVerdict::CannotTell(_)), Some(TextVerdict::BeyondText(_))]));
        let one = TextVerdict::of_several(&[(&sure, POINT), (&[], POINT)]);
        assert!(matches!(one[..], [Some(TextVerdict::BeyondText(_)), None]));
    }

    #[test]
    fn the_sentence_has_the_numbers() {
        let found = TextVerdict::of(&rows(NAMES_ONLY, [-0.02, 0.04]), POINT).unwrap().to_string();
        let expected = "cannot tell: R² 0.400 from text and activations, 0.390 from the text alone, surplus 0.010 \
                        (95 % -0.020 to 0.040)";
        assert_eq!(found, expected);
    }
}
