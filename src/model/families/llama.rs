//! Llama: rotary positions, RMSNorm, gated MLP, grouped-query attention.

use super::config::Config;
use super::family::Family;
use super::rope::{Defaults, WHOLE, n_context, rotary};
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::Rotary;
use crate::model::spec::{
    ActivationFn, Attention, Biases, Head, Layer, Mlp, NormKind, PositionEncoding, Sizes, Spec,
};
use crate::model::weights::TensorSource;
use crate::model::weights::{BlockPart, Param, Place};
use serde::Serialize;

pub(super) const FAMILY: Family = Family { model_type: "llama", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    config.only("rope_interleaved", false)?;
    config.unread(&["is_llama_config"]);
    let bias = config.flag_or("attention_bias", false)?;
    let mlp = config.flag_or("mlp_bias", false)?;
    Ok(Spec { biases: Biases { qkv: bias, attn_out: bias, mlp }, ..common_spec(config, "llama", WHOLE)? })
}

/// The spec of a Llama without biases and with an untied head; a family changes some of its fields.
pub(super) fn common_spec(config: &Config, family: &'static str, defaults: Defaults) -> Result<Spec> {
    let (d_model, n_heads) =
        (config.count(WIDTH, "hidden_size")?, config.count(HEADS, "num_attention_heads")?);
    let d_head = config.maybe_count(WIDTH, "head_dim")?.unwrap_or(d_model / n_heads);
    rotated_spec(config, family, d_head, rotary(config, d_head, defaults)?)
}

/// As [`common_spec`], for a given width and rotation of the heads.
pub(super) fn rotated_spec(
    config: &Config,
    family: &'static str,
    d_head: usize,
    rotary: Rotary,
) -> Result<Spec> {
    let sizes = Sizes {
        d_model: config.count(WIDTH, "hidden_size")?,
        n_layers: config.count(LAYERS, "num_hidden_layers")?,
        n_heads: config.count(HEADS, "num_attention_heads")?,
        d_mlp: config.count(WIDTH, "intermediate_size")?,
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: n_context(config, config.count(POSITIONS, "max_position_embeddings")?)?,
    };
    Ok(Spec {
        n_kv_heads: config.maybe_count(HEADS, "num_key_value_heads")?.unwrap_or(sizes.n_heads),
        d_head,
        attention: Attention::causal(d_head),
        layers: Layer::all(sizes.n_layers, PositionEncoding::Rotary(rotary)),
        norm: NormKind::RmsNorm,
        norm_eps: config.number_or("rms_norm_eps", 1e-6)?,
        mlp: Mlp::Gated(config.activation("hidden_act", ActivationFn::Silu)?),
        biases: Biases::NONE,
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", false)?)),
        ..Spec::plain(family, sizes)
    })
}

impl Spec {
    /// The Llama that `mappa train` trains: as many key and value heads as query heads, no biases, tied embeddings.
    pub fn llama(sizes: Sizes) -> Spec {
        let plain = Spec::plain("llama", sizes);
        let rotary = Rotary::plain(plain.d_head, 10_000.0);
        Spec {
            layers: Layer::all(sizes.n_layers, PositionEncoding::Rotary(rotary)),
            norm: NormKind::RmsNorm,
            mlp: Mlp::Gated(ActivationFn::Silu),
            biases: Biases::NONE,
            ..plain
        }
    }
}

/// The tensor names of Llama and of the many families that share them.
pub(super) fn source(_: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::FinalNorm => return TensorSource::whole("norm", param),
        Place::Unembed => return TensorSource::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("embed_tokens", param),
    };
    let stem = match part {
        AttnNorm => "input_layernorm",
        Query => "self_attn.q_proj",
        Key => "self_attn.k_proj",
        Value => "self_attn.v_proj",
        QueryNorm => "self_attn.q_norm",
        KeyNorm => "self_attn.k_norm",
        AttnOut => "self_attn.o_proj",
        AttnOutNorm | MlpNorm => "post_attention_layernorm",
        MlpOutNorm => "post_feedforward_layernorm",
        Gate => "mlp.gate_proj",
        Up => "mlp.up_proj",
        Down => "mlp.down_proj",
    };
    TensorSource::whole(format!("layers.{l}.{stem}"), param)
}

/// The config.json of a Llama that mappa trained.
#[derive(Serialize)]
pub(crate) struct WrittenConfig {
    architectures: [&'static str; 1],
    model_type: &'static str,
    torch_dtype: &'static str,
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    hidden_act: &'static str,
    rms_norm_eps: f64,
    rope_theta: f64,
    attention_bias: bool,
    mlp_bias: bool,
    tie_word_embeddings: bool,
    bos_token_id: u32,
    eos_token_id: u32,
}

impl WrittenConfig {
    /// The config from which [`spec`] reads the same spec; token 0 begins and ends a text.
    pub(crate) fn of(spec: &Spec) -> WrittenConfig {
        let theta = match spec.layers.first().map(|layer| &layer.position) {
            Some(PositionEncoding::Rotary(rotary)) => rotary.theta,
            _ => 10_000.0,
        };
        WrittenConfig {
            architectures: ["LlamaForCausalLM"],
            model_type: "llama",
            torch_dtype: "float16",
            vocab_size: spec.d_vocab,
            max_position_embeddings: spec.n_context,
            hidden_size: spec.d_model,
            intermediate_size: spec.d_mlp,
            num_hidden_layers: spec.n_layers,
            num_attention_heads: spec.n_heads,
            num_key_value_heads: spec.n_kv_heads,
            head_dim: spec.d_head,
            hidden_act: "silu",
            rms_norm_eps: spec.norm_eps,
            rope_theta: theta,
            attention_bias: spec.biases.qkv,
            mlp_bias: spec.biases.mlp,
            tie_word_embeddings: spec.head.is_some_and(|head| head.tied),
            bos_token_id: 0,
            eos_token_id: 0,
        }
    }
}

/// The checkpoint's full name for a parameter of a Llama.
pub(crate) fn tensor_name(spec: &Spec, param: Param) -> String {
    let name = source(spec, param).tensors.concat();
    if param.place.is_head() { name } else { format!("{}{name}", FAMILY.prefix) }
}
