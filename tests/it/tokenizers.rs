//! Tokenizers of files older than tokenizer.json, compared with transformers.

use super::root;
use mappa::tokenizer::{Bos, ChatDate, Tokenizer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A row of `expected.json`: a text with its tokens in transformers, for the files of a folder.
#[derive(serde::Deserialize)]
struct Row {
    folder: String,
    text: String,
    ids: Vec<u32>,
}

/// The texts of make.py.
const N_TEXTS: usize = 40;

fn fixtures() -> PathBuf {
    root("tests/fixtures/tokenizers")
}

/// Compares every text of `expected.json` in the subfolders of a folder; returns the number of texts.
fn compare(all: &Path) -> usize {
    let rows: Vec<Row> = serde_json::from_slice(&std::fs::read(all.join("expected.json")).unwrap()).unwrap();
    let mut tokenizers = BTreeMap::new();
    let mut wrong = Vec::new();
    for Row { folder, text, ids } in &rows {
        let tokenizer = tokenizers.entry(folder.clone()).or_insert_with(|| {
            Tokenizer::open(&all.join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"))
        });
        let found = tokenizer.encode(text).unwrap().ids;
        if found != *ids {
            wrong.push(format!("{folder}: {text:?}: found {found:?}, expected {ids:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong[..wrong.len().min(12)].join("\n")
    );
    rows.len()
}

#[test]
fn older_files_give_the_ids_of_transformers() {
    assert_eq!(compare(&fixtures()), 23 * N_TEXTS);
}

#[test]
fn tokens_spell_their_texts() {
    for folder in ["gpt2", "opt", "roberta", "bert", "llama", "mistral", "gemma"] {
        let tokenizer = Tokenizer::open(&fixtures().join(folder)).unwrap();
        let encoded = tokenizer.encode("Oslo and New York").unwrap();
        let text = tokenizer.decode(&encoded.ids).unwrap();
        let expected = if folder == "bert" { "oslo and new york" } else { "Oslo and New York" };
        assert_eq!(text.trim(), expected, "{folder}");
        let begins = matches!(folder, "opt" | "roberta" | "bert" | "llama" | "mistral" | "gemma");
        assert_eq!(encoded.n_special() > 0, begins, "{folder}");
        assert_eq!(tokenizer.bos_conflict(), None, "{folder}");
    }
    let opt = Tokenizer::open(&fixtures().join("opt")).unwrap();
    assert_eq!((opt.special_prefix().unwrap().as_str(), opt.bos_token()), ("</s>", opt.id("</s>")));
    let bert = Tokenizer::open(&fixtures().join("bert")).unwrap();
    assert_eq!(bert.unknown_token(), bert.id("[UNK]"));
}

/// A folder with copies of the given fixture files and with other written files.
fn folder(copied: &[&str], written: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in copied {
        let name = Path::new(file).file_name().unwrap();
        std::fs::copy(fixtures().join(file), folder.path().join(name)).unwrap();
    }
    for (name, text) in written {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_missing_or_broken_file_is_named() {
    let gpt2 = ("config.json", r#"{"model_type": "gpt2"}"#);
    let llama = ("tokenizer_config.json", r#"{"tokenizer_class": "LlamaTokenizer"}"#);
    let model = &["llama/tokenizer.model"][..];
    for (copied, written, found) in [
        (&[][..], &[gpt2][..], "no vocab.json with merges.txt (for GPT2Tokenizer), and no other file"),
        (&["gpt2/vocab.json"], &[gpt2], "but vocab.json"),
        (&["bert/vocab.txt"], &[gpt2], "but vocab.txt"),
        (model, &[("tokenizer_config.json", r#"{"tokenizer_class": "AlbertTokenizer"}"#)], "AlbertTokenizer"),
        (&["gpt2/vocab.json"], &[gpt2, ("merges.txt", "#version: 0.2\na b c\n")], "merge 1 is `a b c`"),
        (&["gpt2/vocab.json"], &[gpt2, ("merges.txt", "Ω Ω\n")], "Ω"),
        (&["gpt2/merges.txt"], &[gpt2, ("vocab.json", "{")], "vocab.json"),
        (&["gpt2/merges.txt"], &[gpt2, ("vocab.json", r#"{"a": -1}"#)], "`a` has the id -1"),
        (&["gpt2/merges.txt"], &[gpt2, ("vocab.json", "[1]")], "JSON that is not a map"),
        (&[], &[llama, ("tokenizer.model", "{}")], "tokenizer.model: not a SentencePiece model"),
        (&[], &[llama, ("tokenizer.model", "")], "no pieces"),
        (&[], &[("config.json", r#"{"model_type": "bert"}"#), ("vocab.txt", "a\nb\n")], "no line `[UNK]`"),
        (model, &[llama, ("added_tokens.json", r#"{"<a>": "b"}"#)], "`<a>` without an id"),
        (
            model,
            &[("tokenizer_config.json", r#"{"added_tokens_decoder": {"x": {}}}"#)],
            "added_tokens_decoder",
        ),
        (
            &["gpt2/vocab.json", "gpt2/merges.txt"],
            &[("config.json", r#"{"model_type": "granite"}"#)],
            "TokenizersBackend",
        ),
    ] {
        let folder = folder(copied, written);
        let error = Tokenizer::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(found), "{found}: {error}");
        assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_tokenizers_hash_covers_the_bytes_that_were_read() {
    let files = ["gpt2/vocab.json", "gpt2/merges.txt", "gpt2/config.json"];
    let hash = |written: &[(&str, &str)]| Tokenizer::open(folder(&files, written).path()).unwrap().sha256;
    assert_eq!(hash(&[]), hash(&[("README.md", "x")]));
    let merges = std::fs::read_to_string(fixtures().join("gpt2/merges.txt")).unwrap();
    let fewer = merges.trim_end().rsplit_once('\n').unwrap().0;
    let others = [
        hash(&[]),
        hash(&[("merges.txt", fewer)]),
        hash(&[("added_tokens.json", r#"{"<a>": 400}"#)]),
        hash(&[("special_tokens_map.json", r#"{"pad_token": "<p>"}"#)]),
    ];
    assert_eq!(others.iter().collect::<std::collections::BTreeSet<_>>().len(), others.len());
}

#[test]
fn a_prompt_that_repeats_bos_is_reported() {
    let open = |name: &str| Tokenizer::open(&fixtures().join(name)).unwrap();
    for (name, bos) in
        [("llama", "<s>"), ("opt", "</s>"), ("bert", "[CLS]"), ("gemma", "<bos>"), ("xglm", "</s>")]
    {
        let note =
            open(name).doubled_bos(&format!("{bos}Where is {{}}?")).unwrap_or_else(|| panic!("{name}"));
        assert!(note.contains(bos) && note.contains("the model receives two"), "{note}");
        assert_eq!(open(name).doubled_bos("Where is {}?"), None, "{name}");
        assert_eq!(open(name).doubled_bos(&format!("Where is {bos}?")), None, "{name}");
        let never = open(name).with_bos(Bos::Never).unwrap();
        assert_eq!(never.doubled_bos(&format!("{bos}Where is {{}}?")), None, "{name}");
    }
    // Nothing is added before a text, so that the BOS in the text is the only one.
    assert_eq!(open("gpt2").doubled_bos("<|endoftext|>Where is {}?"), None);
    let chat = Tokenizer::open(&root("tests/fixtures/chat/gemma")).unwrap();
    let chat = chat.with_chat(ChatDate::default()).unwrap();
    assert!(chat.doubled_bos("<bos>a{}").unwrap().contains("the chat template puts <bos>"));
    assert_eq!(chat.doubled_bos("a{}"), None);
}

/// Real vocabularies and all names, written by tests/fixtures/tokenizers/make.py.
#[test]
fn real_vocabularies_give_the_ids_of_transformers() {
    match std::env::var_os("MAPPA_TOKENIZERS") {
        Some(all) => println!("{} texts of real vocabularies compared", compare(Path::new(&all))),
        None => println!("0 texts of real vocabularies compared: MAPPA_TOKENIZERS is not set"),
    }
}
