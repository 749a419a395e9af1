//! `mappa lens`: the most probable next tokens at each layer and token of a text.

use super::super::model_flags::ModelFlags;
use super::super::observer::TerminalObserver;
use super::super::output;
use super::super::table::print_columns;
use super::super::terminal;
use super::super::within::within;
use clap::Args;
use mappa::Result;
use mappa::error::Error;
use mappa::hook_point::HookPoint;
use mappa::lab::{Lab, load_lens};
use mappa::lenses::{Lens, LensCell, lens_words};
use mappa::limits::Limit;
use mappa::model::{Model, Spec};
use mappa::results::{LensTokenRow, save_rows};
use mappa::tokenizer::{Bos, ChatDate};
use std::path::PathBuf;

/// Number of next tokens in a cell.
const TOP: Limit = Limit::new(1, 1000);
/// Number of tokens of the text in the table.
const LAST: Limit = Limit::new(1, u32::MAX as u64);

/// The flags of `mappa lens` without a subcommand.
#[derive(Args)]
pub(super) struct Words {
    #[command(flatten)]
    model: ModelFlags,
    /// The text.
    #[arg(long, required = true)]
    prompt: Option<String>,
    /// Number of next tokens shown in each cell, each with its probability.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = within(TOP))]
    top: usize,
    /// The layers, separated by commas: embed, block indices, and ranges such as 0-5 [default: all].
    #[arg(long, value_name = "LAYERS")]
    layers: Option<String>,
    /// Show only the last N tokens of the text.
    #[arg(long, value_name = "N", value_parser = within(LAST))]
    last: Option<usize>,
    /// Read with the ridge lens that `mappa lens fit` saved; the same as --lens ridge.
    #[arg(long, conflicts_with = "lens")]
    ridge: bool,
    /// Read with a lens: its name in lenses/MODEL, or a folder of the library tuned-lens [default: the logit lens].
    #[arg(long, value_name = "NAME|FOLDER")]
    lens: Option<String>,
    /// A BOS token such as <s> at the beginning of the text: as-model, always or never.
    #[arg(long, default_value_t, value_name = "WHEN")]
    bos: Bos,
    /// Put the text in the user's turn of the model's chat template.
    #[arg(long)]
    chat: bool,
    /// Also write a CSV file, one row per layer, token and rank.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl Words {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        if self.csv.is_none() {
            output::only_prints();
        }
        let observer = &mut TerminalObserver::default();
        let mut model = self.model.open(lab, observer)?;
        Lens::check_model(&model.name, &model.transformer)?;
        let points = points(self.layers.as_deref(), model.spec())?;
        let named = if self.ridge { Some("ridge") } else { self.lens.as_deref() };
        let lens = match named {
            Some(given) => load_lens(lab, &model, given, observer)?,
            None => Lens::logit(),
        };
        model.tokenizer = model.tokenizer.with_bos(self.bos)?;
        if self.chat {
            model.tokenizer = model.tokenizer.with_chat(ChatDate::default())?;
        }
        let prompt = self.prompt.clone().unwrap_or_default();
        if let Some(note) = model.tokenizer.doubled_bos(&prompt) {
            terminal::note(&note);
        }
        let ids = model.tokenizer.encode_prompt(&prompt, 0..prompt.len())?.encoded.ids;
        if ids.is_empty() {
            return Err(Error::invalid("--prompt", "no tokens", "a text of at least one token"));
        }
        let cells = lens_words(&model.transformer, &lens, &ids, &points, self.top)?;
        let first = ids.len() - self.last.unwrap_or(ids.len()).min(ids.len());
        let table = Table { model: &model, lens: &lens, ids: &ids, first, top: self.top };
        table.print(&points, &cells);
        if let Some(path) = &self.csv {
            save_rows(path, &table.rows(&cells))?;
            say!("rows: {}", path.display());
        }
        Ok(())
    }
}

/// The hook points of layers as the flag names them.
fn points(layers: Option<&str>, spec: &Spec) -> Result<Vec<HookPoint>> {
    let all = Lens::points(spec);
    let Some(layers) = layers else { return Ok(all) };
    let wrong = || {
        let expected = format!(
            "embed, blocks from 0 to {}, or ranges such as 0-5, separated by commas",
            spec.n_layers - 1
        );
        Error::invalid("--layers", layers, expected)
    };
    let depth = |word: &str| match word.trim() {
        "embed" => Ok(0),
        word => match word.parse::<usize>() {
            Ok(block) if block < spec.n_layers => Ok(block + 1),
            _ => Err(wrong()),
        },
    };
    let mut chosen = vec![false; all.len()];
    for part in layers.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (depth(from)?, depth(to)?);
        if from > to {
            return Err(wrong());
        }
        chosen[from..=to].fill(true);
    }
    Ok(all.into_iter().zip(chosen).filter(|(_, is_chosen)| *is_chosen).map(|(point, _)| point).collect())
}

/// A text as a lens reads it.
struct Table<'a> {
    model: &'a Model,
    lens: &'a Lens,
    ids: &'a [u32],
    /// The index of the first token that is shown.
    first: usize,
    top: usize,
}

impl Table<'_> {
    /// Prints a line per layer and rank, and a column per token.
    fn print(&self, points: &[HookPoint], cells: &[LensCell]) {
        let heads: Vec<String> = std::iter::once("layer".to_string())
            .chain(self.ids[self.first..].iter().map(|id| self.word(*id)))
            .collect();
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        let mut lines = Vec::new();
        for point in points {
            let of_point: Vec<&LensCell> =
                cells.iter().filter(|cell| cell.point == *point && cell.position >= self.first).collect();
            for rank in 0..self.top.min(of_point.iter().map(|cell| cell.top.len()).max().unwrap_or(0)) {
                let label = if rank == 0 { point.label() } else { String::new() };
                let cell = |cell: &&LensCell| {
                    let (id, probability) = cell.top[rank];
                    format!("{} {:.2}", self.word(id), probability)
                };
                lines.push(std::iter::once(label).chain(of_point.iter().map(cell)).collect());
            }
        }
        print_columns(&heads, &lines);
        say!();
        let what = match self.lens.translators.is_empty() {
            true => "the logit lens".to_string(),
            false => format!("the lens `{}`", self.lens.name),
        };
        say!(
            "Each column is a token of the text; below it, the most probable next token at each layer as {what} reads it, with \
             its probability. The last layer is the model itself."
        );
    }

    fn rows(&self, cells: &[LensCell]) -> Vec<LensTokenRow> {
        let of_cell = |cell: &LensCell| {
            let row = |(rank, (id, probability)): (usize, &(u32, f64))| LensTokenRow {
                model: self.model.name.to_string(),
                lens: self.lens.name.clone(),
                hook_point: cell.point.to_string(),
                layer: cell.point.label(),
                position: cell.position,
                token: self.model.tokenizer.token(self.ids[cell.position]),
                rank: rank + 1,
                read: self.model.tokenizer.token(*id),
                probability: *probability,
            };
            cell.top.iter().enumerate().map(row).collect::<Vec<_>>()
        };
        cells.iter().filter(|cell| cell.position >= self.first).flat_map(of_cell).collect()
    }

    /// A token for a table: its text, or its spelling in the vocabulary if it has no visible text of its own.
    fn word(&self, id: u32) -> String {
        let text = self.model.tokenizer.spell(&[id]).unwrap_or_default();
        match text.trim() {
            "" => format!("{text:?}"),
            word if word.contains('\u{fffd}') => self.model.tokenizer.token(id),
            word => word.to_string(),
        }
    }
}
