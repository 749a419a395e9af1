//! Named places in the forward pass, printed as TransformerLens prints them.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A named place in the forward pass; the number is the block index.
///
/// # Examples
/// ```
/// use mappa::hook_point::HookPoint;
/// let point: HookPoint = "blocks.3.hook_resid_post".parse().unwrap();
/// assert_eq!(point, HookPoint::ResidPost(3));
/// assert_eq!(point.to_string(), "blocks.3.hook_resid_post");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookPoint {
    /// The stream that enters block `l`, `[n_tokens, d_model]`.
    ResidPre(usize),
    /// The concatenated heads before the output matrix, `[n_tokens, n_heads * d_head]`.
    AttnZ(usize),
    /// What attention adds to the stream, `[n_tokens, d_model]`.
    AttnOut(usize),
    /// The stream between attention and MLP of a sequential block, `[n_tokens, d_model]`.
    ResidMid(usize),
    /// The MLP's neurons after the non-linearity and the gate, `[n_tokens, d_mlp]`.
    MlpPost(usize),
    /// What the MLP adds to the stream, `[n_tokens, d_model]`.
    MlpOut(usize),
    /// The stream after block `l`, before any final norm, `[n_tokens, d_model]`.
    ResidPost(usize),
}

const FORMS: [&str; 7] = [
    "hook_resid_pre",
    "attn.hook_z",
    "hook_attn_out",
    "hook_resid_mid",
    "mlp.hook_post",
    "hook_mlp_out",
    "hook_resid_post",
];

impl HookPoint {
    /// The block index.
    pub fn layer(self) -> usize {
        match self {
            HookPoint::ResidPre(l)
            | HookPoint::AttnZ(l)
            | HookPoint::AttnOut(l)
            | HookPoint::ResidMid(l)
            | HookPoint::MlpPost(l)
            | HookPoint::MlpOut(l)
            | HookPoint::ResidPost(l) => l,
        }
    }

    /// How curves name the place: `embed` for what enters block 0, else the block index.
    pub fn label(self) -> String {
        match self {
            HookPoint::ResidPre(0) => "embed".to_string(),
            point => point.layer().to_string(),
        }
    }

    /// The residual stream at every depth: `embed`, then after each block.
    pub fn stream(n_layers: usize) -> Vec<HookPoint> {
        std::iter::once(HookPoint::ResidPre(0)).chain((0..n_layers).map(HookPoint::ResidPost)).collect()
    }

    fn form(self) -> &'static str {
        FORMS[match self {
            HookPoint::ResidPre(_) => 0,
            HookPoint::AttnZ(_) => 1,
            HookPoint::AttnOut(_) => 2,
            HookPoint::ResidMid(_) => 3,
            HookPoint::MlpPost(_) => 4,
            HookPoint::MlpOut(_) => 5,
            HookPoint::ResidPost(_) => 6,
        }]
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blocks.{}.{}", self.layer(), self.form())
    }
}

impl FromStr for HookPoint {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let parse = || {
            let (layer, form) = name.strip_prefix("blocks.")?.split_once('.')?;
            let l: usize = layer.parse().ok()?;
            Some(match FORMS.iter().position(|known| *known == form)? {
                0 => HookPoint::ResidPre(l),
                1 => HookPoint::AttnZ(l),
                2 => HookPoint::AttnOut(l),
                3 => HookPoint::ResidMid(l),
                4 => HookPoint::MlpPost(l),
                5 => HookPoint::MlpOut(l),
                _ => HookPoint::ResidPost(l),
            })
        };
        parse().ok_or_else(|| Error::UnknownHookPoint {
            name: name.to_string(),
            known: FORMS.map(|form| format!("blocks.{{l}}.{form}")).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_prints_and_parses_back() {
        for form in FORMS {
            let name = format!("blocks.11.{form}");
            let point: HookPoint = name.parse().unwrap();
            assert_eq!(point.to_string(), name);
            assert_eq!(point.layer(), 11);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_forms() {
        let message = "blocks.x.hook_resid_post".parse::<HookPoint>().unwrap_err().to_string();
        assert!(message.contains("blocks.{l}.hook_resid_post"), "{message}");
        assert!("hook_embed".parse::<HookPoint>().is_err());
    }
}
