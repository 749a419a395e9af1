//! The largest singular values of a sparse matrix `M`, with their left singular vectors.
//!
//! These are the largest eigenvalues of `B = M Mᵀ`, whose square roots are the singular values. From a random block `X`
//! of a few more columns than wanted, each cycle builds an orthonormal basis of `X, BX, B²X, B³X`, and replaces `X` by
//! the eigenvectors of the restriction of `B` to it (Rayleigh–Ritz). It ends when each wanted column is an eigenvector
//! within [`TOLERANCE`].
//!
//! # Source
//! C. Musco, C. Musco, "Randomized Block Krylov Methods for Stronger and Faster Approximate Singular Value
//! Decomposition" (2015); orthonormal blocks as in A. Stathopoulos, K. Wu, "A Block Orthogonalization Procedure with
//! Constant Synchronization Requirements" (2002).

use super::ppmi::{Ppmi, Side};
use crate::error::{Error, Result};
use crate::limits::{check_memory, product};
use crate::progress::{Observer, Progress};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Col, Mat, MatRef, Par};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The length of `Bx − θx`, divided by `θ`, at which `x` counts as an eigenvector with the eigenvalue `θ`.
const TOLERANCE: f64 = 1e-7;
/// The number of products with `B` in a cycle after the first one.
const STEPS: usize = 3;
/// Maximum number of cycles; with fewer than ten, most matrices of words reach the tolerance.
const CYCLES: usize = 60;
/// The number of tasks of a product: fixed, so that sums do not depend on the number of threads.
const TASKS: usize = 8;
/// The eigenvalue, relative to the largest, below which errors are no longer relative to the eigenvalue itself: a singular
/// value of a thousandth of the largest.
const SMALL: f64 = 1e-6;
/// Directions shorter than this, relative to the longest of their block, are dropped from a block.
const SHORTEST: f64 = 1e-7;

/// Singular values in descending order, with their left singular vectors.
#[derive(Debug, Clone)]
pub(super) struct LeftSvd {
    pub values: Vec<f64>,
    /// `[n, n_values]`; the largest number of each column is positive.
    pub vectors: Mat<f64>,
    /// The largest remaining error of a column, see [`TOLERANCE`].
    pub error: f64,
}

impl LeftSvd {
    /// Computes the `wanted` largest singular values, or fewer if the matrix has fewer that are not 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the basis may not fit into the free memory.
    pub(super) fn of(
        matrix: &Ppmi,
        wanted: usize,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<LeftSvd> {
        let n = matrix.n();
        let width = (wanted + wanted / 4 + 8).min(n);
        let bytes = product([n, width * (STEPS + 4), size_of::<f64>()]);
        check_memory("the basis of the decomposition", bytes, "a smaller --dim or --max-words")?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut ritz = orthonormal(Mat::from_fn(n, width, |_, _| rng.random_range(-1.0..1.0)), &[])?;
        let mut first_error = None;
        for cycle in 0.. {
            let (space, error) = Space::of(matrix, ritz.as_ref(), wanted)?;
            let first = *first_error.get_or_insert(error.max(2.0 * TOLERANCE));
            let share = (first / error.max(TOLERANCE)).ln() / (first / TOLERANCE).ln();
            let done = if error <= TOLERANCE { 100 } else { (100.0 * share.clamp(0.0, 0.99)) as u64 };
            observer.progress(&Progress::counted("decomposition", done, 100));
            let (values, best) = space.best(width)?;
            if error <= TOLERANCE || cycle == CYCLES {
                observer.progress(&Progress::counted("decomposition", 100, 100));
                return Ok(LeftSvd::finish(values, best, wanted, error));
            }
            ritz = best;
        }
        Err(Error::Internal("the decomposition has no end".into()))
    }

    /// The first `wanted` eigenvalues above rounding errors as singular values, with signs that do not depend on the
    /// first vector.
    fn finish(values: Vec<f64>, vectors: Mat<f64>, wanted: usize, error: f64) -> LeftSvd {
        let least = values.first().copied().unwrap_or(0.0) * 1e-12;
        let values: Vec<f64> =
            values.into_iter().take(wanted).take_while(|value| *value > least).map(f64::sqrt).collect();
        let mut vectors = Mat::from_fn(vectors.nrows(), values.len(), |i, j| vectors[(i, j)]);
        for column in vectors.col_iter_mut() {
            let further = |most: f64, x: &f64| if x.abs() > most.abs() { *x } else { most };
            if column.as_ref().iter().fold(0.0, further) < 0.0 {
                column.iter_mut().for_each(|value| *value = -*value);
            }
        }
        LeftSvd { values, vectors, error }
    }
}

/// An orthonormal basis in blocks, and the restriction of `B` to it.
struct Space {
    blocks: Vec<Mat<f64>>,
    /// `[n_columns, n_columns]`, symmetric.
    restriction: Mat<f64>,
}

impl Space {
    /// The space of `X, BX, …`, and the largest error of the first `wanted` columns of `X` as eigenvectors.
    fn of(matrix: &Ppmi, x: MatRef<f64>, wanted: usize) -> Result<(Space, f64)> {
        let (mut blocks, mut pieces, mut error) = (vec![x.to_owned()], Vec::new(), 0.0);
        for step in 0..=STEPS {
            let Some(last) = blocks.get(step) else { break };
            let next = matrix.times(Side::Rows, matrix.times(Side::Columns, last.as_ref()).as_ref());
            let on_blocks: Vec<Mat<f64>> = blocks.iter().map(|block| between(block, &next)).collect();
            if step == 0 {
                error = largest_error(&blocks[0], &next, &on_blocks[0], wanted);
            }
            pieces.push(on_blocks);
            if step < STEPS && error > TOLERANCE {
                blocks.push(orthonormal(next, &blocks)?);
                blocks.pop_if(|block| block.ncols() == 0);
            } else {
                break;
            }
        }
        Ok((Space { restriction: assembled(&blocks, &pieces), blocks }, error))
    }

