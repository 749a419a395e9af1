//! OPT: relu, learned positions from row 2 on; the 350m has an embedding of its own width and norms after.

use super::{Config, Family};
use crate::error::Result;
use crate::model::params::{Param, Part, Place};
use crate::model::spec::{
    Activation, Attention, Biases, BlockKind, Embedding, Head, Layer, Mlp, NormKind, Placement, Position,
    Positions, Spec,
};
use crate::model::weights::Source;

pub(super) const FAMILY: Family = Family { model_type: "opt", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    config.only("layer_norm_elementwise_affine", true)?;
    let (d_model, n_heads) = (config.count("hidden_size")?, config.count("num_attention_heads")?);
    let (n_layers, d_head) = (config.count("num_hidden_layers")?, d_model / n_heads);
    let is_before = config.flag_or("do_layer_norm_before", true)?;
    let is_removed = config.flag_or("_remove_final_layer_norm", false)?;
    let bias = config.flag_or("enable_bias", true)?;
    Ok(Spec {
        family: "opt",
        d_model,
        n_layers,
        n_heads,
        n_kv_heads: n_heads,
        d_head,
        d_mlp: config.count("ffn_dim")?,
        d_vocab: config.count("vocab_size")?,
        n_context: config.count("max_position_embeddings")?,
        embedding: Embedding {
            d_embed: config.maybe_count("word_embed_proj_dim")?.filter(|width| *width != d_model),
            positions: Positions::Learned { offset: 2 },
            ..Embedding::PLAIN
        },
        attention: Attention::causal(d_head),
        layers: Layer::all(n_layers, Position::Nothing),
        norm: NormKind::LayerNorm,
        norm_eps: 1e-5,
        placement: if is_before { Placement::Before } else { Placement::AfterSum },
        block: BlockKind::Sequential,
        mlp: Mlp::Plain(config.activation("activation_function", Activation::Relu)?),
        biases: Biases { qkv: bias, attn_out: bias, mlp: bias },
        residual_scale: 1.0,
        head: Some(Head {
            norm: is_before && !is_removed,
            ..Head::plain(config.flag_or("tie_word_embeddings", true)?)
        }),
    })
}

fn source(_: &Spec, param: Param) -> Source {
    let (l, part) = match param.place {
        Place::Embed => return Source::whole("decoder.embed_tokens", param),
        Place::Positions => return Source::whole("decoder.embed_positions", param),
        Place::ProjectIn => return Source::whole("decoder.project_in", param),
        Place::ProjectOut => return Source::whole("decoder.project_out", param),
        Place::Unembed => return Source::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return Source::whole("decoder.final_layer_norm", param),
    };
    Source::whole(format!("decoder.layers.{l}.{}", fairseq_part(part)), param)
}

/// A block's names as fairseq's decoders have them.
pub(super) fn fairseq_part(part: Part) -> &'static str {
    match part {
        Part::AttnNorm => "self_attn_layer_norm",
        Part::Query => "self_attn.q_proj",
        Part::Key => "self_attn.k_proj",
        Part::Value => "self_attn.v_proj",
        Part::AttnOut => "self_attn.out_proj",
        Part::MlpNorm => "final_layer_norm",
        Part::Down => "fc2",
        _ => "fc1",
    }
}
