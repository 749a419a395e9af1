//! Weights in several files: loaded as one, and refused by name when one is missing or cut.

use super::root;
use candle_core::{Device, Tensor};
use mappa::model::{Forest, Model, NoHook, Precision};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tempfile::TempDir;

const INDEX: &str = "model.safetensors.index.json";
const SHARDS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/// The mistral fixture with every second tensor in a second file.
fn sharded() -> TempDir {
    let (from, to) = (root("tests/fixtures/models/mistral"), tempfile::tempdir().unwrap());
    std::fs::copy(from.join("config.json"), to.path().join("config.json")).unwrap();
    let tensors = candle_core::safetensors::load(from.join("model.safetensors"), &Device::Cpu).unwrap();
    let tensors: BTreeMap<String, Tensor> = tensors.into_iter().collect();
    let map: BTreeMap<&String, &str> = tensors.keys().zip(SHARDS.into_iter().cycle()).collect();
    for shard in SHARDS {
        let part: HashMap<&String, Tensor> = tensors
            .iter()
            .filter(|(name, _)| map[name] == shard)
            .map(|(name, t)| (name, t.clone()))
            .collect();
        assert!(part.len() > 5);
        candle_core::safetensors::save(&part, to.path().join(shard)).unwrap();
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map});
    std::fs::write(to.path().join(INDEX), index.to_string()).unwrap();
    to
}

fn logits(folder: &Path) -> Vec<Vec<f32>> {
    let model = Model::load_transformer(folder, Precision::F32).unwrap();
    let stream = model.forward(&Forest::of_text(&[1, 5, 9, 23]).unwrap(), None, &mut NoHook).unwrap();
    model.logits(&stream).unwrap().to_vec2().unwrap()
}

fn refused(folder: &Path) -> String {
    Model::load_transformer(folder, Precision::F32).map(|_| "it loaded").unwrap_err().to_string()
}

#[test]
fn two_shards_equal_the_single_file() {
    assert_eq!(logits(sharded().path()), logits(&root("tests/fixtures/models/mistral")));
}

#[test]
fn a_tensor_of_the_index_that_no_shard_has_is_named() {
    let folder = sharded();
    let path = folder.path().join(SHARDS[1]);
    let mut part = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let gone = part.keys().next().unwrap().clone();
    part.remove(&gone);
    candle_core::safetensors::save(&part, &path).unwrap();
    let message = refused(folder.path());
    assert!(message.contains(&gone) && message.contains(SHARDS[1]), "{message}");
}

#[test]
fn unneeded_tensors_of_the_index_may_be_missing() {
    let folder = sharded();
    let path = folder.path().join(INDEX);
    let mut index: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    index["weight_map"]["model.layers.0.self_attn.rotary_emb.inv_freq"] = SHARDS[0].into();
    index["weight_map"]["vision_tower.embed.weight"] = "model-of-images.safetensors".into();
    std::fs::write(&path, index.to_string()).unwrap();
    assert_eq!(logits(folder.path()), logits(&root("tests/fixtures/models/mistral")));
}

#[test]
fn a_shard_that_is_missing_is_named_with_its_index() {
    let folder = sharded();
    std::fs::remove_file(folder.path().join(SHARDS[1])).unwrap();
    let message = refused(folder.path());
    assert!(message.contains(SHARDS[1]) && message.contains(INDEX) && message.contains("again"), "{message}");
}

#[test]
fn a_shard_that_is_cut_is_named() {
    let folder = sharded();
    let path = folder.path().join(SHARDS[0]);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
    let message = refused(folder.path());
    assert!(message.contains(SHARDS[0]) && message.contains("copy it again"), "{message}");
}

#[test]
fn a_malformed_index_is_named() {
    let folder = sharded();
    for text in ["{", "{\"weight_map\": {}}"] {
        std::fs::write(folder.path().join(INDEX), text).unwrap();
        let message = refused(folder.path());
        assert!(message.contains(INDEX) && message.contains("weight_map"), "{message}");
    }
}
