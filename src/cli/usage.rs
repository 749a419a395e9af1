//! Errors in the flags, in one line.

use clap::error::{ContextValue, ErrorKind};
use clap::{Command, CommandFactory};
use mappa::shown::shown;

/// True for an answer that is a page of help or the version, not an error.
pub(super) fn is_page(answer: &clap::Error) -> bool {
    matches!(
        answer.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

/// An error in the flags as one line, with clap's advice and the help to read; `args` are the program's arguments.
pub(super) fn one_line<C: CommandFactory>(mut answer: clap::Error, args: &[String]) -> String {
    // Line ends in pasted flags would look like the parts of clap's message.
    let foreign: Vec<_> = answer.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in foreign {
        match value {
            ContextValue::String(text) => _ = answer.insert(kind, ContextValue::String(shown(&text).into())),
            ContextValue::Strings(texts) => {
                let texts = texts.iter().map(|text| shown(text).into()).collect();
                _ = answer.insert(kind, ContextValue::Strings(texts));
            }
            _ => {}
        }
    }
    let text = answer.render().to_string();
    // The last two parts are the usage and the advice to try `--help`.
    let said = text.split("\n\nUsage: ").next().unwrap_or_default();
    let said = said.split("\n\nFor more information").next().unwrap_or_default();
    let parts: Vec<String> =
        said.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let mut line = parts.join("; ").trim_end_matches('.').to_string();
    // Rust's standard messages for a text such as `-1` or `x` in place of a number.
    for (words, plain) in [
        ("invalid digit found in string", "expected a whole number, 0 or greater"),
        ("cannot parse integer from empty string", "expected a whole number"),
        ("number too large to fit in target type", "the number is too large"),
        ("invalid float literal", "expected a number"),
    ] {
        if let Some(begin) = line.strip_suffix(words) {
            line = format!("{begin}{plain}");
        }
    }
    format!("{line}; see `{} --help`", named::<C>(args))
}

/// Lets the flags of a command and of its subcommands take negative numbers, so that an error about `--tokens -1` says
/// which numbers are allowed, not that there is no flag `-1`.
pub(super) fn taking_negative_numbers(command: Command) -> Command {
    let command = command.mut_args(|arg| match arg.get_long().is_some() && arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    });
    command.mut_subcommands(taking_negative_numbers)
}

/// The program's name with the subcommands in its arguments, such as `mappa steer sweep`.
fn named<C: CommandFactory>(args: &[String]) -> String {
    let mut command = C::command();
    let mut named = command.get_name().to_string();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--lab" {
            // Its value may be the name of a command.
            _ = args.next();
        } else if let Some(inner) = command.find_subcommand(arg).cloned() {
            named += &format!(" {}", inner.get_name());
            command = inner;
        } else if !arg.starts_with('-') {
            break;
        }
    }
    named
}
