//! The settings of a causal test, and the choice of answers.

use super::super::prompting::Prompting;
use super::super::saved_probes::ProbeChoice;
use crate::artefact::FolderName;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The settings of a causal test.
#[derive(Debug, Clone)]
pub struct CauseSettings {
    /// The name of its folder; by default the prompt and the answers.
    pub called: Option<FolderName>,
    /// The probes; the dataset is also that of the entities.
    pub probes: ProbeChoice,
    /// The text around each entity, which ends where the answer begins.
    pub prompting: Prompting,
    /// The answers among which the model chooses.
    pub answers: AnswerChoice,
    /// The target and the value that separate two answers.
    pub at: Option<Threshold>,
    /// The number of values of a column that are answers, most frequent first.
    pub choices: usize,
    /// The blocks after which the stream is exchanged; all blocks if the list is empty.
    pub layers: Vec<usize>,
    /// The number of pairs for training, and at most as many for the test.
    pub pairs: usize,
    /// The number of dimensions of the subspace that is searched for, and of random ones; by default that of the probe.
    pub rank: Option<usize>,
    /// Passes over the training pairs in a search.
    pub epochs: usize,
    /// The number of random subspaces.
    pub random: u64,
    /// The seed of pairs, searches and random subspaces.
    pub seed: u64,
    /// The number of bootstrap resamples.
    pub resamples: usize,
    /// True to leave out test pairs of which the model answers one question wrongly without an exchange.
    pub correct_only: bool,
}

/// The answers among which the model chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerChoice {
    /// The values of a column, such as `country`, `age` or `century`.
    Column(String),
    /// One word for targets below a threshold, and another for all others.
    Words([String; 2]),
}

impl FromStr for AnswerChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<AnswerChoice> {
        let words: Vec<&str> = text.split('|').map(str::trim).collect();
        match words[..] {
            [column] if !column.is_empty() => Ok(AnswerChoice::Column(column.into())),
            [below, above] if !below.is_empty() && !above.is_empty() && below != above => {
                Ok(AnswerChoice::Words([below.into(), above.into()]))
            }
            _ => {
                let expected = "a column such as country or age, or two words such as \"before|after\"";
                Err(Error::invalid("--answers", text, expected))
            }
        }
    }
}

impl fmt::Display for AnswerChoice {
    /// Writes the choice as the flag does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnswerChoice::Column(column) => f.write_str(column),
            AnswerChoice::Words([below, above]) => write!(f, "{below}|{above}"),
        }
    }
}

/// A value of a target: below it is the first answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The target's name; `None` for the only target.
    pub target: Option<String>,
    /// The value, in the target's unit.
    pub value: f64,
}

impl FromStr for Threshold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Threshold> {
        let wrong =
            || Error::invalid("--at", text, "a value such as 1800, or TARGET=VALUE such as latitude=0");
        let (target, value) = match text.split_once('=') {
            Some((target, value)) => (Some(target.trim().to_string()), value),
            None => (None, text),
        };
        let value: f64 = value.trim().parse().map_err(|_| wrong())?;
        match value.is_finite() && target.as_deref() != Some("") {
            true => Ok(Threshold { target, value }),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{target}={}", self.value),
            None => write!(f, "{}", self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_thresholds_are_written_as_their_flags() {
        for text in ["country", "before|after"] {
            assert_eq!(text.parse::<AnswerChoice>().unwrap().to_string(), text);
        }
        for text in ["", "|", "a|", "a|b|c", "a|a"] {
            assert!(text.parse::<AnswerChoice>().unwrap_err().to_string().contains("--answers"), "{text}");
        }
        for text in ["1800", "latitude=-12.5"] {
            assert_eq!(text.parse::<Threshold>().unwrap().to_string(), text);
        }
        for text in ["", "x", "=3", "year=", "nan", "year=inf"] {
            assert!(text.parse::<Threshold>().unwrap_err().to_string().contains("--at"), "{text}");
        }
    }
}
