//! GPT-2: learned positions, LayerNorm, fused `c_attn` stored `[in, out]`.

use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{ActivationFn, Embedding, Head, Mlp, PositionEmbedding, Sizes, Spec};
use crate::model::weights::{BlockPart, Param, Place};
use crate::model::weights::{Slice, SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "gpt2", spec, source, prefix: "transformer." };

fn spec(config: &Config) -> Result<Spec> {
    let d_model = config.count(WIDTH, "n_embd")?;
    config.maybe_count(POSITIONS, "n_ctx")?; // the older name of n_positions
    config.only("scale_attn_weights", true)?;
    config.only("scale_attn_by_inverse_layer_idx", false)?;
    config.only("reorder_and_upcast_attn", false)?;
    config.only("add_cross_attention", false)?;
    let sizes = Sizes {
        d_model,
        n_layers: config.count(LAYERS, "n_layer")?,
        n_heads: config.count(HEADS, "n_head")?,
        d_mlp: config.maybe_count(WIDTH, "n_inner")?.unwrap_or(4 * d_model),
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.count(POSITIONS, "n_positions")?,
    };
    Ok(Spec {
        embedding: Embedding { positions: PositionEmbedding::Learned { offset: 0 }, ..Embedding::PLAIN },
        norm_eps: config.number_or("layer_norm_epsilon", 1e-5)?,
        mlp: Mlp::Plain(config.activation("activation_function", ActivationFn::GeluTanh)?),
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
        ..Spec::plain("gpt2", sizes)
    })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::Positions => return TensorSource::whole("wpe", param),
        Place::FinalNorm => return TensorSource::whole("ln_f", param),
        Place::Unembed => return TensorSource::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("wte", param),
    };
    let fused = |index: usize| SliceRows::after(index * spec.d_model, 3 * spec.d_model);
    let (stem, rows) = match part {
        Query => ("attn.c_attn", fused(0)),
        Key => ("attn.c_attn", fused(1)),
        Value => ("attn.c_attn", fused(2)),
        AttnOut => ("attn.c_proj", SliceRows::All),
        AttnNorm => ("ln_1", SliceRows::All),
        MlpNorm => ("ln_2", SliceRows::All),
        Down => ("mlp.c_proj", SliceRows::All),
        _ => ("mlp.c_fc", SliceRows::All),
    };
    let source = TensorSource::rows(format!("h.{l}.{stem}"), param, rows);
    TensorSource { slice: Slice { transposed: true, ..source.slice }, ..source }
}
