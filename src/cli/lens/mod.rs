//! `mappa lens`: the next token that a model would predict from an earlier layer.
//!
//! - `words`: the table of a text, layer by token
//! - `fit`: fits a ridge lens to texts and scores it beside the logit lens

mod fit;
mod words;

use clap::{Args, Subcommand};
use mappa::Result;
use mappa::lab::Lab;

/// Show the next token that a model would predict at each layer and token of a text, read by a lens.
///
/// The logit lens passes the stream of a layer through the model's final norm and unembedding, as if no layer followed.
/// A ridge lens (`mappa lens fit`) first maps the stream of the layer to that of the last layer, by a linear map.
///
/// Examples:
///   mappa lens --prompt "Oslo north of Rome"
///   mappa lens --prompt "Oslo north of Rome" --top 3 --layers embed,2,5 --csv words.csv
///   mappa lens fit
///   mappa lens --prompt "Oslo north of Rome" --ridge
#[derive(Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct LensCommand {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    words: words::Words,
}

#[derive(Subcommand)]
enum Command {
    Fit(Box<fit::FitLens>),
}

impl LensCommand {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        match &self.command {
            None => self.words.run(lab),
            Some(Command::Fit(args)) => args.run(lab),
        }
    }
}
