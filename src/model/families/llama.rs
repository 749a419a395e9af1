//! Llama: rotary positions, RMSNorm, gated MLP, grouped-query attention.

use super::{Config, Family};
use crate::error::Result;
use crate::model::params::{BlockParam, Param};
use crate::model::spec::{Activation, Biases, BlockKind, Mlp, NormKind, Position, RotaryLayout, Spec};
use crate::model::weights::Source;
use serde::{Deserialize, Serialize};

pub(super) const FAMILY: Family = Family { model_type: "llama", spec, source, prefix: "model." };

#[derive(Deserialize)]
struct Llama {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    #[serde(default)]
    num_key_value_heads: Option<usize>,
    #[serde(default)]
    head_dim: Option<usize>,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default = "eps")]
    rms_norm_eps: f64,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

fn silu() -> String {
    "silu".into()
}

fn eps() -> f64 {
    1e-6
}

fn spec(config: &Config) -> Result<Spec> {
    let c: Llama = config.read()?;
    let activation = Activation::from_hugging_face(&c.hidden_act)
        .ok_or_else(|| config.unsupported("hidden_act", &c.hidden_act, Activation::KNOWN))?;
    let d_head = c.head_dim.unwrap_or(c.hidden_size / c.num_attention_heads);
    Ok(Spec {
        family: "llama",
        d_model: c.hidden_size,
        n_layers: c.num_hidden_layers,
        n_heads: c.num_attention_heads,
        n_kv_heads: c.num_key_value_heads.unwrap_or(c.num_attention_heads),
        d_head,
        d_mlp: c.intermediate_size,
        d_vocab: c.vocab_size,
        n_context: c.max_position_embeddings,
        position: Position::Rotary {
            n_rotated: d_head,
            theta: config.rope_theta(10_000.0)?,
            layout: RotaryLayout::Half,
        },
        norm: NormKind::RmsNorm,
        norm_eps: c.rms_norm_eps,
        block: BlockKind::Sequential,
        mlp: Mlp::Gated(activation),
        biases: Biases { qkv: c.attention_bias, attn_out: c.attention_bias, mlp: c.mlp_bias },
        tied: c.tie_word_embeddings,
    })
}

pub(super) fn source(_: &Spec, param: Param) -> Source {
    use BlockParam::*;
    Source::whole(match param {
        Param::Embed => "embed_tokens.weight".into(),
        Param::Positions => "(none)".into(),
        Param::FinalNormWeight => "norm.weight".into(),
        Param::FinalNormBias => "norm.bias".into(),
        Param::Unembed => "lm_head.weight".into(),
        Param::Block(l, param) => {
            let name = match param {
                AttnNormWeight => "input_layernorm.weight",
                AttnNormBias => "input_layernorm.bias",
                Query => "self_attn.q_proj.weight",
                QueryBias => "self_attn.q_proj.bias",
                Key => "self_attn.k_proj.weight",
                KeyBias => "self_attn.k_proj.bias",
                Value => "self_attn.v_proj.weight",
                ValueBias => "self_attn.v_proj.bias",
                AttnOut => "self_attn.o_proj.weight",
                AttnOutBias => "self_attn.o_proj.bias",
                MlpNormWeight => "post_attention_layernorm.weight",
                MlpNormBias => "post_attention_layernorm.bias",
                Gate => "mlp.gate_proj.weight",
                GateBias => "mlp.gate_proj.bias",
                Up => "mlp.up_proj.weight",
                UpBias => "mlp.up_proj.bias",
                Down => "mlp.down_proj.weight",
                DownBias => "mlp.down_proj.bias",
            };
            format!("layers.{l}.{name}")
        }
    })
}

/// The config.json of a Llama, as mappa writes it for the models that it trains.
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
    /// The config of a spec that [`spec`] would read back; token 0 begins and ends a text.
    pub(crate) fn of(spec: &Spec) -> WrittenConfig {
        let theta = match spec.position {
            Position::Rotary { theta, .. } => theta,
            Position::Learned => 10_000.0,
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
            tie_word_embeddings: spec.tied,
            bos_token_id: 0,
            eos_token_id: 0,
        }
    }
}

/// The checkpoint's full name for a parameter of a Llama.
pub(crate) fn tensor_name(spec: &Spec, param: Param) -> String {
    match param {
        Param::Unembed => "lm_head.weight".into(),
        _ => format!("{}{}", FAMILY.prefix, source(spec, param).tensor),
    }
}
