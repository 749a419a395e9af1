//! Byte-level BPE: vocab.json and merges.txt.

use super::class::Class;
use super::recipe::{PostProcessor, Recipe, Refusal, default_tokens, part};
use super::special::Settings;
use crate::artefact;
use serde_json::{Value, json};
use std::path::Path;
use tokenizers::models::bpe::{BPE, Vocab};

/// Qwen2's split into words, as in the code of transformers.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The recipe of a class, from the bytes of its two files.
///
/// # Errors
/// A sentence with the file and the error.
pub(super) fn recipe(class: Class, settings: &Settings, files: [&[u8]; 2]) -> Result<Recipe, Refusal> {
    let vocabulary = vocabulary(files[0])?;
    let merges = artefact::text_of(Path::new("merges.txt"), files[1]).map_err(|e| e.to_string())?;
    let merges = merges.lines().filter(|line| !line.starts_with("#version")).enumerate();
    let pair = |(at, line): (usize, &str)| match line.split(' ').collect::<Vec<_>>()[..] {
        [left, right] => Ok((left.to_string(), right.to_string())),
        _ => Err(format!("merges.txt: merge {} is `{line}`, not two tokens separated by a space", at + 1)),
    };
    let merges = merges.map(pair).collect::<Result<Vec<_>, String>>()?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix(String::new())
        .build()?;
    let add_prefix_space = settings.flag("add_prefix_space").unwrap_or(false);
    let byte_level = |use_regex: bool| {
        json!({
            "type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true, "use_regex": use_regex
        })
    };
    let is_composed = matches!(class, Class::Qwen2 | Class::GptNeoX);
    let words =
        || json!({ "type": "Split", "pattern": { "Regex": QWEN2 }, "behavior": "Isolated", "invert": false });
    Ok(Recipe {
        model: model.into(),
        normalizer: is_composed.then(|| part(json!({ "type": "NFC" }))).transpose()?,
        pre_tokenizer: Some(match class {
            Class::Qwen2 => json!({ "type": "Sequence", "pretokenizers": [words(), byte_level(false)] }),
            _ => byte_level(true),
        }),
        decoder: json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true }),
        post_processor: match class {
            Class::Roberta => PostProcessor::Roberta,
            Class::CodeGen => PostProcessor::Untrimmed,
            _ => PostProcessor::AsAsked,
        },
        defaults: default_tokens(class),
        extra: Vec::new(),
    })
}

fn vocabulary(bytes: &[u8]) -> Result<Vocab, Refusal> {
    let text = artefact::text_of(Path::new("vocab.json"), bytes).map_err(|e| e.to_string())?;
    let Value::Object(ids) = serde_json::from_str(text).map_err(|e| format!("vocab.json: {e}"))? else {
        return Err("vocab.json: JSON that is not a map from tokens to ids".into());
    };
    let id = |(token, id): (String, Value)| match id.as_u64().and_then(|id| u32::try_from(id).ok()) {
        Some(id) => Ok((token, id)),
        None => Err(format!("vocab.json: `{token}` has the id {id}, not a whole number of at least 0")),
    };
    Ok(ids.into_iter().map(id).collect::<Result<Vocab, String>>()?)
}
