//! Settings that converters write in more than one way: the model must be the same.

use super::gguf::{Parts, logits};
use candle_core::quantized::gguf_file::Value;
use mappa::model::{Model, Precision};

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn load(parts: Parts) -> mappa::Result<Model> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.gguf");
    parts.write(&path);
    Model::load(&path, Precision::F32)
}

fn rows(model: &Model) -> Vec<Vec<f32>> {
    logits(&model.transformer, &[3, 17, 5, 9, 41, 2]).to_vec2().unwrap()
}

/// Checks that a changed file is still the same model.
fn same(name: &str, change: impl FnOnce(Parts) -> Parts) {
    let [before, after] =
        [load(Parts::read(name)), load(change(Parts::read(name)))].map(|m| rows(&m.unwrap()));
    assert_eq!(before, after, "{name}");
}

#[test]
fn a_list_with_the_same_number_for_every_layer_is_that_number() {
    let list = |n: u32| Value::Array(vec![Value::U32(n); 2]);
    same("llama3", |p| {
        p.set("llama.attention.head_count", list(4)).set("llama.feed_forward_length", list(32))
    });
    same("llama3", |p| {
        let Some(Value::U32(n)) = p.metadata.get("llama.attention.head_count_kv") else {
            panic!("no head_count_kv")
        };
        let n = *n;
        p.set("llama.attention.head_count_kv", list(n))
    });
}

#[test]
fn a_dense_model_may_state_zero_experts() {
    same("llama3", |p| {
        p.set("llama.expert_count", Value::U32(0)).set("llama.expert_used_count", Value::U32(0))
    });
}

#[test]
fn harmless_keys_are_accepted() {
    same("llama", |p| p.set("llama.rope.scaling.type", text("none")));
    same("llama", |p| {
        p.set("llama.rope.scaling.type", text("linear")).set("llama.rope.scale_linear", Value::F32(1.0))
    });
    same("llama", |p| {
        p.set("llama.attention.causal", Value::Bool(true)).set("llama.pooling_type", Value::U32(3))
    });
    same("llama", |p| p.set("general.type", text("model")));
}

#[test]
fn the_frequencies_that_a_file_stores_are_used() {
    let [with, without] = [false, true].map(|without| {
        let mut parts = Parts::read("llama3");
        if without {
            parts.tensors.remove("rope_freqs.weight").unwrap();
        }
        rows(&load(parts).unwrap())
    });
    assert_ne!(with, without);
}

/// The token list with some changed, given by id, text and class.
fn tokens(mut parts: Parts, changed: &[(usize, &str, i32)]) -> Parts {
    for (id, token, class) in changed {
        for (key, value) in
            [("tokenizer.ggml.tokens", text(token)), ("tokenizer.ggml.token_type", Value::I32(*class))]
        {
            let Some(Value::Array(values)) = parts.metadata.get_mut(key) else { panic!("{key}") };
            values[*id] = value;
        }
    }
    parts
}

#[test]
fn empty_tokens_may_pad_a_vocabulary() {
    let strings = ["Oslo and Rome", "12345 in 2024!", " the <mark> here"];
    let ids = |model: &Model| strings.map(|text| model.tokenizer.encode(text).unwrap().ids);
    let whole = load(Parts::read("llama3")).unwrap();
    let used: std::collections::BTreeSet<u32> = ids(&whole).into_iter().flatten().collect();
    // Bytes that occur neither in these texts nor in a merge.
    let free: Vec<usize> =
        [200, 201, 202, 203].into_iter().filter(|id| !used.contains(&(*id as u32))).collect();
    assert_eq!(free.len(), 4);
    for class in [1, 3, 5] {
        let odd = load(tokens(Parts::read("llama3"), &[(free[0], "", class), (free[1], "", class)])).unwrap();
        assert_eq!(ids(&odd), ids(&whole), "class {class}");
        assert_eq!(odd.tokenizer.decode(&[free[1] as u32]).unwrap().is_empty(), class == 3, "class {class}");
        assert_eq!(odd.tokenizer.len(), whole.tokenizer.len());
    }
    // Unused tokens may repeat the text of an earlier or a later token.
    let id_of = |model: &Model, text: &str| model.tokenizer.encode(text).unwrap().ids;
    let odd =
        load(tokens(Parts::read("llama3"), &[(free[0], "<mark>", 5), (free[1], "a", 5), (free[2], "a", 5)]))
            .unwrap();
    assert_eq!(ids(&odd), ids(&whole));
    assert_eq!(id_of(&odd, "a<mark>"), id_of(&whole, "a<mark>"));
    let twice =
        load(tokens(Parts::read("llama3"), &[(free[0], "a", 1)])).map(|_| ()).unwrap_err().to_string();
    assert!(
        twice.contains("token `a` under id") && twice.contains(&format!("again under id {}", free[0])),
        "{twice}"
    );
}

