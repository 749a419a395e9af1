//! The files next to a tokenizer.json: special tokens by name, the chat template, and whether special tokens are added.

use super::{end_tokens, json_object};
use crate::artefact;
use crate::error::Result;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The names of special tokens in a tokenizer's files, in the order in which transformers adds them.
pub(super) const SPECIAL_TOKEN_NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The file that contains only a chat template.
const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// The class of tokenizers that transformers rebuilds without the post-processor of its tokenizer.json.
const REBUILT: &str = "GPTNeoXTokenizer";
/// Families whose default class is [`REBUILT`] (transformers 5.23.0).
const REBUILT_FAMILIES: [&str; 3] = ["gpt_neox", "mpt", "olmo"];
/// Families whose tokenizer.json transformers reads unchanged, whatever class is named (transformers 5.23.0).
const GENERIC_FAMILIES: [&str; 8] =
    ["glm", "glm4", "granite", "mistral", "olmo2", "phi3", "qwen2", "stablelm"];

/// The special tokens, such as BOS, that are added around a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SpecialTokens {
    /// Those of tokenizer.json's post-processor.
    #[default]
    ByPostProcessor,
    /// None.
    Unadded,
}

/// The chat template in a model's files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum ChatSource {
    /// There is none.
    #[default]
    Missing,
    /// Several without a default: their file and their names.
    Several(PathBuf, Vec<String>),
    /// The file that contains it, and its text.
    Template(PathBuf, String),
}

/// The settings in the files next to a tokenizer.json.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TokenizerFiles {
    /// Special tokens by their purpose, such as `bos_token`.
    pub named: BTreeMap<String, String>,
    /// The special tokens that are added around a text.
    pub added: SpecialTokens,
    /// The ids of tokens that end a text, in generation_config.json and config.json.
    pub end_ids: Vec<u32>,
    /// The value of `add_bos_token`, which transformers ignores if there is a tokenizer.json.
    pub add_bos: Option<bool>,
    /// The chat template.
    pub chat: ChatSource,
}

impl TokenizerFiles {
    /// Reads the settings from the files that a Hugging Face folder has.
    ///
    /// # Errors
    /// [`crate::Error::BadFile`] for a file that is not JSON or not text.
    pub(crate) fn read(folder: &Path) -> Result<TokenizerFiles> {
        let path = folder.join("tokenizer_config.json");
        let mut fields = json_object::read(&path)?;
        // Older folders name their tokens in special_tokens_map.json; newer ones list all in added_tokens_decoder.
        if !fields.contains_key("added_tokens_decoder") {
            fields.extend(json_object::read(&folder.join("special_tokens_map.json"))?);
        }
        let config = Value::Object(json_object::read(&folder.join("config.json"))?);
        let class = fields.get("tokenizer_class").and_then(Value::as_str);
        let class = class.or(config["tokenizer_class"].as_str());
        let family = config["model_type"].as_str().unwrap_or_default();
        Ok(TokenizerFiles {
            named: SPECIAL_TOKEN_NAMES
                .iter()
                .filter_map(|name| Some((name.to_string(), token(fields.get(*name)?)?)))
                .collect(),
            added: added(family, class),
            end_ids: end_tokens::stated(folder)?,
            add_bos: fields.get("add_bos_token").and_then(Value::as_bool),
            chat: chat(folder, &path, &fields)?,
        })
    }
}

/// A token's text, alone or from an object with the token's properties.
fn token(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["content"].as_str()).map(String::from)
}

fn added(family: &str, class: Option<&str>) -> SpecialTokens {
    let is_rebuilt = match class.map(|class| class.strip_suffix("Fast").unwrap_or(class)) {
        Some(class) => class == REBUILT && !GENERIC_FAMILIES.contains(&family),
        None => REBUILT_FAMILIES.contains(&family),
    };
    if is_rebuilt { SpecialTokens::Unadded } else { SpecialTokens::ByPostProcessor }
}

/// The chat template: first chat_template.jinja, as in transformers.
fn chat(folder: &Path, path: &Path, fields: &Map<String, Value>) -> Result<ChatSource> {
    let own = folder.join(CHAT_TEMPLATE);
    if own.is_file() {
        let text = artefact::load_text(&own)?;
        return Ok(ChatSource::Template(own, text));
    }
    let path = path.to_path_buf();
    Ok(match fields.get("chat_template") {
        Some(Value::String(text)) => ChatSource::Template(path, text.clone()),
        Some(Value::Array(all)) => {
            let text = |one: &Value, key: &str| one[key].as_str().map(String::from);
            let named: BTreeMap<String, String> =
                all.iter().filter_map(|one| text(one, "name").zip(text(one, "template"))).collect();
            match named.get("default") {
                Some(template) => ChatSource::Template(path, template.clone()),
                None => ChatSource::Several(path, named.into_keys().collect()),
            }
        }
        _ => ChatSource::Missing,
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
    fn special_tokens_are_texts_or_objects_with_properties() {
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
        assert!(matches!(text(&[one]), ChatSource::Template(_, text) if text == "one"));
        assert!(
            matches!(text(&[one, (CHAT_TEMPLATE, "own")]), ChatSource::Template(_, text) if text == "own")
        );
        assert!(
            matches!(text(&[("tokenizer_config.json", two)]), ChatSource::Template(_, text) if text == "d")
        );
        assert!(matches!(text(&[none]), ChatSource::Several(_, names) if names == ["rag", "tools"]));
        assert_eq!(text(&[]), ChatSource::Missing);
    }

    #[test]
    fn a_file_that_is_not_json_is_named() {
        for (name, text) in [("tokenizer_config.json", "{"), ("special_tokens_map.json", "[1]")] {
            let error = read(&[(name, text)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("fetch the file again"), "{error}");
        }
    }
}
