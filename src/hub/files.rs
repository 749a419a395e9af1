//! Which of a repo's files make a model.

use crate::artefact;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The file that every model needs besides weights and a tokenizer.
pub(super) const CONFIG: &str = "config.json";

/// The tokenizer of newer repos.
pub(super) const TOKENIZER: &str = "tokenizer.json";

/// The vocabularies of repos without a tokenizer.json; the files of one belong together.
const VOCABULARIES: [&[&str]; 5] = [
    &["tokenizer.model"],
    &["vocab.json", "merges.txt"],
    &["vocab.txt"],
    &["spiece.model"],
    &["sentencepiece.bpe.model"],
];

/// What is fetched where it exists.
pub(super) const OPTIONAL: [&str; 4] =
    ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"];

/// The weights that can be read, best first; an index names its shards.
pub(super) const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// The files of the tokenizer: tokenizer.json, else every vocabulary that is there, as the class that a
/// config names decides which of them is read; none if there is none.
pub(super) fn tokenizer(has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    if has(TOKENIZER) {
        return vec![TOKENIZER];
    }
    let whole = VOCABULARIES.iter().filter(|files| files.iter().all(|name| has(name)));
    whole.flat_map(|files| files.iter().copied()).collect()
}

/// The tokenizers that a repo may have, for an error.
pub(super) fn tokenizers() -> String {
    let older: Vec<String> = VOCABULARIES.iter().map(|files| files.join(" with ")).collect();
    format!("{TOKENIZER} or {}", older.join(" or "))
}

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
    let mut missing = Vec::new();
    if !has(CONFIG) {
        missing.push(CONFIG.to_string());
    }
    if tokenizer(has).is_empty() {
        missing.push(TOKENIZER.to_string());
    }
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
