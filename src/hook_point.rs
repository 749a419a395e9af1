//! Hook points: named places in the forward pass, printed with the names of TransformerLens.

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
    /// The residual stream before block `l`, `[n_tokens, d_model]`.
    ResidPre(usize),
    /// The concatenated heads before the output matrix, `[n_tokens, n_heads * d_head]`.
    AttnZ(usize),
    /// The output of attention, `[n_tokens, d_model]`.
    AttnOut(usize),
    /// The stream between attention and MLP of a sequential block, `[n_tokens, d_model]`.
    ResidMid(usize),
    /// The MLP's neurons after the non-linearity and the gate, `[n_tokens, d_mlp]`.
    MlpPost(usize),
    /// The output of the MLP, `[n_tokens, d_model]`.
    MlpOut(usize),
    /// The stream after block `l`, before any final norm, `[n_tokens, d_model]`.
    ResidPost(usize),
}

/// The points of a block, in the order of the pass.
const OF_BLOCK: [fn(usize) -> HookPoint; 7] = [
    HookPoint::ResidPre,
    HookPoint::AttnZ,
    HookPoint::AttnOut,
    HookPoint::ResidMid,
    HookPoint::MlpPost,
    HookPoint::MlpOut,
    HookPoint::ResidPost,
];

/// The width of the values at a hook point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookWidth {
    /// That of the residual stream, `d_model`.
    Stream,
    /// That of all query heads concatenated, `n_heads * d_head`.
    Heads,
    /// The number of MLP neurons, `d_mlp`.
    Neurons,
}

/// The properties of a hook point.
struct Properties {
    /// The block index.
    layer: usize,
    /// The name within the block.
    form: &'static str,
    width: HookWidth,
}

impl HookPoint {
    fn properties(self) -> Properties {
        use HookWidth::*;
        let of = |layer, form, width| Properties { layer, form, width };
        match self {
            HookPoint::ResidPre(l) => of(l, "hook_resid_pre", Stream),
            HookPoint::AttnZ(l) => of(l, "attn.hook_z", Heads),
            HookPoint::AttnOut(l) => of(l, "hook_attn_out", Stream),
            HookPoint::ResidMid(l) => of(l, "hook_resid_mid", Stream),
            HookPoint::MlpPost(l) => of(l, "mlp.hook_post", Neurons),
            HookPoint::MlpOut(l) => of(l, "hook_mlp_out", Stream),
            HookPoint::ResidPost(l) => of(l, "hook_resid_post", Stream),
        }
    }

    /// The block index.
    pub fn layer(self) -> usize {
        self.properties().layer
    }

    /// The width of the values.
    pub fn width(self) -> HookWidth {
        self.properties().width
    }

    /// True if a pass that takes the outputs of block 0 from a cache does not compute these values.
    pub fn is_skipped_by_token_cache(self) -> bool {
        matches!(self, HookPoint::MlpPost(0))
    }

    /// The label on an axis: `embed` for the input of block 0, otherwise the block index.
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

    /// Every hook point of a model with `n_layers` blocks, in the order of the pass.
    pub fn all(n_layers: usize) -> Vec<HookPoint> {
        (0..n_layers).flat_map(|l| OF_BLOCK.map(|point| point(l))).collect()
    }

    /// True if a pass that records only these hook points may stop before it computes the last of their blocks.
    pub fn end_before_block<'a>(points: impl Iterator<Item = &'a HookPoint> + Clone) -> bool {
        let last = points.clone().map(|point| point.layer()).max();
        let mut of_last = points.filter(|point| Some(point.layer()) == last);
        of_last.all(|point| matches!(point, HookPoint::ResidPre(_)))
    }

    /// The hook points in `present` that match a list of names and globs, in the order of `present`.
    ///
    /// Names and globs are separated by commas. `*` matches any characters, `?` one character, and `{3,5}` one of
    /// the two alternatives; `embed` is the input of block 0.
    ///
    /// # Errors
    /// [`Error::UnknownHookPoint`] for a name or glob without a match, listing the forms of the hook points in
    /// `present`.
    ///
    /// # Examples
    /// ```
    /// use mappa::hook_point::HookPoint;
    /// let present = HookPoint::all(12);
    /// let chosen = HookPoint::choose("embed,blocks.{3,5}.mlp.hook_post", &present).unwrap();
    /// assert_eq!(chosen, [HookPoint::ResidPre(0), HookPoint::MlpPost(3), HookPoint::MlpPost(5)]);
    /// assert_eq!(HookPoint::choose("blocks.*.hook_resid_post", &present).unwrap().len(), 12);
    /// ```
    pub fn choose(list: &str, present: &[HookPoint]) -> Result<Vec<HookPoint>> {
        let mut chosen = vec![false; present.len()];
        for glob in split(list) {
            let full = if glob == "embed" { EMBED } else { glob };
            let mut found = false;
            for (point, chosen) in present.iter().zip(&mut chosen) {
                let matches = matches_glob(full, &point.to_string());
                (found, *chosen) = (found || matches, *chosen || matches);
            }
            if !found {
                return Err(Error::UnknownHookPoint { name: glob.to_string(), known: forms_of(present) });
            }
        }
        Ok(present.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(point, _)| *point).collect())
    }

    fn form(self) -> &'static str {
        self.properties().form
    }
}

/// The names of the points within a block, in the order of the pass.
fn forms() -> [&'static str; OF_BLOCK.len()] {
    OF_BLOCK.map(|point| point(0).form())
}

