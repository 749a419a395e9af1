//! Suggested commands, ready to paste: with the user's model and lab, and with arguments quoted for a shell.

use super::folders::Lab;
use super::models::ModelSettings;
use crate::model::{BUNDLED_MODEL, Compute, DeviceChoice, Location, Model, Precision};
use std::path::Path;

/// A command of this program; `model` has the model's flags, and the lab's flag is added.
pub fn command(lab: &Lab, model: &str, verb: &str, rest: &str) -> String {
    format!("mappa {verb}{model}{}{}{rest}", of_lab(lab), if rest.is_empty() { "" } else { " " })
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
        flags += &format!(" --model {}", quoted(name));
    }
    if let Some(name) = model_name {
        flags += &format!(" --model-name {}", quoted(name));
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
        false => format!(" --lab {}", quoted(&lab.root().to_string_lossy())),
    }
}

/// Quotes an argument for a shell, if necessary.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@%+,=".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artefact::FolderName;

    #[test]
    fn quoted_arguments_reach_the_program_unchanged() {
        for word in ["plain", "two words", "it's", "$HOME", "", "a*b", "Chișinău", "~"] {
            let line = format!("printf %s {}", quoted(word));
            let out = std::process::Command::new("sh").arg("-c").arg(line).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }

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
}
