//! GPT-J: parallel blocks with one norm, part of each head rotated in interleaved pairs.

use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::{HEADS, LAYERS, POSITIONS, VOCABULARY, WIDTH};
use crate::model::spec::{ActivationFn, Biases, BlockKind, Head, Layer, Mlp, PositionEncoding, Sizes, Spec};
use crate::model::spec::{Rotary, RotaryLayout, RotaryScaling};
use crate::model::weights::TensorSource;
use crate::model::weights::{BlockPart, Param, Place};

pub(super) const FAMILY: Family = Family { model_type: "gptj", spec, source, prefix: "transformer." };

fn spec(config: &Config) -> Result<Spec> {
    config.only("rotary", true)?;
    config.unread(&["scale_attn_weights"]);
    let (d_model, n_layers) = (config.count(WIDTH, "n_embd")?, config.count(LAYERS, "n_layer")?);
    let n_rotated = config.maybe_count(WIDTH, "rotary_dim")?.unwrap_or(64);
    if !n_rotated.is_multiple_of(2) || config.is_null("rotary_dim") {
        return Err(config.unsupported(
            "rotary_dim",
            n_rotated,
            "an even number of rotated dimensions is supported",
        ));
    }
    let layout = RotaryLayout::Interleaved;
    let rotary = Rotary { n_rotated, theta: 10_000.0, layout, scaling: RotaryScaling::Nothing };
    let sizes = Sizes {
        d_model,
        n_layers,
        n_heads: config.count(HEADS, "n_head")?,
        d_mlp: config.maybe_count(WIDTH, "n_inner")?.unwrap_or(4 * d_model),
        d_vocab: config.count(VOCABULARY, "vocab_size")?,
        n_context: config.count(POSITIONS, "n_positions")?,
    };
    Ok(Spec {
        layers: Layer::all(n_layers, PositionEncoding::Rotary(rotary)),
        norm_eps: config.number_or("layer_norm_epsilon", 1e-5)?,
        block: BlockKind::ParallelOneNorm,
        mlp: Mlp::Plain(config.activation("activation_function", ActivationFn::GeluTanh)?),
        biases: Biases { mlp: true, ..Biases::NONE },
        head: Some(Head { bias: true, ..Head::plain(config.flag_or("tie_word_embeddings", false)?) }),
        ..Spec::plain("gptj", sizes)
    })
}

fn source(_: &Spec, param: Param) -> TensorSource {
    use BlockPart::*;
    let (l, part) = match param.place {
        Place::FinalNorm => return TensorSource::whole("ln_f", param),
        Place::Unembed => return TensorSource::whole("lm_head", param),
        Place::Block(l, part) => (l, part),
        _ => return TensorSource::whole("wte", param),
    };
    let stem = match part {
        AttnNorm => "ln_1",
        Query => "attn.q_proj",
        Key => "attn.k_proj",
        Value => "attn.v_proj",
        AttnOut => "attn.out_proj",
        Down => "mlp.fc_out",
        _ => "mlp.fc_in",
    };
    TensorSource::whole(format!("h.{l}.{stem}"), param)
}
