//! Reads the tokenizer of a folder without a tokenizer.json.

use super::class::Class;
use super::recipe::{Built, Refusal};
use super::special::Settings;
use super::{byte_level, sentence_piece, word_piece};
use crate::artefact;
use crate::error::{Error, Result};
use crate::tokenizer::library::try_out;
use std::collections::BTreeMap;
use std::path::Path;

/// Files that add or name tokens, next to a vocabulary.
const BESIDE: [&str; 3] = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];
/// The files of a tokenizer that a folder may have, for an error.
const KNOWN: [&str; 9] = [
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "tiktoken.model",
    "tokenizer_config.json",
];

/// A tokenizer read from older files.
pub(in crate::tokenizer) struct Opened {
    pub tokenizer: tokenizers::Tokenizer,
    /// Its special tokens by their purpose.
    pub named: BTreeMap<String, String>,
    /// SHA-256 of the files that were read, each with its name and length.
    pub sha256: String,
}

/// Reads the tokenizer of a folder without a tokenizer.json.
///
/// # Errors
/// [`Error::BadFile`] if the files of its class are missing, or have a wrong format.
pub(in crate::tokenizer) fn open(folder: &Path) -> Result<Opened> {
    let settings = Settings::read(folder)?;
    let class = Class::of(&settings).map_err(|class| {
        let found = format!("no tokenizer.json, and a tokenizer of the class {class}");
        Error::bad_file(folder, found, WAY_OUT)
    })?;
    let is_there = |set: &&&[&str]| set.iter().all(|name| folder.join(name).is_file());
    let names = *class.files().iter().find(is_there).ok_or_else(|| lacking(folder, class))?;
    let files =
        names.iter().map(|name| artefact::load_bytes(&folder.join(name))).collect::<Result<Vec<_>>>()?;
    let expected = format!("{} as {} reads it", names.join(" and "), class.name());
    let Built { tokenizer, named } = artefact::guarded(folder, &expected, || {
        let recipe = match (class, &files[..]) {
            (Class::Bert, [vocabulary]) => word_piece::recipe(&settings, vocabulary),
            (_, [vocabulary, merges]) => byte_level::recipe(class, &settings, [vocabulary, merges]),
            (_, files) => sentence_piece::recipe(class, &settings, names[0], &files[0]),
        };
        let built = recipe.and_then(|recipe| recipe.build(&settings));
        let tried = built.and_then(|built| Ok(try_out(&built.tokenizer).map(|()| built)?));
        tried.map_err(|e: Refusal| Error::bad_file(folder, e, &expected))
    })?;
    Ok(Opened { tokenizer, named, sha256: identity(folder, names)? })
}

/// The advice for a folder that cannot be read.
const WAY_OUT: &str = "tokenizer.json; with transformers, \
                       `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)` makes one from older files";

/// The error for a folder without the files of its class: the expected files and those found.
fn lacking(folder: &Path, class: Class) -> Error {
    let sets: Vec<String> = class.files().iter().map(|set| set.join(" with ")).collect();
    let there: Vec<&str> = KNOWN.into_iter().filter(|name| folder.join(name).is_file()).collect();
    let there = match &there[..] {
        [] => "and no other file of a tokenizer".into(),
        some => format!("but {}", some.join(", ")),
    };
    let (looked_for, class) = (sets.join(" or "), class.name());
    let found = format!("no tokenizer.json and no {looked_for} (for {class}), {there}");
    Error::bad_file(folder, found, WAY_OUT)
}

fn identity(folder: &Path, names: &[&str]) -> Result<String> {
    let mut bytes = Vec::new();
    for name in names.iter().chain(&BESIDE) {
        let path = folder.join(name);
        if path.is_file() {
            let file = artefact::load_bytes(&path)?;
            bytes.extend(format!("{name} {}\n", file.len()).into_bytes());
            bytes.extend(file);
        }
    }
    Ok(artefact::hash(&bytes))
}
