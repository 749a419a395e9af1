//! Rows turned to axes, block after block: one square matrix that very many rows are multiplied with.

use super::symmetric::view;
use crate::error::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use ndarray::{ArrayView2, ShapeBuilder};
use pulp::{Arch, Simd, WithSimd};

/// The fewest axes for which seven products of halves take less time than eight.
const LEAST_HALVED: usize = 512;

/// The axes, and sums of their quarters that every block of rows needs.
///
/// # Source
/// Winograd's form of Strassen's product: a product of two matrices in quarters takes seven products of quarters
/// (Higham, "Accuracy and Stability of Numerical Algorithms", section 23.3). The error is bounded by the norms of the
/// rows rather than by each of their values, as that of the axes is.
pub(super) struct Turn<'a> {
    axes: ArrayView2<'a, f64>,
    sums: Option<[Mat<f64>; 4]>,
}

/// Memory for a block of rows, what comes of them, and what is between.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub wide: Vec<f64>,
    turned: Vec<f64>,
    sums: Vec<f64>,
    product: Vec<f64>,
}

impl<'a> Turn<'a> {
    /// # Shapes
    /// `axes` is `[d_model, n_axes]`.
    pub fn to(axes: ArrayView2<'a, f64>) -> Result<Turn<'a>> {
        let (d, n) = axes.dim();
        let sums = if d == n && d >= LEAST_HALVED && d % 2 == 0 {
            let [b11, b12, b21, b22] = quarters(view(axes)?);
            let t1 = b12 - b11;
            let t2 = b22 - &t1;
            let t4 = &t2 - b21;
            Some([t1, t2, b22 - b12, t4])
        } else {
            None
        };
        Ok(Turn { axes, sums })
    }

    /// The coordinates along the axes of the rows that are in the room.
    ///
    /// # Shapes
    /// `[n_rows, n_axes]`, in column order.
    pub fn apply<'r>(&self, n_rows: usize, room: &'r mut Room) -> Result<ArrayView2<'r, f64>> {
        let (d, n_axes) = self.axes.dim();
        let Room { wide, turned, sums, product } = room;
        let rows = MatRef::from_row_major_slice(&wide[..n_rows * d], n_rows, d);
        turned.resize(n_rows * n_axes, 0.0);
        let out = MatMut::from_column_major_slice_mut(turned, n_rows, n_axes);
        match &self.sums {
            Some(of_axes) if n_rows % 2 == 0 => {
                sums.resize(n_rows * d, 0.0);
                product.resize(n_rows * d / 4, 0.0);
                sum_quarters(&wide[..n_rows * d], d, sums);
                let product = MatMut::from_column_major_slice_mut(product, n_rows / 2, d / 2);
                let of_rows = sums
                    .chunks_exact(n_rows * d / 4)
                    .map(|sum| MatRef::from_row_major_slice(sum, n_rows / 2, d / 2));
                halves((rows, of_rows.collect()), (view(self.axes)?, of_axes), (product, out));
            }
            _ => matmul(out, Accum::Replace, rows, view(self.axes)?, 1.0, Par::Seq),
        }
        ArrayView2::from_shape((n_rows, n_axes).f(), turned).map_err(|e| Error::Internal(e.to_string()))
    }
}

/// The quarters of a matrix, row by row.
fn quarters(matrix: MatRef<f64>) -> [MatRef<f64>; 4] {
    let (n, m) = (matrix.nrows() / 2, matrix.ncols() / 2);
    let (a11, a12, a21, a22) = matrix.split_at(n, m);
    [a11, a12, a21, a22]
}

/// Seven products of quarters, on one thread; `u` is room for one of them.
fn halves(
    (a, s): (MatRef<f64>, Vec<MatRef<f64>>),
    (b, t): (MatRef<f64>, &[Mat<f64>; 4]),
    (mut u, c): (MatMut<f64>, MatMut<f64>),
) {
    let ([a11, a12, _, a22], [b11, _, b21, b22]) = (quarters(a), quarters(b));
    let (n, m) = (c.nrows() / 2, c.ncols() / 2);
    let (mut c11, mut c12, mut c21, mut c22) = c.split_at_mut(n, m);
    let times = |to: &mut MatMut<f64>, accum, left, right, factor| {
        matmul(to.as_mut(), accum, left, right, factor, Par::Seq)
    };
    times(&mut u, Accum::Replace, a11, b11, 1.0);
    c11.copy_from(&u);
    times(&mut c11, Accum::Add, a12, b21, 1.0);
    times(&mut u, Accum::Add, s[1], t[1].as_ref(), 1.0);
    times(&mut c22, Accum::Replace, s[0], t[0].as_ref(), 1.0);
    c12.copy_from(&u + &c22);
    times(&mut c12, Accum::Add, s[3], b22, 1.0);
    times(&mut u, Accum::Add, s[2], t[2].as_ref(), 1.0);
    c22 += &u;
    c21.copy_from(&u);
    times(&mut c21, Accum::Add, a22, t[3].as_ref(), -1.0);
}

/// The four sums of quarters of some rows that the seven products need.
fn sum_quarters(rows: &[f64], d: usize, sums: &mut [f64]) {
    let arch = Arch::new();
    let (above, below) = rows.split_at(rows.len() / 2);
    let (first, then) = sums.split_at_mut(rows.len() / 2);
    let ((s1, s2), (s3, s4)) = (first.split_at_mut(rows.len() / 4), then.split_at_mut(rows.len() / 4));
    let parts = s1.chunks_exact_mut(d / 2).zip(s2.chunks_exact_mut(d / 2));
    let parts = parts.zip(s3.chunks_exact_mut(d / 2).zip(s4.chunks_exact_mut(d / 2)));
    for ((above, below), ((s1, s2), (s3, s4))) in above.chunks_exact(d).zip(below.chunks_exact(d)).zip(parts)
    {
        arch.dispatch(Sums { rows: (above, below), sums: [s1, s2, s3, s4] });
    }
}

/// One row of each of the sums.
struct Sums<'a> {
    rows: (&'a [f64], &'a [f64]),
    sums: [&'a mut [f64]; 4],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let half = self.rows.0.len() / 2;
        let ((a11, a12), (a21, a22)) = (self.rows.0.split_at(half), self.rows.1.split_at(half));
        let [s1, s2, s3, s4] = self.sums;
        let (s1, s2, s3, s4) = (&mut s1[..half], &mut s2[..half], &mut s3[..half], &mut s4[..half]);
        for j in 0..half {
            let sum = a21[j] + a22[j];
            s1[j] = sum;
            s2[j] = sum - a11[j];
            s3[j] = a11[j] - a21[j];
            s4[j] = a12[j] - (sum - a11[j]);
        }
    }
}
