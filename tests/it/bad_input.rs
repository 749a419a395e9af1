//! Bad input: each message names the file, the tensor or the row, and what to do.

use super::{root, tiny_spec};
use candle_core::{DType, Device, Tensor};
use mappa::activations::{PromptedDataset, TextModel, extract};
use mappa::artefact::Card;
use mappa::datasets::{Dataset, Prompt, load, parse};
use mappa::error::Error;
use mappa::hook_point::HookPoint;
use mappa::model::{Continuation, Forest, Model, NoHook, Precision, Spec, generate, untrained};
use mappa::progress::Silent;
use mappa::tokenizer::Tokenizer;
use mappa::training::train_tokenizer;
use std::collections::HashMap;
use std::path::Path;
use tempfile::TempDir;

const WEIGHTS: &str = "model.safetensors";
const EMBED: &str = "model.embed_tokens.weight";

/// A copy of a fixture's config and weights, which a test may corrupt.
fn copy_of(checkpoint: &str) -> TempDir {
    let (from, to) = (root("tests/fixtures/models").join(checkpoint), tempfile::tempdir().unwrap());
    for name in ["config.json", WEIGHTS] {
        std::fs::copy(from.join(name), to.path().join(name)).unwrap();
    }
    to
}

/// The error message of a model that must not load.
fn refused(folder: &Path) -> String {
    Model::load_transformer(folder, Precision::F32).map(|_| "it loaded").unwrap_err().to_string()
}

fn holds(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

/// Changes some tensors of a checkpoint.
fn rewrite(folder: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let path = folder.join(WEIGHTS);
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

/// Sets one field of a config.
fn configure(folder: &Path, field: &str, value: serde_json::Value) {
    let path = folder.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config[field] = value;
    std::fs::write(&path, config.to_string()).unwrap();
}

fn tokenizer(lines: &[&str]) -> Tokenizer {
    let lines: Vec<String> = lines.iter().map(|line| line.to_string()).collect();
    Tokenizer::parse(Path::new("tokenizer.json"), &train_tokenizer(&lines, 400).unwrap()).unwrap()
}

fn years(name: &str, rows: &str) -> Dataset {
    parse(Path::new(name), format!("name,year\n{rows}").as_bytes()).unwrap()
}

#[test]
fn missing_weights() {
    let folder = copy_of("mistral");
    std::fs::remove_file(folder.path().join(WEIGHTS)).unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    holds(&refused(folder.path()), &[name, "no weights", WEIGHTS, "model.safetensors.index.json"]);
}

#[test]
fn truncated_weights() {
    let folder = copy_of("mistral");
    let path = folder.path().join(WEIGHTS);
    let whole = std::fs::read(&path).unwrap();
    for n in [0, 5, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..n]).unwrap();
        holds(&refused(folder.path()), &[WEIGHTS, &format!("{n} bytes"), "download or copy it again"]);
    }
}

#[test]
fn a_tensor_of_the_wrong_shape() {
    let folder = copy_of("mistral");
    configure(folder.path(), "hidden_size", 48.into());
    holds(&refused(folder.path()), &[WEIGHTS, EMBED, "[32, 12]", "[32, 48]", "config.json"]);

    let folder = copy_of("gpt2");
    let fused = "transformer.h.0.attn.c_attn.weight";
    rewrite(folder.path(), |tensors| {
        let turned = tensors[fused].t().unwrap().contiguous().unwrap();
        tensors.insert(fused.into(), turned);
    });
    holds(&refused(folder.path()), &[WEIGHTS, fused, "[36, 12]", "[12, 36]", "config.json"]);
}

#[test]
fn a_missing_tensor() {
    let folder = copy_of("mistral");
    let gone = "model.layers.1.mlp.up_proj.weight";
    rewrite(folder.path(), |tensors| assert!(tensors.remove(gone).is_some()));
    holds(&refused(folder.path()), &[WEIGHTS, "layers.1.mlp.up_proj.weight", "incomplete"]);
}

#[test]
fn an_unknown_family() {
    let folder = copy_of("mistral");
    configure(folder.path(), "model_type", "cortex".into());
    holds(
        &refused(folder.path()),
        &["config.json", "`cortex`", "gemma3_text, glm, glm4, gpt2, gpt_neo, gpt_neox"],
    );
    for (known, reason) in [("mixtral", "mixture of experts"), ("mamba", "attention"), ("t5", "encoder")] {
        configure(folder.path(), "model_type", known.into());
        holds(&refused(folder.path()), &["config.json", "`model_type` is", known, reason]);
    }
}

