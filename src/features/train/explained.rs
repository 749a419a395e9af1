//! The fraction of the rows' variance explained by a dictionary, by principal components and by random directions.

use super::row_source::{RowSource, as_rows};
use crate::error::{Error, Result};
use crate::features::Dictionary;
use crate::progress::Observer;
use faer::{Mat, Side};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Rows in one product.
const BLOCK: usize = 1024;
/// Maximum number of rows from which principal components are computed.
const MOST: usize = 262_144;

/// The variance of rows explained by a reconstruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Explained {
    /// The fraction of the rows' variance about their mean that is explained.
    pub fve: f64,
    /// The mean number of active latents per row.
    pub l0: f64,
    /// The number of latents that are active on at least one row.
    pub n_active: usize,
    /// The number of rows.
    pub n_rows: usize,
}

/// Sums over rows `x` and their reconstructions `y`, both minus the same centre.
struct Sums {
    n: usize,
    x: Array1<f64>,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Sums {
    fn new(width: usize) -> Sums {
        Sums { n: 0, x: Array1::zeros(width), xx: 0.0, xy: 0.0, yy: 0.0 }
    }

    fn add(&mut self, x: &Array2<f64>, y: &Array2<f64>) {
        self.n += x.nrows();
        self.x += &x.sum_axis(Axis(0));
        self.xx += (x * x).sum();
        self.xy += (x * y).sum();
        self.yy += (y * y).sum();
    }

    /// The fraction of variance explained by `factor · y`.
    fn explained(&self, factor: f64) -> f64 {
        let left = self.xx - 2.0 * factor * self.xy + factor * factor * self.yy;
        1.0 - left / (self.xx - self.x.dot(&self.x) / self.n as f64)
    }

    /// The factor that explains the most variance.
    fn best_factor(&self) -> f64 {
        if self.yy > 0.0 { self.xy / self.yy } else { 0.0 }
    }
}

/// The variance of a source's rows that a dictionary explains.
///
/// # Errors
/// [`Error::Invalid`] for rows of another width; as [`RowSource::read`].
pub fn explained_by_dictionary(
    dictionary: &Dictionary,
    source: &dyn RowSource,
    observer: &mut dyn Observer,
) -> Result<Explained> {
    Ok(explain(dictionary, source, observer)?.1)
}

/// The variance that a dictionary of random directions explains. Its activations were never trained, so its
/// reconstructions are multiplied by the one factor that is best for these rows.
///
/// # Errors
/// As [`explained_by_dictionary`].
pub fn explained_by_random(
    dictionary: &Dictionary,
    source: &dyn RowSource,
    observer: &mut dyn Observer,
) -> Result<Explained> {
    let (sums, plain) = explain(dictionary, source, observer)?;
    Ok(Explained { fve: sums.explained(sums.best_factor()), ..plain })
}

fn explain(
    dictionary: &Dictionary,
    source: &dyn RowSource,
    observer: &mut dyn Observer,
) -> Result<(Sums, Explained)> {
    let mut sums = Sums::new(source.width());
    let mut n_active = Array1::<u64>::zeros(dictionary.d_sae());
    let centre = dictionary.b_dec.mapv(f64::from);
    for part in 0..source.parts().len() {
        let rows = as_rows(source.read(&[part], observer)?, source.width())?;
        for rows in rows.axis_chunks_iter(Axis(0), BLOCK) {
            let active = dictionary.encode(rows)?; // [block, d_sae]
            n_active += &active.mapv(|a| u64::from(a > 0.0)).sum_axis(Axis(0));
            let written = dictionary.decode(active.view())?.mapv(f64::from) - &centre; // [block, d_in]
            sums.add(&(rows.mapv(f64::from) - &centre), &written);
        }
    }
    let l0 = n_active.sum() as f64 / sums.n as f64;
    let n_active = n_active.iter().filter(|n| **n > 0).count();
    let plain = Explained { fve: sums.explained(1.0), l0, n_active, n_rows: sums.n };
    Ok((sums, plain))
}

/// The variance of a source's rows that the first `k` principal components of other rows explain. A row has as many
/// coefficients as a dictionary's row has active latents, but all rows use the same directions.
///
/// # Errors
/// [`Error::Internal`] if the decomposition fails; as [`RowSource::read`].
pub fn explained_by_components(
    rows: ArrayView2<f32>,
    k: usize,
    source: &dyn RowSource,
    observer: &mut dyn Observer,
) -> Result<Explained> {
    let every = rows.nrows().div_ceil(MOST).max(1);
    let rows: Vec<_> = rows.axis_iter(Axis(0)).step_by(every).collect();
    let d = source.width();
    let mean =
        rows.iter().fold(Array1::<f64>::zeros(d), |sum, row| sum + row.mapv(f64::from)) / rows.len() as f64;
    let mut gram = Array2::<f64>::zeros((d, d));
    for block in rows.chunks(BLOCK) {
        let centred = Array2::from_shape_fn((block.len(), d), |(i, j)| f64::from(block[i][j]) - mean[j]);
        gram += &centred.t().dot(&centred);
    }
    let eigen = Mat::from_fn(d, d, |i, j| gram[[i, j]])
        .self_adjoint_eigen(Side::Lower)
        .map_err(|e| Error::Internal(format!("eigendecomposition of the rows: {e:?}")))?;
    // Eigenvalues ascend: the last columns are the first components.
    let k = k.min(d);
    let axes = Array2::from_shape_fn((d, k), |(i, j)| eigen.U()[(i, d - 1 - j)]);
    let mut sums = Sums::new(d);
    for part in 0..source.parts().len() {
        let rows = as_rows(source.read(&[part], observer)?, d)?;
        for rows in rows.axis_chunks_iter(Axis(0), BLOCK) {
            let x = rows.mapv(f64::from) - &mean;
            let y = x.dot(&axes).dot(&axes.t()); // [block, k] -> [block, d_in]
            sums.add(&x, &y);
        }
    }
    Ok(Explained { fve: sums.explained(1.0), l0: k as f64, n_active: k, n_rows: sums.n })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::SparseActivation;
    use crate::hook_point::HookPoint;
    use crate::progress::Silent;
    use ndarray::array;

    /// Rows that are each a multiple of one of three axes, about a centre.
    fn rows() -> Array2<f32> {
        let on = |i: usize, j: usize| if i % 3 == j { 1.0 + (i / 3) as f32 } else { 0.0 };
        Array2::from_shape_fn((30, 3), |(i, j)| on(i, j) + [5.0, -2.0, 1.0][j])
    }

    fn axes() -> Dictionary {
        Dictionary {
            hook_point: HookPoint::ResidPost(0),
            model: None,
            made_with_bos: None,
            activation: SparseActivation::TopK(1),
            w_enc: Array2::eye(3),
            b_enc: Array1::zeros(3),
            w_dec: Array2::eye(3),
            b_dec: array![5.0, -2.0, 1.0],
            subtracts_b_dec: true,
        }
    }

    #[test]
    fn a_dictionary_of_the_rows_axes_explains_all_and_one_component_does_not() {
        let rows = rows();
        let source = rows.view();
        let all = explained_by_dictionary(&axes(), &source, &mut Silent).unwrap();
        assert!(
            (all.fve - 1.0).abs() < 1e-6 && all.l0 == 1.0 && (all.n_active, all.n_rows) == (3, 30),
            "{all:?}"
        );
        let one = explained_by_components(rows.view(), 1, &source, &mut Silent).unwrap();
        assert!(one.fve > 0.3 && one.fve < 0.8, "{one:?}");
        let three = explained_by_components(rows.view(), 3, &source, &mut Silent).unwrap();
        assert!((three.fve - 1.0).abs() < 1e-9, "{three:?}");
    }

    #[test]
    fn half_a_reconstruction_explains_three_quarters_unless_a_factor_is_fitted() {
        let rows = rows();
        let half = Dictionary { w_dec: Array2::eye(3) * 0.5, ..axes() };
        let centred = &rows - &half.b_dec;
        // A quarter of the squares about the centre is left; the variance is that about the mean.
        let squares = centred.mapv(|x| x * x).sum();
        let mean = centred.mean_axis(Axis(0)).unwrap();
        let expected = 1.0 - 0.25 * squares / (squares - 30.0 * mean.dot(&mean));
        let found = explained_by_dictionary(&half, &rows.view(), &mut Silent).unwrap().fve;
        assert!((found - f64::from(expected)).abs() < 1e-5, "{found} {expected}");
        assert!((explained_by_random(&half, &rows.view(), &mut Silent).unwrap().fve - 1.0).abs() < 1e-6);
    }
}
