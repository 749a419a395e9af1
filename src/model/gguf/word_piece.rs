//! BERT's WordPiece as a tokenizer.json.
//!
//! llama.cpp marks the beginning of a word by a preceding space; BERT marks the continuation of a word by `##`.

use super::metadata::Metadata;
use super::vocabulary::{Vocabulary, class};
use crate::error::Result;
use serde_json::{Map, Value, json};

/// The value of `tokenizer.ggml.model` for these vocabularies.
pub(super) const MODEL: &str = "bert";
/// llama.cpp's mark of a word's beginning.
const SPACE: char = '\u{2581}';
/// BERT's mark of a word's continuation.
const CONTINUATION: &str = "##";
/// llama.cpp's default ids of special tokens, which are BERT's.
const UNKNOWN: usize = 100;
const BEGINNING: usize = 101;
const END: usize = 102;

/// A token's text with BERT's marks instead of llama.cpp's.
pub(super) fn without_phantom(token: String, of: u32) -> String {
    match token.strip_prefix(SPACE) {
        _ if of == class::CONTROL => token,
        Some(word) => word.to_string(),
        None => format!("{CONTINUATION}{token}"),
    }
}

/// The fields of the tokenizer.json.
///
/// # Errors
/// A value that is missing or of the wrong type; the error names the key.
pub(super) fn fields(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Map<String, Value>> {
    let special = |key: &str, default| vocabulary.special(metadata, key, Some(default));
    let unknown = special("tokenizer.ggml.unknown_token_id", UNKNOWN)?;
    let first = special("tokenizer.ggml.bos_token_id", BEGINNING)?;
    let last = special("tokenizer.ggml.seperator_token_id", END)?;
    let lowercase = metadata.flag("tokenizer.ggml.normalizer.lowercase")?.unwrap_or(true);
    let strips = metadata.flag("tokenizer.ggml.normalizer.strip_accents")?.unwrap_or(lowercase);
    let normalizer = json!({
        "type": "BertNormalizer",
        "clean_text": true,
        "handle_chinese_chars": true,
        "strip_accents": strips,
        "lowercase": lowercase,
    });
    let model = json!({
        "type": "WordPiece",
        "unk_token": vocabulary.tokens[unknown],
        "continuing_subword_prefix": CONTINUATION,
        "max_input_chars_per_word": 100,
        "vocab": vocabulary.json(),
    });
    Ok(Map::from_iter([
        ("normalizer".to_string(), normalizer),
        ("pre_tokenizer".to_string(), json!({ "type": "BertPreTokenizer" })),
        ("model".to_string(), model),
        ("post_processor".to_string(), vocabulary.around(Some(first), Some(last))),
        ("decoder".to_string(), json!({ "type": "WordPiece", "prefix": CONTINUATION, "cleanup": true })),
    ]))
}
