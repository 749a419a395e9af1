//! The nodes that some rows of attention all see first: their keys and values meet all those rows in one product.
//!
//! In a long text neighbouring tokens see nearly the same ones. Met one by one, every row would read all of
//! their keys again; met together, they are read once.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// With fewer nodes, or fewer rows, gathering them is not worth it.
const FEWEST_NODES: usize = 64;
const FEWEST_ROWS: usize = 8;

/// How many nodes all rows see first, if it is enough for products; else none. A path runs from the row's own node
/// to the text's first.
pub(super) fn n_shared(paths: &[Vec<u32>]) -> usize {
    let [first, others @ ..] = paths else { return 0 };
    let mut n = first.len();
    for path in others {
        let ends = first.iter().rev().zip(path.iter().rev()).take(n);
        n = ends.take_while(|(a, b)| a == b).count();
    }
    if n < FEWEST_NODES || paths.len() < FEWEST_ROWS { 0 } else { n }
}

/// The keys and values of one key head at the nodes that all rows see first.
pub(super) struct Beginning {
    /// `[n_shared, d_head]`.
    keys: Vec<f32>,
    values: Vec<f32>,
    n: usize,
    d_head: usize,
}

impl Beginning {
    /// Gathers rows of keys and values, each `[n_nodes, n_kv_heads, d_head]`, of key head `head`.
    pub fn gather(
        [keys, values]: [&[f32]; 2],
        nodes: &[u32],
        (head, n_kv_heads, d_head): (usize, usize, usize),
    ) -> Beginning {
        let of = |all: &[f32]| {
            let row = |node: &u32| &all[(*node as usize * n_kv_heads + head) * d_head..][..d_head];
            nodes.iter().flat_map(row).copied().collect()
        };
        Beginning { keys: of(keys), values: of(values), n: nodes.len(), d_head }
    }

    /// The scores of these nodes for each row's query.
    ///
    /// # Shapes
    /// `[rows, d_head]` to `[rows, n_shared]`.
    pub fn scores(&self, queries: &[f32], scale: f32, scores: &mut Vec<f32>) {
        let n_rows = queries.len() / self.d_head;
        scores.resize(n_rows * self.n, 0.0);
        let out = MatMut::from_row_major_slice_mut(scores, n_rows, self.n);
        let queries = MatRef::from_row_major_slice(queries, n_rows, self.d_head);
        let keys = MatRef::from_row_major_slice(&self.keys, self.n, self.d_head);
        matmul(out, Accum::Replace, queries, keys.transpose(), scale, Par::Seq); // [rows, d] · [d, n_shared]
    }

    /// What each row takes of these nodes' values.
    ///
    /// # Shapes
    /// `[rows, n_shared]` to `[rows, d_head]`.
    pub fn weighted(&self, probs: &[f32], taken: &mut Vec<f32>) {
        let n_rows = probs.len() / self.n;
        taken.resize(n_rows * self.d_head, 0.0);
        let out = MatMut::from_row_major_slice_mut(taken, n_rows, self.d_head);
        let probs = MatRef::from_row_major_slice(probs, n_rows, self.n);
        let values = MatRef::from_row_major_slice(&self.values, self.n, self.d_head);
        matmul(out, Accum::Replace, probs, values, 1.0, Par::Seq); // [rows, n_shared] · [n_shared, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_share_what_they_end_in_if_it_is_long_and_rows_are_several() {
        let path = |n: u32, own: u32| [own].into_iter().chain((0..n).rev()).collect::<Vec<u32>>();
        let paths: Vec<Vec<u32>> = (0..8).map(|i| path(70 + i % 2, 900 + i)).collect();
        assert_eq!(n_shared(&paths), 70);
        assert_eq!(n_shared(&paths[..7]), 0);
        assert_eq!(n_shared(&[]), 0);
        let mut short = paths.clone();
        short[3].drain(..9);
        assert_eq!(n_shared(&short), 0);
        let mut other = paths;
        other[5][5] = 7;
        assert_eq!(n_shared(&other), 66);
    }
}
