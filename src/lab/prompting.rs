//! The text around an entity: prompt, names, chat template, BOS.

use super::prompted::Prompted;
use super::toml_file;
use crate::activations::{PromptedDataset, Recording, place_texts};
use crate::artefact::{self, FolderName};
use crate::datasets::{Dataset, Names, Prompt, paper_prompts};
use crate::error::{Error, Result};
use crate::model::{Model, Spec};
use crate::progress::Observer;
use crate::tokenizer::{Bos, ChatDate, Tokenizer};
use serde::Deserialize;
use std::path::Path;

/// Settings of the text that the model receives for each entity.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct Prompting {
    /// A template such as `Where is {}?`, or the name of a prompt of the paper.
    pub prompt: String,
    /// The prompt's name in folders, if a file of prompts gives one.
    #[serde(skip)]
    pub called: Option<FolderName>,
    /// The spelling of names: as in the dataset, or as in the paper.
    pub names: Names,
    /// The rule for a BOS token at the beginning of each text: as the model's tokenizer, always, or never.
    pub bos: Bos,
    /// True to put each text into the user's turn of the model's chat template.
    pub chat: bool,
    /// The date for chat templates that contain one.
    pub chat_date: Option<ChatDate>,
    /// True to leave out entities without tokens of their own in their texts.
    pub skip_unplaced: bool,
}

impl Default for Prompting {
    fn default() -> Prompting {
        Prompting {
            prompt: Prompt::empty().name.into(),
            called: None,
            names: Names::default(),
            bos: Bos::default(),
            chat: false,
            chat_date: None,
            skip_unplaced: false,
        }
    }
}

impl Prompting {
    /// Sets up a model's tokenizer for these texts.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the settings need a chat template or a BOS token that the model lacks.
    pub fn set_up(&self, model: Model, observer: &mut dyn Observer) -> Result<Model> {
        let tokenizer = self.tokenizer(model.tokenizer, observer)?;
        Ok(Model { tokenizer, ..model })
    }

    /// Sets up a tokenizer for these texts.
    ///
    /// # Errors
    /// As [`Prompting::set_up`].
    pub fn tokenizer(&self, tokenizer: Tokenizer, observer: &mut dyn Observer) -> Result<Tokenizer> {
        let tokenizer = match self.chat {
            true => tokenizer.with_chat(self.chat_date.unwrap_or_default())?,
            false => tokenizer,
        };
        let tokenizer = tokenizer.with_bos(self.bos)?;
        if let Some(note) = tokenizer.doubled_bos(&self.prompt) {
            observer.note(&note);
        }
        Ok(tokenizer)
    }

    /// The prompt for a dataset, with its name in folders.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the prompt does not suit the dataset.
    pub fn prompt(&self, dataset: &Dataset) -> Result<Prompt> {
        let prompt = Prompt::find(&self.prompt, dataset)?.with_names(self.names, dataset)?;
        if self.chat && prompt.random_tokens().is_some() {
            return Err(Error::invalid("--chat", "random tokens", "a prompt with text, for the user's turn"));
        }
        let folder = self.folder()?;
        Ok(prompt.called(folder))
    }

    /// The name of these texts in folders: the prompt's name, followed by each setting of the texts that is not the
    /// default.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no prompt has that name.
    pub fn folder(&self) -> Result<FolderName> {
        let name = self.called.clone().map_or_else(|| Prompt::name_of(&self.prompt), Ok)?;
        let mut words = String::new();
        if self.names != Names::default() {
            words += &format!("-{}_names", self.names);
        }
        if self.chat {
            words += "-chat";
        }
        if let Some(date) = self.chat_date.filter(|date| *date != ChatDate::default()) {
            words += &format!("_{date}");
        }
        if self.bos != Bos::default() {
            words += &format!("-bos_{}", self.bos);
        }
        Ok(name.with(&words))
    }

