//! The tokens that end a text, named in files or known by their spelling. All generation uses
//! `Tokenizer::end_tokens`.

use super::json_object;
use crate::error::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// The files of a Hugging Face folder with the ids of the tokens that end a text.
const FILES: [&str; 2] = ["generation_config.json", "config.json"];

/// The fields of a tokenizer's files that name the tokens at the end of a text, a turn or a message.
pub(super) const NAMED: [&str; 3] = ["eos_token", "eot_token", "eom_token"];

/// Spellings of tokens that end a text or a turn, in any tokenizer.
///
/// # Source
/// llama.cpp's list of ends of generation (`llama-vocab.cpp`).
pub(super) const SPELLINGS: [&str; 14] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|endofprompt|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "<|end_of_turn|>",
    "<|user|>",
    "<｜end▁of▁sentence｜>",
];

/// The ids in `eos_token_id` of a folder's configs, each a single id or a list.
///
/// # Errors
/// [`Error::BadFile`] for a value that is not an id.
pub(super) fn stated(folder: &Path) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    for name in FILES {
        let path = folder.join(name);
        match json_object::read(&path)?.get("eos_token_id") {
            None | Some(Value::Null) => {}
            Some(value) => {
                let ids = ids(value).ok_or_else(|| {
                    let expected = "the id of a token, or a list of them";
                    Error::bad_file(&path, format!("`eos_token_id`: {value}"), expected)
                })?;
                all.extend(ids);
            }
        }
    }
    Ok(all)
}

fn ids(value: &Value) -> Option<Vec<u32>> {
    let id = |value: &Value| {
        // Some configs write -1 for none.
        let id = value.as_i64()?;
        Some(u32::try_from(id).ok())
    };
    match value {
        Value::Array(all) => {
            Some(all.iter().map(id).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
        }
        one => Some(id(one)?.into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_or_several_are_read_from_both_configs() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert!(stated(folder.path()).unwrap().is_empty());
        write("config.json", r#"{"eos_token_id": 7}"#);
        assert_eq!(stated(folder.path()).unwrap(), [7]);
        write("generation_config.json", r#"{"eos_token_id": [3, 4], "pad_token_id": 5}"#);
        assert_eq!(stated(folder.path()).unwrap(), [3, 4, 7]);
        write("config.json", r#"{"eos_token_id": null}"#);
        write("generation_config.json", r#"{"eos_token_id": -1}"#);
        assert!(stated(folder.path()).unwrap().is_empty());
        write("generation_config.json", r#"{"eos_token_id": "</s>"}"#);
        let error = stated(folder.path()).unwrap_err().to_string();
        assert!(error.contains("generation_config.json") && error.contains("`eos_token_id`"), "{error}");
    }
}
