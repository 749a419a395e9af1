//! The activation index: the rows on which each latent of a dictionary is active.

use super::dictionary::Dictionary;
use crate::error::Result;
use ndarray::{ArrayView2, Axis};

/// Rows whose activations are in memory at once.
const BLOCK: usize = 1024;

/// The positive activations of rows, grouped by latent.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivationIndex {
    n_rows: usize,
    /// The rows and activations of each latent, the greatest activation first; equal activations in the order of rows.
    of_latent: Vec<Vec<(usize, f32)>>,
    explained: f64,
}

impl ActivationIndex {
    /// Encodes rows.
    ///
    /// # Shapes
    /// `[n_rows, d_in]`.
    ///
    /// # Errors
    /// As [`Dictionary::encode`].
    pub fn of(dictionary: &Dictionary, rows: ArrayView2<f32>) -> Result<ActivationIndex> {
        let mut of_latent = vec![vec![]; dictionary.d_sae()];
        let mean = rows.mean_axis(Axis(0)).unwrap_or_else(|| dictionary.b_dec.clone());
        let square = |x: f32| f64::from(x).powi(2);
        let (mut missed, mut all) = (0.0, 0.0);
        for (block, rows) in rows.axis_chunks_iter(Axis(0), BLOCK).enumerate() {
            let activations = dictionary.encode(rows)?; // [block, d_sae]
            for ((row, latent), activation) in activations.indexed_iter().filter(|(_, a)| **a > 0.0) {
                of_latent[latent].push((block * BLOCK + row, *activation));
            }
            missed +=
                (&rows - &dictionary.decode(activations.view())?).iter().map(|x| square(*x)).sum::<f64>();
            all += (&rows - &mean).iter().map(|x| square(*x)).sum::<f64>();
        }
        of_latent.iter_mut().for_each(|rows: &mut Vec<(usize, f32)>| {
            rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        });
        Ok(ActivationIndex { n_rows: rows.nrows(), of_latent, explained: 1.0 - missed / all })
    }

    /// The rows on which a latent is active, with its activations, the greatest first.
    pub fn of_latent(&self, latent: usize) -> &[(usize, f32)] {
        &self.of_latent[latent]
    }

    /// The number of latents.
    pub fn n_latents(&self) -> usize {
        self.of_latent.len()
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The latents that are active on at least one row.
    pub fn alive(&self) -> Vec<usize> {
        (0..self.n_latents()).filter(|latent| !self.of_latent[*latent].is_empty()).collect()
    }

    /// The share of rows on which a latent is active.
    pub fn density(&self, latent: usize) -> f64 {
        self.of_latent[latent].len() as f64 / self.n_rows.max(1) as f64
    }

    /// A latent's greatest activation; 0 if it is never active.
    pub fn greatest(&self, latent: usize) -> f32 {
        self.of_latent[latent].first().map_or(0.0, |(_, activation)| *activation)
    }

    /// The mean number of latents that are active on a row.
    pub fn per_row(&self) -> f64 {
        self.of_latent.iter().map(Vec::len).sum::<usize>() as f64 / self.n_rows.max(1) as f64
    }

    /// The share of the rows' variance that the decoded rows explain.
    pub fn explained(&self) -> f64 {
        self.explained
    }
}
