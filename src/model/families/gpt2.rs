//! GPT-2: learned positions, LayerNorm, fused `c_attn` stored `[in, out]`.

use super::{Config, Family};
use crate::error::Result;
use crate::model::params::{BlockParam, Param};
use crate::model::spec::{Activation, Biases, BlockKind, Mlp, NormKind, Position, Spec};
use crate::model::weights::{Cut, Rows, Source};
use serde::Deserialize;

pub(super) const FAMILY: Family = Family { model_type: "gpt2", spec, source, prefix: "transformer." };

#[derive(Deserialize)]
struct Gpt2 {
    vocab_size: usize,
    n_positions: usize,
    n_embd: usize,
    n_layer: usize,
    n_head: usize,
    #[serde(default)]
    n_inner: Option<usize>,
    #[serde(default = "gelu_new")]
    activation_function: String,
    #[serde(default = "eps")]
    layer_norm_epsilon: f64,
    #[serde(default = "yes")]
    scale_attn_weights: bool,
    #[serde(default)]
    scale_attn_by_inverse_layer_idx: bool,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
}

fn gelu_new() -> String {
    "gelu_new".into()
}

fn eps() -> f64 {
    1e-5
}

fn yes() -> bool {
    true
}

fn spec(config: &Config) -> Result<Spec> {
    let c: Gpt2 = config.read()?;
    let activation = Activation::from_hugging_face(&c.activation_function).ok_or_else(|| {
        config.unsupported("activation_function", &c.activation_function, Activation::KNOWN)
    })?;
    if !c.scale_attn_weights {
        return Err(config.unsupported("scale_attn_weights", false, "only true is"));
    }
    if c.scale_attn_by_inverse_layer_idx {
        return Err(config.unsupported("scale_attn_by_inverse_layer_idx", true, "only false is"));
    }
    Ok(Spec {
        family: "gpt2",
        d_model: c.n_embd,
        n_layers: c.n_layer,
        n_heads: c.n_head,
        n_kv_heads: c.n_head,
        d_head: c.n_embd / c.n_head,
        d_mlp: c.n_inner.unwrap_or(4 * c.n_embd),
        d_vocab: c.vocab_size,
        n_context: c.n_positions,
        position: Position::Learned,
        norm: NormKind::LayerNorm,
        norm_eps: c.layer_norm_epsilon,
        block: BlockKind::Sequential,
        mlp: Mlp::Plain(activation),
        biases: Biases { qkv: true, attn_out: true, mlp: true },
        tied: c.tie_word_embeddings,
    })
}

fn source(_: &Spec, param: Param) -> Source {
    use BlockParam::*;
    let (name, transposed, rows) = match param {
        Param::Embed => ("wte.weight".into(), false, Rows::All),
        Param::Positions => ("wpe.weight".into(), false, Rows::All),
        Param::FinalNormWeight => ("ln_f.weight".into(), false, Rows::All),
        Param::FinalNormBias => ("ln_f.bias".into(), false, Rows::All),
        Param::Unembed => ("lm_head.weight".into(), false, Rows::All),
        Param::Block(l, param) => {
            let (name, rows) = match param {
                AttnNormWeight => ("ln_1.weight", Rows::All),
                AttnNormBias => ("ln_1.bias", Rows::All),
                Query => ("attn.c_attn.weight", Rows::Part { index: 0, of: 3 }),
                QueryBias => ("attn.c_attn.bias", Rows::Part { index: 0, of: 3 }),
                Key => ("attn.c_attn.weight", Rows::Part { index: 1, of: 3 }),
                KeyBias => ("attn.c_attn.bias", Rows::Part { index: 1, of: 3 }),
                Value => ("attn.c_attn.weight", Rows::Part { index: 2, of: 3 }),
                ValueBias => ("attn.c_attn.bias", Rows::Part { index: 2, of: 3 }),
                AttnOut => ("attn.c_proj.weight", Rows::All),
                AttnOutBias => ("attn.c_proj.bias", Rows::All),
                MlpNormWeight => ("ln_2.weight", Rows::All),
                MlpNormBias => ("ln_2.bias", Rows::All),
                Up | Gate => ("mlp.c_fc.weight", Rows::All),
                UpBias | GateBias => ("mlp.c_fc.bias", Rows::All),
                Down => ("mlp.c_proj.weight", Rows::All),
                DownBias => ("mlp.c_proj.bias", Rows::All),
            };
            (format!("h.{l}.{name}"), true, rows)
        }
    };
    Source { tensor: name, cut: Cut { transposed, rows } }
}
