//! A prompt: a template, how names are written in it, and what stands before it.

use super::template::Template;
use super::wording::{Letters, Names, Stop, Wording, check};
use crate::datasets::Dataset;
use crate::error::Result;

/// Token ids drawn before a text, others for each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomTokens {
    /// How many.
    pub n: usize,
    /// Seeds the draws.
    pub seed: u64,
}

/// A prompt: what an entity's text looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What folders and result rows call it.
    pub name: String,
    pub(super) template: Template,
    pub(super) wording: Wording,
    pub(super) random: Option<RandomTokens>,
}

impl Prompt {
    /// The prompt that is the name alone.
    pub fn empty() -> Prompt {
        Prompt::of("empty", Template::entity())
    }

    pub(super) fn of(name: &str, template: Template) -> Prompt {
        Prompt { name: name.into(), template, wording: Wording::default(), random: None }
    }

    /// The same prompt with names written another way; its own name does not change.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if the paper does not have the dataset.
    pub fn with_names(mut self, names: Names, dataset: &Dataset) -> Result<Prompt> {
        check(names, dataset)?;
        self.wording.names = names;
        Ok(self)
    }

    /// The same prompt under another name.
    pub fn called(self, name: &str) -> Prompt {
        Prompt { name: name.into(), ..self }
    }

    /// The template as it may be written, without what else decides the text.
    pub fn written(&self) -> String {
        self.template.written()
    }

    /// The template with all that decides the text, as cards record it; equal for equal prompts.
    pub fn template(&self) -> String {
        let mut parts = Vec::new();
        if let Some(RandomTokens { n, seed }) = self.random {
            parts.push(format!("{n} random tokens (seed {seed}) before"));
        }
        if self.wording.names == Names::Paper {
            parts.push("names as the paper writes them".into());
        }
        parts.extend(match self.wording.stop {
            Stop::AsWritten => None,
            Stop::With => Some("names with a full stop".into()),
            Stop::Without => Some("names without a full stop".into()),
        });
        if self.wording.letters == Letters::Capitals {
            parts.push("names in capitals".into());
        }
        let template = self.template.written();
        if parts.is_empty() { template } else { format!("{template} ({})", parts.join("; ")) }
    }

    /// The tokens that are drawn before each text, if any.
    pub fn random_tokens(&self) -> Option<RandomTokens> {
        self.random
    }
}
