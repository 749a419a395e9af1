//! Folders of results that lie where another one belongs, for example because two folders were exchanged.

use crate::activations::ActivationStore;
use crate::artefact::Card;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The folders of a lab whose paths continue with a model's name; those of `probes` and `causal` continue with a dataset's.
const KINDS: [(&str, &[&str]); 3] =
    [("probes", &["model", "dataset"]), ("causal", &["model", "dataset"]), ("steering", &["model"])];

/// Refuses a folder of results whose card names another model or dataset than its path.
///
/// A folder outside a lab, or without a card, is accepted.
///
/// # Errors
/// [`Error::BadFile`] with both names.
pub(super) fn check_place(folder: &Path) -> Result<()> {
    let names: Vec<String> = folder.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    // The results' own folder is the last part.
    let place = |(kind, fields): &(&str, &'static [&str])| {
        let at = names.len().checked_sub(fields.len() + 2)?;
        (names[at] == *kind).then(|| fields.iter().zip(&names[at + 1..]))
    };
    let Some(fields) = KINDS.iter().find_map(place) else { return Ok(()) };
    let Some(card) = Card::load(&folder.join("card.json"))? else { return Ok(()) };
    for (field, name) in fields {
        if let Some(found) = card.inputs.get(*field).filter(|found| *found != name) {
            let expected = format!(
                "those of `{name}`, after which this folder is named; two folders may have been exchanged: move each to \
                 its place"
            );
            return Err(Error::bad_file(folder, format!("results of the {field} `{found}`"), expected));
        }
    }
    Ok(())
}

/// Refuses activations from which the probes of a folder were not fitted.
///
/// # Errors
/// [`Error::CardMismatch`] naming the input that differs.
pub(super) fn check_fitted_to(folder: &Path, store: &ActivationStore) -> Result<()> {
    let path: PathBuf = folder.join("card.json");
    let (Some(probes), Some(card)) = (Card::load(&path)?, store.card()?) else { return Ok(()) };
    // The probes' card has the inputs of the activations, and others.
    let inputs = |card: Card, others: &Card| {
        let common = card.inputs.into_iter().filter(|(name, _)| others.inputs.contains_key(name));
        Card { inputs: common.collect(), ..Card::default() }
    };
    let (found, expected) = (inputs(card.clone(), &probes), inputs(probes, &card));
    expected.agrees_with(&found, &store.place().join("card.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_the_card_of_another_is_refused_with_both_names() {
        let lab = tempfile::tempdir().unwrap();
        let folder = lab.path().join("probes/m/towns/empty");
        assert!(check_place(&folder).is_ok(), "a folder without a card");
        let card = Card::new().input("model", "m").input("dataset", "towns");
        card.save(&folder.join("card.json")).unwrap();
        assert!(check_place(&folder).is_ok());
        for other in ["probes/m/rivers/empty", "probes/n/towns/empty", "steering/n/sweep"] {
            let other = lab.path().join(other);
            card.save(&other.join("card.json")).unwrap();
            let error = check_place(&other).unwrap_err().to_string();
            let [found, expected] =
                if other.ends_with("rivers/empty") { ["towns", "rivers"] } else { ["`m`", "`n`"] };
            assert!(error.contains(found) && error.contains(expected), "{error}");
        }
        let outside = lab.path().join("elsewhere/x/y/z");
        card.save(&outside.join("card.json")).unwrap();
        assert!(check_place(&outside).is_ok());
    }
}
