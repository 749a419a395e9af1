//! XGLM: scaled embeddings, fixed sinusoidal positions counted from 2.

use super::config::Config;
use super::family::Family;
use super::opt::fairseq_part;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{ActivationFn, Embedding, Head, Mlp, PositionEmbedding, Sizes, Spec};
use crate::model::weights::TensorSource;
use crate::model::weights::{Param, Place};

pub(super) const FAMILY: Family = Family { model_type: "xglm", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    // The table's row for padding is zero; no token uses a row below 2.
    let pad = config.maybe_number("pad_token_id")?.unwrap_or(1.0);
    if pad >= 2.0 {
        return Err(config.unsupported("pad_token_id", pad, "0 or 1 is supported"));
    }
    let d_model = config.count(WIDTH, "d_model")?;
    let is_scaled = config.flag_or("scale_embedding", true)?;
    let sizes = Sizes {
        d_model,
        n_layers: config.count(LAYERS, "num_layers")?,
        n_heads: config.count(HEADS, "attention_heads")?,
        d_mlp: config.count(WIDTH, "ffn_dim")?,
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.count(POSITIONS, "max_position_embeddings")?,
    };
    Ok(Spec {
        embedding: Embedding {
            scale: if is_scaled { (d_model as f64).sqrt() } else { 1.0 },
            positions: PositionEmbedding::Sinusoidal { offset: 2 },
            ..Embedding::PLAIN
        },
        mlp: Mlp::Plain(config.activation("activation_function", ActivationFn::Gelu)?),
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
        ..Spec::plain("xglm", sizes)
    })
}

fn source(_: &Spec, param: Param) -> TensorSource {
    match param.place {
        Place::Embed => TensorSource::whole("embed_tokens", param),
        Place::Unembed => TensorSource::whole("lm_head", param),
        Place::Block(l, part) => TensorSource::whole(format!("layers.{l}.{}", fairseq_part(part)), param),
        _ => TensorSource::whole("layer_norm", param),
    }
}
