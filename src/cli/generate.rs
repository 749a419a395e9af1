//! `mappa generate`: plain text of a model.

use super::chosen::ChosenModel;
use super::writing::{How, stream};
use clap::Args;
use mappa::Result;
use mappa::model::{ChatDate, NoHook};
use std::path::Path;

/// Continue a text, without any change.
///
/// Examples:
///   mappa generate --prompt "Paris is"
///   mappa generate --prompt "Paris is" --tokens 8 --samples 3 --temperature 0.8
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Generate {
    #[command(flatten)]
    model: ChosenModel,
    /// The text to continue.
    #[arg(long)]
    prompt: String,
    #[command(flatten)]
    how: How,
}

impl Generate {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let mut model = self.model.load(lab)?;
        if self.how.chat {
            model.tokenizer = model.tokenizer.with_chat(ChatDate::default())?;
        }
        let prompt = self.how.framed(&model, &self.prompt)?;
        stream(&self.how, (&model, &prompt), &mut NoHook)
    }
}
