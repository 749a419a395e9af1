//! The four arrays of a dictionary in training; the moments and the gradient have the same arrays.

use crate::error::Result;
use crate::features::{Dictionary, SparseActivation};
use crate::hook_point::HookPoint;
use ndarray::Array1;

/// The names of the four arrays, in their order.
pub(super) const NAMES: [&str; 4] = ["w_enc", "b_enc", "w_dec", "b_dec"];

/// A dictionary in training. The encoder is transposed, so that a latent's weights are contiguous.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameters {
    pub d_in: usize,
    pub d_sae: usize,
    /// The encoder, transposed: `[d_sae, d_in]`.
    pub w_enc: Vec<f32>,
    /// `[d_sae]`.
    pub b_enc: Vec<f32>,
    /// The decoder: each latent's direction, `[d_sae, d_in]`.
    pub w_dec: Vec<f32>,
    /// `[d_in]`.
    pub b_dec: Vec<f32>,
}

impl Parameters {
    pub(super) fn zeros(d_in: usize, d_sae: usize) -> Parameters {
        let matrix = vec![0.0; d_in * d_sae];
        Parameters {
            d_in,
            d_sae,
            w_enc: matrix.clone(),
            b_enc: vec![0.0; d_sae],
            w_dec: matrix,
            b_dec: vec![0.0; d_in],
        }
    }

    /// The arrays in the order of [`NAMES`].
    pub(super) fn arrays(&self) -> [&Vec<f32>; 4] {
        [&self.w_enc, &self.b_enc, &self.w_dec, &self.b_dec]
    }

    /// The arrays in the order of [`NAMES`].
    pub(super) fn arrays_mut(&mut self) -> [&mut Vec<f32>; 4] {
        [&mut self.w_enc, &mut self.b_enc, &mut self.w_dec, &mut self.b_dec]
    }

    /// A latent's direction.
    pub(super) fn direction(&self, latent: usize) -> &[f32] {
        &self.w_dec[latent * self.d_in..(latent + 1) * self.d_in]
    }

    /// The dictionary for unscaled rows, after a training on rows that were multiplied by `scale`.
    ///
    /// With a scale `s`, `s·x ≈ TopK((s·x − b_dec)·W_enc + b_enc)·W_dec + b_dec`. As `TopK(s·v) = s·TopK(v)`, the
    /// dictionary for `x` has the same weights, and its biases are divided by `s`.
    pub(super) fn dictionary(&self, hook_point: HookPoint, k: usize, scale: f32) -> Result<Dictionary> {
        let matrix = |values: &Vec<f32>| super::row_source::as_rows(values.clone(), self.d_in); // [d_sae, d_in]
        let over = |values: &[f32]| Array1::from_iter(values.iter().map(|x| x / scale));
        let w_enc = matrix(&self.w_enc)?.t().as_standard_layout().into_owned(); // [d_in, d_sae]
        Ok(Dictionary {
            hook_point,
            model: None,
            made_with_bos: None,
            activation: SparseActivation::TopK(k),
            w_enc,
            b_enc: over(&self.b_enc),
            w_dec: matrix(&self.w_dec)?,
            b_dec: over(&self.b_dec),
            subtracts_b_dec: true,
        })
    }
}
