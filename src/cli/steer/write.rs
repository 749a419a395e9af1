//! Generates and prints text with and without steering.

use super::super::decoding::{How, stream};
use super::super::model_flags::ModelFlags;
use super::super::observer::TerminalObserver;
use super::super::output;
use super::super::terminal::print_text;
use super::change_flags::ChangeFlags;
use super::interactive::Conversation;
use clap::Args;
use mappa::Result;
use mappa::artefact::check_target;
use mappa::lab::{Lab, ProbeFinder, ReadingTable, readings};
use mappa::model::NoHook;
use mappa::shown::shown;
use mappa::steering::NextLogits;
use mappa::tokenizer::ChatDate;
use std::path::PathBuf;

/// The flags of the prompt, the change, and the decoding.
#[derive(Args)]
pub(super) struct Write {
    #[command(flatten)]
    model: ModelFlags,
    /// The text to continue.
    #[arg(long, required_unless_present = "interactive")]
    prompt: Option<String>,
    /// Read prompts from standard input, and changes by /dose, /toward, /layer, /at, /off; /help lists the commands.
    #[arg(long)]
    interactive: bool,
    /// Write the logits after the prompt's last token, with and without steering, to this safetensors file.
    ///
    /// The file also contains the prompt's token ids.
    #[arg(long, value_name = "FILE", conflicts_with = "interactive")]
    logits: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeFlags,
    #[command(flatten)]
    how: How,
}

impl Write {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        self.logits.iter().try_for_each(|file| check_target(file))?;
        let mut model = self.model.open(lab, observer)?;
        if self.how.chat {
            model.tokenizer = model.tokenizer.with_chat(ChatDate::default())?;
        }
        let Some(prompt) = &self.prompt else {
            output::only_prints();
            return Conversation::new(lab, &model, self.change.settings(), &self.how).run();
        };
        let prompt = self.how.framed(&model, prompt)?;
        let change = self.change.settings();
        let finder = ProbeFinder::new(lab, &model, &change.probes);
        let change = change.settled(&finder, observer)?;
        let mut hook = change.steers(&finder, &prompt, observer)?;
        if let Some(file) = &self.logits {
            NextLogits::of(&model.transformer, &prompt.encoded.ids, &mut hook.clone())?.save(file)?;
            tell!("wrote the logits after the prompt to {}", file.display());
        }
        output::only_prints();
        if self.how.stream {
            return stream(&self.how, &model, &prompt, &mut hook);
        }
        let before = self.how.texts(&model, &prompt, &mut NoHook, &mut |_| ())?;
        let after = self.how.texts(&model, &prompt, &mut hook, &mut |_| ())?;
        if hook.n_changed() == 0 {
            tell!("note: no token was changed; --at {} selects no computed token", change.positions);
        }
        for (before, after) in before.iter().zip(&after) {
            print_side_by_side(&(prompt.text.clone() + before), &(prompt.text.clone() + after));
        }
        readings(&change, &finder, &prompt, observer)?.iter().for_each(print_readings);
        Ok(())
    }
}

/// Prints the predictions of one set of probes without and with the change.
fn print_readings(table: &ReadingTable) {
    let ReadingTable { dataset, folder, position, token, rows } = table;
    let (dataset, token) = (shown(dataset), shown(token));
    let title = format!("probe of {dataset} at {token:?}, token {position} of the prompt");
    say!();
    say!("{title:<52} {:>10} {:>10}", "unsteered", "steered");
    for row in rows {
        let name = format!("{} {}", row.point, shown(&row.target));
        say!("  {name:<50} {:>10.1} {:>10.1}", row.unsteered, row.steered);
    }
    say!("  ({})", folder.display());
}

/// Prints two texts in columns, each wrapped at its column's width.
fn print_side_by_side(before: &str, after: &str) {
    const WIDTH: usize = 44;
    say!("{:<WIDTH$}   steered", "unsteered");
    say!("{}   {}", "─".repeat(WIDTH), "─".repeat(WIDTH));
    let (left, right) = (wrap(before.trim(), WIDTH), wrap(after.trim(), WIDTH));
    for i in 0..left.len().max(right.len()) {
        let line = |column: &[String]| column.get(i).cloned().unwrap_or_default();
        print_text(&format!("{:<WIDTH$}   {}\n", line(&left), line(&right)));
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
