//! The command line: one file or folder per command, each with its own flags.
//!
//! - `run`, `extract`, `probe`, `vectors`, `neurons`, `lens`, `cause`, `steer`, `features`, `figure`, `generate`, `chat`,
//!   `train`: commands; `compare` has the subcommands of `probe`, and `strata` is one of them
//! - `datasets`, `models`: lists and checks; `importing` imports files into the lab
//! - `model_flags`, `prompt_flags`, `token_flags`, `probing_flags`, `saved_probe_flags`: flags that commands share
//! - `within`: whole numbers in a range; `usage`: errors in the flags
//! - `decoding`: the flags that choose tokens, and the display of generated texts
//! - `observer`: progress and notes on the terminal; `stopping` handles signals, `pace` estimates the time left
//! - `table`, `sweep_table`, `show_texts`: tables on standard output; `terminal`: all lines, with bars and notes on
//!   standard error; `output` writes them, also to a closed pipe or a full disk

#[macro_use]
mod terminal;
mod cause;
mod chat;
mod compare;
mod datasets;
mod decoding;
mod extract;
mod features;
mod figure;
mod generate;
mod importing;
mod lens;
mod model_flags;
mod models;
mod neurons;
mod observer;
mod output;
mod pace;
mod probe;
mod probing_flags;
mod prompt_flags;
mod run;
mod saved_probe_flags;
mod show_texts;
mod steer;
mod stopping;
mod strata;
mod sweep_table;
mod table;
mod token_flags;
mod train;
mod usage;
mod vectors;
mod within;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use mappa::Error;
use mappa::lab::Lab;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A probing lab for language models: finds how a model represents places and times, and steers it.
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
    /// The lab: the folder for all artefacts.
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
    Probe(Box<probe::ProbeCommand>),
    Vectors(vectors::Vectors),
    Generate(generate::Generate),
    Chat(chat::Chat),
    Steer(Box<steer::Steer>),
    Neurons(neurons::Neurons),
    Lens(Box<lens::LensCommand>),
    Cause(Box<cause::Cause>),
    Features(features::Features),
    Figure(figure::Figure),
    Train(train::Train),
}

/// The program's arguments.
fn parsed() -> clap::error::Result<Cli> {
    Cli::from_arg_matches(&usage::taking_negative_numbers(Cli::command()).try_get_matches()?)
}

/// Runs the command and prints any error once.
pub(crate) fn main() -> ExitCode {
    stopping::listen();
    let Cli { lab, command } = match parsed() {
        Ok(asked) => asked,
        // Help is not an error; a wrong flag is an error of the user, not of the program.
        Err(answer) => {
            output::only_prints();
            let code = u8::from(answer.use_stderr());
            if usage::is_page(&answer) {
                terminal::print_page(&answer);
            } else {
                let args: Vec<String> =
                    std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
                tell!("{}", usage::one_line::<Cli>(answer, &args));
            }
            return ExitCode::from(output::exit_code(code));
        }
    };
    let root = lab.clone();
    let outcome = Lab::open(lab).and_then(|lab| match command {
        Some(Command::Run(args)) => args.run(&lab),
        None => run::Run::default().run(&lab),
        Some(Command::Datasets(args)) => args.run(&lab),
        Some(Command::Models(args)) => args.run(&lab),
        Some(Command::Extract(args)) => args.run(&lab),
        Some(Command::Probe(args)) => args.run(&lab),
        Some(Command::Vectors(args)) => args.run(&lab),
        Some(Command::Generate(args)) => args.run(&lab),
        Some(Command::Chat(args)) => args.run(&lab),
        Some(Command::Steer(args)) => args.run(&lab),
        Some(Command::Neurons(args)) => args.run(&lab),
        Some(Command::Lens(args)) => args.run(&lab),
        Some(Command::Cause(args)) => args.run(&lab),
        Some(Command::Features(args)) => args.run(&lab),
        Some(Command::Figure(args)) => args.run(&lab),
        Some(Command::Train(args)) => args.run(&lab),
    });
    ExitCode::from(output::exit_code(match outcome {
        Ok(()) => 0,
        Err(error) => {
            terminal::print_error(&error, way_out(&error, &root));
            match error.is_stop() {
                true => stopping::exit_code(error.exit_code()),
                false => error.exit_code(),
            }
        }
    }))
}

