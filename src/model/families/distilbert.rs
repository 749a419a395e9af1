//! DistilBERT: BERT without token types, under its own names.

use super::{Config, Family};
use crate::error::Result;
use crate::model::params::{Param, Part, Place};
use crate::model::spec::{
    Activation, Attention, Biases, BlockKind, Direction, Embedding, Head, Layer, Mlp, NormKind, Placement,
    Position, Positions, Spec,
};
use crate::model::weights::Source;

pub(super) const FAMILY: Family = Family { model_type: "distilbert", spec, source, prefix: "distilbert." };

fn spec(config: &Config) -> Result<Spec> {
    let activation = config.activation("activation", Activation::Gelu)?;
    let (d_model, n_heads) = (config.count("dim")?, config.count("n_heads")?);
    let (n_layers, d_head) = (config.count("n_layers")?, d_model / n_heads);
    Ok(Spec {
        family: "distilbert",
        d_model,
        n_layers,
        n_heads,
        n_kv_heads: n_heads,
        d_head,
        d_mlp: config.count("hidden_dim")?,
        d_vocab: config.count("vocab_size")?,
        n_context: config.count("max_position_embeddings")?,
        embedding: Embedding { positions: Positions::Learned { offset: 0 }, norm: true, ..Embedding::PLAIN },
        attention: Attention { direction: Direction::Bidirectional, ..Attention::causal(d_head) },
        layers: Layer::all(n_layers, Position::Nothing),
        norm: NormKind::LayerNorm,
        norm_eps: 1e-12,
        placement: Placement::AfterSum,
        block: BlockKind::Sequential,
        mlp: Mlp::Plain(activation),
        biases: Biases::ALL,
        residual_scale: 1.0,
        head: Some(Head {
            norm: false,
            transform: Some(activation),
            bias: true,
            ..Head::plain(config.flag_or("tie_word_embeddings", true)?)
        }),
    })
}

fn source(_: &Spec, param: Param) -> Source {
    use Part::*;
    let (l, part) = match param.place {
        Place::Positions => return Source::whole("embeddings.position_embeddings", param),
        Place::EmbedNorm => return Source::whole("embeddings.LayerNorm", param),
        Place::HeadDense => return Source::whole("vocab_transform", param),
        Place::HeadNorm => return Source::whole("vocab_layer_norm", param),
        Place::Unembed => return Source::whole("vocab_projector", param),
        Place::Block(l, part) => (l, part),
        _ => return Source::whole("embeddings.word_embeddings", param),
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
    Source::whole(format!("transformer.layer.{l}.{stem}"), param)
}
