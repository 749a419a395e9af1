//! The command line: one file a subcommand, each with its own flags.

mod terminal;
mod train;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// A probing lab for language models: finds where a model keeps where and when, and writes it back.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = false)]
struct Cli {
    /// The lab: the folder under which all artefacts lie.
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    lab: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Train),
}

/// Runs the command and prints any error once.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Command::Train(args)) => args.run(&cli.lab),
        None => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
