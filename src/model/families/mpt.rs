//! MPT: ALiBi, norms without bias, no biases at all, clipped queries, keys and values.

use super::alibi;
use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{
    Alibi, Attention, Biases, Head, Layer, NormKind, PositionEncoding, Rounding, Sizes, Spec,
};
use crate::model::weights::{BlockPart, Param, Place};
use crate::model::weights::{SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "mpt", spec, source, prefix: "transformer." };

fn spec(config: &Config) -> Result<Spec> {
    config.only("expansion_ratio", 4)?;
    config.only("no_bias", true)?;
    config.only("embedding_fraction", 1.0)?;
    config.unread(&["learned_pos_emb", "norm_type"]);
    if let Some(scale) = config.maybe_number("logit_scale")? {
        return Err(config.unsupported("logit_scale", scale, "only null is supported, as in transformers"));
    }
    let (d_model, n_heads) = (config.count(WIDTH, "d_model")?, config.count(HEADS, "n_heads")?);
    let n_layers = config.count(LAYERS, "n_layers")?;
    let alibi = Alibi { slopes: alibi::interleaved(n_heads).into(), rounding: Rounding::F32FromEnd };
    let sizes = Sizes {
        d_model,
        n_layers,
        n_heads,
        d_mlp: 4 * d_model,
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.count(POSITIONS, "max_seq_len")?,
    };
    let plain = Spec::plain("mpt", sizes);
    Ok(Spec {
        attention: attention(config, plain.attention)?,
        layers: Layer::all(n_layers, PositionEncoding::Alibi(alibi)),
        norm: NormKind::LayerNormNoBias,
        norm_eps: config.number_or("layer_norm_epsilon", 1e-5)?,
        biases: Biases::NONE,
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
        ..plain
    })
}

fn attention(config: &Config, default: Attention) -> Result<Attention> {
    let Some(inner) = config.object("attn_config")? else { return Ok(default) };
    inner.only("alibi", true)?;
    inner.only("alibi_bias_max", 8)?;
    inner.only("attn_type", "multihead_attention")?;
    for name in ["prefix_lm", "qk_ln", "attn_uses_sequence_id", "is_encoder_decoder"] {
        inner.only(name, false)?;
    }
    inner.unread(&["model_type", "tie_word_embeddings"]);
    let scale = inner.maybe_number("softmax_scale")?.unwrap_or(default.scale);
    let clip = inner.maybe_number("clip_qkv")?.filter(|clip| *clip != 0.0);
    inner.finish()?;
    Ok(Attention { scale, clip, ..default })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::FinalNorm => return TensorSource::whole("norm_f", param),
        Place::Unembed => return TensorSource::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("wte", param),
    };
    let fused = |index: usize| SliceRows::after(index * spec.d_model, 3 * spec.d_model);
    let (stem, rows) = match part {
        Query => ("attn.Wqkv", fused(0)),
        Key => ("attn.Wqkv", fused(1)),
        Value => ("attn.Wqkv", fused(2)),
        AttnOut => ("attn.out_proj", SliceRows::All),
        AttnNorm => ("norm_1", SliceRows::All),
        MlpNorm => ("norm_2", SliceRows::All),
        Down => ("ffn.down_proj", SliceRows::All),
        _ => ("ffn.up_proj", SliceRows::All),
    };
    TensorSource::rows(format!("blocks.{l}.{stem}"), param, rows)
}
