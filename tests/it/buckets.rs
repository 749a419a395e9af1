//! Activations in an object store: the same bytes as in a folder, from one machine or several.

use super::stores::{Bench, StopAfter, bytes, card, filled, new_store};
use mappa::Error;
use mappa::activations::{Recording, Shard, Verdict};
use mappa::artefact::Card;
use mappa::model::AttentionDirection;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::Path;

/// All objects, by name, in a folder that serves as an object store.
fn objects(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().into(), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn an_object_store_has_the_bytes_of_a_folder_after_stopped_runs_and_after_shards() {
    let bench = Bench::new(AttentionDirection::Causal);
    let (recording, points) = (Recording::default(), bench.points());
    let (lab, remote) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let local = filled(lab.path(), &bench, recording, &points);
    let whole = bytes(&local);
    let address = |name: &str| format!("file://{}", remote.path().join(name).display());
    let kept = |name: &str| {
        std::fs::create_dir_all(remote.path().join(name)).unwrap();
        let lab = tempfile::tempdir().unwrap();
        (new_store(lab.path()).kept_at(&address(name)).unwrap(), lab)
    };
    let is_whole = |name: &str| {
        let found = objects(&remote.path().join(name).join("m/towns/empty"));
        assert_eq!(found.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "{name}");
        for (file, bytes) in whole.iter().filter(|(file, _)| *file != "card.json") {
            assert!(found[file] == *bytes, "{file} of {name}");
        }
        let card = |bytes| serde_json::from_slice::<Card>(bytes).unwrap();
        let (found, expected) = (card(&found["card.json"]), card(&whole["card.json"]));
        assert_eq!((found.inputs, found.notes), (expected.inputs, expected.notes), "{name}");
    };

    let (store, _lab) = kept("stopped");
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut n_stopped = 0;
    loop {
        let mut observer = StopAfter::asked(rng.random_range(20..200));
        match store.extract(&bench.prepared(recording, None), &points, &card(recording, None), &mut observer)
        {
            Err(Error::Stopped { .. }) => n_stopped += 1,
            outcome => break assert_eq!(outcome.unwrap().n_damaged, 0),
        }
        assert!(!store.is_done(&card(recording, None), &points).unwrap());
    }
    assert!(n_stopped > 1);
    is_whole("stopped");
    // Another machine with an empty lab finds and loads the activations.
    let (other, _lab) = kept("stopped");
    assert!(other.is_done(&card(recording, None), &points).unwrap());
    assert_eq!(other.load(points[1]).unwrap(), local.load(points[1]).unwrap());
    let mut verdicts = Vec::new();
    other.verify(&mut |_, verdict| verdicts.push(verdict)).unwrap();
    assert!(verdicts.len() == points.len() + 1 && verdicts.iter().all(|v| *v == Verdict::Whole));

    for index in 1..=3 {
        let (store, _lab) = kept("shards"); // a separate machine
        let shard = Shard::new(index, 3).unwrap();
        let (part, shard) = (store.of_shard(shard), Some(shard));
        let prepared = bench.prepared(recording, shard);
        part.extract(&prepared, &points, &card(recording, shard), &mut StopAfter::never()).unwrap();
    }
    let (store, _lab) = kept("shards");
    store.merge(&mut StopAfter::never()).unwrap();
    is_whole("shards");
}

#[test]
fn a_malformed_address_is_refused_naming_it() {
    let lab = tempfile::tempdir().unwrap();
    for bad in ["bucket/folder", "s3:/", "ftp://somewhere/x", ""] {
        let message = new_store(lab.path()).kept_at(bad).map(|_| "kept").unwrap_err().to_string();
        assert!(message.contains("s3://bucket/folder") && message.contains(bad), "{message}");
    }
}
