//! The command line: one file a subcommand, each with its own flags.
//!
//! - `run`: the whole line; `experiment` reads what it shall do
//! - `datasets`, `models`: what there is, and checks; `importing` brings files into the lab
//! - `extract`, `probe`, `steer`, `figure`: one stage each
//! - `features`: sparse dictionaries: their units, and what pressing one does
//! - `train`: the bundled model, made again
//! - `chosen`: the flags that name a model; `texts`: those that decide what it reads
//! - `dataset`: a dataset by name, with its notes; `drawing`: figures as files
//! - `recording`: the flags that say what is recorded, and the extraction
//! - `show`: texts and their tokens, to look at before a run
//! - `stopping`: Ctrl-C
//! - `stages`: what `run` and the single commands share; `fitting` is the probes' part of it, `blank` that of
//!   models that know nothing
//! - `sweeping`: a sweep in its folder, as `run` and `steer sweep` share it
//! - `settings`: the flags that say how probes are fitted and scored
//! - `hub`: downloads; `observer`: bars, lines and notes of long work
//! - `notes`: what a user may not have meant, said once
//! - `table`, `terminal`: what is printed

mod blank;
mod chat;
mod chosen;
mod dataset;
mod datasets;
mod drawing;
mod experiment;
mod extract;
mod features;
mod figure;
mod fitting;
mod found;
mod generate;
mod hub;
mod importing;
mod models;
mod neurons;
mod notes;
mod observer;
mod pace;
mod probe;
mod probed;
mod recording;
mod run;
mod settings;
mod show;
mod stages;
mod steer;
mod stopping;
mod suggest;
mod sweeping;
mod table;
mod terminal;
mod texts;
mod train;
mod writing;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// A probing lab for language models: finds where a model keeps where and when, and writes it back.
///
/// Without a command, runs the bundled experiment: bundled model, six bundled datasets, no network.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = r#"Examples:
  mappa                                                   the bundled experiment, start to end
  mappa extract --model path/to/pythia-160m --dataset world_place
  mappa extract --dataset art --prompt release --show-texts 3
  mappa probe --model path/to/pythia-160m --dataset world_place
  mappa steer --prompt "Vienna is in" --toward Tokyo --layer 0,1,2
  mappa generate --prompt "Vienna is in""#
)]
struct Cli {
    /// The lab: the folder under which all artefacts lie.
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    lab: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Datasets(datasets::Datasets),
    Models(models::Models),
    Extract(extract::Extract),
    Probe(Box<probe::Probe>),
    Generate(generate::Generate),
    Chat(chat::Chat),
    Steer(Box<steer::Steer>),
    Neurons(neurons::Neurons),
    Features(features::Features),
    Figure(figure::Figure),
    Train(train::Train),
}

/// Runs the command and prints any error once.
pub fn main() -> ExitCode {
    terminal::end_well_without_output();
    let Cli { lab, command } = match Cli::try_parse() {
        Ok(asked) => asked,
        // Help is no error; a flag that is wrong is one that the user can mend.
        Err(answer) => {
            _ = answer.print();
            return ExitCode::from(u8::from(answer.use_stderr()));
        }
    };
    let outcome = match command {
        Some(Command::Run(args)) => args.run(&lab),
        None => run::Run::default().run(&lab),
        Some(Command::Datasets(args)) => args.run(&lab),
        Some(Command::Models(args)) => args.run(&lab),
        Some(Command::Extract(args)) => args.run(&lab),
        Some(Command::Probe(args)) => args.run(&lab),
        Some(Command::Generate(args)) => args.run(&lab),
        Some(Command::Chat(args)) => args.run(&lab),
        Some(Command::Steer(args)) => args.run(&lab),
        Some(Command::Neurons(args)) => args.run(&lab),
        Some(Command::Features(args)) => args.run(&lab),
        Some(Command::Figure(args)) => args.run(&lab),
        Some(Command::Train(args)) => args.run(&lab),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
