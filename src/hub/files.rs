//! Which of a repo's files make a model.

use crate::artefact;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What every model needs besides weights.
pub(super) const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];

/// What is fetched where it exists.
pub(super) const OPTIONAL: [&str; 3] =
    ["tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"];

/// The weights that can be read, best first; an index names its shards.
pub(super) const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// The first of the weights that is there.
pub(super) fn weights(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    WEIGHTS.into_iter().find(|name| has(name))
}

/// Whether a weights file only names its shards.
pub(super) fn is_index(name: &str) -> bool {
    name.ends_with(".index.json")
}

/// The shards that an index names.
///
/// # Errors
/// [`Error::BadFile`] if it is no index, or a name in it would leave its folder.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let expected = "a `weight_map` from each tensor to a file beside it";
    let parsed: Index = serde_json::from_str(&artefact::load_text(index)?)
        .map_err(|e| Error::bad_file(index, e, expected))?;
    let names: BTreeSet<String> = parsed.weight_map.into_values().collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match names.iter().find(|name| name.is_empty() || name.starts_with('.') || !name.chars().all(plain)) {
        Some(bad) => Err(Error::bad_file(index, format!("the shard `{bad}`"), expected)),
        None if names.is_empty() => Err(Error::bad_file(index, "an empty `weight_map`", expected)),
        None => Ok(names),
    }
}

/// What a folder lacks to be a whole model; nothing if it is one.
pub(super) fn missing(folder: &Path) -> Vec<String> {
    let has = |name: &str| folder.join(name).is_file();
    let mut missing: Vec<String> =
        REQUIRED.iter().filter(|name| !has(name)).map(|name| name.to_string()).collect();
    match weights(has) {
        None => missing.push(WEIGHTS.join(" or ")),
        Some(index) if is_index(index) => match shards(&folder.join(index)) {
            Ok(names) => missing.extend(names.into_iter().filter(|name| !has(name))),
            Err(_) => missing.push(format!("readable {index}")),
        },
        Some(_) => {}
    }
    missing
}
