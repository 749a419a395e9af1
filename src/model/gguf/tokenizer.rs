//! A file's tokenizer as a tokenizer.json: byte-level BPE, or the BPE of SentencePiece with its scores.

use super::header::Value as Stored;
use super::metadata::Metadata;
use super::pre_tokenizer::PreTokenizer;
use crate::error::{Error, Result};
use crate::model::tokenizer_files::{Chat, TokenizerFiles};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The space of SentencePiece.
const SPACE: &str = "\u{2581}";

/// The keys of special tokens, and what a Hugging Face folder calls those tokens.
const SPECIAL: [(&str, &str); 8] = [
    ("tokenizer.ggml.bos_token_id", "bos_token"),
    ("tokenizer.ggml.eos_token_id", "eos_token"),
    ("tokenizer.ggml.eot_token_id", "eot_token"),
    ("tokenizer.ggml.eom_token_id", "eom_token"),
    ("tokenizer.ggml.unknown_token_id", "unk_token"),
    ("tokenizer.ggml.seperator_token_id", "sep_token"),
    ("tokenizer.ggml.padding_token_id", "pad_token"),
    ("tokenizer.ggml.cls_token_id", "cls_token"),
];

/// What a token is for, as the file numbers it.
mod class {
    pub const NORMAL: u32 = 1;
    pub const UNKNOWN: u32 = 2;
    pub const CONTROL: u32 = 3;
    pub const USER_DEFINED: u32 = 4;
}

/// The vocabulary: each token's text and what it is for, by id.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    classes: Vec<u32>,
    ids: HashMap<&'a str, usize>,
}

/// The tokenizer.json of a file.
///
/// # Errors
/// What is missing, of another type or not known, by file and key.
pub(super) fn json(metadata: &Metadata) -> Result<Vec<u8>> {
    let key = "tokenizer.ggml.model";
    let model = metadata.required(key, metadata.text(key))?;
    let vocabulary = Vocabulary::read(metadata)?;
    let mut fields = match model {
        "gpt2" => byte_level(metadata, &vocabulary)?,
        "llama" => sentence_piece(metadata, &vocabulary)?,
        other => {
            let expected = "gpt2 (byte-level BPE) or llama (SentencePiece) is";
            return Err(metadata.unsupported(key, &Stored::Text(other.to_string()), expected));
        }
    };
    fields.insert("version".into(), "1.0".into());
    fields.insert("added_tokens".into(), vocabulary.added());
    Ok(Value::Object(fields).to_string().into_bytes())
}

/// The special tokens that a file names, and its chat template.
///
/// # Errors
/// What is of another type, by key.
pub(super) fn files(metadata: &Metadata) -> Result<TokenizerFiles> {
    let vocabulary = Vocabulary::read(metadata)?;
    let mut files = TokenizerFiles::default();
    for (key, name) in SPECIAL {
        // Some files name a token that they do not have; nothing asks for it.
        if let Some(token) = metadata.count(key)?.and_then(|id| vocabulary.tokens.get(id)) {
            files.named.insert(name.into(), token.to_string());
        }
    }
    if let Some(template) = metadata.text("tokenizer.chat_template")? {
        files.chat = Chat::Template(metadata.path().to_path_buf(), template.into());
    }
    Ok(files)
}

impl<'a> Vocabulary<'a> {
    fn read(metadata: &'a Metadata<'a>) -> Result<Vocabulary<'a>> {
        let key = "tokenizer.ggml.tokens";
        let tokens = metadata.required(key, metadata.texts(key))?;
        let key = "tokenizer.ggml.token_type";
        let classes = metadata.numbers(key)?.unwrap_or_else(|| vec![class::NORMAL.into(); tokens.len()]);
        one_each(metadata, key, (classes.len(), tokens.len()))?;
        let classes = classes.into_iter().map(|class| class as u32).collect();
        let ids: HashMap<&str, usize> = tokens.iter().enumerate().map(|(id, token)| (*token, id)).collect();
        if let Some((id, token)) = tokens.iter().enumerate().find(|(id, token)| ids[**token] != *id) {
            let found = format!("token `{token}` under id {id} and again under id {}", ids[*token]);
            return Err(Error::bad_file(metadata.path(), found, "each token once; convert the model again"));
        }
        Ok(Vocabulary { tokens, classes, ids })
    }

    /// Tokens that are found in a text before it is cut: control tokens, and those that a user defined.
    fn added(&self) -> Value {
        let is_added = |(_, class): &(usize, &u32)| {
            matches!(**class, class::UNKNOWN | class::CONTROL | class::USER_DEFINED)
        };
        let token = |(id, class): (usize, &u32)| {
            json!({
                "id": id,
                "content": self.tokens[id],
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": *class != class::USER_DEFINED,
            })
        };
        self.classes.iter().enumerate().filter(is_added).map(token).collect()
    }

    fn json(&self) -> Value {
        Value::Object(self.tokens.iter().zip(0..).map(|(t, id)| (t.to_string(), Value::from(id))).collect())
    }

    /// What stands before and after every text: BOS and EOS where the file asks for them.
    fn template(&self, metadata: &Metadata, adds_bos: bool) -> Result<Value> {
        let mut special = Map::new();
        let mut end = |flag: &str, id: &str, usual: bool| -> Result<Option<Value>> {
            if !metadata.flag(flag)?.unwrap_or(usual) {
                return Ok(None);
            }
            let id_of_it = metadata.required(id, metadata.count(id))?;
            let Some(token) = self.tokens.get(id_of_it) else {
                let expected = format!("an id below {} is", self.tokens.len());
                return Err(metadata.unsupported(id, &Stored::Integer(id_of_it as i64), expected));
            };
            special.insert(token.to_string(), json!({ "id": token, "ids": [id_of_it], "tokens": [token] }));
            Ok(Some(json!({ "SpecialToken": { "id": token, "type_id": 0 } })))
        };
        let bos = end("tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id", adds_bos)?;
        let eos = end("tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id", false)?;
        let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
        let around = |texts: Vec<Value>| -> Vec<Value> {
            bos.iter().cloned().chain(texts).chain(eos.iter().cloned()).collect()
        };
        Ok(json!({
            "type": "TemplateProcessing",
            "single": around(vec![text("A")]),
            "pair": around(vec![text("A"), text("B")]),
            "special_tokens": special,
        }))
    }
}

