//! The tokenizers library, whose panics on a faulty tokenizer.json become errors.

use super::growth;
use crate::artefact;
use crate::error::{Error, Result};
use serde::de::IgnoredAny;
use std::path::Path;
use tokenizers::{Encoding, NormalizedString, Normalizer, Tokenizer};

const EXPECTED: &str = "a tokenizer.json of the Hugging Face tokenizers library; download the file again";
/// A text on which a tokenizer is tried when it is opened.
const ANY_TEXT: &str = "A text, été 1";

/// Reads a tokenizer.json, without its padding and its limit of length.
///
/// # Errors
/// [`Error::BadFile`] if the text is not a tokenizer.json.
pub(super) fn parse(path: &Path, text: &str) -> Result<Tokenizer> {
    let wrong = |e: &dyn std::fmt::Display| Error::bad_file(path, e, EXPECTED);
    // The library may panic on faulty JSON, or read only a part of it without an error; so the JSON is checked first.
    serde_json::from_str::<IgnoredAny>(text).map_err(|e| wrong(&e))?;
    growth::check_tables(text).map_err(|e| wrong(&e))?;
    artefact::guarded(path, EXPECTED, || {
        let mut tokenizer = Tokenizer::from_bytes(text).map_err(|e| wrong(&e))?;
        // A probe needs each text complete and without padding.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| wrong(&e))?;
        growth::check_decoder(&tokenizer).and_then(|()| try_out(&tokenizer)).map_err(|e| wrong(&e))?;
        Ok(tokenizer)
    })
}

/// Encodes and decodes a text, so that a tokenizer that panics on every text does so when it is opened. An error of
/// the library is not a fault of the file: the vocabulary may lack letters of this text.
///
/// # Errors
/// A sentence for a normaliser that makes the text much longer.
pub(super) fn try_out(tokenizer: &Tokenizer) -> Result<(), String> {
    growth::check_text(tokenizer, ANY_TEXT)?;
    if let Ok(encoding) = tokenizer.encode(ANY_TEXT, true) {
        _ = tokenizer.decode(encoding.get_ids(), false);
    }
    Ok(())
}

/// The tokens of a text, with or without the special tokens around it.
///
/// # Errors
/// [`Error::Invalid`] if the tokenizer refuses the text, or panics.
pub(super) fn encode(tokenizer: &Tokenizer, text: &str, with_special: bool) -> Result<Encoding> {
    let encoded = artefact::caught(|| {
        growth::check_text(tokenizer, text)?;
        tokenizer.encode(text, with_special)
    });
    or_refused(encoded).map_err(|e| Error::invalid(what(text), e, "a text this tokenizer can encode"))
}

/// The text of tokens, with or without special tokens.
///
/// # Errors
/// [`Error::Invalid`] for an unknown id, or if the tokenizer panics.
pub(super) fn decode(tokenizer: &Tokenizer, ids: &[u32], with_special: bool) -> Result<String> {
    let decoded = artefact::caught(|| tokenizer.decode(ids, !with_special));
    or_refused(decoded).map_err(|e| Error::invalid("token ids", e, "ids of this tokenizer"))
}

/// A text as the normaliser changes it.
///
/// # Errors
/// [`Error::Invalid`] if the tokenizer refuses the text, or panics.
pub(super) fn normalised(tokenizer: &Tokenizer, text: &str) -> Result<String> {
    let normalised = artefact::caught(|| {
        let mut normalised = NormalizedString::from(text);
        growth::check_text(tokenizer, text)?;
        if let Some(normalizer) = tokenizer.get_normalizer() {
            normalizer.normalize(&mut normalised)?;
        }
        Ok(normalised.get().to_string())
    });
    or_refused(normalised).map_err(|e| Error::invalid(what(text), e, "a text this tokenizer can normalize"))
}

fn what(text: &str) -> String {
    format!("text `{text}`")
}

/// The library's result, with its error or its panic as a sentence.
fn or_refused<T>(outcome: Result<tokenizers::Result<T>, String>) -> Result<T, String> {
    match outcome {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(panic) => Err(format!("a fault of the tokenizer ({panic})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The smallest tokenizer.json, with one of its parts replaced.
    fn with(part: &str, value: Value) -> String {
        let mut file = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false, "byte_fallback": false,
                "vocab": { "A": 0, "t": 1, "e": 2, "x": 3 }, "merges": []
            },
        });
        file[part] = value;
        file.to_string()
    }

    #[test]
    fn faults_of_each_part_are_errors_that_name_the_file() {
        let path = Path::new("folder/tokenizer.json");
        parse(path, &with("decoder", json!({ "type": "Fuse" }))).unwrap();
        let in_decoder = with("decoder", json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        let mut cases: Vec<String> = (1..in_decoder.len())
            .filter(|at| in_decoder.is_char_boundary(*at))
            .map(|at| format!("{}{}", &in_decoder[..at - 1], &in_decoder[at..]))
            .collect();
        cases.extend((0..in_decoder.len()).map(|at| in_decoder[..at].to_string()));
        cases.push(with("normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": "AAAA" })));
        cases.push(with(
            "normalizer",
            json!({ "type": "Precompiled", "precompiled_charsmap": "_wAAAAEAAAA=" }),
        ));
        cases.push(with("normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": 7 })));
        let replace = json!({ "type": "Replace", "pattern": { "String": "" }, "content": "b" });
        cases.extend(["normalizer", "decoder"].map(|part| with(part, replace.clone())));
        cases.push(with(
            "post_processor",
            json!({
                "type": "TemplateProcessing", "single": [{ "SpecialToken": { "id": "[X]", "type_id": 0 } }],
                "pair": [], "special_tokens": {}
            }),
        ));
        cases.push(with(
            "normalizer",
            json!({ "type": "Precompiled", "precompiled_charsmap": "/////wAAAAA=" }),
        ));
        let doubled = json!({ "type": "Replace", "pattern": { "String": "t" }, "content": "tt" });
        cases.push(with("normalizer", json!({ "type": "Sequence", "normalizers": vec![&doubled; 60] })));
        cases.push(with("decoder", json!({ "type": "Sequence", "decoders": vec![&doubled; 60] })));
        cases.push("[".repeat(1_000_000));
        for case in &cases {
            match parse(path, case) {
                Ok(tokenizer) => {
                    let _ = encode(&tokenizer, "Aé \0\n", true);
                    let _ = decode(&tokenizer, &[0, 9], true);
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("folder/tokenizer.json") && text.len() < 600, "{text}");
                }
            }
        }
    }
}