    /// The largest eigenvalues, descending, with their eigenvectors in the whole space, `[n, at most width]`.
    fn best(&self, width: usize) -> Result<(Vec<f64>, Mat<f64>)> {
        let (values, vectors) = eigen(self.restriction.as_ref())?;
        let (all, width) = (values.len(), width.min(values.len()));
        // faer's eigenvalues ascend.
        let values = values.into_iter().rev().take(width).map(|value| value.max(0.0)).collect();
        let mut best = Mat::zeros(self.blocks[0].nrows(), width);
        let mut at = 0;
        for block in &self.blocks {
            let part = Mat::from_fn(block.ncols(), width, |i, j| vectors[(at + i, all - 1 - j)]);
            matmul(best.as_mut(), Accum::Add, block.as_ref(), part.as_ref(), 1.0, tasks());
            at += block.ncols();
        }
        Ok((values, best))
    }
}

/// The parallelism of a product or a decomposition.
fn tasks() -> Par {
    Par::rayon(TASKS)
}

/// `aᵀb`.
fn between(a: &Mat<f64>, b: &Mat<f64>) -> Mat<f64> {
    let mut product = Mat::zeros(a.ncols(), b.ncols());
    matmul(product.as_mut(), Accum::Replace, a.transpose(), b.as_ref(), 1.0, tasks());
    product
}

/// The largest of the lengths of `Bx − θx` divided by `θ`, over the first `wanted` columns. A `θ` below [`SMALL`] of the
/// largest counts as that, since rounding errors of the largest one are in all products.
fn largest_error(x: &Mat<f64>, times_b: &Mat<f64>, restriction: &Mat<f64>, wanted: usize) -> f64 {
    let floor = (0..x.ncols()).map(|j| restriction[(j, j)]).fold(0.0, f64::max) * SMALL;
    let error = |j: usize| {
        let theta = restriction[(j, j)];
        let pairs = x.col(j).iter().zip(times_b.col(j).iter());
        let length = pairs.map(|(x, bx)| (bx - theta * x).powi(2)).sum::<f64>().sqrt();
        // Without pairs of words, all products are 0.
        if length > 0.0 { length / theta.max(floor) } else { 0.0 }
    };
    (0..wanted.min(x.ncols())).map(error).fold(0.0, f64::max)
}

/// The symmetric restriction from its blocks on and above the diagonal: `pieces[j][i]` is block row `i`, column `j`.
fn assembled(blocks: &[Mat<f64>], pieces: &[Vec<Mat<f64>>]) -> Mat<f64> {
    let mut starts = vec![0];
    for block in &blocks[..pieces.len()] {
        starts.push(starts[starts.len() - 1] + block.ncols());
    }
    let n = starts[pieces.len()];
    let mut whole = Mat::zeros(n, n);
    for (j, column) in pieces.iter().enumerate() {
        for (i, piece) in column.iter().enumerate() {
            for (b, values) in piece.col_iter().enumerate() {
                for (a, value) in values.iter().enumerate() {
                    whole[(starts[i] + a, starts[j] + b)] = *value;
                    whole[(starts[j] + b, starts[i] + a)] = *value;
                }
            }
        }
    }
    whole
}

/// An orthonormal basis of the columns of a block, without their parts along orthonormal blocks; a direction that others
/// contain within rounding errors is dropped.
fn orthonormal(mut block: Mat<f64>, others: &[Mat<f64>]) -> Result<Mat<f64>> {
    // The first round leaves rounding errors along the other blocks, which are large where little remains.
    for _ in 0..3 {
        for other in others {
            let along = between(other, &block);
            matmul(block.as_mut(), Accum::Add, other.as_ref(), along.as_ref(), -1.0, tasks());
        }
        let lengths: Vec<f64> = block.col_iter().map(|column| column.norm_l2()).collect();
        let kept: Vec<usize> = (0..lengths.len()).filter(|&j| lengths[j] > f64::MIN_POSITIVE).collect();
        block = Mat::from_fn(block.nrows(), kept.len(), |i, j| block[(i, kept[j])] / lengths[kept[j]]);
        if kept.is_empty() {
            return Ok(block);
        }
        let (values, vectors) = eigen(between(&block, &block).as_ref())?;
        let least = values.last().copied().unwrap_or(0.0) * SHORTEST * SHORTEST;
        let kept: Vec<usize> = (0..values.len()).rev().filter(|&j| values[j] > least).collect();
        let turn =
            Mat::from_fn(values.len(), kept.len(), |i, j| vectors[(i, kept[j])] / values[kept[j]].sqrt());
        let mut turned = Mat::zeros(block.nrows(), kept.len());
        matmul(turned.as_mut(), Accum::Replace, block.as_ref(), turn.as_ref(), 1.0, tasks());
        block = turned;
    }
    Ok(block)
}

/// The eigenvalues of a symmetric matrix, ascending, and its eigenvectors as columns.
fn eigen(matrix: MatRef<f64>) -> Result<(Vec<f64>, Mat<f64>)> {
    let n = matrix.nrows();
    let (mut values, mut vectors) = (Col::<f64>::zeros(n), Mat::zeros(n, n));
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, tasks(), Default::default());
    let mut memory = MemBuffer::new(scratch);
    self_adjoint_evd(
        matrix,
        values.as_diagonal_mut(),
        Some(vectors.as_mut()),
        tasks(),
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|e| Error::Internal(format!("eigendecomposition of the counts: {e:?}")))?;
    Ok((values.iter().copied().collect(), vectors))
}
