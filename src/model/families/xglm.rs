//! XGLM: scaled embeddings, fixed sinusoidal positions counted from 2.

use super::opt::fairseq_part;
use super::{Config, Family};
use crate::error::Result;
use crate::model::params::{Param, Place};
use crate::model::spec::{
    Activation, Attention, Biases, BlockKind, Embedding, Head, Layer, Mlp, NormKind, Placement, Position,
    Positions, Spec,
};
use crate::model::weights::Source;

pub(super) const FAMILY: Family = Family { model_type: "xglm", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    // The table's row for padding is zero; below row 2 no token meets it.
    let pad = config.maybe_number("pad_token_id")?.unwrap_or(1.0);
    if pad >= 2.0 {
        return Err(config.unsupported("pad_token_id", pad, "0 or 1 is"));
    }
    let (d_model, n_heads) = (config.count("d_model")?, config.count("attention_heads")?);
    let (n_layers, d_head) = (config.count("num_layers")?, d_model / n_heads);
    let is_scaled = config.flag_or("scale_embedding", true)?;
    Ok(Spec {
        family: "xglm",
        d_model,
        n_layers,
        n_heads,
        n_kv_heads: n_heads,
        d_head,
        d_mlp: config.count("ffn_dim")?,
        d_vocab: config.count("vocab_size")?,
        n_context: config.count("max_position_embeddings")?,
        embedding: Embedding {
            scale: if is_scaled { (d_model as f64).sqrt() } else { 1.0 },
            positions: Positions::Sinusoidal { offset: 2 },
            ..Embedding::PLAIN
        },
        attention: Attention::causal(d_head),
        layers: Layer::all(n_layers, Position::Nothing),
        norm: NormKind::LayerNorm,
        norm_eps: 1e-5,
        placement: Placement::Before,
        block: BlockKind::Sequential,
        mlp: Mlp::Plain(config.activation("activation_function", Activation::Gelu)?),
        biases: Biases::ALL,
        residual_scale: 1.0,
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
    })
}

fn source(_: &Spec, param: Param) -> Source {
    match param.place {
        Place::Embed => Source::whole("embed_tokens", param),
        Place::Unembed => Source::whole("lm_head", param),
        Place::Block(l, part) => Source::whole(format!("layers.{l}.{}", fairseq_part(part)), param),
        _ => Source::whole("layer_norm", param),
    }
}
