//! The supported architectures, and the names of their fields in the family's config.

use super::header::Value;
use super::metadata::Metadata;
use crate::error::Result;

/// A supported architecture, and its family.
pub(super) struct Architecture {
    /// `general.architecture`.
    pub name: &'static str,
    /// The family's `model_type`.
    pub model_type: &'static str,
    /// The activation function, which the format does not store: the field of the family's config, or [`ABSENT`], and
    /// its value.
    pub activation: (&'static str, &'static str),
    /// The norms' epsilon: its field, or [`ABSENT`] if the family always uses 1e-5, and its key below `attention.`.
    pub epsilon: (&'static str, &'static str),
    /// True if the stored weights of the norms include the 1 of the family's formula.
    pub norms_hold_one: bool,
    /// True if the rows of each query and key are stored reordered, with rotated pairs as neighbours.
    pub pairs_are_adjacent: bool,
    /// The rotation of queries and keys.
    pub rotation: Rotation,
    /// Fields whose names differ from Llama's, and the family's name for each; [`ABSENT`] if the value follows from
    /// other fields.
    pub names: &'static [(&'static str, &'static str)],
}

/// An architecture's rotation of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    /// None.
    No,
    /// Whole heads.
    Whole,
    /// A share of each head, which the family's config states.
    Share,
}

/// In place of a name: the family has no such field, and uses its default.
pub(super) const ABSENT: &str = "";
/// For families without these fields: a head is the stream's width divided by the number of heads, and there are as
/// many key heads as query heads.
const PLAIN_HEADS: &[(&str, &str)] = &[("head_dim", ABSENT), ("num_key_value_heads", ABSENT)];
const GPT2: &[(&str, &str)] = &[
    ("head_dim", ABSENT),
    ("num_key_value_heads", ABSENT),
    ("hidden_size", "n_embd"),
    ("num_attention_heads", "n_head"),
    ("num_hidden_layers", "n_layer"),
    ("intermediate_size", "n_inner"),
    ("max_position_embeddings", "n_positions"),
];
const BLOOM: &[(&str, &str)] = &[
    ("head_dim", ABSENT),
    ("num_key_value_heads", ABSENT),
    ("intermediate_size", ABSENT),
    ("max_position_embeddings", "seq_length"),
];
const FALCON: &[(&str, &str)] = &[
    ("head_dim", ABSENT),
    ("num_key_value_heads", "num_kv_heads"),
    ("intermediate_size", "ffn_hidden_size"),
];

const fn like_llama(name: &'static str) -> Architecture {
    Architecture {
        name,
        model_type: name,
        activation: ("hidden_act", "silu"),
        epsilon: ("rms_norm_eps", "layer_norm_rms_epsilon"),
        norms_hold_one: false,
        pairs_are_adjacent: false,
        rotation: Rotation::Whole,
        names: &[],
    }
}

const fn like_gemma(name: &'static str, model_type: &'static str) -> Architecture {
    let activation = ("hidden_activation", "gelu_pytorch_tanh");
    Architecture { model_type, activation, norms_hold_one: true, ..like_llama(name) }
}

/// An architecture with LayerNorm and gelu, for which llama.cpp uses the tanh approximation.
const fn like_gpt(name: &'static str, epsilon: &'static str) -> Architecture {
    Architecture {
        activation: ("hidden_act", "gelu_new"),
        epsilon: (epsilon, "layer_norm_epsilon"),
        ..like_llama(name)
    }
}