#[test]
fn bos_without_a_setting_in_the_file() {
    let first = |pre: &str, flag: Option<bool>| {
        let mut parts = Parts::read("llama3").set("tokenizer.ggml.pre", text(pre));
        parts.metadata.remove("tokenizer.ggml.add_bos_token");
        if let Some(flag) = flag {
            parts = parts.set("tokenizer.ggml.add_bos_token", Value::Bool(flag));
        }
        load(parts).unwrap().tokenizer.encode("Oslo").unwrap().ids[0] == 0
    };
    for (pre, usual) in
        [("llama-bpe", true), ("gpt-2", false), ("qwen2", false), ("tekken", true), ("glm4", false)]
    {
        assert_eq!((first(pre, None), first(pre, Some(!usual))), (usual, !usual), "{pre}");
    }
    let mut parts = Parts::read("llama");
    parts.metadata.remove("tokenizer.ggml.add_bos_token");
    assert_eq!(
        load(parts).unwrap().tokenizer.encode("Oslo").unwrap().ids[0],
        1,
        "SentencePiece begins with BOS"
    );
}

#[test]
fn an_encoder_without_token_types_and_a_causal_one() {
    let without = |mut parts: Parts| {
        parts.tensors.remove("token_types.weight").unwrap();
        parts
    };
    let whole = load(Parts::read("bert")).unwrap();
    assert_eq!(whole.spec().embedding.n_token_types, Some(2));
    let plain = load(without(Parts::read("bert"))).unwrap();
    assert!(plain.spec().embedding.n_token_types.is_none() && rows(&plain) != rows(&whole));
    let causal = |parts: Parts| load(parts).map(|_| ()).unwrap_err().to_string();
    let message = causal(Parts::read("bert").set("bert.attention.causal", Value::Bool(true)));
    assert!(message.contains("bert.attention.causal") && message.contains("only false is"), "{message}");
    // llama.cpp then uses causal attention.
    let message = causal(Parts::read("bert").without("bert.attention.causal"));
    assert!(message.contains("bert.attention.causal"), "{message}");
}

#[test]
fn stablelm_follows_its_tensors_as_llama_cpp_does() {
    same("stablelm", |p| p.set("stablelm.use_parallel_residual", Value::Bool(true)));
    same("stablelm_parallel", |p| p.set("stablelm.use_parallel_residual", Value::Bool(false)));
}

#[test]
fn granite_without_optional_multipliers() {
    let odd =
        load(Parts::read("granite").without("granite.attention.scale").without("granite.residual_scale"))
            .unwrap();
    let scale = f64::from(odd.spec().d_head as u32).sqrt().recip();
    assert_eq!((odd.spec().attention.scale, odd.spec().residual_scale), (scale, 1.0));
    let still = Parts::read("granite").set("granite.rope.scaling.finetuned", Value::Bool(false));
    let message = load(still).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("granite.rope.scaling.finetuned"), "{message}");
}

#[test]
fn values_other_than_a_familys_constants_are_refused() {
    let refused = |parts: Parts, key: &str, expected: &str| {
        let message = load(parts).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(key) && message.contains(expected), "{message}");
    };
    let key = "olmo.attention.layer_norm_epsilon";
    refused(Parts::read("olmo").set(key, Value::F32(1e-6)), key, "only 1e-5 is supported");
    let key = "bloom.feed_forward_length";
    refused(Parts::read("bloom").set(key, Value::U32(40)), key, "only 80, four times the stream's width");
    let key = "gpt2.attention.head_count_kv";
    refused(Parts::read("gpt2").set(key, Value::U32(1)), key, "the number of query heads");
    let key = "gptneox.attention.key_length";
    refused(Parts::read("gptneox").set(key, Value::U32(16)), key, "only 8, the stream's width per head");
}
