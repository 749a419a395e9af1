//! Reads inputs that once made a reader panic, abort or run without end, and fixtures that are cut and changed at
//! random.

#[allow(unreachable_pub, reason = "the fuzz targets are another crate, which uses the readers")]
#[path = "../../fuzz/readers.rs"]
mod readers;

use super::root;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use readers::READERS;
use std::time::Instant;

/// The time that the slowest input may take on a slow and busy machine.
const SECONDS: u64 = 60;

#[test]
fn inputs_that_once_failed_are_read_without_a_panic() {
    let mut n = 0;
    for (name, read) in READERS {
        let Ok(inputs) = std::fs::read_dir(root("fuzz/found").join(name)) else { continue };
        for input in inputs {
            let (path, start) = (input.unwrap().path(), Instant::now());
            println!("{}", path.display());
            read(&std::fs::read(&path).unwrap());
            assert!(start.elapsed().as_secs() < SECONDS, "{}: {:?}", path.display(), start.elapsed());
            n += 1;
        }
    }
    println!("{n} inputs");
    assert!(n >= 20, "{n}");
}

#[test]
fn every_reader_has_a_fuzz_target() {
    let targets = std::fs::read_dir(root("fuzz/fuzz_targets")).unwrap();
    let mut targets: Vec<String> = targets
        .map(|target| target.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    targets.sort();
    assert_eq!(targets, READERS.map(|(name, _)| name));
}

/// A file with some of its bytes changed, left out or repeated.
fn changed(bytes: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..bytes.len().max(1));
        match random.random_range(0..5) {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = random.random(),
            1 => bytes[at] = [0, 1, 127, 128, 255][random.random_range(0..5)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..bytes.len().min(at + random.random_range(1..9)))),
            _ => {
                let part = bytes[at..bytes.len().min(at + random.random_range(1..9))].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// The reader in `fuzz/readers.rs` compares the rows.
#[test]
fn a_journal_of_any_content_changes_no_row() {
    let read = READERS.iter().find(|(name, _)| *name == "journal").unwrap().1;
    let (part, zeros) = ("ba".repeat(32), "0".repeat(64));
    let whole = format!("0,{part}\n1,{zeros}\n0,{zeros}\n{},{part}\n", u64::MAX);
    let mut random = StdRng::seed_from_u64(21);
    for text in ["", "0,", "\n\n", "0,00\n", &whole[..30], &whole] {
        read(text.as_bytes());
    }
    (0..40).for_each(|_| read(&changed(whole.as_bytes(), &mut random)));
}

#[test]
fn changed_fixtures_are_read_without_a_panic() {
    let mut random = StdRng::seed_from_u64(20);
    for (reader, file) in [
        ("pickle", "models/gpt2_bin/pytorch_model.bin"),
        ("npz", "features/gemma_scope/params.npz"),
        ("parquet", "import/people.parquet"),
        ("parquet", "import/tables/kinds.parquet"),
        ("dictionary", "features/jumprelu/sae_weights.safetensors"),
        ("dictionary_config", "features/topk/cfg.json"),
        ("shard_index", "models/llama/model.safetensors.index.json"),
        ("tokenizer_json", "chat/smol/tokenizer.json"),
        ("chat_template", "chat/smol/chat_template.jinja"),
        ("csv", "import/people.csv"),
        ("json", "import/people.jsonl"),
    ] {
        let bytes = std::fs::read(root("tests/fixtures").join(file)).unwrap();
        let read = READERS.iter().find(|(name, _)| *name == reader).unwrap().1;
        for _ in 0..40 {
            read(&changed(&bytes, &mut random));
        }
    }
}