/// Whether a list has an entry for each token.
fn one_each(metadata: &Metadata, key: &str, (n, n_tokens): (usize, usize)) -> Result<()> {
    if n == n_tokens {
        return Ok(());
    }
    let found = format!("`{key}` with {n} entries");
    Err(Error::bad_file(metadata.path(), found, format!("one for each of the {n_tokens} tokens")))
}

fn byte_level(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Map<String, Value>> {
    let key = "tokenizer.ggml.pre";
    let name = metadata.text(key)?.unwrap_or("default");
    let pre = PreTokenizer::named(name).map_err(|known| {
        metadata.unsupported(key, &Stored::Text(name.to_string()), format!("one of {known} is"))
    })?;
    let key = "tokenizer.ggml.merges";
    let merges = metadata.required(key, metadata.texts(key))?;
    let pairs: Vec<(&str, &str)> = merges.iter().filter_map(|merge| pair(merge)).collect();
    if let Some(merge) = merges.iter().find(|merge| pair(merge).is_none()) {
        let found = format!("`{key}` with `{merge}`");
        return Err(Error::bad_file(metadata.path(), found, "two texts with a space between"));
    }
    let mut fields = Map::new();
    fields.insert("pre_tokenizer".into(), pre.json());
    fields.insert("model".into(), bpe(vocabulary, json!(pairs), pre.ignores_merges));
    fields.insert(
        "decoder".into(),
        json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false
        }),
    );
    fields.insert("post_processor".into(), vocabulary.template(metadata, pre.adds_bos)?);
    Ok(fields)
}

/// The two sides of a merge; the first may itself begin with the space.
fn pair(merge: &str) -> Option<(&str, &str)> {
    let first = merge.chars().next()?.len_utf8();
    let at = first + merge[first..].find(' ')?;
    Some((&merge[..at], &merge[at + 1..]))
}

fn bpe(vocabulary: &Vocabulary, merges: Value, ignores_merges: bool) -> Value {
    json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": null,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": ignores_merges,
        "vocab": vocabulary.json(),
        "merges": merges,
    })
}

fn sentence_piece(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Map<String, Value>> {
    let key = "tokenizer.ggml.scores";
    let scores = metadata.required(key, metadata.numbers(key))?;
    one_each(metadata, key, (scores.len(), vocabulary.tokens.len()))?;
    let mut model = bpe(vocabulary, json!(merges(vocabulary, &scores)), false);
    model["byte_fallback"] = true.into();
    model["fuse_unk"] = true.into();
    let unknown = vocabulary.classes.iter().position(|class| *class == class::UNKNOWN);
    model["unk_token"] = json!(unknown.map(|id| vocabulary.tokens[id]));
    let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
    let back = json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " });
    let mut decoders = vec![back, json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })];
    let mut normalizers = vec![spaces];
    if metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true) {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": SPACE }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let mut fields = Map::new();
    fields.insert("normalizer".into(), json!({ "type": "Sequence", "normalizers": normalizers }));
    fields.insert("model".into(), model);
    fields.insert("decoder".into(), json!({ "type": "Sequence", "decoders": decoders }));
    fields.insert("post_processor".into(), vocabulary.template(metadata, true)?);
    Ok(fields)
}

/// The merges that a SentencePiece vocabulary implies: two tokens that joined are a token, the best first.
fn merges<'a>(vocabulary: &Vocabulary<'a>, scores: &[f64]) -> Vec<(&'a str, &'a str)> {
    let is_text = |id: usize| matches!(vocabulary.classes[id], class::NORMAL | class::USER_DEFINED);
    let is_piece = |text: &str| vocabulary.ids.get(text).is_some_and(|id| is_text(*id));
    let mut ranked: Vec<usize> = (0..vocabulary.tokens.len()).filter(|id| is_text(*id)).collect();
    ranked.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let splits = |token: &'a str| {
        let at = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
        at.filter(|(left, right)| is_piece(left) && is_piece(right))
    };
    ranked.into_iter().flat_map(|id| splits(vocabulary.tokens[id])).collect()
}
