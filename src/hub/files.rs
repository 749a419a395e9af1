//! The files of a repo that make up a model.

use crate::artefact;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The config file, which every model needs.
pub(super) const CONFIG: &str = "config.json";

/// The tokenizer of newer repos.
pub(super) const TOKENIZER: &str = "tokenizer.json";

/// The vocabularies of repos without a tokenizer.json; each is a set of files.
const VOCABULARIES: [&[&str]; 5] = [
    &["tokenizer.model"],
    &["vocab.json", "merges.txt"],
    &["vocab.txt"],
    &["spiece.model"],
    &["sentencepiece.bpe.model"],
];

/// Files that are downloaded if they exist.
pub(super) const OPTIONAL: [&str; 5] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
];

/// The readable weights files, in order of preference; an index names its shards.
pub(super) const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// The files of the tokenizer: tokenizer.json, else every complete vocabulary, since the class in the config decides
/// which one is read.
pub(super) fn tokenizer(has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    if has(TOKENIZER) {
        return vec![TOKENIZER];
    }
    let whole = VOCABULARIES.iter().filter(|files| files.iter().all(|name| has(name)));
    whole.flat_map(|files| files.iter().copied()).collect()
}

/// The possible tokenizer files, for an error.
pub(super) fn tokenizers() -> String {
    let older: Vec<String> = VOCABULARIES.iter().map(|files| files.join(" with ")).collect();
    format!("{TOKENIZER} or {}", older.join(" or "))
}

/// The preferred weights file among those of a repo.
pub(super) fn weights(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    WEIGHTS.into_iter().find(|name| has(name))
}

/// True for a file of weights, which may be large.
pub(super) fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".bin")
}

/// True for a weights file that only names its shards.
pub(super) fn is_index(name: &str) -> bool {
    name.ends_with(".index.json")
}

/// The shards in an index.
///
/// # Errors
/// [`Error::BadFile`] if the file is not an index, or a name in it leads to another folder.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let expected = "a `weight_map` from each tensor to a file in the same folder";
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

/// The files that are missing for a complete model in a folder.
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
