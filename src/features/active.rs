//! Which units are active on which rows: what `mappa features list` shows.

use super::dictionary::Dictionary;
use crate::error::Result;
use ndarray::{ArrayView2, Axis};

/// Rows whose activations are held as a whole at a time.
const BLOCK: usize = 1024;

/// What is above zero of the activations of rows, unit by unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    n_rows: usize,
    /// Row and activation, the greatest first; of equal ones the earlier row.
    of_unit: Vec<Vec<(usize, f32)>>,
    explained: f64,
}

impl Active {
    /// Encodes rows.
    ///
    /// # Shapes
    /// `[n_rows, d_in]`.
    ///
    /// # Errors
    /// As [`Dictionary::encode`].
    pub fn of(dictionary: &Dictionary, rows: ArrayView2<f32>) -> Result<Active> {
        let mut of_unit = vec![vec![]; dictionary.d_sae()];
        let mean = rows.mean_axis(Axis(0)).unwrap_or_else(|| dictionary.b_dec.clone());
        let square = |x: f32| f64::from(x).powi(2);
        let (mut missed, mut all) = (0.0, 0.0);
        for (block, rows) in rows.axis_chunks_iter(Axis(0), BLOCK).enumerate() {
            let activations = dictionary.encode(rows)?; // [block, d_sae]
            for ((row, unit), activation) in activations.indexed_iter().filter(|(_, a)| **a > 0.0) {
                of_unit[unit].push((block * BLOCK + row, *activation));
            }
            missed +=
                (&rows - &dictionary.decode(activations.view())?).iter().map(|x| square(*x)).sum::<f64>();
            all += (&rows - &mean).iter().map(|x| square(*x)).sum::<f64>();
        }
        of_unit.iter_mut().for_each(|rows: &mut Vec<(usize, f32)>| {
            rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        });
        Ok(Active { n_rows: rows.nrows(), of_unit, explained: 1.0 - missed / all })
    }

    /// The rows on which a unit is active, with its activations, the greatest first.
    pub fn of_unit(&self, unit: usize) -> &[(usize, f32)] {
        &self.of_unit[unit]
    }

    /// The number of units.
    pub fn n_units(&self) -> usize {
        self.of_unit.len()
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The units that are active on some row.
    pub fn alive(&self) -> Vec<usize> {
        (0..self.n_units()).filter(|unit| !self.of_unit[*unit].is_empty()).collect()
    }

    /// The share of rows on which a unit is active.
    pub fn density(&self, unit: usize) -> f64 {
        self.of_unit[unit].len() as f64 / self.n_rows.max(1) as f64
    }

    /// A unit's greatest activation; 0 if it is never active.
    pub fn greatest(&self, unit: usize) -> f32 {
        self.of_unit[unit].first().map_or(0.0, |(_, activation)| *activation)
    }

    /// The mean number of units that are active on a row.
    pub fn per_row(&self) -> f64 {
        self.of_unit.iter().map(Vec::len).sum::<usize>() as f64 / self.n_rows.max(1) as f64
    }

    /// The share of the rows' variance that the decoded rows explain.
    pub fn explained(&self) -> f64 {
        self.explained
    }
}
