//! The flags that decide what the model reads: prompt, names, chat, BOS.

use super::{notes, suggest};
use clap::Args;
use mappa::activations::{PromptedDataset, Recording, Unplaced, place_texts};
use mappa::artefact;
use mappa::datasets::{Dataset, Names, Prompt, paper_prompts};
use mappa::model::{Bos, ChatDate, Model, Spec, Tokenizer};
use mappa::{Error, Result};
use std::path::Path;

/// What the model reads of each entity.
#[derive(Args, Debug, Clone)]
pub struct Texts {
    /// The text around a name: a template such as "Where is {}?", or one of the paper's prompts by name.
    ///
    /// In a template, {} or {name} is the entity, {country} or any other column of the dataset what it has
    /// there, {{ and }} are braces; without a place for the entity it comes last. The activation is read at the
    /// entity's last token; for works of art that is the title's, in "{creator}'s {title}".
    ///
    /// The paper's prompts: empty, empty_all_caps, random (ten random tokens; random:7 for seed 7);
    /// coords and where_us for places, where_is and where_nyc for New York; when and when_all_caps for
    /// historical figures; release for artworks; when_w_period, when_wo_period, empty_wo_period for headlines.
    #[arg(long, default_value = "empty", value_name = "NAME|TEMPLATE")]
    pub prompt: String,
    /// What folders call the prompt, where a file of prompts says so.
    #[arg(skip)]
    pub called: Option<String>,
    /// Names as the dataset has them, or as the paper writes them: as-written or paper.
    ///
    /// The paper writes "Athens (Georgia)" and "Athens, Georgia" as "Georgia's Athens", New York's capitals in
    /// title case, "The Smiths' Girlfriend" without a second s, and headlines with a full stop, which is then read.
    #[arg(long, default_value_t, value_name = "WAY")]
    pub names: Names,
    /// Whether a token such as <s> begins each text: as-model, always or never.
    ///
    /// as-model is what transformers' AutoTokenizer does with the model's folder. With always, a model whose
    /// tokenizer names no such token gets <|endoftext|>, as the paper does it with Pythia.
    #[arg(long, default_value_t, value_name = "WHEN")]
    pub bos: Bos,
    /// Put each text in the user's turn of the model's own chat template.
    #[arg(long)]
    pub chat: bool,
    /// The date that a chat template is told if it asks [default: 2024-07-26, so that runs can be repeated].
    #[arg(long, requires = "chat", value_name = "YYYY-MM-DD")]
    pub chat_date: Option<ChatDate>,
    /// Leave out entities whose tokens cannot be told apart in their texts; unplaced.csv lists them.
    #[arg(long)]
    pub skip_unplaced: bool,
}

impl Texts {
    /// The model's tokenizer as these texts need it.
    pub fn set_up(&self, model: Model) -> Result<Model> {
        let tokenizer = self.tokenizer(model.tokenizer)?;
        Ok(Model { tokenizer, ..model })
    }

    /// A tokenizer as these texts need it.
    pub fn tokenizer(&self, tokenizer: Tokenizer) -> Result<Tokenizer> {
        let tokenizer = match self.chat {
            true => tokenizer.with_chat(self.chat_date.unwrap_or_default())?,
            false => tokenizer,
        };
        let tokenizer = tokenizer.with_bos(self.bos)?;
        notes::doubled_bos(&tokenizer, &self.prompt);
        Ok(tokenizer)
    }

    /// The prompt for a dataset, under the name that its folders have.
    pub fn prompt(&self, dataset: &Dataset) -> Result<Prompt> {
        let prompt = Prompt::find(&self.prompt, dataset)?.with_names(self.names, dataset)?;
        if self.chat && prompt.random_tokens().is_some() {
            return Err(Error::invalid("--chat", "random tokens", "a prompt that a user may say"));
        }
        let folder = self.folder()?;
        Ok(prompt.called(&folder))
    }

    /// What folders call these texts: the prompt's name, and each choice that is not the usual one.
    pub fn folder(&self) -> Result<String> {
        let mut name = self.called.clone().map_or_else(|| Prompt::name_of(&self.prompt), Ok)?;
        if self.names != Names::default() {
            name += &format!("-{}_names", self.names);
        }
        if self.chat {
            name += "-chat";
        }
        if let Some(date) = self.chat_date.filter(|date| *date != ChatDate::default()) {
            name += &format!("_{date}");
        }
        if self.bos != Bos::default() {
            name += &format!("-bos_{}", self.bos);
        }
        Ok(name)
    }

