//! No config field that may change numbers is silently ignored, in any family.

use super::families::checkpoints;
use super::root;
use mappa::model::Spec;
use mappa::model::families::Config;
use serde_json::{Map, Value, json};
use std::path::Path;

fn fields(checkpoint: &str) -> Map<String, Value> {
    let path = root("tests/fixtures/models").join(checkpoint).join("config.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn spec(fields: &Map<String, Value>) -> Result<Spec, String> {
    Config::of(Path::new("config.json"), fields.clone()).spec().map_err(|error| error.to_string())
}

/// Fields that no family has, with values of all types that could change numbers.
fn unknown() -> [(&'static str, Value); 6] {
    [
        ("attention_temperature", json!(0.7)),
        ("n_experts_per_token", json!(2)),
        ("use_sandwich_norms", json!(true)),
        ("residual_gates", json!([0.5, 0.5])),
        ("positional_scheme", json!("spiral")),
        ("adapter", json!({"rank": 8})),
    ]
}

#[test]
fn fields_that_transformers_ignores_change_nothing_unless_a_checkpoint_has_its_own_code() {
    for checkpoint in &checkpoints() {
        let whole = fields(checkpoint);
        let before = spec(&whole).unwrap();
        for (name, value) in unknown() {
            let mut changed = whole.clone();
            changed.insert(name.into(), value);
            if checkpoint != "chatglm" {
                assert_eq!(spec(&changed).unwrap(), before, "{checkpoint}: `{name}`");
            }
            // The checkpoint's own code may read fields that transformers ignores.
            changed.insert("auto_map".into(), json!({"AutoModelForCausalLM": "modeling_own.Own"}));
            let refusal = spec(&changed).expect_err(checkpoint);
            assert!(refusal.contains(&format!("`{name}`")) && refusal.contains("config.json"), "{refusal}");
            // A `null` field has no effect.
            changed.insert(name.into(), Value::Null);
            spec(&changed).unwrap();
        }
    }
}

/// For each family, the fields that transformers reads, found in its code.
fn read_by_transformers() -> Value {
    let bytes = std::fs::read(root("src/model/families/reference_fields.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Fields that transformers reads without an effect on numbers: rotary settings in families without rotary
/// embeddings, or alternative names of other fields.
const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    (
        "falcon_rw",
        &["rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor", "original_max"],
    ),
    ("gpt_neox", &["rope_theta", "partial_rotary_factor"]),
];

#[test]
fn no_field_that_transformers_reads_is_ignored() {
    let reference = read_by_transformers();
    let (mut n_checked, mut passed_over) = (0, Vec::new());
    for checkpoint in &checkpoints() {
        let whole = fields(checkpoint);
        let family = whole["model_type"].as_str().unwrap();
        let Some(known) = reference["families"].get(family) else { continue };
        let has_no_effect = |name: &str| {
            let of = WITHOUT_EFFECT.iter().filter(|(start, _)| checkpoint.starts_with(start));
            of.flat_map(|(_, names)| *names).any(|start| name.starts_with(start))
        };
        for name in known.as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
            // No field accepts both values, so a family that reads the field refuses at least one.
            let refusals = [json!({"no_such": {"value": 1}}), json!("no such value")].map(|value| {
                let mut changed = whole.clone();
                changed.insert(name.into(), value);
                spec(&changed).err()
            });
            let own = reference["aliases"][family][name].as_str().unwrap_or(name);
            n_checked += 1;
            match refusals.into_iter().flatten().next() {
                Some(refusal) if refusal.contains(name) || refusal.contains(own) => {}
                None if has_no_effect(name) => {}
                found => passed_over.push(format!("{checkpoint}: {name}: {found:?}")),
            }
        }
    }
    assert!(n_checked > 700, "{n_checked}");
    assert!(passed_over.is_empty(), "{passed_over:#?}");
}

#[test]
fn a_typo_is_refused_with_the_intended_name() {
    for (checkpoint, meant, written) in [
        ("llama_biased_tied", "rms_norm_eps", "rms_nrom_eps"),
        ("mistral", "sliding_window", "sliding_windows"),
        ("granite", "residual_multiplier", "residual_multipler"),
        ("gpt2", "layer_norm_epsilon", "layer_norm_epsilom"),
    ] {
        let mut changed = fields(checkpoint);
        let value = changed.remove(meant).unwrap();
        changed.insert(written.into(), value);
        let refusal = spec(&changed).expect_err(written);
        assert!(refusal.contains(written) && refusal.contains(&format!("`{meant}`")), "{refusal}");
        // If the correct field is present as well, the typo has no effect.
        changed.insert(meant.into(), fields(checkpoint)[meant].clone());
        assert_eq!(spec(&changed).unwrap(), spec(&fields(checkpoint)).unwrap());
    }
}

#[test]
fn rotation_fields_that_no_scaling_reads_are_ignored_except_those_of_single_layers() {
    let mut n_checked = 0;
    for checkpoint in &checkpoints() {
        for object in ["rope_parameters", "rope_scaling"] {
            let whole = fields(checkpoint);
            if !whole.get(object).is_some_and(Value::is_object) {
                continue;
            }
            let with = |name: &str, value: Value| {
                let mut changed = whole.clone();
                changed[object].as_object_mut().unwrap().insert(name.into(), value);
                spec(&changed)
            };
            assert_eq!(with("mrope_section", json!([2, 2])).unwrap(), spec(&whole).unwrap(), "{checkpoint}");
            if !checkpoint.starts_with("falcon_rw") {
                let refusal = with("chunked_attention", json!({"rope_theta": 5.0})).expect_err(checkpoint);
                assert!(refusal.contains(&format!("`{object}.chunked_attention`")), "{refusal}");
                let refusal = with("truncat", json!(false)).expect_err(checkpoint);
                assert!(refusal.contains("`truncate`"), "{refusal}");
            }
            n_checked += 1;
        }
    }
    assert!(n_checked > 25, "{n_checked}");
}

#[test]
fn fields_that_change_numbers_in_any_family_have_one_supported_value() {
    for (name, value) in [
        ("is_causal", json!(false)),
        ("is_encoder_decoder", json!(true)),
        ("add_cross_attention", json!(true)),
        ("quantization_config", json!({"quant_method": "gptq", "bits": 4})),
        ("pruned_heads", json!({"1": [0]})),
    ] {
        for checkpoint in &checkpoints() {
            let mut changed = fields(checkpoint);
            changed.insert(name.into(), value.clone());
            let refusal = spec(&changed).expect_err(checkpoint);
            assert!(refusal.contains(name), "{checkpoint}: {refusal}");
        }
    }
}

#[test]
fn each_field_that_the_family_reads_changes_the_spec_or_is_refused() {
    // Numbers whose change does not contradict another field.
    for (checkpoint, name, value) in [
        ("llama", "rms_norm_eps", json!(0.5)),
        ("mistral", "sliding_window", json!(3)),
        ("qwen2", "max_window_layers", json!(0)),
        ("gemma2", "attn_logit_softcapping", json!(7.0)),
        ("gemma2", "final_logit_softcapping", Value::Null),
        ("gemma2", "query_pre_attn_scalar", json!(99)),
        ("granite", "residual_multiplier", json!(0.5)),
        ("granite", "logits_scaling", json!(3.0)),
        ("olmo", "clip_qkv", json!(0.1)),
        ("gptj", "rotary_dim", json!(2)),
        ("opt", "activation_function", json!("gelu")),
        ("xglm", "scale_embedding", json!(false)),
        ("smollm3", "no_rope_layers", json!([0, 1])),
        ("bert", "layer_norm_eps", json!(1e-5)),
        ("chatglm", "rope_ratio", json!(5)),
    ] {
        let whole = fields(checkpoint);
        let mut changed = whole.clone();
        changed.insert(name.into(), value).unwrap();
        // `layer_types` repeats other fields about windows.
        let without = |mut fields: Map<String, Value>| {
            fields.remove("layer_types");
            fields
        };
        let (before, after) = (spec(&without(whole)).unwrap(), spec(&without(changed)).unwrap());
        assert_ne!(before, after, "{checkpoint}: `{name}` has no effect");
    }
}

#[test]
fn a_field_of_the_wrong_type_is_refused_naming_it() {
    for (checkpoint, name, value) in [
        ("llama", "rms_norm_eps", json!("small")),
        ("llama", "hidden_size", json!(-12)),
        ("llama", "hidden_size", json!(12.5)),
        ("gemma2", "layer_types", json!(["sliding_attention"])),
        ("gemma2", "layer_types", json!(["sliding_attention", "linear_attention"])),
        ("smollm3", "no_rope_layers", json!([1])),
        ("falcon_7b", "parallel_attn", json!(1)),
        ("phi3_longrope", "rope_parameters", json!({"rope_type": "longrope", "short_factor": [1.0]})),
    ] {
        let mut changed = fields(checkpoint);
        changed.insert(name.into(), value);
        let refusal = spec(&changed).expect_err(name);
        assert!(refusal.contains("config.json"), "{refusal}");
    }
}

/// Fields of well-known models on the hub, among them those that transformers ignores and those of older versions.
fn from_the_hub() -> Vec<(&'static str, Value)> {
    let falcon = json!({"model_type": "falcon", "alibi": false, "apply_residual_connection_post_layernorm": false,
        "architectures": ["FalconForCausalLM"], "attention_dropout": 0.0, "auto_map": {"AutoConfig": "x"},
        "bias": false, "bos_token_id": 11, "eos_token_id": 11, "hidden_dropout": 0.0, "hidden_size": 4544,
        "initializer_range": 0.02, "layer_norm_epsilon": 1e-5, "multi_query": true,
        "new_decoder_architecture": false, "num_attention_heads": 71, "num_hidden_layers": 32,
        "parallel_attn": true, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 65024});
    let smollm2 = json!({"model_type": "llama", "attention_bias": false, "attention_dropout": 0.0,
        "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.04, "intermediate_size": 1536,
        "is_llama_config": true, "max_position_embeddings": 8192, "mlp_bias": false, "num_attention_heads": 9,
        "num_hidden_layers": 30, "num_key_value_heads": 3, "pretraining_tp": 1, "rms_norm_eps": 1e-5,
        "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "transformers.js_config": {"dtype": "q4"}, "use_cache": true,
        "vocab_size": 49152});
    let bloom = json!({"model_type": "bloom", "apply_residual_connection_post_layernorm": false,
        "attention_softmax_in_fp32": true, "bias_dropout_fusion": true, "hidden_dropout": 0.0,
        "layer_norm_epsilon": 1e-5, "masked_softmax_fusion": true, "n_embed": 1024, "n_inner": null,
        "n_layer": 24, "num_attention_heads": 16, "offset_alibi": 100, "pretraining_tp": 1, "seq_length": 2048,
        "skip_bias_add": true, "skip_bias_add_qkv": false, "unk_token_id": 0, "vocab_size": 250_880});
    let gpt2 = json!({"model_type": "gpt2", "activation_function": "gelu_new", "attn_pdrop": 0.1, "n_ctx": 1024,
        "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "summary_type": "cls_index",
        "summary_use_proj": true, "task_specific_params": {"text-generation": {"max_length": 50}},
        "vocab_size": 50257});
    vec![("falcon", falcon), ("llama", smollm2), ("bloom", bloom), ("gpt2", gpt2)]
}

#[test]
fn configs_from_the_hub_are_accepted() {
    for (family, fields) in from_the_hub() {
        let read = spec(fields.as_object().unwrap()).unwrap();
        assert_eq!(read.family, family);
    }
    let (_, mut llama) = from_the_hub().remove(1);
    llama["rope_interleaved"] = json!(true);
    assert!(spec(llama.as_object().unwrap()).unwrap_err().contains("rope_interleaved"));
}
