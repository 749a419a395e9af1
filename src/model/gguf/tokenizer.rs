//! A file's tokenizer as a tokenizer.json: byte-level BPE, SentencePiece's BPE with scores, or WordPiece.

use super::header::Value as Stored;
use super::metadata::Metadata;
use super::pre_tokenizer::PreTokenizer;
use super::vocabulary::{Vocabulary, check_length, class};
use super::word_piece;
use crate::error::{Error, Result};
use crate::limits::{ANY, TOKEN_BYTES};
use crate::tokenizer::{ChatSource, PieceLengths, TokenizerFiles};
use serde_json::{Map, Value, json};

/// SentencePiece's character for a space.
const SPACE: &str = "\u{2581}";

/// The keys of special tokens, and their names in a Hugging Face folder.
const SPECIAL: [(&str, &str); 9] = [
    ("tokenizer.ggml.bos_token_id", "bos_token"),
    ("tokenizer.ggml.eos_token_id", "eos_token"),
    ("tokenizer.ggml.eot_token_id", "eot_token"),
    ("tokenizer.ggml.eom_token_id", "eom_token"),
    ("tokenizer.ggml.unknown_token_id", "unk_token"),
    ("tokenizer.ggml.seperator_token_id", "sep_token"),
    ("tokenizer.ggml.padding_token_id", "pad_token"),
    ("tokenizer.ggml.cls_token_id", "cls_token"),
    ("tokenizer.ggml.mask_token_id", "mask_token"),
];

/// The tokenizer.json of a file.
///
/// # Errors
/// A value that is missing, of the wrong type or unknown; the error names the file and the key.
pub(super) fn json(metadata: &Metadata) -> Result<Vec<u8>> {
    let key = "tokenizer.ggml.model";
    let model = metadata.required(key, metadata.text(key))?;
    let vocabulary = vocabulary(metadata)?;
    let mut fields = match model {
        "gpt2" => byte_level(metadata, &vocabulary)?,
        "llama" => sentence_piece(metadata, &vocabulary)?,
        word_piece::MODEL => word_piece::fields(metadata, &vocabulary)?,
        other => {
            let expected =
                "gpt2 (byte-level BPE), llama (SentencePiece's BPE) or bert (WordPiece) is supported";
            return Err(metadata.unsupported(key, &Stored::Text(other.to_string()), expected));
        }
    };
    fields.insert("version".into(), "1.0".into());
    fields.insert("added_tokens".into(), vocabulary.added());
    Ok(Value::Object(fields).to_string().into_bytes())
}

fn vocabulary(metadata: &Metadata) -> Result<Vocabulary> {
    if metadata.text("tokenizer.ggml.model")? == Some(word_piece::MODEL) {
        Vocabulary::read(metadata, word_piece::without_phantom)
    } else {
        Vocabulary::read(metadata, |token, _| token)
    }
}

/// The special tokens that a file names, and its chat template.
///
/// # Errors
/// A value of the wrong type; the error names the key.
pub(super) fn files(metadata: &Metadata) -> Result<TokenizerFiles> {
    let vocabulary = vocabulary(metadata)?;
    let mut files = TokenizerFiles::default();
    for (key, name) in SPECIAL {
        // Some files name an id outside their vocabulary, which is ignored.
        if let Some(token) = metadata.count(ANY, key)?.and_then(|id| vocabulary.tokens.get(id)) {
            files.named.insert(name.into(), token.to_string());
        }
    }
    if let Some(template) = metadata.text("tokenizer.chat_template")? {
        files.chat = ChatSource::Template(metadata.path().to_path_buf(), template.into());
    }
    Ok(files)
}

fn byte_level(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Map<String, Value>> {
    let key = "tokenizer.ggml.pre";
    let name = metadata.text(key)?.unwrap_or("default");
    let pre = PreTokenizer::named(name).map_err(|known| {
        metadata.unsupported(key, &Stored::Text(name.to_string()), format!("one of {known} is supported"))
    })?;
    let key = "tokenizer.ggml.merges";
    let merges = metadata.required(key, metadata.texts(key))?;
    let pairs: Vec<(&str, &str)> = merges.iter().filter_map(|merge| pair(merge)).collect();
    if let Some(merge) = merges.iter().find(|merge| pair(merge).is_none()) {
        let found = format!("`{key}` with `{merge}`");
        return Err(Error::bad_file(metadata.path(), found, "two tokens separated by a space"));
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

/// The two tokens of a merge; the first may begin with a space.
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
    check_length(metadata, key, scores.len(), vocabulary.tokens.len())?;
    let expected = format!("tokens of at most {} bytes", TOKEN_BYTES.most);
    let merges =
        merges(vocabulary, &scores).map_err(|found| Error::bad_file(metadata.path(), found, expected))?;
    let mut model = bpe(vocabulary, json!(merges), false);
    model["byte_fallback"] = true.into();
    model["fuse_unk"] = true.into();
    let unknown = vocabulary.classes.iter().position(|class| *class == class::UNKNOWN);
    model["unk_token"] = json!(unknown.map(|id| &vocabulary.tokens[id]));
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

/// The merges that a SentencePiece vocabulary implies: pairs of tokens whose concatenation is a token, in descending
/// order of the score of the concatenation.
///
/// # Errors
/// A sentence about a token that is too long.
fn merges<'a>(vocabulary: &'a Vocabulary, scores: &[f64]) -> Result<Vec<(&'a str, &'a str)>, String> {
    let is_text = |id: usize| matches!(vocabulary.classes[id], class::NORMAL | class::USER_DEFINED);
    let is_piece = |text: &str| vocabulary.ids.get(text).is_some_and(|id| is_text(*id));
    let lengths = PieceLengths::of(vocabulary.tokens.iter().map(String::as_str))?;
    let mut ranked: Vec<usize> = (0..vocabulary.tokens.len()).filter(|id| is_text(*id)).collect();
    ranked.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let splits =
        |token: &'a str| lengths.splits(token).filter(|(left, right)| is_piece(left) && is_piece(right));
    Ok(ranked.into_iter().flat_map(|id| splits(&vocabulary.tokens[id])).collect())
}