    /// Applies the prompt to a dataset; with `skip_unplaced`, leaves out entities without tokens of their own in
    /// their texts.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the prompt does not suit the dataset, or no entity has tokens of its own.
    pub fn apply(
        &self,
        dataset: Dataset,
        recording: Recording,
        tokenizer: &Tokenizer,
        spec: &Spec,
    ) -> Result<Prompted> {
        let prompt = self.prompt(&dataset)?;
        if !self.skip_unplaced {
            return Ok(Prompted { dataset, unplaced: Vec::new(), prompt });
        }
        let texts = PromptedDataset { dataset: &dataset, prompt: &prompt };
        let unplaced = place_texts(tokenizer, spec, texts, recording)?.unplaced;
        if unplaced.len() == dataset.entities.len() {
            let found = format!("{} entities, none with tokens of its own in its text", unplaced.len());
            let advice = unplaced.first().map_or("entities", |first| first.problem.as_str());
            return Err(Error::invalid(
                &dataset.name,
                found,
                format!("at least one; the first has this problem: {advice}"),
            ));
        }
        let left_out: Vec<usize> = unplaced.iter().map(|one| one.entity).collect();
        Ok(Prompted { dataset: dataset.without(&left_out), unplaced, prompt })
    }
}

/// Reads a file of prompts: `name = "template"` in TOML, where a template may also be the name of a prompt of the
/// paper; `base` gives all other settings.
///
/// # Errors
/// [`Error::BadFile`] naming the prompt.
pub fn load_prompts(path: &Path, base: &Prompting) -> Result<Vec<Prompting>> {
    let expected = "lines such as where = \"Where is {}?\"";
    let text = artefact::load_text(path)?;
    let table: toml::Table = toml_file::parse(path, &text, expected)?;
    if table.is_empty() {
        return Err(Error::bad_file(path, "no prompts", expected));
    }
    let one = |(name, value): (String, toml::Value)| {
        let toml::Value::String(prompt) = value else {
            return Err(Error::bad_file(path, format!("`{name}` without a text"), expected));
        };
        if name.is_empty() || name.chars().any(|c| !c.is_alphanumeric() && c != '_') {
            return Err(Error::bad_file(
                path,
                format!("the name `{name}`"),
                "letters, digits and _ in names",
            ));
        }
        if prompt != name && paper_prompts().iter().any(|known| known.name == name) {
            let expected = "another name; this one is the name of a prompt of the paper";
            return Err(Error::bad_file(path, format!("`{name}` for `{prompt}`"), expected));
        }
        let called = FolderName::new("name of a prompt", &name)
            .map_err(|e| Error::bad_file(path, e, "a shorter one"))?;
        Ok(Prompting { prompt, called: Some(called), ..base.clone() })
    };
    table.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Vec<Prompting>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load_prompts(file.path(), &Prompting::default())
    }

    #[test]
    fn different_settings_have_different_folders() {
        let date: ChatDate = "2025-01-31".parse().unwrap();
        let all = [
            Prompting::default(),
            Prompting { prompt: "Where is {}".into(), ..Prompting::default() },
            Prompting { prompt: "Where is {}?".into(), ..Prompting::default() },
            Prompting { names: Names::Paper, ..Prompting::default() },
            Prompting { bos: Bos::Always, ..Prompting::default() },
            Prompting { bos: Bos::Never, ..Prompting::default() },
            Prompting { chat: true, ..Prompting::default() },
            Prompting { chat: true, bos: Bos::Never, ..Prompting::default() },
            Prompting { chat: true, chat_date: Some(date), ..Prompting::default() },
            Prompting { prompt: "random:3".into(), ..Prompting::default() },
        ];
        let folders: std::collections::BTreeSet<FolderName> =
            all.iter().map(|t| t.folder().unwrap()).collect();
        assert_eq!(folders.len(), all.len(), "{folders:?}");
        assert!(
            folders.contains("empty-chat_2025-01-31") && folders.contains("empty-paper_names"),
            "{folders:?}"
        );
    }

    #[test]
    fn a_file_of_prompts_gives_their_names() {
        let all = load("coords = 'coords'\nwhere = \"\"\"\nWhere is {}?\n\"\"\"\n").unwrap();
        let folders: Vec<FolderName> = all.iter().map(|one| one.folder().unwrap()).collect();
        assert_eq!(folders, ["coords", "where"]);
        assert_eq!(all[1].prompt, "Where is {}?\n");
        for (text, found) in [
            ("", "no prompts"),
            ("a = 1", "`a` without a text"),
            ("\"a-b\" = 'x'", "`a-b`"),
            ("coords = 'Where is {}'", "a prompt of the paper"),
            ("a = 'x'\na = 'y'", "duplicate key"),
            ("Where is {}", "where = "),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains(found), "{text}: {error}");
        }
    }
}
