//! Older PyTorch files, two-byte weights, base models without a head: accepted and refused checkpoints.

use super::root;
use candle_core::{DType, Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Location, Model, NoHook, Precision, Transformer};
use std::path::Path;
use tempfile::TempDir;

const TEXT: [u32; 6] = [1, 5, 9, 23, 2, 17];

fn fixture(name: &str) -> std::path::PathBuf {
    root("tests/fixtures/models").join(name)
}

fn copy_of(checkpoint: &str) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture(checkpoint)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

fn stream(model: &Transformer) -> Tensor {
    model.forward(&Forest::of_text(&TEXT).unwrap(), None, &mut NoHook).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn refused(folder: &Path) -> String {
    Model::load_transformer(folder, Precision::F32).map(|_| "it loaded").unwrap_err().to_string()
}

#[test]
fn a_truncated_pickle_and_another_file_are_refused_naming_them() {
    let folder = copy_of("gpt2_bin");
    let path = folder.path().join("pytorch_model.bin");
    let whole = std::fs::read(&path).unwrap();
    for bytes in [&whole[..whole.len() / 2], b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".as_slice()] {
        std::fs::write(&path, bytes).unwrap();
        let message = refused(folder.path());
        assert!(message.contains("pytorch_model.bin") && message.contains("save_pretrained"), "{message}");
    }
}

#[test]
fn pickles_in_shards_equal_one_file() {
    let folder = copy_of("gpt2_bin");
    let (one, shard) = (folder.path().join("pytorch_model.bin"), "pytorch_model-00001-of-00001.bin");
    let whole = Model::load_transformer(folder.path(), Precision::F32).unwrap();
    std::fs::rename(&one, folder.path().join(shard)).unwrap();
    let index =
        serde_json::json!({"weight_map": {"transformer.wte.weight": shard, "transformer.ln_f.bias": shard}});
    std::fs::write(folder.path().join("pytorch_model.bin.index.json"), index.to_string()).unwrap();
    let sharded = Model::load_transformer(folder.path(), Precision::F32).unwrap();
    assert_eq!(values(&stream(&whole)), values(&stream(&sharded)));
    std::fs::remove_file(folder.path().join(shard)).unwrap();
    assert!(refused(folder.path()).contains(shard));
}

#[test]
fn two_byte_weights_take_half_the_memory_and_keep_their_accuracy() {
    // The fixture's weights are f16, so f16 in memory is exact.
    let exact = stream(&Model::load_transformer(&fixture("qwen3"), Precision::F32).unwrap());
    for (precision, allowed) in [(Precision::F16, 0.0), (Precision::AsStored, 0.0), (Precision::Bf16, 0.05)] {
        let model = Model::load_transformer(&fixture("qwen3"), precision).unwrap();
        let found = stream(&model);
        assert_eq!(found.dtype(), DType::F32);
        let largest = values(&exact).into_iter().map(f32::abs).fold(0.0, f32::max);
        let apart = values(&exact).iter().zip(values(&found)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart <= allowed * largest, "{precision}: {apart} of {largest}");
        assert_eq!(apart == 0.0, precision != Precision::Bf16, "{precision} was not used");
    }
}

#[test]
fn a_weight_that_does_not_fit_f16_is_named() {
    let folder = copy_of("qwen3");
    let path = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let name = "model.layers.0.mlp.up_proj.weight";
    let large = (tensors[name].to_dtype(DType::F32).unwrap().ones_like().unwrap() * 1e6).unwrap();
    tensors.insert(name.into(), large);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    assert!(Model::load_transformer(folder.path(), Precision::F32).is_ok());
    let refusal = Model::load_transformer(folder.path(), Precision::F16).map(|_| "it loaded").unwrap_err();
    let message = refusal.to_string();
    assert!(message.contains(name) && message.contains("--dtype f32"), "{message}");
}

#[test]
fn a_base_model_without_a_head_loads_and_refuses_to_generate() {
    let folder = copy_of("mistral");
    let path = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    tensors.remove("lm_head.weight").unwrap();
    // Base models are saved without the prefix too.
    let tensors =
        tensors.into_iter().map(|(name, t)| (name.trim_start_matches("model.").to_string(), t)).collect();
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let (base, whole) = (
        Model::load_transformer(folder.path(), Precision::F32).unwrap(),
        Model::load_transformer(&fixture("mistral"), Precision::F32).unwrap(),
    );
    assert_eq!(values(&stream(&base)), values(&stream(&whole)));
    let message = base.logits(&stream(&base)).unwrap_err().to_string();
    assert!(message.contains("language-model head"), "{message}");
}

#[test]
fn a_tied_head_with_other_values_is_not_tied() {
    let folder = copy_of("gemma");
    let path = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let embed = tensors["model.embed_tokens.weight"].clone();
    for (head, is_tied) in [(embed.clone(), true), ((embed * 0.5).unwrap(), false)] {
        tensors.insert("lm_head.weight".into(), head);
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let model = Model::load_transformer(folder.path(), Precision::F32).unwrap();
        assert_eq!(model.spec.head.unwrap().tied, is_tied);
    }
}

#[test]
fn a_tied_checkpoint_may_contain_only_the_head() {
    for name in ["gemma", "gpt2"] {
        let folder = copy_of(name);
        let path = folder.path().join("model.safetensors");
        let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        let embed = ["model.embed_tokens.weight", "transformer.wte.weight", "wte.weight"];
        let embed = embed.into_iter().find_map(|name| tensors.remove(name)).unwrap();
        tensors.insert("lm_head.weight".into(), embed);
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let [head_alone, whole] = [folder.path(), &fixture(name)].map(|folder| {
            let model = Model::load_transformer(folder, Precision::F32).unwrap();
            values(&model.logits(&stream(&model)).unwrap())
        });
        assert_eq!(head_alone, whole, "{name}");
    }
}

#[test]
fn unused_tensors_are_reported_except_common_ones() {
    let folder = copy_of("mistral");
    std::fs::copy(root("models/atlas/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let path = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let some = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
    let adapter = "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight";
    for name in [adapter, "model.layers.0.self_attn.rotary_emb.inv_freq", "score.weight"] {
        tensors.insert(name.into(), some.clone());
    }
    candle_core::safetensors::save(&tensors, &path).unwrap();
    assert_eq!(Model::load(folder.path(), Precision::F32).unwrap().unused, [adapter]);
    assert!(Model::bundled(Precision::F32).unwrap().unused.is_empty());
}

#[test]
fn an_adapter_is_refused_naming_its_kind() {
    let lab = tempfile::tempdir().unwrap();
    let folder = lab.path().join("models/lora");
    std::fs::create_dir_all(&folder).unwrap();
    let config = r#"{"peft_type": "LORA", "base_model_name_or_path": "org/base"}"#;
    std::fs::write(folder.join("adapter_config.json"), config).unwrap();
    for name in ["lora", folder.to_str().unwrap()] {
        let message = Location::find(lab.path(), name).unwrap_err().to_string();
        for part in ["adapter_config.json", "LORA adapter of org/base", "merge_and_unload"] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn older_names_of_layer_norm_are_read() {
    let folder = copy_of("bert");
    let path = folder.path().join("model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let older = |name: String| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    };
    let renamed: std::collections::HashMap<_, _> = tensors.into_iter().map(|(n, t)| (older(n), t)).collect();
    assert!(renamed.keys().any(|name| name.ends_with("gamma")));
    candle_core::safetensors::save(&renamed, &path).unwrap();
    let models =
        [folder.path(), &fixture("bert")].map(|f| Model::load_transformer(f, Precision::F32).unwrap());
    let [old, new] = models.map(|model| values(&model.logits(&stream(&model)).unwrap()));
    assert_eq!(old, new);
}

#[test]
fn a_model_that_cannot_fit_is_refused_before_its_weights_are_read() {
    let folder = copy_of("llama_yarn");
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let path = folder.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (field, value) in
        [("num_hidden_layers", 4000), ("intermediate_size", 1_000_000), ("hidden_size", 65_536)]
    {
        config[field] = value.into();
    }
    std::fs::write(&path, config.to_string()).unwrap();
    let message = refused(folder.path());
    assert!(
        message.contains("memory") && message.contains("GB needed") && message.contains("bf16"),
        "{message}"
    );
}

#[test]
fn a_window_longer_than_the_text_has_no_effect() {
    let folder = copy_of("mistral");
    let path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let last = |folder: &Path| {
        let model = Model::load_transformer(folder, Precision::F32).unwrap();
        let mut capture = Capture::all(&[HookPoint::ResidPost(1)]);
        model.forward(&Forest::of_text(&TEXT).unwrap(), None, &mut capture).unwrap();
        values(capture.get(HookPoint::ResidPost(1)).unwrap())
    };
    let narrow = last(folder.path());
    std::fs::write(&path, text.replace("\"sliding_window\": 4", "\"sliding_window\": 40")).unwrap();
    let wide = last(folder.path());
    std::fs::write(&path, text.replace("\"sliding_window\": 4", "\"sliding_window\": null")).unwrap();
    assert_eq!(wide, last(folder.path()));
    assert_ne!(narrow, wide);
}
