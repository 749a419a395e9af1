//! The settings of attention that may differ from layer to layer.

use super::rotary::Rotary;
use std::sync::Arc;

/// The settings of one layer's attention.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Length of the attention window in tokens, the token itself included; `None` is unlimited.
    pub window: Option<usize>,
    /// The encoding of positions.
    pub position: PositionEncoding,
}

impl Layer {
    /// The same settings for every layer, without a window.
    pub fn all(n_layers: usize, position: PositionEncoding) -> Vec<Layer> {
        vec![Layer { window: None, position }; n_layers]
    }
}

/// The encoding of positions inside attention.
#[derive(Debug, Clone, PartialEq)]
pub enum PositionEncoding {
    /// No positions in attention.
    Nothing,
    /// Queries and keys are rotated by an angle that grows with the position.
    Rotary(Rotary),
    /// A penalty on the score that grows with the distance (ALiBi).
    Alibi(Alibi),
}

/// Attention with linear biases: `slope · position of the key` is added to a head's scores.
///
/// A softmax ignores a constant that is added to a whole row, so this equals a penalty on the distance.
#[derive(Debug, Clone, PartialEq)]
pub struct Alibi {
    /// One slope per head; all layers share the list.
    pub slopes: Arc<[f32]>,
    /// The rounding of `slope · position`.
    pub rounding: Rounding,
}

/// The rounding of an ALiBi term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// As f32, positions counted from the text's beginning (BLOOM).
    F32,
    /// As f32, positions counted back from the last, so that the terms of recent tokens are the most exact (MPT).
    F32FromEnd,
    /// To bf16, then scaled as the scores are (Falcon).
    Bf16,
}

impl Alibi {
    /// For each head, the term that is added to the score of a key, by the key's position; `scale` is the factor of the
    /// scores.
    ///
    /// # Shapes
    /// `[n_heads][n_positions]`.
    pub(crate) fn terms(&self, n_positions: usize, scale: f32) -> Vec<Vec<f32>> {
        let term = |slope: f32, position: usize| match self.rounding {
            Rounding::F32 => slope * position as f32,
            Rounding::F32FromEnd => slope * (position as f32 + 1.0 - n_positions as f32),
            Rounding::Bf16 => {
                let rounded = |x: f32| half::bf16::from_f32(x).to_f32();
                scale * rounded(rounded(slope) * rounded(position as f32))
            }
        };
        let of_head = |slope: &f32| (0..n_positions).map(|position| term(*slope, position)).collect();
        self.slopes.iter().map(of_head).collect()
    }
}