/// The advice to choose another lab, if the error is that the lab cannot be written; otherwise empty.
fn way_out(error: &Error, lab: &Path) -> &'static str {
    const WRITING: [&str; 10] = [
        "create",
        "empty",
        "link",
        "lock",
        "make the folder",
        "remove",
        "rename into place",
        "set permissions of",
        "sync",
        "write",
    ];
    match error {
        Error::Io { action, path, source }
            if WRITING.contains(action)
                && path.starts_with(lab)
                && matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
        {
            "; --lab DIR names a folder for the results in which you may write"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mappa::lab::Experiment;
    use std::any::TypeId;

    /// Flags of actions on one store or one machine; they are not settings of an experiment.
    const ACTIONS: [&str; 8] =
        ["lab", "help", "version", "show-texts", "shard", "merge", "verify", "group-nodes"];

    /// The long flags of a command; `path` has the names of its parents and its own name.
    fn flags(path: &[&str]) -> Vec<String> {
        let mut command = Cli::command();
        for name in path {
            command = command.find_subcommand(name).unwrap().clone();
        }
        let longs = command.get_arguments().filter_map(|argument| argument.get_long());
        longs.filter(|long| !ACTIONS.contains(long)).map(String::from).collect()
    }

    /// The flags of all commands that take a number: `COMMAND … --FLAG`, in order.
    fn numeric_flags(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let numbers = [
            TypeId::of::<usize>(),
            TypeId::of::<u64>(),
            TypeId::of::<u32>(),
            TypeId::of::<i64>(),
            TypeId::of::<f64>(),
            TypeId::of::<f32>(),
        ];
        for argument in command.get_arguments() {
            let value = argument.get_value_parser().type_id();
            if let Some(long) = argument.get_long().filter(|_| numbers.iter().any(|number| value == *number))
            {
                found.push(format!("{path}--{long}"));
            }
        }
        for inner in command.get_subcommands() {
            numeric_flags(inner, &format!("{path}{} ", inner.get_name()), found);
        }
    }

    #[test]
    fn each_numeric_flag_is_tried_with_numbers_out_of_range() {
        let mut found = Vec::new();
        numeric_flags(&Cli::command(), "", &mut found);
        // tests/it/limits.rs passes absurd values to each of these.
        let listed: Vec<&str> = include_str!("../../tests/fixtures/numeric_flags.txt").lines().collect();
        assert_eq!(found, listed, "list the flags in tests/fixtures/numeric_flags.txt");
    }

    /// Returns true if the text of an experiment has no unknown key, even if it has other errors.
    fn is_known(text: &str) -> bool {
        match Experiment::parse(Path::new("x.toml"), text) {
            Ok(_) => true,
            Err(error) => !error.to_string().contains("unknown field"),
        }
    }

    #[test]
    fn each_flag_has_its_key_in_an_experiment() {
        let mut n_flags = 0;
        for path in [&["run"][..], &["extract"], &["probe"], &["steer", "sweep"]] {
            for flag in flags(path) {
                let key = flag.replace('-', "_");
                let of_experiment = format!("{key} = {{ x = 1 }}\n");
                let of_sweep = format!("[[sweep]]\n{key} = {{ x = 1 }}\n");
                let is_sweep = path == ["steer", "sweep"] && is_known(&of_sweep);
                assert!(is_sweep || is_known(&of_experiment), "`{flag}` of {path:?} has no key");
                n_flags += 1;
            }
        }
        assert!(n_flags > 60, "only {n_flags} flags were found");
        assert!(!is_known("sead = 1") && !is_known("[[sweep]]\nsead = 1"));
    }
}
