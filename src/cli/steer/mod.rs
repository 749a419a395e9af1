//! `mappa steer`: text with and without a change of the stream, and tools for directions and sweeps.
//!
//! - `change_flags`: the direction, amount and hook points of a change
//! - `write`: the text, side by side or streamed, with the probes' predictions; `interactive` reads prompts and changes
//! - `extract`, `inspect`, `convert`: directions as files
//! - `sweep`: dose–response sweeps

mod change_flags;
mod convert;
mod extract;
mod inspect;
mod interactive;
mod sweep;
mod write;

use clap::{Args, Subcommand};
use mappa::Result;
use mappa::lab::Lab;

/// Generate with and without a change of the stream, side by side, with the probe's predictions.
///
/// Examples:
///   mappa steer --prompt "Vienna is in" --toward Tokyo --layer 0,1,2
///   mappa steer --prompt Nairobi --toward lat=35,lon=139 --layer 3
///   mappa steer --prompt "Plutarch is from the age of" --toward year=1500 --layer 3
///   mappa steer --prompt Nairobi --dose "+30 east" --layer 3 --samples 3 --temperature 0.8
///   mappa steer --prompt "Nairobi is in" --direction steering/japan.safetensors --dose 1x --layer 3
///   mappa steer --prompt "Vienna is in" --feature features/atlas/DICT:40 --dose "clamp 3x"
///   mappa steer --interactive --toward lat=35,lon=139 --layer 3
#[derive(Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Steer {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    write: write::Write,
}

#[derive(Subcommand)]
enum Command {
    Extract(extract::ExtractVectors),
    Inspect(inspect::Inspect),
    Export(convert::Export),
    Import(convert::Import),
    Sweep(Box<sweep::Sweep>),
}

impl Steer {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        match &self.command {
            None => self.write.run(lab),
            Some(Command::Extract(args)) => args.run(lab),
            Some(Command::Inspect(args)) => args.run(lab),
            Some(Command::Export(args)) => args.run(lab),
            Some(Command::Import(args)) => args.run(lab),
            Some(Command::Sweep(args)) => args.run(lab),
        }
    }
}
