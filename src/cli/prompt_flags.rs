//! The flags of the text around each entity: prompt, names, chat, BOS.

use clap::Args;
use mappa::datasets::Names;
use mappa::lab::Prompting;
use mappa::lab::suggest::flag;
use mappa::tokenizer::{Bos, ChatDate};

/// The text around each entity.
#[derive(Args, Debug, Clone)]
pub(super) struct PromptFlags {
    /// The text around a name: a template such as "Where is {}?", or the name of a prompt of the paper.
    ///
    /// In a template, {} or {name} is the entity, {country} or any other column is its value for the entity, and
    /// {{ and }} are braces; without {} or {name}, the entity comes last. The activation is recorded at the
    /// entity's last token; for works of art, this is the last token of the title, in "{creator}'s {title}".
    ///
    /// The paper's prompts: empty, empty_all_caps, random (ten random tokens; random:7 for seed 7);
    /// coords and where_us for places, where_is and where_nyc for New York; when and when_all_caps for
    /// historical figures; release for artworks; when_w_period, when_wo_period, empty_wo_period for headlines.
    #[arg(long, default_value = "empty", value_name = "NAME|TEMPLATE")]
    pub prompt: String,
    /// The spelling of names: as-written (as in the dataset) or paper (as in the paper).
    ///
    /// The paper writes "Athens (Georgia)" and "Athens, Georgia" as "Georgia's Athens", New York's capitals in
    /// title case, "The Smiths' Girlfriend" without a second s, and headlines with a full stop; the activation is
    /// then recorded at the full stop.
    #[arg(long, default_value_t, value_name = "WAY")]
    pub names: Names,
    /// A BOS token such as <s> at the beginning of each text: as-model, always or never.
    ///
    /// as-model is what transformers' AutoTokenizer does with the model's folder. With always, a model whose
    /// tokenizer has no BOS token gets <|endoftext|>, as in the paper's code for Pythia.
    #[arg(long, default_value_t, value_name = "WHEN")]
    pub bos: Bos,
    /// Put each text in the user's turn of the model's own chat template.
    #[arg(long)]
    pub chat: bool,
    /// The date for chat templates that contain one [default: 2024-07-26, so that runs can be repeated].
    #[arg(long, requires = "chat", value_name = "YYYY-MM-DD")]
    pub chat_date: Option<ChatDate>,
    /// Skip entities whose tokens cannot be separated from the surrounding text; unplaced.csv lists them.
    #[arg(long)]
    pub skip_unplaced: bool,
}

impl PromptFlags {
    /// The settings.
    pub(super) fn settings(&self) -> Prompting {
        Prompting {
            prompt: self.prompt.clone(),
            called: None,
            names: self.names,
            bos: self.bos,
            chat: self.chat,
            chat_date: self.chat_date,
            skip_unplaced: self.skip_unplaced,
        }
    }
}

/// The flags of prompting settings that are not the default, as text.
pub(super) fn flags_of(prompting: &Prompting) -> String {
    let usual = Prompting::default();
    let mut flags = String::new();
    for (name, value, usual) in [
        ("prompt", prompting.prompt.clone(), usual.prompt),
        ("names", prompting.names.to_string(), usual.names.to_string()),
        ("bos", prompting.bos.to_string(), usual.bos.to_string()),
    ] {
        if value != usual {
            flags += &flag(name, &value);
        }
    }
    if prompting.chat {
        flags += " --chat";
    }
    if let Some(date) = prompting.chat_date {
        flags += &format!(" --chat-date {date}");
    }
    if prompting.skip_unplaced {
        flags += " --skip-unplaced";
    }
    flags
}