    /// The flags that are not the usual ones, as they are written.
    pub fn flags(&self) -> String {
        let mut flags = String::new();
        for (name, value, usual) in [
            ("prompt", suggest::quoted(&self.prompt), "empty".into()),
            ("names", self.names.to_string(), Names::default().to_string()),
            ("bos", self.bos.to_string(), Bos::default().to_string()),
        ] {
            if value != usual {
                flags += &format!(" --{name} {value}");
            }
        }
        if self.chat {
            flags += " --chat";
        }
        if let Some(date) = self.chat_date {
            flags += &format!(" --chat-date {date}");
        }
        if self.skip_unplaced {
            flags += " --skip-unplaced";
        }
        flags
    }

    /// The dataset without the entities that have no place in their texts, and those; all of it, unless they
    /// are to be left out.
    pub fn placeable(
        &self,
        (tokenizer, spec): (&Tokenizer, &Spec),
        dataset: Dataset,
        (prompt, recording): (&Prompt, Recording),
    ) -> Result<(Dataset, Vec<Unplaced>)> {
        if !self.skip_unplaced {
            return Ok((dataset, Vec::new()));
        }
        let texts = PromptedDataset { dataset: &dataset, prompt };
        let unplaced = place_texts(tokenizer, spec, texts, recording)?.unplaced;
        if unplaced.len() == dataset.entities.len() {
            let found = format!("{} entities and no place for any of them", unplaced.len());
            let advice = unplaced.first().map_or("entities", |first| first.problem.as_str());
            return Err(Error::invalid(&dataset.name, found, format!("some; of the first: {advice}")));
        }
        let left_out: Vec<usize> = unplaced.iter().map(|one| one.entity).collect();
        Ok((dataset.without(&left_out), unplaced))
    }
}

/// The texts that a file of prompts asks for: `name = "template"` in TOML, where a template may also be the
/// name of one of the paper's prompts; all else is as the flags say.
///
/// # Errors
/// What is wrong with the file, by prompt.
pub fn load_prompts(path: &Path, flags: &Texts) -> Result<Vec<Texts>> {
    let expected = "lines such as where = \"Where is {}?\"";
    let text = artefact::load_text(path)?;
    let table: toml::Table =
        toml::from_str(&text).map_err(|e| Error::bad_file(path, e.to_string().trim(), expected))?;
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
            let expected = "another name: that is one of the paper's prompts";
            return Err(Error::bad_file(path, format!("`{name}` for `{prompt}`"), expected));
        }
        Ok(Texts { prompt, called: Some(name), ..flags.clone() })
    };
    table.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Texts {
        Texts {
            prompt: "empty".into(),
            called: None,
            names: Names::default(),
            bos: Bos::default(),
            chat: false,
            chat_date: None,
            skip_unplaced: false,
        }
    }

    fn load(text: &str) -> Result<Vec<Texts>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load_prompts(file.path(), &flags())
    }

    #[test]
    fn every_choice_has_a_folder_of_its_own() {
        let date: ChatDate = "2025-01-31".parse().unwrap();
        let all = [
            flags(),
            Texts { prompt: "Where is {}".into(), ..flags() },
            Texts { prompt: "Where is {}?".into(), ..flags() },
            Texts { names: Names::Paper, ..flags() },
            Texts { bos: Bos::Always, ..flags() },
            Texts { bos: Bos::Never, ..flags() },
            Texts { chat: true, ..flags() },
            Texts { chat: true, bos: Bos::Never, ..flags() },
            Texts { chat: true, chat_date: Some(date), ..flags() },
            Texts { prompt: "random:3".into(), ..flags() },
        ];
        let folders: std::collections::BTreeSet<String> = all.iter().map(|t| t.folder().unwrap()).collect();
        assert_eq!(folders.len(), all.len(), "{folders:?}");
        assert!(
            folders.contains("empty-chat_2025-01-31") && folders.contains("empty-paper_names"),
            "{folders:?}"
        );
    }

    #[test]
    fn a_file_of_prompts_names_them() {
        let all = load("coords = 'coords'\nwhere = \"\"\"\nWhere is {}?\n\"\"\"\n").unwrap();
        let folders: Vec<String> = all.iter().map(|texts| texts.folder().unwrap()).collect();
        assert_eq!(folders, ["coords", "where"]);
        assert_eq!(all[1].prompt, "Where is {}?\n");
        for (text, found) in [
            ("", "no prompts"),
            ("a = 1", "`a` without a text"),
            ("\"a-b\" = 'x'", "`a-b`"),
            ("coords = 'Where is {}'", "the paper's prompts"),
            ("a = 'x'\na = 'y'", "duplicate key"),
            ("Where is {}", "where = "),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains(found), "{text}: {error}");
        }
    }
}