const ARCHITECTURES: &[Architecture] = &[
    Architecture { rotation: Rotation::No, names: PLAIN_HEADS, ..like_gpt("bert", "layer_norm_eps") },
    Architecture {
        activation: (ABSENT, "gelu_new"),
        rotation: Rotation::No,
        names: BLOOM,
        ..like_gpt("bloom", "layer_norm_epsilon")
    },
    Architecture {
        activation: ("activation", "gelu_new"),
        names: FALCON,
        ..like_gpt("falcon", "layer_norm_epsilon")
    },
    Architecture { activation: ("hidden_act", "gelu_new"), ..like_gemma("gemma", "gemma") },
    like_gemma("gemma2", "gemma2"),
    like_gemma("gemma3", "gemma3_text"),
    Architecture { rotation: Rotation::Share, ..like_llama("glm4") },
    Architecture {
        activation: ("activation_function", "gelu_new"),
        rotation: Rotation::No,
        names: GPT2,
        ..like_gpt("gpt2", "layer_norm_epsilon")
    },
    Architecture {
        model_type: "gpt_neox",
        rotation: Rotation::Share,
        names: PLAIN_HEADS,
        ..like_gpt("gptneox", "layer_norm_eps")
    },
    Architecture { pairs_are_adjacent: true, ..like_llama("granite") },
    Architecture { pairs_are_adjacent: true, ..like_llama("llama") },
    Architecture { epsilon: (ABSENT, "layer_norm_epsilon"), pairs_are_adjacent: true, ..like_llama("olmo") },
    like_llama("olmo2"),
    Architecture {
        model_type: "phi",
        rotation: Rotation::Share,
        names: &[("head_dim", ABSENT)],
        ..like_gpt("phi2", "layer_norm_eps")
    },
    Architecture { names: &[("head_dim", ABSENT)], ..like_llama("phi3") },
    like_llama("qwen2"),
    like_llama("qwen3"),
    Architecture { pairs_are_adjacent: true, ..like_llama("smollm3") },
    Architecture {
        epsilon: ("layer_norm_eps", "layer_norm_epsilon"),
        rotation: Rotation::Share,
        ..like_llama("stablelm")
    },
    like_gpt("starcoder2", "norm_epsilon"),
];

/// Architectures that are known but not supported, each with the reason.
const UNSUPPORTED: &[(&[&str], &str)] = &[
    (
        &[
            "arctic",
            "bailingmoe",
            "bailingmoe2",
            "dbrx",
            "deepseek",
            "deepseek2",
            "dots1",
            "ernie4_5-moe",
            "glm4moe",
            "gpt-oss",
            "granitemoe",
            "grok",
            "hunyuan-moe",
            "lfm2moe",
            "llada-moe",
            "llama4",
            "minimax-m2",
            "olmoe",
            "phimoe",
            "qwen2moe",
            "qwen3moe",
            "smallthinker",
        ],
        EXPERTS,
    ),
    (
        &[
            "arwkv7",
            "falcon-h1",
            "granitehybrid",
            "jamba",
            "kimi-linear",
            "lfm2",
            "mamba",
            "mamba2",
            "nemotron_h",
            "plamo2",
            "qwen3next",
            "rwkv6",
            "rwkv6qwen2",
            "rwkv7",
        ],
        "it has layers without attention; only models with attention in every layer are supported",
    ),
    (
        &["t5"],
        "an encoder with a decoder is not one stack of blocks; decoder-only and encoder-only models are supported",
    ),
    (
        &[
            "eurobert",
            "gemma-embedding",
            "jina-bert-v2",
            "jina-bert-v3",
            "llama-embed",
            "modern-bert",
            "neo-bert",
            "nomic-bert",
            "nomic-bert-moe",
            "t5encoder",
        ],
        "among models that only embed texts, only bert is supported",
    ),
    (
        &["chameleon", "cogvlm", "gemma3n", "gemma4", "qwen2vl", "qwen3vl", "qwen3vlmoe"],
        "it also reads images; only text-only models are supported",
    ),
    (
        &[
            "aura",
            "cosmos",
            "flux",
            "hidream",
            "hyvid",
            "ltxv",
            "lumina2",
            "qwen_image",
            "sd1",
            "sd3",
            "sdxl",
            "wan",
        ],
        "it draws images or films, and is not a language model",
    ),
    (&["pockettts", "qwen3tts", "wavtokenizer-dec"], "it makes sounds, and is not a language model"),
];

/// The reason for refusing mixtures of experts.
pub(super) const EXPERTS: &str = "a mixture of experts has no single set of neurons per layer, \
                                  as `mlp.hook_post` requires; dense models are supported";

/// The architecture that a file's metadata names.
///
/// # Errors
/// [`crate::Error::UnsupportedConfig`] with the reason, if it is known, and a list of the supported ones.
pub(super) fn of(metadata: &Metadata) -> Result<&'static Architecture> {
    let key = "general.architecture";
    let name = metadata.required(key, metadata.text(key))?;
    ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
        let reason = UNSUPPORTED.iter().find(|(names, _)| names.contains(&name));
        let reason = reason.map_or_else(String::new, |(_, reason)| format!("{reason}; "));
        let known: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
        metadata.unsupported(
            key,
            &Value::Text(name.to_string()),
            format!("{reason}one of {} is supported", known.join(", ")),
        )
    })
}
