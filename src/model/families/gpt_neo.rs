//! GPT-Neo: GPT-2 with unscaled scores, a window in every other layer, no biases on queries, keys, values.

use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{
    ActivationFn, Attention, Biases, Embedding, Head, Layer, Mlp, PositionEmbedding, PositionEncoding, Sizes,
    Spec,
};
use crate::model::weights::TensorSource;
use crate::model::weights::{BlockPart, Param, Place};

pub(super) const FAMILY: Family = Family { model_type: "gpt_neo", spec, source, prefix: "transformer." };

fn spec(config: &Config) -> Result<Spec> {
    let (d_model, n_layers) = (config.count(WIDTH, "hidden_size")?, config.count(LAYERS, "num_layers")?);
    let sizes = Sizes {
        d_model,
        n_layers,
        n_heads: config.count(HEADS, "num_heads")?,
        d_mlp: config.maybe_count(WIDTH, "intermediate_size")?.unwrap_or(4 * d_model),
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.count(POSITIONS, "max_position_embeddings")?,
    };
    let window = config.maybe_count(POSITIONS, "window_size")?.unwrap_or(256);
    let layer =
        |slides: bool| Layer { window: slides.then_some(window), position: PositionEncoding::Nothing };
    let plain = Spec::plain("gpt_neo", sizes);
    Ok(Spec {
        embedding: Embedding { positions: PositionEmbedding::Learned { offset: 0 }, ..Embedding::PLAIN },
        attention: Attention { scale: 1.0, ..plain.attention },
        layers: slides(config, n_layers)?.into_iter().map(layer).collect(),
        norm_eps: config.number_or("layer_norm_epsilon", 1e-5)?,
        mlp: Mlp::Plain(config.activation("activation_function", ActivationFn::GeluTanh)?),
        biases: Biases { qkv: false, ..Biases::ALL },
        head: Some(Head::plain(config.flag_or("tie_word_embeddings", true)?)),
        ..plain
    })
}

/// For each layer, true if its attention has a window: by `attention_layers`, or by the expanded `attention_types`.
fn slides(config: &Config, n_layers: usize) -> Result<Vec<bool>> {
    let expanded = config.runs_of_words("attention_types")?;
    let stated = config.maybe_texts("attention_layers")?.or(expanded);
    let default = || ["global", "local"].repeat(12).into_iter().map(String::from).collect();
    let names = stated.unwrap_or_else(default);
    if names.len() != n_layers {
        let expected = format!("a list of {n_layers}, one per layer, is supported");
        return Err(config.unsupported("attention_layers", format!("a list of {}", names.len()), expected));
    }
    let kind = |name: &String| match name.as_str() {
        "global" => Ok(false),
        "local" => Ok(true),
        other => Err(config.unsupported("attention_layers", other, "global or local is supported")),
    };
    names.iter().map(kind).collect()
}

fn source(_: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::Positions => return TensorSource::whole("wpe", param),
        Place::FinalNorm => return TensorSource::whole("ln_f", param),
        Place::Unembed => return TensorSource::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("wte", param),
    };
    let stem = match part {
        AttnNorm => "ln_1",
        MlpNorm => "ln_2",
        Query => "attn.attention.q_proj",
        Key => "attn.attention.k_proj",
        Value => "attn.attention.v_proj",
        AttnOut => "attn.attention.out_proj",
        Down => "mlp.c_proj",
        _ => "mlp.c_fc",
    };
    TensorSource::whole(format!("h.{l}.{stem}"), param)
}
