//! OPT: relu, learned positions from row 2 on; the 350m has an embedding of another width, and norms after the sums.

use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{
    ActivationFn, Biases, Embedding, Head, Mlp, Placement, PositionEmbedding, Sizes, Spec,
};
use crate::model::weights::TensorSource;
use crate::model::weights::{BlockPart, Param, Place};

pub(super) const FAMILY: Family = Family { model_type: "opt", spec, source, prefix: "model." };

fn spec(config: &Config) -> Result<Spec> {
    config.only("layer_norm_elementwise_affine", true)?;
    let d_model = config.count(WIDTH, "hidden_size")?;
    let is_before = config.flag_or("do_layer_norm_before", true)?;
    let is_removed = config.flag_or("_remove_final_layer_norm", false)?;
    let bias = config.flag_or("enable_bias", true)?;
    let sizes = Sizes {
        d_model,
        n_layers: config.count(LAYERS, "num_hidden_layers")?,
        n_heads: config.count(HEADS, "num_attention_heads")?,
        d_mlp: config.count(WIDTH, "ffn_dim")?,
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.count(POSITIONS, "max_position_embeddings")?,
    };
    Ok(Spec {
        embedding: Embedding {
            d_embed: config.maybe_count(WIDTH, "word_embed_proj_dim")?.filter(|width| *width != d_model),
            positions: PositionEmbedding::Learned { offset: 2 },
            ..Embedding::PLAIN
        },
        placement: if is_before { Placement::Before } else { Placement::AfterSum },
        mlp: Mlp::Plain(config.activation("activation_function", ActivationFn::Relu)?),
        biases: Biases { qkv: bias, attn_out: bias, mlp: bias },
        head: Some(Head {
            norm: is_before && !is_removed,
            ..Head::plain(config.flag_or("tie_word_embeddings", true)?)
        }),
        ..Spec::plain("opt", sizes)
    })
}

fn source(_: &Spec, param: Param) -> TensorSource {
    let (l, part) = match param.place {
        Place::Embed => return TensorSource::whole("decoder.embed_tokens", param),
        Place::Positions => return TensorSource::whole("decoder.embed_positions", param),
        Place::ProjectIn => return TensorSource::whole("decoder.project_in", param),
        Place::ProjectOut => return TensorSource::whole("decoder.project_out", param),
        Place::Unembed => return TensorSource::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("decoder.final_layer_norm", param),
    };
    TensorSource::whole(format!("decoder.layers.{l}.{}", fairseq_part(part)), param)
}

/// The tensor names of a block in fairseq's decoders.
pub(super) fn fairseq_part(part: BlockPart) -> &'static str {
    match part {
        BlockPart::AttnNorm => "self_attn_layer_norm",
        BlockPart::Query => "self_attn.q_proj",
        BlockPart::Key => "self_attn.k_proj",
        BlockPart::Value => "self_attn.v_proj",
        BlockPart::AttnOut => "self_attn.out_proj",
        BlockPart::MlpNorm => "final_layer_norm",
        BlockPart::Down => "fc2",
        _ => "fc1",
    }
}
