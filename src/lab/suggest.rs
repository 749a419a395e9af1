//! Suggested commands, ready to paste: with the user's model and lab, and with arguments quoted for a shell.

use super::folders::Lab;
use super::models::ModelSettings;
use crate::model::{BUNDLED_MODEL, Compute, DeviceChoice, Location, Model, Precision};
pub use crate::shown::{shell_flag as flag, shell_path as path, shell_word as quoted};
use crate::shown::{shown_up_to, without_secrets};
use std::path::Path;

/// The greatest number of characters of a suggested command, so that no message cuts it.
const LONGEST: usize = 2000;
/// The greatest number of characters of a command in an error, whose advice is cut sooner.
const LONGEST_IN_ERROR: usize = 400;

/// A command of this program; `flags` are the model's, each after a space, and the lab's is added; `rest` has the
/// others.
///
/// A command that cannot be displayed as it is, because it is too long or has something like a password, is replaced by
/// the one that explains its flags.
pub fn command(lab: &Lab, flags: &str, verb: &str, rest: &str) -> String {
    up_to(LONGEST, lab, [flags, verb, rest])
}

/// As [`command`], for an error's advice.
pub fn command_in_error(lab: &Lab, flags: &str, verb: &str, rest: &str) -> String {
    up_to(LONGEST_IN_ERROR, lab, [flags, verb, rest])
}

fn up_to(longest: usize, lab: &Lab, [flags, verb, rest]: [&str; 3]) -> String {
    let rest = rest.trim_start();
    let command =
        format!("mappa {verb}{flags}{}{}{rest}", of_lab(lab), if rest.is_empty() { "" } else { " " });
    // An error shows parts of its text once more, so that a command must not change in any surroundings.
    let is_safe = |text: &str| without_secrets(text) == text && shown_up_to(longest, text) == text;
    match is_safe(&command) && is_safe(&format!("(`{command}`)")) {
        true => command,
        false => format!(
            "mappa {} --help",
            verb.split(' ').take_while(|word| is_verb(word)).collect::<Vec<_>>().join(" ")
        ),
    }
}

/// True for a word that is part of the name of a command.
fn is_verb(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase()) && !word.is_empty()
}

/// The flags that open the same model with the same settings.
pub fn of_model(model: &Model) -> String {
    let model_name = Some(&model.name).filter(|name| **name != model.location.name()).cloned();
    let is_gguf = matches!(model.location, Location::Gguf(_));
    let usual = if is_gguf { Precision::AsStored } else { Precision::F32 };
    let dtype = Some(model.precision).filter(|precision| *precision != usual);
    let (name, device, compute) = (model.given.clone(), model.device, model.compute);
    flags(&ModelSettings { name, model_name, dtype, device, compute })
}

/// The flag for a model with this name or folder.
pub fn of_name(name: &str) -> String {
    flags(&ModelSettings::named(name))
}

/// The flags of a model's settings; empty for the defaults.
pub fn flags(settings: &ModelSettings) -> String {
    let ModelSettings { name, model_name, dtype, device, compute } = settings;
    let mut flags = String::new();
    if name != BUNDLED_MODEL {
        flags += &flag("model", name);
    }
    if let Some(name) = model_name {
        flags += &flag("model-name", name);
    }
    if let Some(dtype) = dtype {
        flags += &format!(" --dtype {dtype}");
    }
    if *device != DeviceChoice::default() {
        flags += &format!(" --device {device}");
    }
    if *compute != Compute::default() {
        flags += &format!(" --compute {compute}");
    }
    flags
}

/// The flag that names a lab, unless it is the current folder.
pub fn of_lab(lab: &Lab) -> String {
    match lab.root() == Path::new(".") {
        true => String::new(),
        // In place of its name, `./-x` also works in commands whose flags are followed by a path.
        false => format!(" --lab {}", path(lab.root())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artefact::FolderName;

    #[test]
    fn the_default_model_and_lab_need_no_flags() {
        let (here, elsewhere) = (Lab::open(".").unwrap(), Lab::open("my lab").unwrap());
        let bundled = of_name(BUNDLED_MODEL);
        assert_eq!(command(&here, &bundled, "steer", "--prompt Rome"), "mappa steer --prompt Rome");
        let other = ModelSettings {
            model_name: Some(FolderName::of_text("m two")),
            dtype: Some(Precision::F16),
            ..ModelSettings::named("dir/m.gguf")
        };
        let elsewhere = command(&elsewhere, &flags(&other), "probe", "");
        let expected = "mappa probe --model dir/m.gguf --model-name 'm two' --dtype f16 --lab 'my lab'";
        assert_eq!(elsewhere, expected);
    }

    #[test]
    fn a_command_that_would_be_cut_or_masked_is_not_suggested() {
        let lab = Lab::open("-x").unwrap();
        assert_eq!(command(&lab, "", "probe", ""), "mappa probe --lab ./-x");
        for rest in [flag("dataset", &"a".repeat(3000)), flag("dataset", "KEY:SECRET@host/x")] {
            assert_eq!(command(&lab, "", "steer sweep", &rest), "mappa steer sweep --help");
        }
        let long = flag("dataset", &"a".repeat(500));
        assert!(command(&lab, "", "probe", &long).ends_with("aaa"));
        assert_eq!(command_in_error(&lab, "", "probe", &long), "mappa probe --help");
        let inspect = format!("steer inspect {}", quoted("KEY:SECRET@host"));
        assert_eq!(command(&lab, "", &inspect, ""), "mappa steer inspect --help");
    }
}
