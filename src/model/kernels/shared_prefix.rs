//! The prefix of nodes that several rows of attention share: its keys and values are multiplied with all these rows
//! at once.
//!
//! In a long text, neighbouring tokens attend to nearly the same nodes. Row by row, all of their keys would be read
//! again for each row; in one product they are read once.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Minimum numbers of nodes and rows for which gathering the prefix pays off.
const MIN_NODES: usize = 64;
const MIN_ROWS: usize = 8;

/// The length of the prefix that all paths share, if one product for all rows pays off; otherwise 0. The prefix is
/// at the end of the paths, because a causal path runs from the row's own node back to the first node.
pub(super) fn shared_len(paths: &[Vec<u32>]) -> usize {
    let [first, others @ ..] = paths else { return 0 };
    let mut n = first.len();
    for path in others {
        let ends = first.iter().rev().zip(path.iter().rev()).take(n);
        n = ends.take_while(|(a, b)| a == b).count();
    }
    if n < MIN_NODES || paths.len() < MIN_ROWS { 0 } else { n }
}

/// One key/value head of an array `[n_nodes, n_kv_heads, d_head]`.
#[derive(Clone, Copy)]
pub(super) struct KvHead {
    pub(super) index: usize,
    pub(super) n_kv_heads: usize,
    pub(super) d_head: usize,
}

/// The keys and values of one head at the nodes of the shared prefix.
pub(super) struct SharedPrefix {
    /// `[n_shared, d_head]`.
    keys: Vec<f32>,
    /// `[n_shared, d_head]`.
    values: Vec<f32>,
    n: usize,
    d_head: usize,
}

impl SharedPrefix {
    /// Gathers the rows of the given nodes.
    pub(super) fn gather(keys: &[f32], values: &[f32], nodes: &[u32], head: KvHead) -> SharedPrefix {
        let KvHead { index, n_kv_heads, d_head } = head;
        let rows_of = |all: &[f32]| {
            let row = |node: &u32| &all[(*node as usize * n_kv_heads + index) * d_head..][..d_head];
            nodes.iter().flat_map(row).copied().collect()
        };
        SharedPrefix { keys: rows_of(keys), values: rows_of(values), n: nodes.len(), d_head }
    }

    /// The scores of the prefix for each row's query.
    ///
    /// # Shapes
    /// `[rows, d_head]` to `[rows, n_shared]`.
    pub(super) fn scores(&self, queries: &[f32], scale: f32, scores: &mut Vec<f32>) {
        let n_rows = queries.len() / self.d_head;
        scores.resize(n_rows * self.n, 0.0);
        let out = MatMut::from_row_major_slice_mut(scores, n_rows, self.n);
        let queries = MatRef::from_row_major_slice(queries, n_rows, self.d_head);
        let keys = MatRef::from_row_major_slice(&self.keys, self.n, self.d_head);
        matmul(out, Accum::Replace, queries, keys.transpose(), scale, Par::Seq); // [rows, d] · [d, n_shared]
    }

    /// The weighted sum of the prefix's values for each row.
    ///
    /// # Shapes
    /// `[rows, n_shared]` to `[rows, d_head]`.
    pub(super) fn weighted_values(&self, probs: &[f32], sums: &mut Vec<f32>) {
        let n_rows = probs.len() / self.n;
        sums.resize(n_rows * self.d_head, 0.0);
        let out = MatMut::from_row_major_slice_mut(sums, n_rows, self.d_head);
        let probs = MatRef::from_row_major_slice(probs, n_rows, self.n);
        let values = MatRef::from_row_major_slice(&self.values, self.n, self.d_head);
        matmul(out, Accum::Replace, probs, values, 1.0, Par::Seq); // [rows, n_shared] · [n_shared, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_prefix_counts_if_it_is_long_and_has_several_rows() {
        let path = |n: u32, own: u32| [own].into_iter().chain((0..n).rev()).collect::<Vec<u32>>();
        let paths: Vec<Vec<u32>> = (0..8).map(|i| path(70 + i % 2, 900 + i)).collect();
        assert_eq!(shared_len(&paths), 70);
        assert_eq!(shared_len(&paths[..7]), 0);
        assert_eq!(shared_len(&[]), 0);
        let mut short = paths.clone();
        short[3].drain(..9);
        assert_eq!(shared_len(&short), 0);
        let mut other = paths;
        other[5][5] = 7;
        assert_eq!(shared_len(&other), 66);
    }
}
