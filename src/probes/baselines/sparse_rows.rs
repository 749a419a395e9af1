//! Sparse matrices, stored row by row.

use ndarray::Array2;
use rayon::prelude::*;

/// A sparse matrix: the non-zero entries, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseRows {
    n_columns: usize,
    /// The index in `entries` where each row starts, then the end of the last row.
    starts: Vec<usize>,
    entries: Vec<(u32, f32)>,
}

impl SparseRows {
    /// Builds a matrix from the column indices and values of each row; every index is below `n_columns`.
    pub fn of(rows: &[Vec<(u32, f32)>], n_columns: usize) -> SparseRows {
        let mut starts = vec![0];
        starts.extend(rows.iter().scan(0, |end, row| {
            *end += row.len();
            Some(*end)
        }));
        SparseRows { n_columns, starts, entries: rows.concat() }
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The number of columns, including columns of zeros.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// The columns and values of one row.
    pub fn row(&self, row: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[row]..self.starts[row + 1]]
    }

    /// The rows at the given indices, in that order.
    pub fn select(&self, rows: &[usize]) -> SparseRows {
        let rows: Vec<Vec<(u32, f32)>> = rows.iter().map(|&row| self.row(row).to_vec()).collect();
        SparseRows::of(&rows, self.n_columns)
    }

    /// The transposed matrix.
    pub fn transposed(&self) -> SparseRows {
        let mut starts = vec![0; self.n_columns + 1];
        for (column, _) in &self.entries {
            starts[*column as usize + 1] += 1;
        }
        for column in 0..self.n_columns {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0, 0.0); self.entries.len()];
        for row in 0..self.n_rows() {
            for &(column, value) in self.row(row) {
                let place = &mut next[column as usize];
                entries[*place] = (row as u32, value);
                *place += 1;
            }
        }
        SparseRows { n_columns: self.n_rows(), starts, entries }
    }

    /// The product with a dense matrix.
    ///
    /// # Shapes
    /// `[n_columns, n_targets]` to `[n_rows, n_targets]`.
    pub fn times(&self, dense: &Array2<f64>) -> Array2<f64> {
        let n_targets = dense.ncols();
        let mut product = Array2::zeros((self.n_rows(), n_targets));
        let dense = dense.as_standard_layout();
        // Both matrices are row-major, so each is one slice. Without targets there is nothing to compute.
        let both = product.as_slice_mut().zip(dense.as_slice()).filter(|_| n_targets > 0);
        if let Some((values, dense)) = both {
            // At least 256 rows per task: one row is too little work for a task.
            values.par_chunks_mut(n_targets).with_min_len(256).enumerate().for_each(|(row, out)| {
                for &(column, value) in self.row(row) {
                    let first = column as usize * n_targets;
                    let factors = &dense[first..first + n_targets];
                    let value = f64::from(value);
                    for target in 0..n_targets {
                        out[target] += value * factors[target];
                    }
                }
            });
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn example() -> SparseRows {
        SparseRows::of(&[vec![(0, 1.0), (2, 2.0)], vec![], vec![(2, -3.0)]], 4)
    }

    #[test]
    fn products_equal_those_of_the_dense_matrix() {
        let dense: Array2<f64> = array![[1.0, 0.0, 2.0, 0.0], [0.0; 4], [0.0, 0.0, -3.0, 0.0]];
        let right = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]];
        assert_eq!(example().times(&right), dense.dot(&right));
        let left = array![[1.0], [2.0], [3.0]];
        assert_eq!(example().transposed().times(&left), dense.t().dot(&left));
    }

    #[test]
    fn transposing_twice_gives_the_matrix_back() {
        assert_eq!(example().transposed().transposed(), example());
        assert_eq!(example().select(&[2, 0]).row(0), [(2, -3.0)]);
        assert_eq!((example().n_rows(), example().n_columns()), (3, 4));
    }
}
