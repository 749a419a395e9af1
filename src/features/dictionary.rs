//! A sparse dictionary (sparse autoencoder): each row of activations is a sum of a few of its directions.

use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

/// Rows that one thread encodes at a time.
const BLOCK: usize = 256;

/// The activation function of a dictionary, applied to its pre-activations.
#[derive(Debug, Clone, PartialEq)]
pub enum SparseActivation {
    /// Values below zero become zero.
    Relu,
    /// Only this many greatest values of each row stay; values below zero become zero.
    TopK(usize),
    /// A value stays if it is above its latent's threshold and above zero; other values become zero.
    JumpRelu(Vec<f32>),
}

/// A sparse dictionary of the activations at one hook point.
///
/// A row `x` has the activations `a = activation((x − b_dec) · w_enc + b_enc)`, without `b_dec` if
/// `subtracts_b_dec` is false; its reconstruction is `a · w_dec + b_dec`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dictionary {
    /// The hook point of its rows.
    pub hook_point: HookPoint,
    /// The model that it was trained on, if known.
    pub model: Option<String>,
    /// True if its training texts began with BOS; `None` if unknown.
    pub made_with_bos: Option<bool>,
    /// The activation function.
    pub activation: SparseActivation,
    /// The encoder, `[d_in, d_sae]`.
    pub w_enc: Array2<f32>,
    /// The encoder's bias, `[d_sae]`.
    pub b_enc: Array1<f32>,
    /// The decoder: each latent's direction, `[d_sae, d_in]`.
    pub w_dec: Array2<f32>,
    /// The decoder's bias, `[d_in]`.
    pub b_dec: Array1<f32>,
    /// True if `b_dec` is subtracted from a row before encoding.
    pub subtracts_b_dec: bool,
}

impl Dictionary {
    /// The width of the rows.
    pub fn d_in(&self) -> usize {
        self.w_enc.nrows()
    }

    /// The number of latents.
    pub fn d_sae(&self) -> usize {
        self.w_enc.ncols()
    }

    /// Checks that the shapes of its arrays agree.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the array with a wrong shape, a k that is not between 1 and the number of latents, or
    /// a number of thresholds other than the number of latents.
    pub fn check(&self) -> Result<()> {
        let (d_in, d_sae) = self.w_enc.dim();
        if d_in == 0 || d_sae == 0 {
            let found = format!("[{d_in}, {d_sae}]");
            return Err(Error::invalid("shape of W_enc", found, "at least one row and one latent"));
        }
        let shapes = [
            ("b_enc", self.b_enc.shape(), vec![d_sae]),
            ("W_dec", self.w_dec.shape(), vec![d_sae, d_in]),
            ("b_dec", self.b_dec.shape(), vec![d_in]),
        ];
        for (name, found, expected) in shapes {
            if found != expected {
                let expected = format!("{expected:?}, as W_enc has shape [{d_in}, {d_sae}]");
                return Err(Error::invalid(format!("shape of {name}"), format!("{found:?}"), expected));
            }
        }
        match &self.activation {
            SparseActivation::TopK(k) if !(1..=d_sae).contains(k) => {
                Err(Error::invalid("k", k, format!("1 to {d_sae}, the number of latents")))
            }
            SparseActivation::JumpRelu(each) if each.len() != d_sae => {
                Err(Error::invalid("thresholds", each.len(), format!("{d_sae}, one per latent")))
            }
            _ => Ok(()),
        }
    }

    /// Checks the number of a latent.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a latent that the dictionary lacks.
    pub fn check_latent(&self, latent: usize) -> Result<()> {
        match self.d_sae().checked_sub(1) {
            Some(last) if latent <= last => Ok(()),
            last => Err(Error::invalid("latent", latent, format!("0 to {}", last.unwrap_or_default()))),
        }
    }

