//! The tensors of a GGUF file by parameter: all architectures use the same names, except for some norms.

use super::header::Header;
use crate::model::spec::{BlockKind, Placement, Spec};
use crate::model::weights::{BlockPart, Param, ParamKind, Place};
use crate::model::weights::{SliceRows, TensorSource};
use std::collections::BTreeSet;

/// The divisors of the rotary frequencies: Llama 3's, and LongRoPE's for texts within the original context.
pub(super) const FREQUENCY_FACTORS: [&str; 2] = ["rope_freqs.weight", "rope_factors_short.weight"];

/// An encoder's token types; not every file has them.
pub(super) const TOKEN_TYPES: &str = "token_types.weight";

/// Tensors that are not parameters: the divisors above, LongRoPE's divisors for texts beyond the original context
/// (such texts are refused), and classifiers after an encoder's last block.
const NO_PARAMETERS: [&str; 7] = [
    FREQUENCY_FACTORS[0],
    FREQUENCY_FACTORS[1],
    "rope_factors_long.weight",
    "cls.weight",
    "cls.bias",
    "cls.output.weight",
    "cls.output.bias",
];

/// The tensor of a parameter, and its rows.
pub(super) fn source(spec: &Spec, param: Param, header: &Header) -> TensorSource {
    let (l, part) = match param.place {
        Place::Block(l, part) => (l, part),
        Place::FinalNorm => return TensorSource::whole("output_norm", param),
        Place::Unembed => return TensorSource::whole("output", param),
        Place::Positions => return TensorSource::whole("position_embd", param),
        Place::TokenTypes => return TensorSource::named(TOKEN_TYPES.into(), SliceRows::All),
        Place::EmbedNorm => return TensorSource::whole("token_embd_norm", param),
        _ => return TensorSource::whole("token_embd", param),
    };
    let kind = if param.kind == ParamKind::Bias { "bias" } else { "weight" };
    let has = |name: &str| header.tensors.contains_key(&format!("blk.{l}.{name}.{kind}"));
    // A parameter without a separate tensor is part of a fused one.
    let (stem, rows) = match fused(spec, part) {
        Some((own, fused, rows)) if !has(own) && has(fused) => (fused, rows),
        _ => (norm(spec, part).unwrap_or(separate(part)), SliceRows::All),
    };
    TensorSource::rows(format!("blk.{l}.{stem}"), param, rows)
}

/// The name of a norm, where it differs from [`separate`]'s.
fn norm(spec: &Spec, part: BlockPart) -> Option<&'static str> {
    let has_two = spec.family == "falcon" && spec.block == BlockKind::Parallel;
    match part {
        BlockPart::AttnNorm if spec.placement == Placement::AfterSum => Some("attn_output_norm"),
        BlockPart::MlpNorm if spec.placement == Placement::AfterSum => Some("layer_output_norm"),
        BlockPart::AttnNorm if has_two => Some("attn_norm_2"),
        BlockPart::MlpNorm if has_two => Some("attn_norm"),
        _ => None,
    }
}

/// The name of a part's tensor, if the part is not fused with others.
fn separate(part: BlockPart) -> &'static str {
    use BlockPart::*;
    match part {
        AttnNorm => "attn_norm",
        Query => "attn_q",
        Key => "attn_k",
        Value => "attn_v",
        QueryNorm => "attn_q_norm",
        KeyNorm => "attn_k_norm",
        AttnOut => "attn_output",
        AttnOutNorm => "post_attention_norm",
        MlpNorm => "ffn_norm",
        Gate => "ffn_gate",
        Up => "ffn_up",
        Down => "ffn_down",
        MlpOutNorm => "post_ffw_norm",
    }
}

/// For a part that may be fused with others: its separate tensor, the fused one, and the part's rows in the fused one.
fn fused(spec: &Spec, part: BlockPart) -> Option<(&'static str, &'static str, SliceRows)> {
    match part {
        BlockPart::Query | BlockPart::Key | BlockPart::Value => {
            Some(("attn_q", "attn_qkv", SliceRows::in_qkv(part, spec)))
        }
        BlockPart::Gate | BlockPart::Up if spec.mlp.is_gated() => {
            Some(("ffn_gate", "ffn_up", SliceRows::in_gate_up(part, spec)))
        }
        _ => None,
    }
}

/// The first tensor in order of names that is neither in `used` nor in [`NO_PARAMETERS`].
pub(super) fn unused<'a>(header: &'a Header, used: &BTreeSet<String>) -> Option<&'a String> {
    let is_unused = |name: &&String| !used.contains(*name) && !NO_PARAMETERS.contains(&name.as_str());
    header.tensors.keys().filter(is_unused).min()
}
