//! ChatGLM3 and GLM-4-9b in their own repositories' format: GLM with other field and tensor names.

use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{
    ActivationFn, Attention, Biases, Head, Layer, Mlp, NormKind, PositionEncoding, Sizes, Spec,
};
use crate::model::spec::{Rotary, RotaryLayout, RotaryScaling};
use crate::model::weights::{BlockPart, Param, Place};
use crate::model::weights::{SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "chatglm", spec, source, prefix: "transformer." };

fn spec(config: &Config) -> Result<Spec> {
    for name in ["multi_query_attention", "rmsnorm", "post_layer_norm", "original_rope"] {
        config.only(name, true)?;
    }
    for name in ["add_bias_linear", "apply_residual_connection_post_layernorm", "tie_word_embeddings"] {
        config.only(name, false)?;
    }
    for name in ["prefix_projection", "interleaved_qkv"] {
        config.only(name, false)?;
    }
    config.only("quantization_bit", 0)?;
    config.unread(&["vocab_size"]); // the embedding has `padded_vocab_size` rows
    let (n_layers, n_heads) =
        (config.count(LAYERS, "num_layers")?, config.count(HEADS, "num_attention_heads")?);
    let d_head = config.count(WIDTH, "kv_channels")?;
    let theta = 10_000.0 * config.number_or("rope_ratio", 1.0)?;
    let layout = RotaryLayout::Interleaved;
    let rotary = Rotary { n_rotated: d_head / 2, theta, layout, scaling: RotaryScaling::Nothing };
    let sizes = Sizes {
        d_model: config.count(WIDTH, "hidden_size")?,
        n_layers,
        n_heads,
        d_mlp: config.count(WIDTH, "ffn_hidden_size")?,
        d_vocab: config.count(VOCABULARY, "padded_vocab_size")?,
        n_context: config.count(POSITIONS, "seq_length")?,
    };
    Ok(Spec {
        n_kv_heads: config.count(HEADS, "multi_query_group_num")?,
        d_head,
        attention: Attention::causal(d_head),
        layers: Layer::all(n_layers, PositionEncoding::Rotary(rotary)),
        norm: NormKind::RmsNorm,
        norm_eps: config.number_or("layernorm_epsilon", 1e-5)?,
        mlp: Mlp::Gated(ActivationFn::Silu),
        biases: Biases { qkv: config.flag_or("add_qkv_bias", false)?, ..Biases::NONE },
        head: Some(Head::plain(false)),
        ..Spec::plain("chatglm", sizes)
    })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::FinalNorm => return TensorSource::whole("encoder.final_layernorm", param),
        Place::Unembed => return TensorSource::whole("output_layer", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("embedding.word_embeddings", param),
    };
    let (stem, rows) = match part {
        Query | Key | Value => ("self_attention.query_key_value", SliceRows::in_qkv(part, spec)),
        AttnOut => ("self_attention.dense", SliceRows::All),
        AttnNorm => ("input_layernorm", SliceRows::All),
        MlpNorm => ("post_attention_layernorm", SliceRows::All),
        Gate | Up => ("mlp.dense_h_to_4h", SliceRows::in_gate_up(part, spec)),
        _ => ("mlp.dense_4h_to_h", SliceRows::All),
    };
    TensorSource::rows(format!("encoder.layers.{l}.{stem}"), param, rows)
}
