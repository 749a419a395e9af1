//! A prompt: a template, the wording of names, and random tokens before it.

use super::template::Template;
use super::wording::{Letters, Names, Stop, Wording, check};
use crate::artefact::FolderName;
use crate::datasets::Dataset;
use crate::error::Result;

/// Random tokens before a text, different for each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomTokens {
    /// Their number.
    pub n: usize,
    /// The seed.
    pub seed: u64,
}

/// A prompt: turns an entity into a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its name in folders and result rows.
    pub name: FolderName,
    pub(super) template: Template,
    pub(super) wording: Wording,
    pub(super) random: Option<RandomTokens>,
}

impl Prompt {
    /// The prompt of the name alone.
    pub fn empty() -> Prompt {
        Prompt::of("empty", Template::entity())
    }

    pub(super) fn of(name: &str, template: Template) -> Prompt {
        Prompt { name: FolderName::of_text(name), template, wording: Wording::default(), random: None }
    }

    /// The same prompt with another wording of names; its own name does not change.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if the paper has no wording for the dataset.
    pub fn with_names(mut self, names: Names, dataset: &Dataset) -> Result<Prompt> {
        check(names, dataset)?;
        self.wording.names = names;
        Ok(self)
    }

    /// The same prompt under another name.
    pub fn called(self, name: FolderName) -> Prompt {
        Prompt { name, ..self }
    }

    /// The template in its written form, without the other settings.
    pub fn written(&self) -> String {
        self.template.written()
    }

    /// The template and all other settings that affect the text, as cards record them; equal for equal prompts.
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

    /// The random tokens before each text, if any.
    pub fn random_tokens(&self) -> Option<RandomTokens> {
        self.random
    }
}
