//! BLOOM: ALiBi, a norm on the embeddings, fused `query_key_value` per head.

use super::alibi;
use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{
    ActivationFn, Alibi, Embedding, Head, Layer, Mlp, PositionEncoding, Rounding, Sizes, Spec,
};
use crate::model::weights::{BlockPart, Param, Place};
use crate::model::weights::{SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "bloom", spec, source, prefix: "transformer." };

fn spec(config: &Config) -> Result<Spec> {
    config.only("apply_residual_connection_post_layernorm", false)?;
    config.unread(&["offset_alibi", "skip_bias_add", "skip_bias_add_qkv", "n_inner"]);
    let d_model = config.count_of(WIDTH, &["n_embed", "hidden_size"])?;
    let n_heads = config.count_of(HEADS, &["n_head", "num_attention_heads"])?;
    let n_layers = config.count_of(LAYERS, &["n_layer", "num_hidden_layers"])?;
    let alibi = Alibi { slopes: alibi::appended(n_heads).into(), rounding: Rounding::F32 };
    let sizes = Sizes {
        d_model,
        n_layers,
        n_heads,
        d_mlp: 4 * d_model,
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.maybe_count(POSITIONS, "seq_length")?.unwrap_or(2048),
    };
    Ok(Spec {
        embedding: Embedding { norm: true, ..Embedding::PLAIN },
        layers: Layer::all(n_layers, PositionEncoding::Alibi(alibi)),
        norm_eps: config.number_or("layer_norm_epsilon", 1e-5)?,
        mlp: Mlp::Plain(ActivationFn::GeluTanh),
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
        ..Spec::plain("bloom", sizes)
    })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::EmbedNorm => return TensorSource::whole("word_embeddings_layernorm", param),
        Place::FinalNorm => return TensorSource::whole("ln_f", param),
        Place::Unembed => return TensorSource::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("word_embeddings", param),
    };
    let (stem, rows) = match part {
        Query | Key | Value => ("self_attention.query_key_value", SliceRows::in_qkv_of_heads(part, spec)),
        AttnOut => ("self_attention.dense", SliceRows::All),
        AttnNorm => ("input_layernorm", SliceRows::All),
        MlpNorm => ("post_attention_layernorm", SliceRows::All),
        Down => ("mlp.dense_4h_to_h", SliceRows::All),
        _ => ("mlp.dense_h_to_4h", SliceRows::All),
    };
    TensorSource::rows(format!("h.{l}.{stem}"), param, rows)
}
