//! Commands that work when they are pasted: model and lab as they were given, words quoted for a shell.

use mappa::model::{BUNDLED_MODEL, Compute, DeviceChoice, Location, Model, Precision};
use std::path::Path;

/// A command of this program for a model and the lab, as the user named them.
pub fn command(lab: &Path, model: &str, (verb, rest): (&str, &str)) -> String {
    format!("mappa {verb}{model}{}{}{rest}", of_lab(lab), if rest.is_empty() { "" } else { " " })
}

/// The flags by which a model is found again, and computes as it does.
pub fn of_model(model: &Model) -> String {
    let name = Some(&model.name).filter(|name| **name != model.location.name());
    let is_gguf = matches!(model.location, Location::Gguf(_));
    let usual = if is_gguf { Precision::AsStored } else { Precision::F32 };
    let dtype = Some(model.precision).filter(|precision| *precision != usual);
    flags((&model.given, name), (dtype, model.device, model.compute))
}

/// The flag of a model by its name or folder.
pub fn of_name(name: &str) -> String {
    flags((name, None), (None, DeviceChoice::default(), Compute::default()))
}

/// The flags of a model by what it is given as and called, and of its numbers; none for what is usual.
pub fn flags(
    (given, called): (&str, Option<&String>),
    (dtype, device, compute): (Option<Precision>, DeviceChoice, Compute),
) -> String {
    let mut flags = String::new();
    if given != BUNDLED_MODEL {
        flags += &format!(" --model {}", quoted(given));
    }
    if let Some(name) = called {
        flags += &format!(" --model-name {}", quoted(name));
    }
    if let Some(dtype) = dtype {
        flags += &format!(" --dtype {dtype}");
    }
    if device != DeviceChoice::default() {
        flags += &format!(" --device {device}");
    }
    if compute != Compute::default() {
        flags += &format!(" --compute {compute}");
    }
    flags
}

/// The flag that names a lab, unless it is the current folder.
pub fn of_lab(lab: &Path) -> String {
    if lab == Path::new(".") { String::new() } else { format!(" --lab {}", quoted(&lab.to_string_lossy())) }
}

/// A word as a shell takes it for one.
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

    #[test]
    fn words_reach_the_program_as_they_are() {
        for word in ["plain", "two words", "it's", "$HOME", "", "a*b", "Chișinău", "~"] {
            let line = format!("printf %s {}", quoted(word));
            let out = std::process::Command::new("sh").arg("-c").arg(line).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }

    #[test]
    fn the_usual_model_and_lab_need_no_flags() {
        let (here, usual) = (Path::new("."), (None, DeviceChoice::default(), Compute::default()));
        let bundled = flags((BUNDLED_MODEL, None), usual);
        assert_eq!(command(here, &bundled, ("steer", "--prompt Rome")), "mappa steer --prompt Rome");
        let other = flags(("dir/m.gguf", Some(&"m two".into())), (Some(Precision::F16), usual.1, usual.2));
        let elsewhere = command(Path::new("my lab"), &other, ("probe", ""));
        let expected = "mappa probe --model dir/m.gguf --model-name 'm two' --dtype f16 --lab 'my lab'";
        assert_eq!(elsewhere, expected);
    }
}
