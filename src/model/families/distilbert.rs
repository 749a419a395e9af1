//! DistilBERT: BERT without token types, with other field and tensor names.

use super::bert;
use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{ActivationFn, Sizes, Spec};
use crate::model::weights::TensorSource;
use crate::model::weights::{BlockPart, Param, Place};

pub(super) const FAMILY: Family = Family { model_type: "distilbert", spec, source, prefix: "distilbert." };

fn spec(config: &Config) -> Result<Spec> {
    let activation = config.activation("activation", ActivationFn::Gelu)?;
    let sizes = Sizes {
        d_model: config.count(WIDTH, "dim")?,
        n_layers: config.count(LAYERS, "n_layers")?,
        n_heads: config.count(HEADS, "n_heads")?,
        d_mlp: config.count(WIDTH, "hidden_dim")?,
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.count(POSITIONS, "max_position_embeddings")?,
    };
    let is_tied = config.flag_or("tie_word_embeddings", true)?;
    Ok(bert::encoder_spec("distilbert", sizes, activation, is_tied))
}

fn source(_: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::Positions => return TensorSource::whole("embeddings.position_embeddings", param),
        Place::EmbedNorm => return TensorSource::whole("embeddings.LayerNorm", param),
        Place::HeadDense => return TensorSource::whole("vocab_transform", param),
        Place::HeadNorm => return TensorSource::whole("vocab_layer_norm", param),
        Place::Unembed => return TensorSource::whole("vocab_projector", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("embeddings.word_embeddings", param),
    };
    let stem = match part {
        AttnNorm => "sa_layer_norm",
        Query => "attention.q_lin",
        Key => "attention.k_lin",
        Value => "attention.v_lin",
        AttnOut => "attention.out_lin",
        MlpNorm => "output_layer_norm",
        Down => "ffn.lin2",
        _ => "ffn.lin1",
    };
    TensorSource::whole(format!("transformer.layer.{l}.{stem}"), param)
}