#[test]
fn a_weight_that_is_nan_or_infinite() {
    for bad in [f32::NAN, f32::INFINITY] {
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            let folder = copy_of("mistral");
            let tensor = "model.layers.1.self_attn.k_proj.weight";
            rewrite(folder.path(), |tensors| {
                let shape = tensors[tensor].shape().clone();
                let values = tensors[tensor].to_dtype(DType::F32).unwrap().flatten_all().unwrap();
                let mut values = values.to_vec1::<f32>().unwrap();
                values[7] = bad;
                let spoilt = Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
                tensors.insert(tensor.into(), spoilt);
            });
            holds(
                &refused(folder.path()),
                &[WEIGHTS, tensor, "weights of the keys in block 1", "fetch the weights again"],
            );
        }
    }
}

#[test]
fn unsupported_config_values() {
    let odd = serde_json::json!({"rope_type": "spiral", "factor": 2.0});
    let cases = [
        ("mistral", "rope_scaling.rope_type", odd.clone(), "longrope"),
        ("gpt_neox", "rope_parameters.rope_type", odd, "longrope"),
        ("mistral", "hidden_act", "mish".into(), "gelu_pytorch_tanh"),
        ("gpt_neox", "hidden_act", "mish".into(), "gelu_pytorch_tanh"),
        ("gpt2", "activation_function", "mish".into(), "gelu_pytorch_tanh"),
        ("gpt2", "scale_attn_weights", false.into(), "only true"),
        ("gpt2", "scale_attn_by_inverse_layer_idx", true.into(), "only false"),
    ];
    for (checkpoint, field, value, way_out) in cases {
        let folder = copy_of(checkpoint);
        configure(folder.path(), field.split('.').next().unwrap(), value);
        holds(&refused(folder.path()), &["config.json", &format!("`{field}`"), way_out]);
    }
}

#[test]
fn impossible_counts() {
    for (checkpoint, field, value, way_out) in [
        ("mistral", "num_attention_heads", 0, "a whole number from 1"),
        ("mistral", "num_key_value_heads", 0, "a whole number from 1"),
        ("mistral", "num_key_value_heads", 4, "divisor of the 6 query heads"),
        ("mistral", "num_hidden_layers", 0, "a whole number from 1"),
        ("gpt2", "n_head", 0, "a whole number from 1"),
        ("gpt_neox", "num_attention_heads", 0, "a whole number from 1"),
    ] {
        let folder = copy_of(checkpoint);
        configure(folder.path(), field, value.into());
        holds(&refused(folder.path()), &["config.json", &format!("`{field}` is {value}"), way_out]);
    }
}

#[test]
fn a_missing_or_invalid_config() {
    let folder = copy_of("gpt2");
    configure(folder.path(), "n_embd", serde_json::Value::Null);
    holds(&refused(folder.path()), &["config.json", "complete config"]);
    std::fs::write(folder.path().join("config.json"), "{\"model_type\": ").unwrap();
    holds(&refused(folder.path()), &["config.json", "Hugging Face config.json"]);
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    holds(&refused(folder.path()), &["config.json", "cannot read"]);
}

#[test]
fn bad_datasets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("towns.csv");
    for (text, parts) in [
        ("name,latitude,longitude\nA,1,2\nB,91,2\n", ["row 2", "91", "-90 to 90"]),
        ("name,latitude,longitude\nA,1,2\nB,1,-181\n", ["row 2", "-181", "-180 to 180"]),
        ("name,latitude,longitude\nA,1,2\nB,1,2\nC,1\n", ["row 3", "2 fields", "3"]),
        ("name,latitude,longitude\nA,north,2\n", ["row 1", "`north`", "expected a number"]),
        ("name,latitude\nA,1\n", ["no column", "`longitude`", "name, latitude"]),
        ("name,release_date\nA,1999-02-30\n", ["row 1", "`1999-02-30`", "year-month-day"]),
        ("name,year\n", ["no rows", "one entity per row", "towns.csv"]),
    ] {
        std::fs::write(&path, text).unwrap();
        let message = load(&path).unwrap_err().to_string();
        holds(&message, &parts);
        holds(&message, &["towns.csv"]);
    }
    std::fs::write(&path, b"name,year\nA,1\n\xff\xfe,2\n").unwrap();
    holds(&load(&path).unwrap_err().to_string(), &["towns.csv", "line 3", "iconv"]);
    holds(&load(&folder.path().join("none.csv")).unwrap_err().to_string(), &["none.csv", "cannot read"]);
}

#[test]
fn an_entity_without_tokens_of_its_own() {
    let tokenizer = tokenizer(&["Oslofjord"; 9]);
    let transformer = untrained(&tiny_spec(tokenizer.len()), 1).unwrap();
    let reader = TextModel { transformer: &transformer, tokenizer: &tokenizer };
    let (dataset, prompt) = (years("fjords.csv", "Bergen,1\nOslo,2\n"), Prompt::new("{}fjord").unwrap());
    let texts = PromptedDataset { dataset: &dataset, prompt: &prompt };
    let error = extract(reader, texts, &[HookPoint::ResidPost(0)], &mut Silent).unwrap_err();
    assert!(matches!(error, Error::EntityNotPlaced { .. }), "{error}");
    holds(&error.to_string(), &["fjords: row 2", "`Oslo`", "`Oslofjord`"]);
}

