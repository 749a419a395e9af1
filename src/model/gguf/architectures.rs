//! The architectures that are read, and how each one's fields are called in its family's config.

use super::header::Value;
use super::metadata::Metadata;
use crate::error::Result;

/// An architecture that is read, and the family it is.
pub(super) struct Architecture {
    /// `general.architecture`.
    pub name: &'static str,
    /// The family's `model_type`.
    pub model_type: &'static str,
    /// The non-linearity, which the format does not tell, under the name that the family's config has for it, or [`UNSAID`].
    pub activation: (&'static str, &'static str),
    /// The norms' epsilon: its field, or [`UNSAID`] where the family always takes 1e-5, and its key below `attention.`.
    pub epsilon: (&'static str, &'static str),
    /// Whether 1 was added to the weights of the norms, as the family's formula does.
    pub norms_hold_one: bool,
    /// True where the rows of each query and key were reordered, so that those which are rotated together are neighbours.
    pub pairs_lie_together: bool,
    /// How queries and keys are rotated.
    pub rotation: Rotation,
    /// Fields that the family calls otherwise than Llama, and its name for each; [`UNSAID`] where it follows from others.
    pub names: &'static [(&'static str, &'static str)],
}

/// How an architecture rotates queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    /// Not at all.
    No,
    /// Whole heads.
    Whole,
    /// A share of each head, which its family expects to be told.
    Share,
}

/// In place of a name: the family has no such field, and takes what is usual.
pub(super) const UNSAID: &str = "";
/// Families whose heads share the stream, and whose keys are as many as the queries.
const PLAIN_HEADS: &[(&str, &str)] = &[("head_dim", UNSAID), ("num_key_value_heads", UNSAID)];
const GPT2: &[(&str, &str)] = &[
    ("head_dim", UNSAID),
    ("num_key_value_heads", UNSAID),
    ("hidden_size", "n_embd"),
    ("num_attention_heads", "n_head"),
    ("num_hidden_layers", "n_layer"),
    ("intermediate_size", "n_inner"),
    ("max_position_embeddings", "n_positions"),
];
const BLOOM: &[(&str, &str)] = &[
    ("head_dim", UNSAID),
    ("num_key_value_heads", UNSAID),
    ("intermediate_size", UNSAID),
    ("max_position_embeddings", "seq_length"),
];
const FALCON: &[(&str, &str)] = &[
    ("head_dim", UNSAID),
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
        pairs_lie_together: false,
        rotation: Rotation::Whole,
        names: &[],
    }
}

const fn like_gemma(name: &'static str, model_type: &'static str) -> Architecture {
    let activation = ("hidden_activation", "gelu_pytorch_tanh");
    Architecture { model_type, activation, norms_hold_one: true, ..like_llama(name) }
}

/// An architecture with LayerNorm and gelu, which llama.cpp takes by its tanh approximation.
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
        activation: (UNSAID, "gelu_new"),
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
    Architecture { pairs_lie_together: true, ..like_llama("granite") },
    Architecture { pairs_lie_together: true, ..like_llama("llama") },
    Architecture { epsilon: (UNSAID, "layer_norm_epsilon"), pairs_lie_together: true, ..like_llama("olmo") },
    like_llama("olmo2"),
    Architecture {
        model_type: "phi",
        rotation: Rotation::Share,
        names: &[("head_dim", UNSAID)],
        ..like_gpt("phi2", "layer_norm_eps")
    },
    Architecture { names: &[("head_dim", UNSAID)], ..like_llama("phi3") },
    like_llama("qwen2"),
    like_llama("qwen3"),
    Architecture { pairs_lie_together: true, ..like_llama("smollm3") },
    Architecture {
        epsilon: ("layer_norm_eps", "layer_norm_epsilon"),
        rotation: Rotation::Share,
        ..like_llama("stablelm")
    },
    like_gpt("starcoder2", "norm_epsilon"),
];

/// Architectures that are known and not read, each with the reason.
const UNREAD: &[(&[&str], &str)] = &[
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
        "it has layers without attention; attention in every layer is read",
    ),
    (
        &["t5"],
        "an encoder with a decoder is not one stack of blocks; decoders alone and encoders alone are read",
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
        "of models that only embed texts, bert is read",
    ),
    (
        &["chameleon", "cogvlm", "gemma3n", "gemma4", "qwen2vl", "qwen3vl", "qwen3vlmoe"],
        "it reads images as well; models of text alone are read",
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
        "it draws images or films, and is no language model",
    ),
    (&["pockettts", "qwen3tts", "wavtokenizer-dec"], "it makes sounds, and is no language model"),
];

/// The reason why mixtures of experts are not read.
pub(super) const EXPERTS: &str = "a mixture of experts has no one set of neurons a layer, which `mlp.hook_post` promises; dense models are read";

/// The architecture that a file names.
///
/// # Errors
/// [`crate::Error::UnsupportedConfig`] with the reason, where one is known, and listing those that are read.
pub(super) fn of(metadata: &Metadata) -> Result<&'static Architecture> {
    let key = "general.architecture";
    let name = metadata.required(key, metadata.text(key))?;
    ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
        let reason = UNREAD.iter().find(|(names, _)| names.contains(&name));
        let reason =
            reason.map_or_else(String::new, |(_, reason)| format!("{reason}; of all architectures "));
        let known: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
        metadata.unsupported(
            key,
            &Value::Text(name.to_string()),
            format!("{reason}one of {} is", known.join(", ")),
        )
    })
}
