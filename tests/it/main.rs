//! Integration tests: properties, references, bad input, and the structure of the source itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test panics")]

mod analyses;
mod atlas;
mod bad_input;
mod binary;
mod buckets;
mod causes;
mod commands;
mod configs;
mod dictionaries;
mod encoders;
mod examples;
mod exchanged;
mod facts;
mod families;
mod features;
mod features_binary;
mod fuzzed;
mod gguf;
mod gguf_bad_input;
mod gguf_files;
mod gguf_oddities;
mod gradients;
mod hostile;
mod hub;
mod hub_blobs;
mod hub_commands;
mod hub_limits;
mod hub_server;
mod hub_tokenizers;
mod import;
mod kills;
mod laws;
mod learned_vectors;
mod lenses;
mod limits;
mod loading;
mod mutated;
mod names;
mod odd_files;
mod parts;
mod probing;
mod program;
mod properties;
mod quantised;
mod reading;
mod real_configs;
mod references;
mod refused_early;
mod row_dedup;
mod shards;
mod signals;
mod source;
mod stale;
mod steering;
mod stores;
mod strata;
mod structure;
mod suggestions;
mod sweeps;
mod tables;
mod texts;
mod texts_binary;
mod tidy;
mod tidy_tests;
mod tokenizers;
mod training;
mod word_vectors;

use mappa::activations::ActivationStore;
use mappa::artefact::FolderName;
use mappa::model::{Sizes, Spec};
use std::path::{Path, PathBuf};

/// A path below the repository's root.
fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The store of a model, dataset and prompt of these names.
fn store(lab: &Path, names: [&str; 3]) -> ActivationStore {
    let [model, dataset, prompt] = names.map(FolderName::of_text);
    ActivationStore::new(lab, &model, &dataset, &prompt)
}

/// The smallest complete Llama: two blocks, two heads.
fn tiny_spec(d_vocab: usize) -> Spec {
    Spec::llama(Sizes { d_model: 16, n_layers: 2, n_heads: 2, d_mlp: 24, d_vocab, n_context: 128 })
}
