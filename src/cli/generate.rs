//! `mappa generate`: continues a text without any change.

use super::decoding::{How, stream};
use super::model_flags::ModelFlags;
use super::observer::TerminalObserver;
use super::output;
use clap::Args;
use mappa::Result;
use mappa::lab::Lab;
use mappa::model::NoHook;
use mappa::tokenizer::ChatDate;

/// Continue a text, without any change.
///
/// Examples:
///   mappa generate --prompt "Paris is"
///   mappa generate --prompt "Paris is" --tokens 8 --samples 3 --temperature 0.8
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Generate {
    #[command(flatten)]
    model: ModelFlags,
    /// The text to continue.
    #[arg(long)]
    prompt: String,
    #[command(flatten)]
    how: How,
}

impl Generate {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        output::only_prints();
        let mut model = self.model.open(lab, &mut TerminalObserver::default())?;
        if self.how.chat {
            model.tokenizer = model.tokenizer.with_chat(ChatDate::default())?;
        }
        let prompt = self.how.framed(&model, &self.prompt)?;
        stream(&self.how, &model, &prompt, &mut NoHook)
    }
}