    /// Encodes rows to activations.
    ///
    /// # Shapes
    /// `[n, d_in]` to `[n, d_sae]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for rows of another width.
    pub fn encode(&self, rows: ArrayView2<f32>) -> Result<Array2<f32>> {
        if rows.ncols() != self.d_in() {
            let expected = format!("{}, as wide as the dictionary's rows", self.d_in());
            return Err(Error::invalid("width of rows to encode", rows.ncols(), expected));
        }
        let bias = self.bias();
        let mut all = Array2::zeros((rows.nrows(), self.d_sae()));
        let blocks: Vec<_> =
            all.axis_chunks_iter_mut(Axis(0), BLOCK).zip(rows.axis_chunks_iter(Axis(0), BLOCK)).collect();
        blocks.into_par_iter().for_each(|(mut out, rows)| {
            out.assign(&(rows.dot(&self.w_enc) + &bias)); // [block, d_sae]
            out.rows_mut().into_iter().for_each(|mut row| {
                self.activate(row.as_slice_mut().unwrap_or_default());
            });
        });
        Ok(all)
    }

    /// Decodes activations to rows.
    ///
    /// # Shapes
    /// `[n, d_sae]` to `[n, d_in]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the activations have another number of latents.
    pub fn decode(&self, activations: ArrayView2<f32>) -> Result<Array2<f32>> {
        if activations.ncols() != self.d_sae() {
            let expected = format!("{}, the dictionary's number of latents", self.d_sae());
            return Err(Error::invalid("latents to decode", activations.ncols(), expected));
        }
        Ok(activations.dot(&self.w_dec) + &self.b_dec)
    }

    /// A latent's activation on one row, as in [`Dictionary::encode`] but in f64.
    pub fn encode_latent(&self, row: &[f32], latent: usize) -> f64 {
        let value = self.pre_activation(row, latent);
        let stays = value > 0.0
            && match &self.activation {
                SparseActivation::Relu => true,
                SparseActivation::JumpRelu(thresholds) => value > f64::from(thresholds[latent]),
                SparseActivation::TopK(k) => {
                    // As in `activate`: among equal values, the first latent's stays.
                    let above = |other: &usize| {
                        let its = self.pre_activation(row, *other);
                        its > value || (its == value && *other < latent)
                    };
                    (0..self.d_sae()).filter(above).nth(k - 1).is_none()
                }
            };
        if stays { value } else { 0.0 }
    }

    /// A latent's direction in the stream: the vector that it adds at activation 1.
    ///
    /// # Shapes
    /// `[d_in]`.
    pub fn direction(&self, latent: usize) -> ArrayView1<'_, f32> {
        self.w_dec.row(latent)
    }

    fn pre_activation(&self, row: &[f32], latent: usize) -> f64 {
        let off = |i: usize| if self.subtracts_b_dec { f64::from(self.b_dec[i]) } else { 0.0 };
        let weights = self.w_enc.column(latent);
        let products = row.iter().zip(weights).enumerate();
        let sum: f64 = products.map(|(i, (x, w))| (f64::from(*x) - off(i)) * f64::from(*w)).sum();
        sum + f64::from(self.b_enc[latent])
    }

    /// `b_enc`, minus the encoding of `b_dec` if `b_dec` is subtracted from rows: `[d_sae]`.
    fn bias(&self) -> Array1<f32> {
        match self.subtracts_b_dec {
            true => &self.b_enc - &self.b_dec.dot(&self.w_enc),
            false => self.b_enc.clone(),
        }
    }

    /// Applies the activation function to a row.
    fn activate(&self, values: &mut [f32]) {
        match &self.activation {
            SparseActivation::Relu => {}
            SparseActivation::TopK(k) => {
                let mut order: Vec<usize> = (0..values.len()).collect();
                let by_value = |a: &usize, b: &usize| values[*b].total_cmp(&values[*a]).then(a.cmp(b));
                if *k < order.len() {
                    order.select_nth_unstable_by(*k, by_value);
                    order[*k..].iter().for_each(|latent| values[*latent] = 0.0);
                }
            }
            SparseActivation::JumpRelu(thresholds) => {
                let too_low = |(value, threshold): (&mut f32, &f32)| {
                    if *value <= *threshold {
                        *value = 0.0;
                    }
                };
                values.iter_mut().zip(thresholds).for_each(too_low);
            }
        }
        values.iter_mut().for_each(|value| *value = value.max(0.0));
    }
}
