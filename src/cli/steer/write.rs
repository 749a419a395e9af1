//! The text, with and without steering.

use super::super::chosen::ChosenModel;
use super::super::writing::{How, stream};
use super::chosen::Change;
use super::{interactive, readings};
use clap::Args;
use mappa::Result;
use mappa::model::{ChatDate, NoHook};
use mappa::steering::NextLogits;
use std::path::{Path, PathBuf};

/// What is written, and how.
#[derive(Args)]
pub struct Write {
    #[command(flatten)]
    model: ChosenModel,
    /// The text to continue.
    #[arg(long, required_unless_present = "interactive")]
    prompt: Option<String>,
    /// Ask for prompts, and for changes with /dose, /toward, /layer, /at, /off; /help lists them.
    #[arg(long)]
    interactive: bool,
    /// Write the logits after the prompt's last token, steered and not, with the prompt's token ids, to this
    /// safetensors file.
    #[arg(long, value_name = "FILE", conflicts_with = "interactive")]
    logits: Option<PathBuf>,
    #[command(flatten)]
    pub change: Change,
    #[command(flatten)]
    pub how: How,
}

impl Write {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let mut model = self.model.load(lab)?;
        if self.how.chat {
            model.tokenizer = model.tokenizer.with_chat(ChatDate::default())?;
        }
        let Some(prompt) = &self.prompt else {
            return interactive::run(lab, &model, (self.change.clone(), &self.how));
        };
        let prompt = self.how.framed(&model, prompt)?;
        let change = &self.change.settled(lab, &model)?;
        let mut hook = change.steers(lab, &model, &prompt)?;
        if let Some(file) = &self.logits {
            NextLogits::of(&model.transformer, &prompt.encoded.ids, &mut hook.clone())?.save(file)?;
            eprintln!("wrote the logits after the prompt to {}", file.display());
        }
        if self.how.stream {
            return stream(&self.how, (&model, &prompt), &mut hook);
        }
        let before = self.how.texts((&model, &prompt), &mut NoHook, &mut |_| ())?;
        let after = self.how.texts((&model, &prompt), &mut hook, &mut |_| ())?;
        if hook.n_changed() == 0 {
            eprintln!(
                "note: no token was changed; --at {:?} chose none that was computed",
                self.change.positions
            );
        }
        for (before, after) in before.iter().zip(&after) {
            print_side_by_side(&(prompt.text.clone() + before), &(prompt.text.clone() + after));
        }
        readings::print(lab, (&model, &prompt), change)
    }
}

/// Two columns, each wrapped at its width.
fn print_side_by_side(before: &str, after: &str) {
    const WIDTH: usize = 44;
    println!("{:<WIDTH$}   steered", "unsteered");
    println!("{}   {}", "─".repeat(WIDTH), "─".repeat(WIDTH));
    let (left, right) = (wrap(before.trim(), WIDTH), wrap(after.trim(), WIDTH));
    for i in 0..left.len().max(right.len()) {
        let line = |column: &[String]| column.get(i).cloned().unwrap_or_default();
        println!("{:<WIDTH$}   {}", line(&left), line(&right));
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_string());
        } else {
            let gap = if lines[last].is_empty() { "" } else { " " };
            lines[last] += &format!("{gap}{word}");
        }
    }
    lines
}
