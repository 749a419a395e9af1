//! Tokenizers of the files that came before tokenizer.json, held against transformers.

use super::root;
use mappa::model::Tokenizer;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A row of `expected.json`: what transformers makes of a text with the files of a folder.
#[derive(serde::Deserialize)]
struct Row {
    folder: String,
    text: String,
    ids: Vec<u32>,
}

fn fixtures() -> PathBuf {
    root("tests/fixtures/tokenizers")
}

/// Compares every text of `expected.json` in a folder of folders; the number of texts.
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
            wrong.push(format!("{folder}: {text:?}: {found:?}, not {ids:?}"));
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
    assert_eq!(compare(&fixtures()), 23 * 39);
}

/// Real vocabularies with all names, which tests/fixtures/tokenizers/make.py writes out.
#[test]
fn real_vocabularies_give_the_ids_of_transformers() {
    match std::env::var_os("MAPPA_TOKENIZERS") {
        Some(all) => println!("{} texts of real vocabularies compared", compare(Path::new(&all))),
        None => println!("0 texts of real vocabularies compared: MAPPA_TOKENIZERS is not set"),
    }
}
