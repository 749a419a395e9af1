//! Invalid GGUF files: each message names the file, the key or the tensor, and gives advice.

use super::gguf::{Parts, fixture};
use candle_core::quantized::gguf_file::Value;
use candle_core::{DType, Device, Tensor};
use mappa::model::{Model, Precision};
use std::path::Path;
use tempfile::TempDir;

/// Checks the message for a file that must not load.
fn refused(path: &Path, parts: &[&str]) {
    let message = Model::load(path, Precision::F32).map(|_| "it loaded").unwrap_err().to_string();
    let file = path.file_name().unwrap().to_str().unwrap();
    for part in parts.iter().chain([&file]) {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

/// A folder, and the path for a changed file in it.
fn place() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spoilt.gguf");
    (folder, path)
}

/// Refuses a file whose parts were changed.
fn changed(change: impl FnOnce(Parts) -> Parts, parts: &[&str]) {
    let (_folder, path) = place();
    change(Parts::read("llama3")).write(&path);
    refused(&path, parts);
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

#[test]
fn a_rewritten_unchanged_file_loads() {
    let (_folder, path) = place();
    Parts::read("llama3").write(&path);
    Model::load(&path, Precision::F32).unwrap();
}

#[test]
fn a_file_truncated_anywhere() {
    let (_folder, path) = place();
    let whole = std::fs::read(fixture("llama3.Q8_0")).unwrap();
    for n in (0..whole.len()).step_by(97).chain([whole.len() - 40, 4, 7, 8, 24]) {
        std::fs::write(&path, &whole[..n]).unwrap();
        refused(&path, &["download or copy it again"]);
    }
    std::fs::write(&path, vec![0; 100]).unwrap();
    refused(&path, &["do not begin with `GGUF`"]);
}

#[test]
fn counts_larger_than_any_file() {
    let (_folder, path) = place();
    let whole = std::fs::read(fixture("llama3")).unwrap();
    let with = |at: usize, bytes: &[u8], parts: &[&str]| {
        let mut spoilt = whole.clone();
        spoilt[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(&path, &spoilt).unwrap();
        refused(&path, parts);
    };
    for absurd in [u64::MAX, 1 << 40] {
        with(8, &absurd.to_le_bytes(), &["tensors", "bytes are left"]);
        with(16, &absurd.to_le_bytes(), &["metadata keys", "bytes are left"]);
        with(24, &absurd.to_le_bytes(), &["bytes in a metadata key"]);
    }
    with(4, &3u32.to_be_bytes(), &["big-endian", "--bigendian"]);
    with(4, &9u32.to_le_bytes(), &["version 9", "1, 2 or 3"]);
    // The entry of a tensor: its name, the number of dimensions, the dimensions, its type, its offset.
    let name = b"output_norm.weight";
    let at = whole.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    for absurd in [u64::MAX, 1 << 62, 0] {
        with(at + 4, &absurd.to_le_bytes(), &["output_norm.weight"]);
    }
    with(at, &9u32.to_le_bytes(), &["output_norm.weight", "9 dimensions"]);
    with(at + 12, &16u32.to_le_bytes(), &["output_norm.weight", "IQ2_XXS", "quantise the model again"]);
    with(at + 12, &22u32.to_le_bytes(), &["weight` stored as IQ2_S", "Q4_K", "MXFP4"]);
    with(at + 12, &77u32.to_le_bytes(), &["output_norm.weight", "type 77"]);
    for offset in [u64::MAX, 1 << 40, whole.len() as u64 / 32 * 32] {
        with(at + 16, &offset.to_le_bytes(), &["output_norm.weight", "beyond the file's"]);
    }
    for alignment in [0, 3, u32::MAX] {
        Parts::read("llama3").set("general.alignment", Value::U32(alignment)).write(&path);
        refused(&path, &["general.alignment", &alignment.to_string(), "a power of two"]);
    }
}

#[test]
fn missing_unknown_or_mistyped_metadata() {
    changed(|p| p.without("llama.block_count"), &["no metadata key `llama.block_count`", "convert"]);
    changed(|p| p.without("general.architecture"), &["no metadata key `general.architecture`"]);
    changed(
        |p| p.set("general.architecture", text("mamba")),
        &[
            "general.architecture",
            "`mamba`",
            "without attention",
            "gpt2, gptneox, granite, llama, olmo, olmo2, phi2",
        ],
    );
    for (name, reason) in [
        ("nomic-bert", "only embed texts"),
        ("qwen3moe", "a mixture of experts"),
        ("t5", "an encoder with a decoder"),
        ("flux", "draws images"),
        ("hieroglyphs", "does not support; one of bert, bloom"),
    ] {
        changed(|p| p.set("general.architecture", text(name)), &[name, reason, "llama", "starcoder2"]);
    }
    changed(|p| p.set("llama.block_count", text("two")), &["llama.block_count", "`two`", "a whole number"]);
    changed(
        |p| p.set("llama.expert_count", Value::U32(8)),
        &["llama.expert_count", "8", "a mixture of experts"],
    );
    changed(
        |p| p.set("llama.attention.value_length", Value::U32(4)),
        &["llama.attention.value_length", "4", "the width of keys, 8"],
    );
    changed(|p| p.set("llama.rope.scaling.type", text("ntk")), &["llama.rope.scaling.type", "`ntk`", "yarn"]);
    changed(
        |p| p.set("llama.attention.head_count", Value::U32(0)),
        &["llama.attention.head_count", "0", "from 1"],
    );
    let list = |numbers: &[u32]| Value::Array(numbers.iter().map(|n| Value::U32(*n)).collect());
    for (key, numbers, shown) in [
        ("llama.attention.head_count_kv", &[2, 4][..], "[2, 4]"),
        ("llama.feed_forward_length", &[32, 32, 32], "[32, 32, 32]"),
        ("llama.attention.head_count", &[], "[]"),
        ("llama.feed_forward_length", &[1, 2, 3, 4, 5, 6, 7, 8, 9], "7, 8, …]"),
    ] {
        changed(|p| p.set(key, list(numbers)), &[key, shown, "the same number for each of the 2 layers"]);
    }
    changed(
        |p| p.set("llama.attention.causal", Value::Bool(false)),
        &["llama.attention.causal", "false", "only true is"],
    );
    changed(|p| p.set("general.type", text("poem")), &["general.type", "`poem`", "`model`"]);
}

#[test]
fn an_invalid_tokenizer() {
    changed(
        |p| p.set("tokenizer.ggml.pre", text("tongues")),
        &["tokenizer.ggml.pre", "`tongues`", "llama-bpe", "qwen2"],
    );
    changed(
        |p| p.set("tokenizer.ggml.model", text("rwkv")),
        &["tokenizer.ggml.model", "`rwkv`", "SentencePiece"],
    );
    changed(|p| p.without("tokenizer.ggml.merges"), &["no metadata key `tokenizer.ggml.merges`"]);
    changed(
        |p| p.set("tokenizer.ggml.merges", Value::Array(vec![text("ab")])),
        &["tokenizer.ggml.merges", "`ab`", "separated by a space"],
    );
    changed(
        |p| p.set("tokenizer.ggml.bos_token_id", Value::U32(999)),
        &["tokenizer.ggml.bos_token_id", "999", "below 288"],
    );
    let types = Value::Array(vec![Value::I32(1)]);
    changed(
        |p| p.set("tokenizer.ggml.token_type", types),
        &["tokenizer.ggml.token_type", "1 entries", "288"],
    );
    let more = |mut parts: Parts, extra: &str| {
        for (key, value) in
            [("tokenizer.ggml.tokens", text(extra)), ("tokenizer.ggml.token_type", Value::I32(1))]
        {
            let Some(Value::Array(values)) = parts.metadata.get_mut(key) else { panic!("{key}") };
            values.push(value);
        }
        parts
    };
    changed(|p| more(p, "<mark>"), &["token `<mark>` under id", "each token once"]);
}

#[test]
fn missing_unknown_or_misshapen_tensors() {
    let zeros = |rows: usize, width: usize| Tensor::zeros((rows, width), DType::F32, &Device::Cpu).unwrap();
    let up = "blk.1.ffn_up.weight";
    changed(|p| p.tensor(up, &zeros(32, 64)), &[up, "[32, 64]", "[32, 32]"]);
    changed(|p| p.tensor(up, &zeros(31, 32)), &[up, "[31, 32]", "[32, 32]"]);
    let without = |mut parts: Parts| {
        parts.tensors.remove(up).unwrap();
        parts
    };
    changed(without, &["no tensor", up]);
    let foreign = "blk.0.attn_sinks.weight";
    changed(|p| p.tensor(foreign, &zeros(1, 4)), &[foreign, "a llama model does not have"]);
    let bad = (zeros(32, 32) + f64::NAN).unwrap();
    changed(|p| p.tensor(up, &bad), &[up, "weights of the MLP input in block 1", "fetch the weights again"]);
    let factors = Tensor::new(&[0f32; 4], &Device::Cpu).unwrap();
    changed(|p| p.tensor("rope_freqs.weight", &factors), &["rope_freqs.weight", "above 0"]);
}
