//! GPT-2: learned positions, LayerNorm, fused `c_attn` stored `[in, out]`.

use super::{Config, Family};
use crate::error::Result;
use crate::model::params::{Param, Part, Place};
use crate::model::spec::{
    Activation, Attention, Biases, BlockKind, Embedding, Head, Layer, Mlp, NormKind, Placement, Position,
    Positions, Spec,
};
use crate::model::weights::{Cut, Rows, Source};

pub(super) const FAMILY: Family = Family { model_type: "gpt2", spec, source, prefix: "transformer." };

fn spec(config: &Config) -> Result<Spec> {
    let (d_model, n_heads) = (config.count("n_embd")?, config.count("n_head")?);
    let (n_layers, n_context) = (config.count("n_layer")?, config.count("n_positions")?);
    config.maybe_count("n_ctx")?; // what older configs call n_positions
    config.only("scale_attn_weights", true)?;
    config.only("scale_attn_by_inverse_layer_idx", false)?;
    config.only("reorder_and_upcast_attn", false)?;
    config.only("add_cross_attention", false)?;
    let d_head = d_model / n_heads;
    Ok(Spec {
        family: "gpt2",
        d_model,
        n_layers,
        n_heads,
        n_kv_heads: n_heads,
        d_head,
        d_mlp: config.maybe_count("n_inner")?.unwrap_or(4 * d_model),
        d_vocab: config.count("vocab_size")?,
        n_context,
        embedding: Embedding { positions: Positions::Learned { offset: 0 }, ..Embedding::PLAIN },
        attention: Attention::causal(d_head),
        layers: Layer::all(n_layers, Position::Nothing),
        norm: NormKind::LayerNorm,
        norm_eps: config.number_or("layer_norm_epsilon", 1e-5)?,
        placement: Placement::Before,
        block: BlockKind::Sequential,
        mlp: Mlp::Plain(config.activation("activation_function", Activation::GeluTanh)?),
        biases: Biases::ALL,
        residual_scale: 1.0,
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
    })
}

fn source(spec: &Spec, param: Param) -> Source {
    use Part::*;
    let (l, part) = match param.place {
        Place::Positions => return Source::whole("wpe", param),
        Place::FinalNorm => return Source::whole("ln_f", param),
        Place::Unembed => return Source::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return Source::whole("wte", param),
    };
    let fused = |index: usize| Rows::after(index * spec.d_model, 3 * spec.d_model);
    let (stem, rows) = match part {
        Query => ("attn.c_attn", fused(0)),
        Key => ("attn.c_attn", fused(1)),
        Value => ("attn.c_attn", fused(2)),
        AttnOut => ("attn.c_proj", Rows::All),
        AttnNorm => ("ln_1", Rows::All),
        MlpNorm => ("ln_2", Rows::All),
        Down => ("mlp.c_proj", Rows::All),
        _ => ("mlp.c_fc", Rows::All),
    };
    let source = Source::rows(format!("h.{l}.{stem}"), param, rows);
    Source { cut: Cut { transposed: true, ..source.cut }, ..source }
}
