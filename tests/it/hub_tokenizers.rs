//! Tokenizers of repos without a tokenizer.json, from a server on loopback.

use super::hub_server::{Hub, large, small, tiny};
use mappa::hub::{Snapshot, snapshot};
use mappa::progress::Silent;
use tempfile::TempDir;

const WEIGHTS: &str = "model.safetensors";

fn pull(hub: &Hub, cache: &TempDir) -> mappa::Result<Snapshot> {
    snapshot(&tiny("main"), &hub.settings(cache.path()), &mut Silent)
}

#[test]
fn older_tokenizers_are_fetched_if_there_is_no_newer_one() {
    for names in [
        &["vocab.json", "merges.txt"][..],
        &["vocab.txt", "added_tokens.json"],
        &["tokenizer.model"],
        &["spiece.model"],
        &["sentencepiece.bpe.model", "tokenizer_config.json"],
        &["vocab.json", "merges.txt", "tokenizer.model"],
    ] {
        let mut files = vec![("config.json", small(b"{}")), (WEIGHTS, large(b"x"))];
        files.extend(names.iter().map(|name| (*name, small(name.as_bytes()))));
        let (hub, cache) = (Hub::exactly(&files), tempfile::tempdir().unwrap());
        let found = pull(&hub, &cache).unwrap();
        for name in names {
            assert!(found.folder.join(name).is_file(), "{names:?}: {name}");
        }
        // With a tokenizer.json the older files are not downloaded.
        let (hub, cache) = (Hub::with(&files[1..]), tempfile::tempdir().unwrap());
        let found = pull(&hub, &cache).unwrap();
        assert!(!found.folder.join(names[0]).exists() && found.folder.join("tokenizer.json").is_file());
    }
}

#[test]
fn an_incomplete_vocabulary_is_refused() {
    let files = [("config.json", small(b"{}")), (WEIGHTS, large(b"x")), ("vocab.json", small(b"{}"))];
    let (hub, cache) = (Hub::exactly(&files), tempfile::tempdir().unwrap());
    let error = pull(&hub, &cache).unwrap_err().to_string();
    for part in ["no tokenizer.json or tokenizer.model", "vocab.json with merges.txt", "found config.json"] {
        assert!(error.contains(part), "{error}");
    }
}
