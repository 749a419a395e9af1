//! GPT-NeoX (Pythia): partial rotary, parallel blocks with two norms, fused `query_key_value` a head.

use super::{Config, Family};
use crate::error::Result;
use crate::model::params::{BlockParam, Param};
use crate::model::spec::{Activation, Biases, BlockKind, Mlp, NormKind, Position, RotaryLayout, Spec};
use crate::model::weights::{Cut, Rows, Source};
use serde::Deserialize;

pub(super) const FAMILY: Family = Family { model_type: "gpt_neox", spec, source, prefix: "gpt_neox." };

#[derive(Deserialize)]
struct GptNeoX {
    vocab_size: usize,
    max_position_embeddings: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default)]
    rotary_pct: Option<f64>,
    #[serde(default)]
    rotary_emb_base: Option<f64>,
    #[serde(default)]
    rope_parameters: Option<RopeParameters>,
    #[serde(default = "eps")]
    layer_norm_eps: f64,
    #[serde(default = "yes")]
    use_parallel_residual: bool,
    #[serde(default = "yes")]
    attention_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct RopeParameters {
    #[serde(default)]
    partial_rotary_factor: Option<f64>,
}

fn gelu() -> String {
    "gelu".into()
}

fn eps() -> f64 {
    1e-5
}

fn yes() -> bool {
    true
}

fn spec(config: &Config) -> Result<Spec> {
    let c: GptNeoX = config.read()?;
    let activation = Activation::from_hugging_face(&c.hidden_act)
        .ok_or_else(|| config.unsupported("hidden_act", &c.hidden_act, Activation::KNOWN))?;
    let d_head = c.hidden_size / c.num_attention_heads;
    let share = c.rotary_pct.or(c.rope_parameters.and_then(|p| p.partial_rotary_factor)).unwrap_or(0.25);
    Ok(Spec {
        family: "gpt_neox",
        d_model: c.hidden_size,
        n_layers: c.num_hidden_layers,
        n_heads: c.num_attention_heads,
        n_kv_heads: c.num_attention_heads,
        d_head,
        d_mlp: c.intermediate_size,
        d_vocab: c.vocab_size,
        n_context: c.max_position_embeddings,
        position: Position::Rotary {
            n_rotated: (d_head as f64 * share) as usize,
            theta: config.rope_theta(c.rotary_emb_base.unwrap_or(10_000.0))?,
            layout: RotaryLayout::Half,
        },
        norm: NormKind::LayerNorm,
        norm_eps: c.layer_norm_eps,
        block: if c.use_parallel_residual { BlockKind::Parallel } else { BlockKind::Sequential },
        mlp: Mlp::Plain(activation),
        biases: Biases { qkv: c.attention_bias, attn_out: c.attention_bias, mlp: true },
        tied: c.tie_word_embeddings,
    })
}

fn source(spec: &Spec, param: Param) -> Source {
    use BlockParam::*;
    let part = |index| Rows::PartOfHead { index, of: 3, heads: spec.n_heads };
    let (tensor, rows) = match param {
        Param::Embed => ("embed_in.weight".into(), Rows::All),
        Param::Positions => ("(none)".into(), Rows::All),
        Param::FinalNormWeight => ("final_layer_norm.weight".into(), Rows::All),
        Param::FinalNormBias => ("final_layer_norm.bias".into(), Rows::All),
        Param::Unembed => ("embed_out.weight".into(), Rows::All),
        Param::Block(l, param) => {
            let (name, rows) = match param {
                AttnNormWeight => ("input_layernorm.weight", Rows::All),
                AttnNormBias => ("input_layernorm.bias", Rows::All),
                Query => ("attention.query_key_value.weight", part(0)),
                QueryBias => ("attention.query_key_value.bias", part(0)),
                Key => ("attention.query_key_value.weight", part(1)),
                KeyBias => ("attention.query_key_value.bias", part(1)),
                Value => ("attention.query_key_value.weight", part(2)),
                ValueBias => ("attention.query_key_value.bias", part(2)),
                AttnOut => ("attention.dense.weight", Rows::All),
                AttnOutBias => ("attention.dense.bias", Rows::All),
                MlpNormWeight => ("post_attention_layernorm.weight", Rows::All),
                MlpNormBias => ("post_attention_layernorm.bias", Rows::All),
                Up | Gate => ("mlp.dense_h_to_4h.weight", Rows::All),
                UpBias | GateBias => ("mlp.dense_h_to_4h.bias", Rows::All),
                Down => ("mlp.dense_4h_to_h.weight", Rows::All),
                DownBias => ("mlp.dense_4h_to_h.bias", Rows::All),
            };
            (format!("layers.{l}.{name}"), rows)
        }
    };
    Source { tensor, cut: Cut { transposed: false, rows } }
}
