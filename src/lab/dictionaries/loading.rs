//! Loads a dictionary and checks it against the model.

use crate::artefact::Card;
use crate::error::{Error, Result};
use crate::features::{DICTIONARY_FILES, Dictionary};
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::Observer;
use std::path::Path;

/// Loads a dictionary and checks that it fits the model; `given` is its hook point if its file does not name one.
///
/// # Errors
/// [`Error::BadFile`] if its width or hook point does not fit the model.
pub fn load_dictionary(
    path: &Path,
    given: Option<HookPoint>,
    model: &Model,
    observer: &mut dyn Observer,
) -> Result<Dictionary> {
    // A folder of another program has no card, or one that is not ours.
    if let Ok(Some(card)) = Card::load(&path.join("card.json")) {
        DICTIONARY_FILES.iter().try_for_each(|name| card.check_file(&path.join(name)))?;
    }
    let dictionary = Dictionary::load(path, given)?;
    let (point, d_in) = (dictionary.hook_point, dictionary.d_in());
    let width = model.spec().width_at(point);
    if width != Some(d_in) {
        let there = width.map_or("has no such hook point".into(), |width| format!("is {width} wide there"));
        let found = format!("a dictionary of {d_in} values at {point}");
        return Err(Error::bad_file(path, found, format!("one for `{}`, which {there}", model.name)));
    }
    let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_string();
    if let Some(name) = dictionary.model.as_ref().filter(|name| short(name) != short(&model.name)) {
        observer.note(&format!("{} was made for `{name}`; it is used on `{}`", path.display(), model.name));
    }
    match (dictionary.made_with_bos, model.tokenizer.has_special_prefix()) {
        (Some(true), false) => observer.note(&format!(
            "{} was trained on texts with BOS, but `{}` adds none; add it with --bos always",
            path.display(),
            model.name
        )),
        (Some(false), true) => observer.note(&format!(
            "{} was trained on texts without BOS, but `{}` adds it; omit it with --bos never",
            path.display(),
            model.name
        )),
        _ => {}
    }
    Ok(dictionary)
}