/// The full name of `embed`.
const EMBED: &str = "blocks.0.hook_resid_pre";

/// The parts between commas; commas in braces do not separate.
fn split(list: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = list.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts.map(str::trim).collect()
}

/// True if a name matches a glob of `*`, `?` and choices in braces.
///
/// The glob is read once: `reached` marks each position in the name up to which the part read so far can match.
/// Backtracking, or expanding all braces, takes exponential time: years for a short glob.
fn matches_glob(glob: &str, name: &str) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    match_ends(glob.as_bytes(), name.as_bytes(), reached)[name.len()]
}

/// The positions in a name up to which a glob can match, if the match starts at any position in `reached`.
fn match_ends(glob: &[u8], name: &[u8], mut reached: Vec<bool>) -> Vec<bool> {
    let mut rest = glob;
    while let Some((sign, following)) = rest.split_first().filter(|_| reached.contains(&true)) {
        rest = following;
        let close = following.iter().position(|c| *c == b'}').filter(|_| *sign == b'{');
        if let Some(close) = close {
            let choices = following[..close].split(|c| *c == b',').map(<[u8]>::trim_ascii);
            let each = choices.map(|choice| match_ends(choice, name, reached.clone()));
            let nowhere = vec![false; reached.len()];
            let either = |a: Vec<bool>, b: Vec<bool>| a.iter().zip(b).map(|(a, b)| *a || b).collect();
            (reached, rest) = (each.fold(nowhere, either), &following[close + 1..]);
        } else if *sign == b'*' {
            let first = reached.iter().position(|is_reached| *is_reached).unwrap_or(reached.len());
            reached[first..].fill(true);
        } else {
            let steps = |at: usize| reached[at] && (*sign == b'?' || name[at] == *sign);
            reached = std::iter::once(false).chain((0..name.len()).map(steps)).collect();
        }
    }
    reached
}

/// The forms of hook points, for a message.
fn forms_of(present: &[HookPoint]) -> String {
    let last = present.iter().map(|point| point.layer()).max().unwrap_or(0);
    let is_there = |form: &str| present.iter().any(|point| point.form() == form);
    let present = forms().into_iter().filter(|form| is_there(form));
    let forms: Vec<String> = present.map(|form| format!("blocks.{{l}}.{form}")).collect();
    format!(
        "embed, {}, with l from 0 to {last}, or a glob such as blocks.*.hook_resid_post",
        forms.join(", ")
    )
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
            OF_BLOCK.map(|point| point(l)).into_iter().find(|point| point.form() == form)
        };
        parse().ok_or_else(|| Error::UnknownHookPoint {
            name: name.to_string(),
            known: forms().map(|form| format!("blocks.{{l}}.{form}")).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_prints_and_parses_back() {
        for form in forms() {
            let name = format!("blocks.11.{form}");
            let point: HookPoint = name.parse().unwrap();
            assert_eq!(point.to_string(), name);
            assert_eq!(point.layer(), 11);
        }
    }

    #[test]
    fn globs_choose_their_matches_once_and_in_the_order_of_the_pass() {
        let present: Vec<HookPoint> =
            HookPoint::all(12).into_iter().filter(|p| !matches!(p, HookPoint::ResidMid(_))).collect();
        let choose = |list: &str| HookPoint::choose(list, &present).unwrap();
        assert_eq!(choose("*"), present);
        assert_eq!(choose("embed,blocks.*.hook_resid_post"), HookPoint::stream(12));
        assert_eq!(
            choose(" blocks.1?.hook_mlp_out , blocks.10.hook_mlp_out"),
            [10, 11].map(HookPoint::MlpOut)
        );
        assert_eq!(
            choose("blocks.{2, 0}.{attn.hook_z,hook_attn_out}"),
            [0, 2].map(|l| [HookPoint::AttnZ(l), HookPoint::AttnOut(l)]).concat()
        );
        for none in ["blocks.12.hook_resid_post", "blocks.3.hook_resid_mid", "hook_*", "", "blocks.{3"] {
            let message = HookPoint::choose(&format!("embed,{none}"), &present).unwrap_err().to_string();
            for part in [&format!("`{none}`"), "embed", "blocks.{l}.attn.hook_z", "0 to 11"] {
                assert!(message.contains(part), "`{part}` is not in: {message}");
            }
            assert!(!message.contains("resid_mid,"), "{message}");
        }
    }

    #[test]
    fn long_globs_take_no_longer_than_short_ones() {
        let present = HookPoint::all(100);
        let braces = format!("blocks.{}", "{1,2,?}".repeat(1000));
        for glob in ["*a".repeat(1000), "{x,y}".repeat(1000), braces, "{".repeat(100_000)] {
            assert!(HookPoint::choose(&glob, &present).is_err());
        }
        assert_eq!(HookPoint::choose(&"{*,x}".repeat(1000), &present).unwrap(), present);
        let every = format!("{}post", "*".repeat(10_000));
        assert_eq!(HookPoint::choose(&every, &present).unwrap().len(), 200);
    }

    #[test]
    fn an_unknown_name_lists_the_known_forms() {
        let message = "blocks.x.hook_resid_post".parse::<HookPoint>().unwrap_err().to_string();
        assert!(message.contains("blocks.{l}.hook_resid_post"), "{message}");
        assert!("hook_embed".parse::<HookPoint>().is_err());
    }
}
