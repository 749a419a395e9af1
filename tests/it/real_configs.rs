//! Configs of widely used models, from the hub (fixtures: models/real_configs.py).

use super::root;
use candle_core::{DType, Device, Tensor};
use mappa::model::families::{Config, FAMILIES};
use mappa::model::{Model, PositionEmbedding, Precision, Spec, count};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

#[derive(Deserialize)]
struct Real {
    name: String,
    /// The number of parameters in transformers.
    n_parameters: usize,
    config: Map<String, Value>,
}

fn all() -> Vec<Real> {
    let text = std::fs::read_to_string(root("tests/fixtures/models/real_configs.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn config_of(name: &str) -> Map<String, Value> {
    all().into_iter().find(|real| real.name == name).unwrap().config
}

fn spec(fields: &Map<String, Value>) -> Result<Spec, String> {
    Config::of(Path::new("config.json"), fields.clone()).spec().map_err(|error| error.to_string())
}

#[test]
fn parameter_counts_equal_those_of_transformers() {
    let mut families = BTreeSet::new();
    for Real { name, n_parameters, config } in all() {
        let read = spec(&config).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(count(&read), n_parameters, "{name}");
        families.insert(read.family);
    }
    let missing: Vec<&str> =
        FAMILIES.iter().map(|f| f.model_type).filter(|name| !families.contains(name)).collect();
    assert_eq!(missing, ["chatglm"], "families without a real config");
    assert!(all().len() >= 80);
}

#[test]
fn fields_that_change_numbers_change_the_spec_or_are_refused_by_name() {
    for (name, field, value) in [
        ("openai-community/gpt2-xl", "scale_attn_by_inverse_layer_idx", json!(true)),
        ("openai-community/gpt2", "add_cross_attention", json!(true)),
        ("EleutherAI/pythia-1b", "rotary_pct", json!(0.5)),
        ("EleutherAI/pythia-1b", "use_parallel_residual", json!(false)),
        ("meta-llama/Llama-3.1-8B", "rope_scaling", Value::Null),
        ("mistralai/Mistral-7B-v0.1", "sliding_window", Value::Null),
        ("Qwen/Qwen2.5-1.5B-Instruct", "use_sliding_window", json!(true)),
        ("google/gemma-2-2b", "attn_logit_softcapping", json!(30.0)),
        ("google/gemma-3-1b-it", "rope_local_base_freq", json!(20000)),
        ("microsoft/Phi-4-mini-instruct", "partial_rotary_factor", json!(0.5)),
        ("HuggingFaceTB/SmolLM3-3B", "no_rope_layers", json!(vec![1; 36])),
        ("tiiuae/falcon-7b", "parallel_attn", json!(false)),
        ("FacebookAI/roberta-base", "pad_token_id", json!(0)),
        ("google-bert/bert-base-uncased", "position_embedding_type", json!("relative_key")),
        ("google-bert/bert-base-uncased", "is_decoder", json!(true)),
        ("facebook/opt-350m", "do_layer_norm_before", json!(true)),
        ("ibm-granite/granite-3.0-2b-base", "logits_scaling", json!(1.0)),
    ] {
        let whole = config_of(name);
        let before = spec(&whole).unwrap();
        let mut changed = whole;
        changed.insert(field.into(), value);
        // `layer_types` repeats other fields about windows.
        changed.remove("layer_types");
        match spec(&changed) {
            Ok(after) => assert_ne!(after, before, "{name}: `{field}` has no effect"),
            // Another rotary share of the head is refused, because the number of factors no longer fits.
            Err(refusal) => {
                let is_named = refusal.contains(field) || refusal.contains("short_factor");
                assert!(is_named, "{name}: {field}: {refusal}");
            }
        }
    }
}

#[test]
fn quantised_checkpoints_are_refused_naming_their_method() {
    for (quantisation, words) in [
        (json!({"quant_method": "gptq", "bits": 4, "group_size": 128}), "gptq"),
        (json!({"quant_method": "awq", "bits": 4, "version": "gemm"}), "awq"),
        (json!({"quant_method": "bitsandbytes", "load_in_4bit": true}), "bitsandbytes"),
        (json!({"load_in_8bit": true}), "bitsandbytes"),
        (json!({"quant_method": "fp8"}), "fp8"),
        (json!({"group_size": 64, "bits": 4}), "MLX"),
    ] {
        let mut changed = config_of("meta-llama/Llama-3.2-1B");
        changed.insert("quantization_config".into(), quantisation);
        let refusal = spec(&changed).unwrap_err();
        assert!(refusal.contains("`quantization_config`") && refusal.contains(words), "{refusal}");
    }
}

#[test]
fn a_second_name_of_a_field_is_read_as_in_transformers() {
    let mut changed = config_of("openai-community/gpt2");
    changed.insert("hidden_size".into(), json!(768));
    changed.insert("num_hidden_layers".into(), json!(12));
    assert_eq!(spec(&changed).unwrap(), spec(&config_of("openai-community/gpt2")).unwrap());
    changed.insert("num_hidden_layers".into(), json!(6));
    assert_eq!(spec(&changed).unwrap().n_layers, 6);
    changed.remove("n_embd");
    assert_eq!(spec(&changed).unwrap().d_model, 768);
}

#[test]
fn a_roberta_counts_its_positions_from_the_row_after_padding() {
    let read = spec(&config_of("FacebookAI/roberta-base")).unwrap();
    assert_eq!(
        (read.embedding.positions, read.n_context),
        (PositionEmbedding::AfterPadding { padding: 1 }, 512)
    );
    let mut without = config_of("FacebookAI/roberta-base");
    without.insert("pad_token_id".into(), Value::Null);
    assert!(spec(&without).unwrap_err().contains("pad_token_id"));
}

#[test]
fn weights_quantised_by_mlx_are_refused_and_a_copy_of_its_config_is_not() {
    let from = root("tests/fixtures/models/llama_linear");
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(from.join("config.json")).unwrap();
    let mut config: Map<String, Value> = serde_json::from_slice(&bytes).unwrap();
    config.insert("quantization".into(), json!({"group_size": 64, "bits": 4}));
    std::fs::write(folder.path().join("config.json"), serde_json::to_vec(&config).unwrap()).unwrap();
    let weights = folder.path().join("model.safetensors");
    std::fs::copy(from.join("model.safetensors"), &weights).unwrap();
    Model::load_transformer(folder.path(), Precision::F32).unwrap();

    let mut tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    let scales = Tensor::ones((24, 1), DType::F32, &Device::Cpu).unwrap();
    tensors.insert("model.layers.0.self_attn.q_proj.scales".into(), scales);
    candle_core::safetensors::save(&tensors, &weights).unwrap();
    let refusal = Model::load_transformer(folder.path(), Precision::F32).err().unwrap().to_string();
    assert!(refusal.contains("`quantization`") && refusal.contains("MLX"), "{refusal}");
    assert!(refusal.contains("q_proj.scales") && refusal.contains("GGUF"), "{refusal}");
}
