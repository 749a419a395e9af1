//! Prompts from a template or from the paper's name for a prompt; their texts for a dataset.

use super::paper;
use super::prompt::Prompt;
use super::template::Template;
use super::texts::PromptTexts;
use crate::artefact::FolderName;
use crate::datasets::Dataset;
use crate::error::Result;

impl Prompt {
    /// A prompt from a template such as `Where is {}?` or `{creator}'s {title}`.
    ///
    /// `{}` or `{name}` is the entity (in a dataset with creators "creator's title"), and `{COLUMN}` is any other
    /// column; `{{` and `}}` are braces. A template without the entity gets it at its end.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for an unpaired brace, or a second `{}`.
    pub fn new(template: &str) -> Result<Prompt> {
        if template == "empty" {
            return Ok(Prompt::empty());
        }
        let template = Template::parse(template)?;
        Ok(Prompt::of(&template.name(paper::is_name), template))
    }

    /// A prompt by the paper's name for it, or from a template.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] as [`Prompt::new`]; or, listing the dataset's prompts, if the paper has a prompt of
    /// that name only for other datasets.
    pub fn find(text: &str, dataset: &Dataset) -> Result<Prompt> {
        paper::find(text, dataset)?.map_or_else(|| Prompt::new(text), Ok)
    }

    /// The folder name of the prompt that [`Prompt::find`] makes from a text; it is the same for all datasets.
    ///
    /// # Errors
    /// As [`Prompt::new`].
    pub fn name_of(text: &str) -> Result<FolderName> {
        paper::name(text).map_or_else(|| Ok(Prompt::new(text)?.name), |name| Ok(FolderName::of_text(&name)))
    }

    /// The prompt's texts for a dataset.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a column that the dataset does not have, listing those it has.
    pub fn texts<'a>(&'a self, dataset: &'a Dataset) -> Result<PromptTexts<'a>> {
        PromptTexts::new(self, dataset)
    }
}
