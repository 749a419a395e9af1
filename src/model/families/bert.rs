//! BERT: an encoder; norms after each sum, token types, a masked-language head.

use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{
    ActivationFn, Attention, AttentionDirection, Embedding, Head, Mlp, Placement, PositionEmbedding, Sizes,
    Spec,
};
use crate::model::weights::{BlockPart, Param, ParamKind, Place};
use crate::model::weights::{SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "bert", spec, source, prefix: "bert." };

fn spec(config: &Config) -> Result<Spec> {
    common_spec(config, "bert", 0)
}

/// The common part of BERT and RoBERTa; positions begin at row `offset` of their table.
pub(super) fn common_spec(config: &Config, family: &'static str, offset: usize) -> Result<Spec> {
    config.only("is_decoder", false)?;
    config.only("position_embedding_type", "absolute")?;
    let activation = config.activation("hidden_act", ActivationFn::Gelu)?;
    let n_types = config.maybe_count(VOCABULARY, "type_vocab_size")?.unwrap_or(2);
    let n_rows = config.count(POSITIONS, "max_position_embeddings")?;
    let sizes = Sizes {
        d_model: config.count(WIDTH, "hidden_size")?,
        n_layers: config.count(LAYERS, "num_hidden_layers")?,
        n_heads: config.count(HEADS, "num_attention_heads")?,
        d_mlp: config.count(WIDTH, "intermediate_size")?,
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: n_rows.saturating_sub(offset),
    };
    let plain = encoder_spec(family, sizes, activation, config.flag_or("tie_word_embeddings", true)?);
    let positions = PositionEmbedding::Learned { offset };
    Ok(Spec {
        embedding: Embedding { positions, n_token_types: Some(n_types), ..plain.embedding },
        norm_eps: config.number_or("layer_norm_eps", 1e-12)?,
        ..plain
    })
}

/// The simplest encoder: learned positions, a norm on the embedding and after each sum, and a head with a
/// transformation before the unembedding.
pub(super) fn encoder_spec(family: &'static str, sizes: Sizes, activation: ActivationFn, tied: bool) -> Spec {
    let plain = Spec::plain(family, sizes);
    Spec {
        embedding: Embedding {
            positions: PositionEmbedding::Learned { offset: 0 },
            norm: true,
            ..plain.embedding
        },
        attention: Attention { direction: AttentionDirection::Bidirectional, ..plain.attention },
        norm_eps: 1e-12,
        placement: Placement::AfterSum,
        mlp: Mlp::Plain(activation),
        head: Some(Head { norm: false, transform: Some(activation), bias: true, ..Head::plain(tied) }),
        ..plain
    }
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    let is_tied = spec.head.is_some_and(|head| head.tied);
    match param.place {
        Place::HeadDense => TensorSource::whole("cls.predictions.transform.dense", param),
        Place::HeadNorm => TensorSource::whole("cls.predictions.transform.LayerNorm", param),
        Place::Unembed if param.kind == ParamKind::Bias && is_tied => {
            TensorSource::named("cls.predictions.bias".into(), SliceRows::All)
        }
        Place::Unembed => TensorSource::whole("cls.predictions.decoder", param),
        _ => encoder_source(param),
    }
}

/// The tensor names of the encoder, which RoBERTa shares.
pub(super) fn encoder_source(param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::Positions => return TensorSource::whole("embeddings.position_embeddings", param),
        Place::TokenTypes => return TensorSource::whole("embeddings.token_type_embeddings", param),
        Place::EmbedNorm => return TensorSource::whole("embeddings.LayerNorm", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("embeddings.word_embeddings", param),
    };
    let stem = match part {
        Query => "attention.self.query",
        Key => "attention.self.key",
        Value => "attention.self.value",
        AttnOut => "attention.output.dense",
        AttnNorm => "attention.output.LayerNorm",
        MlpNorm => "output.LayerNorm",
        Down => "output.dense",
        _ => "intermediate.dense",
    };
    TensorSource::whole(format!("encoder.layer.{l}.{stem}"), param)
}
