//! A sparse dictionary: rows of activations as sums of few of its directions.

use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

/// Rows that one thread encodes at a time.
const BLOCK: usize = 256;

/// What becomes of the units' readings.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// What is below zero becomes zero.
    Relu,
    /// Of each row, this many greatest readings stay, those of them below zero as zero.
    TopK(usize),
    /// A reading stays where it is above its unit's threshold and above zero.
    JumpRelu(Vec<f32>),
}

/// A sparse dictionary (sparse autoencoder) of what passes at one hook point.
///
/// A row `x` has the activations `a = activation((x − b_dec) · w_enc + b_enc)`, without `b_dec` where
/// `subtracts_b_dec` is false, and is approximately `a · w_dec + b_dec`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dictionary {
    /// Where its rows are read.
    pub hook_point: HookPoint,
    /// The model whose rows it was made for, if that is known.
    pub model: Option<String>,
    /// True if BOS stood before the texts that it was made of; `None` where that is not known.
    pub made_with_bos: Option<bool>,
    /// What becomes of the units' readings.
    pub activation: Activation,
    /// What reads the units, `[d_in, d_sae]`.
    pub w_enc: Array2<f32>,
    /// Added to the readings, `[d_sae]`.
    pub b_enc: Array1<f32>,
    /// What the units write, `[d_sae, d_in]`.
    pub w_dec: Array2<f32>,
    /// What stands where no unit is active, `[d_in]`.
    pub b_dec: Array1<f32>,
    /// Whether `b_dec` is taken off a row before it is read.
    pub subtracts_b_dec: bool,
}

impl Dictionary {
    /// The width of the rows.
    pub fn d_in(&self) -> usize {
        self.w_enc.nrows()
    }

    /// The number of units.
    pub fn d_sae(&self) -> usize {
        self.w_enc.ncols()
    }

    /// Whether its arrays fit each other.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the one that does not, or a k that is no number of units.
    pub fn check(&self) -> Result<()> {
        let (d_in, d_sae) = self.w_enc.dim();
        let shapes = [
            ("b_enc", self.b_enc.shape(), vec![d_sae]),
            ("W_dec", self.w_dec.shape(), vec![d_sae, d_in]),
            ("b_dec", self.b_dec.shape(), vec![d_in]),
        ];
        for (name, found, expected) in shapes {
            if found != expected {
                let expected = format!("{expected:?}, by W_enc of shape [{d_in}, {d_sae}]");
                return Err(Error::invalid(format!("shape of {name}"), format!("{found:?}"), expected));
            }
        }
        match &self.activation {
            Activation::TopK(k) if !(1..=d_sae).contains(k) => {
                Err(Error::invalid("k", k, format!("1 to {d_sae}, the number of units")))
            }
            Activation::JumpRelu(each) if each.len() != d_sae => {
                Err(Error::invalid("thresholds", each.len(), format!("{d_sae}, one a unit")))
            }
            _ => Ok(()),
        }
    }

    /// The activations of rows.
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

    /// The rows that activations stand for.
    ///
    /// # Shapes
    /// `[n, d_sae]` to `[n, d_in]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for activations of another number of units.
    pub fn decode(&self, activations: ArrayView2<f32>) -> Result<Array2<f32>> {
        if activations.ncols() != self.d_sae() {
            let expected = format!("{}, the dictionary's units", self.d_sae());
            return Err(Error::invalid("units to decode", activations.ncols(), expected));
        }
        Ok(activations.dot(&self.w_dec) + &self.b_dec)
    }

    /// A unit's activation on one row, as [`Dictionary::encode`] has it but in f64.
    pub fn encode_unit(&self, row: &[f32], unit: usize) -> f64 {
        let reading = self.reading(row, unit);
        let stays = reading > 0.0
            && match &self.activation {
                Activation::Relu => true,
                Activation::JumpRelu(thresholds) => reading > f64::from(thresholds[unit]),
                Activation::TopK(k) => {
                    // As the sort in `activate` has it: of equal readings, the first unit's stays.
                    let above = |other: &usize| {
                        let its = self.reading(row, *other);
                        its > reading || (its == reading && *other < unit)
                    };
                    (0..self.d_sae()).filter(above).nth(k - 1).is_none()
                }
            };
        if stays { reading } else { 0.0 }
    }

    /// What a unit writes when its activation is 1.
    ///
    /// # Shapes
    /// `[d_in]`.
    pub fn direction(&self, unit: usize) -> ArrayView1<'_, f32> {
        self.w_dec.row(unit)
    }

    fn reading(&self, row: &[f32], unit: usize) -> f64 {
        let off = |i: usize| if self.subtracts_b_dec { f64::from(self.b_dec[i]) } else { 0.0 };
        let weights = self.w_enc.column(unit);
        let products = row.iter().zip(weights).enumerate();
        let sum: f64 = products.map(|(i, (x, w))| (f64::from(*x) - off(i)) * f64::from(*w)).sum();
        sum + f64::from(self.b_enc[unit])
    }

    /// `b_enc`, less what `b_dec` reads where it is taken off each row: `[d_sae]`.
    fn bias(&self) -> Array1<f32> {
        match self.subtracts_b_dec {
            true => &self.b_enc - &self.b_dec.dot(&self.w_enc),
            false => self.b_enc.clone(),
        }
    }

    /// A row's readings as activations.
    fn activate(&self, readings: &mut [f32]) {
        match &self.activation {
            Activation::Relu => {}
            Activation::TopK(k) => {
                let mut order: Vec<usize> = (0..readings.len()).collect();
                let by_reading = |a: &usize, b: &usize| readings[*b].total_cmp(&readings[*a]).then(a.cmp(b));
                if *k < order.len() {
                    order.select_nth_unstable_by(*k, by_reading);
                    order[*k..].iter().for_each(|unit| readings[*unit] = 0.0);
                }
            }
            Activation::JumpRelu(thresholds) => {
                let too_low = |(reading, threshold): (&mut f32, &f32)| {
                    if *reading <= *threshold {
                        *reading = 0.0;
                    }
                };
                readings.iter_mut().zip(thresholds).for_each(too_low);
            }
        }
        readings.iter_mut().for_each(|reading| *reading = reading.max(0.0));
    }
}
