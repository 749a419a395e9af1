//! Falcon, both generations and the RefinedWeb models: multi-query, parallel, rotary or ALiBi.

use super::config::Config;
use super::family::Family;
use super::rope::WHOLE;
use super::{alibi, rope};
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{
    ActivationFn, Alibi, Biases, BlockKind, Head, Layer, Mlp, PositionEncoding, Rounding, Sizes, Spec,
};
use crate::model::weights::{BlockPart, Param, Place};
use crate::model::weights::{SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "falcon", spec, source, prefix: "transformer." };

fn spec(config: &Config) -> Result<Spec> {
    config.only("apply_residual_connection_post_layernorm", false)?; // only the family's original code reads it
    config.unread(&["ff_factor"]);
    let d_model = config.count_of(WIDTH, &["n_embed", "hidden_size"])?;
    let (n_layers, n_heads) =
        (config.count(LAYERS, "num_hidden_layers")?, config.count(HEADS, "num_attention_heads")?);
    let d_head = d_model / n_heads;
    config.only("head_dim", d_head)?;
    let is_new = config.flag_or("new_decoder_architecture", false)?;
    let is_multi_query = !config.is_null("multi_query") && config.flag_or("multi_query", true)?;
    let stated = config.maybe_count(HEADS, "num_kv_heads")?.unwrap_or(n_heads);
    let n_kv_heads = match (is_new, is_multi_query) {
        (true, _) => stated,
        (false, true) => 1, // whatever `num_kv_heads` says
        (false, false) => n_heads,
    };
    let position = if config.flag_or("alibi", false)? {
        config.unread(&rope::FIELDS);
        PositionEncoding::Alibi(Alibi { slopes: alibi::appended(n_heads).into(), rounding: Rounding::Bf16 })
    } else {
        PositionEncoding::Rotary(rope::rotary(config, d_head, WHOLE)?)
    };
    let bias = config.flag_or("bias", false)?;
    let sizes = Sizes {
        d_model,
        n_layers,
        n_heads,
        d_mlp: config.maybe_count(WIDTH, "ffn_hidden_size")?.unwrap_or(4 * d_model),
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.maybe_count(POSITIONS, "max_position_embeddings")?.unwrap_or(2048),
    };
    Ok(Spec {
        n_kv_heads,
        layers: Layer::all(n_layers, position),
        norm_eps: config.number_or("layer_norm_epsilon", 1e-5)?,
        block: block(config, is_new)?,
        mlp: Mlp::Plain(config.activation("activation", ActivationFn::Gelu)?),
        biases: Biases { qkv: bias, attn_out: bias, mlp: bias },
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
        ..Spec::plain("falcon", sizes)
    })
}

fn block(config: &Config, is_new: bool) -> Result<BlockKind> {
    // `null` counts as false, as in transformers.
    let is_parallel = !config.is_null("parallel_attn") && config.flag_or("parallel_attn", true)?;
    let n_norms =
        config.maybe_count(POSITIONS, "num_ln_in_parallel_attn")?.unwrap_or(if is_new { 2 } else { 1 });
    match (is_parallel, is_new, n_norms) {
        (false, false, _) => Ok(BlockKind::Sequential),
        (true, true, 2) => Ok(BlockKind::Parallel),
        (true, _, 1) => Ok(BlockKind::ParallelOneNorm),
        (false, true, _) => {
            Err(config.unsupported("parallel_attn", false, "in the new architecture only true is supported"))
        }
        (true, _, n) => Err(config.unsupported(
            "num_ln_in_parallel_attn",
            n,
            "1, or 2 in the new architecture, is supported",
        )),
    }
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::FinalNorm => return TensorSource::whole("ln_f", param),
        Place::Unembed => return TensorSource::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("word_embeddings", param),
    };
    // Each key/value head follows its queries; one head for all queries is the case of a single group.
    let (d, group) = (spec.d_head, spec.n_heads / spec.n_kv_heads);
    let fused = |from| SliceRows::Of { groups: spec.n_kv_heads, of: (group + 2) * d, from };
    let (stem, rows) = match part {
        Query => ("self_attention.query_key_value", fused(0)),
        Key => ("self_attention.query_key_value", fused(group * d)),
        Value => ("self_attention.query_key_value", fused((group + 1) * d)),
        AttnOut => ("self_attention.dense", SliceRows::All),
        AttnNorm if spec.block == BlockKind::Parallel => ("ln_attn", SliceRows::All),
        MlpNorm if spec.block == BlockKind::Parallel => ("ln_mlp", SliceRows::All),
        AttnNorm => ("input_layernorm", SliceRows::All),
        MlpNorm => ("post_attention_layernorm", SliceRows::All),
        Down => ("mlp.dense_4h_to_h", SliceRows::All),
        _ => ("mlp.dense_h_to_4h", SliceRows::All),
    };
    TensorSource::rows(format!("h.{l}.{stem}"), param, rows)
}
