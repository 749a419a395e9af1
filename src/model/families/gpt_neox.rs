//! GPT-NeoX (Pythia): partial rotary, parallel blocks with two norms, fused `query_key_value` per head.

use super::config::Config;
use super::family::Family;
use super::rope::{Defaults, WHOLE, rotary};
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{ActivationFn, Biases, BlockKind, Head, Layer, Mlp, PositionEncoding, Sizes, Spec};
use crate::model::weights::{BlockPart, Param, Place};
use crate::model::weights::{SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "gpt_neox", spec, source, prefix: "gpt_neox." };

fn spec(config: &Config) -> Result<Spec> {
    let (d_model, n_heads) =
        (config.count(WIDTH, "hidden_size")?, config.count(HEADS, "num_attention_heads")?);
    let n_layers = config.count(LAYERS, "num_hidden_layers")?;
    let d_head = d_model / n_heads;
    config.only("head_dim", d_head)?;
    let names = ["rotary_emb_base", "rotary_pct"];
    let rotary = rotary(config, d_head, Defaults { share: Some(0.25), names, ..WHOLE })?;
    config.unread(&["rope_theta", "partial_rotary_factor"]); // the family has other names for them
    let is_parallel = config.flag_or("use_parallel_residual", true)?;
    let bias = config.flag_or("attention_bias", true)?;
    let sizes = Sizes {
        d_model,
        n_layers,
        n_heads,
        d_mlp: config.count(WIDTH, "intermediate_size")?,
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.count(POSITIONS, "max_position_embeddings")?,
    };
    Ok(Spec {
        layers: Layer::all(n_layers, PositionEncoding::Rotary(rotary)),
        norm_eps: config.number_or("layer_norm_eps", 1e-5)?,
        block: if is_parallel { BlockKind::Parallel } else { BlockKind::Sequential },
        mlp: Mlp::Plain(config.activation("hidden_act", ActivationFn::Gelu)?),
        biases: Biases { qkv: bias, attn_out: bias, mlp: true },
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", false)?)),
        ..Spec::plain("gpt_neox", sizes)
    })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::FinalNorm => return TensorSource::whole("final_layer_norm", param),
        Place::Unembed => return TensorSource::whole("embed_out", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("embed_in", param),
    };
    let (stem, rows) = match part {
        Query | Key | Value => ("attention.query_key_value", SliceRows::in_qkv_of_heads(part, spec)),
        AttnOut => ("attention.dense", SliceRows::All),
        AttnNorm => ("input_layernorm", SliceRows::All),
        MlpNorm => ("post_attention_layernorm", SliceRows::All),
        Down => ("mlp.dense_4h_to_h", SliceRows::All),
        _ => ("mlp.dense_h_to_4h", SliceRows::All),
    };
    TensorSource::rows(format!("layers.{l}.{stem}"), param, rows)
}
