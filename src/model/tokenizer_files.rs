//! What stands beside a tokenizer.json: its special tokens by name, its chat template, and who puts BOS.

use super::ends;
use crate::artefact;
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The special tokens that a chat template may name.
const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The file of a chat template that has one of its own.
const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// The class of tokenizers that transformers builds anew without what its tokenizer.json puts around a text.
const REBUILT: &str = "GPTNeoXTokenizer";
/// Families whose tokenizer is of that class where nothing else is said (transformers 5.23.0).
const REBUILT_FAMILIES: [&str; 3] = ["gpt_neox", "mpt", "olmo"];
/// Families whose tokenizer.json transformers takes as it is, whatever class is named (transformers 5.23.0).
const GENERIC_FAMILIES: [&str; 8] =
    ["glm", "glm4", "granite", "mistral", "olmo2", "phi3", "qwen2", "stablelm"];

/// Who puts tokens such as BOS around a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Around {
    /// The post-processor of tokenizer.json.
    #[default]
    PostProcessor,
    /// Nobody.
    Nothing,
}

/// A chat template as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Chat {
    /// There is none.
    #[default]
    Missing,
    /// Several, none of which is the default.
    Several(PathBuf, Vec<String>),
    /// Its text, and the file that it came from.
    Template(PathBuf, String),
}

/// What a tokenizer's other files say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TokenizerFiles {
    /// Special tokens by what they are for, such as `bos_token`.
    pub named: BTreeMap<String, String>,
    /// Who puts tokens around a text.
    pub around: Around,
    /// The ids that generation_config.json and config.json give as ends of a text.
    pub end_ids: Vec<u32>,
    /// What `add_bos_token` says, which transformers does not ask where there is a tokenizer.json.
    pub add_bos: Option<bool>,
    /// The chat template.
    pub chat: Chat,
}

impl TokenizerFiles {
    /// Reads what is there of a Hugging Face folder.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a file that is not JSON or not text.
    pub fn read(folder: &Path) -> Result<TokenizerFiles> {
        let path = folder.join("tokenizer_config.json");
        let mut fields = object(&path)?;
        // Older folders name their tokens in a file of their own; what is newer lists them all.
        if !fields.contains_key("added_tokens_decoder") {
            fields.extend(object(&folder.join("special_tokens_map.json"))?);
        }
        let config = Value::Object(object(&folder.join("config.json"))?);
        let class = fields.get("tokenizer_class").and_then(Value::as_str);
        let class = class.or(config["tokenizer_class"].as_str());
        let family = config["model_type"].as_str().unwrap_or_default();
        Ok(TokenizerFiles {
            named: NAMED
                .iter()
                .filter_map(|name| Some((name.to_string(), token(fields.get(*name)?)?)))
                .collect(),
            around: around(family, class),
            end_ids: ends::stated(folder)?,
            add_bos: fields.get("add_bos_token").and_then(Value::as_bool),
            chat: chat(folder, &path, &fields)?,
        })
    }
}

/// The object in a JSON file; empty where there is none.
pub(super) fn object(path: &Path) -> Result<Map<String, Value>> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    let expected = "a JSON object; fetch the file again";
    match serde_json::from_str(&artefact::load_text(path)?) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::bad_file(path, "JSON of another kind", expected)),
        Err(e) => Err(Error::bad_file(path, e, expected)),
    }
}

/// A token's text, which stands alone or with its properties.
fn token(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["content"].as_str()).map(String::from)
}

fn around(family: &str, class: Option<&str>) -> Around {
    let is_rebuilt = match class.map(|class| class.strip_suffix("Fast").unwrap_or(class)) {
        Some(class) => class == REBUILT && !GENERIC_FAMILIES.contains(&family),
        None => REBUILT_FAMILIES.contains(&family),
    };
    if is_rebuilt { Around::Nothing } else { Around::PostProcessor }
}

/// The chat template: its own file first, as transformers has it.
fn chat(folder: &Path, path: &Path, fields: &Map<String, Value>) -> Result<Chat> {
    let own = folder.join(CHAT_TEMPLATE);
    if own.is_file() {
        let text = artefact::load_text(&own)?;
        return Ok(Chat::Template(own, text));
    }
    let path = path.to_path_buf();
    Ok(match fields.get("chat_template") {
        Some(Value::String(text)) => Chat::Template(path, text.clone()),
        Some(Value::Array(all)) => {
            let text = |one: &Value, key: &str| one[key].as_str().map(String::from);
            let named: BTreeMap<String, String> =
                all.iter().filter_map(|one| text(one, "name").zip(text(one, "template"))).collect();
            match named.get("default") {
                Some(template) => Chat::Template(path, template.clone()),
                None => Chat::Several(path, named.into_keys().collect()),
            }
        }
        _ => Chat::Missing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<TokenizerFiles> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        TokenizerFiles::read(folder.path())
    }

    #[test]
    fn tokens_are_named_as_text_or_with_their_properties() {
        let config =
            r#"{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null}"#;
        let older = r#"{"eos_token": "<end>", "additional_special_tokens": ["<a>"]}"#;
        let files = read(&[("tokenizer_config.json", config), ("special_tokens_map.json", older)]).unwrap();
        let named = |files: &TokenizerFiles| files.named.clone().into_iter().collect::<Vec<_>>();
        let [bos, end, eos] = ["<s>", "<end>", "</s>"].map(String::from);
        assert_eq!(named(&files), [("bos_token".into(), bos.clone()), ("eos_token".into(), end)]);
        let newer = config.replacen('{', r#"{"added_tokens_decoder": {}, "#, 1);
        let files = read(&[("tokenizer_config.json", &newer), ("special_tokens_map.json", older)]).unwrap();
        assert_eq!(named(&files), [("bos_token".into(), bos), ("eos_token".into(), eos)]);
        assert_eq!(read(&[]).unwrap(), TokenizerFiles::default());
    }

    #[test]
    fn a_templates_own_file_comes_before_the_config_and_the_default_among_several() {
        let text = |files: &[(&str, &str)]| read(files).unwrap().chat;
        let one = ("tokenizer_config.json", r#"{"chat_template": "one"}"#);
        let two = r#"{"chat_template": [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]}"#;
        let none = ("tokenizer_config.json", &two.replace("default", "rag")[..]);
        assert!(matches!(text(&[one]), Chat::Template(_, text) if text == "one"));
        assert!(matches!(text(&[one, (CHAT_TEMPLATE, "own")]), Chat::Template(_, text) if text == "own"));
        assert!(matches!(text(&[("tokenizer_config.json", two)]), Chat::Template(_, text) if text == "d"));
        assert!(matches!(text(&[none]), Chat::Several(_, names) if names == ["rag", "tools"]));
        assert_eq!(text(&[]), Chat::Missing);
    }

    #[test]
    fn a_file_that_is_not_json_is_named() {
        for (name, text) in [("tokenizer_config.json", "{"), ("special_tokens_map.json", "[1]")] {
            let error = read(&[(name, text)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("fetch the file again"), "{error}");
        }
    }
}