#[test]
fn tokens_of_another_model_and_texts_too_long() {
    let transformer = Model::load_transformer(&root("tests/fixtures/models/llama"), Precision::F32).unwrap();
    let run = |ids: &[u32]| {
        transformer.forward(&Forest::of_text(ids).unwrap(), None, &mut NoHook).map(|_| "it ran").unwrap_err()
    };
    let (foreign, long) =
        (["32", "below 32", "tokenizer may belong to another model"], ["33 tokens", "at most 32"]);
    holds(&run(&[1, 32]).to_string(), &foreign);
    holds(&run(&[1; 33]).to_string(), &long);
    let go_on = |ids: &[u32]| {
        generate(&transformer, ids, &Continuation::greedy(2), &mut NoHook).unwrap_err().to_string()
    };
    holds(&go_on(&[1, 32]), &foreign);
    holds(&go_on(&[1; 33]), &long);
}

#[test]
fn an_entity_whose_text_does_not_fit_the_model_is_named() {
    let tokenizer = tokenizer(&["abc"]);
    // Without the last byte-level letters; `à` needs one of these.
    let transformer = untrained(&Spec { n_context: 32, ..tiny_spec(tokenizer.len() - 10) }, 1).unwrap();
    let reader = TextModel { transformer: &transformer, tokenizer: &tokenizer };
    let long = "zyxw".repeat(9);
    for (dataset, parts) in [
        (years("long.csv", &format!("a,1\n{long},2\n")), ["long: row 2", long.as_str(), "at most 32"]),
        (years("foreign.csv", "b,1\nà,2\n"), ["foreign: row 2", "`à`", "another model"]),
    ] {
        let points = [HookPoint::ResidPost(0)];
        let texts = PromptedDataset { dataset: &dataset, prompt: &Prompt::empty() };
        let error = extract(reader, texts, &points, &mut Silent).unwrap_err();
        holds(&error.to_string(), &parts);
    }
}

#[test]
fn a_missing_or_invalid_tokenizer() {
    let folder = copy_of("mistral");
    let path = folder.path().join("tokenizer.json");
    let load = || Model::load(folder.path(), Precision::F32).map(|_| "it loaded");
    let json = train_tokenizer(&["Oslo".to_string()], 300).unwrap();
    std::fs::write(&path, &json[..json.len() / 2]).unwrap();
    holds(&load().unwrap_err().to_string(), &["tokenizer.json", "tokenizers library"]);
    std::fs::remove_file(&path).unwrap();
    holds(&load().unwrap_err().to_string(), &["no tokenizer.json", "save_pretrained"]);
    let words = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"Oslo": 0, "?": 31}, "unk_token": "?"},
    });
    std::fs::write(&path, words.to_string()).unwrap();
    assert_eq!(load().unwrap(), "it loaded");
}

#[test]
fn a_token_outside_the_embedding_is_refused_if_a_text_uses_it() {
    let folder = copy_of("mistral"); // an embedding of 32 rows
    let words = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"Oslo": 0, "?": 31, "<image>": 32}, "unk_token": "?"},
    });
    std::fs::write(folder.path().join("tokenizer.json"), words.to_string()).unwrap();
    let model = Model::load(folder.path(), Precision::F32).unwrap();
    let reader = TextModel { transformer: &model.transformer, tokenizer: &model.tokenizer };
    let of = |names: &str| {
        let points = [HookPoint::ResidPost(0)];
        let texts = PromptedDataset { dataset: &years("names.csv", names), prompt: &Prompt::empty() };
        extract(reader, texts, &points, &mut Silent).map(|_| ())
    };
    assert!(of("Oslo,1\n").is_ok());
    let message = of("Oslo,1\n<image>,2\n").unwrap_err().to_string();
    holds(&message, &["row 2", "`<image>`", "token id 32", "below 32", "another model"]);
}

#[test]
fn activations_of_another_dataset() {
    let lab = tempfile::tempdir().unwrap();
    let store = super::store(lab.path(), ["m", "towns", "empty"]);
    let card = |dataset: &Dataset| Card::new().input("dataset_sha256", &dataset.sha256).input("prompt", "{}");
    let (before, now) = (years("towns.csv", "A,1\n"), years("towns.csv", "A,2\n"));
    card(&before).save(&store.folder.join("card.json")).unwrap();
    assert!(!store.is_done(&card(&before), &[]).unwrap(), "spans.csv is missing");
    let error = store.is_done(&card(&now), &[]).unwrap_err();
    assert!(matches!(&error, Error::CardMismatch { field, .. } if field == "dataset_sha256"), "{error}");
    holds(&error.to_string(), &["card.json", &before.sha256, &now.sha256, "--lab"]);
}
