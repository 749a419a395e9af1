//! A question: texts about entities, and the answers among which the model chooses.

use crate::error::{Error, Result};
use crate::model::Transformer;

/// A text about one entity, which ends where the answer begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionText {
    /// The tokens of the text.
    pub ids: Vec<u32>,
    /// The position whose stream is exchanged: the entity's last token.
    pub position: usize,
    /// The true answer, as an index among the question's answers.
    pub answer: usize,
}

/// Texts about entities, and the answers among which the model chooses. The model's answer is the one whose token has the
/// greatest logit after the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The texts.
    pub texts: Vec<QuestionText>,
    /// The first token of each answer; all are different.
    pub answers: Vec<u32>,
}

impl Question {
    /// Refuses a model without next tokens, fewer than two different answers, and texts without the changed token.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the fault.
    pub fn check(&self, model: &Transformer) -> Result<()> {
        if !model.generates() {
            let found = "an encoder, or a checkpoint without a language-model head";
            return Err(Error::invalid("model to ask", found, "a causal language model"));
        }
        let mut tokens = self.answers.clone();
        tokens.sort_unstable();
        tokens.dedup();
        if tokens.len() < 2 || tokens.len() < self.answers.len() {
            let found = format!("{} answers with {} first tokens", self.answers.len(), tokens.len());
            return Err(Error::invalid("answers", found, "at least two, each with another first token"));
        }
        let is_bad =
            |text: &&QuestionText| text.position >= text.ids.len() || text.answer >= self.answers.len();
        match self.texts.iter().position(|text| is_bad(&text)) {
            None => Ok(()),
            Some(at) => {
                let found = format!("text {at} with {} tokens", self.texts[at].ids.len());
                Err(Error::invalid("texts of a question", found, "a changed token and an answer for each"))
            }
        }
    }

    /// The share of correct answers of a model that guesses.
    pub fn chance(&self) -> f64 {
        1.0 / self.answers.len() as f64
    }

    /// The true answer of each text.
    pub fn labels(&self) -> Vec<usize> {
        self.texts.iter().map(|text| text.answer).collect()
    }
}
