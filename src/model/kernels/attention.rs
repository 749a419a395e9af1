//! Attention over a forest: each node attends to itself and its ancestors, in an encoder to all nodes of its text.
//!
//! For a query `q` of a head and the nodes `j` on its path, `sⱼ = cap(scale · q · kⱼ) + biasⱼ`, `p = softmax(s)` over
//! the path, and the output is `Σ pⱼ vⱼ`. A soft-cap is `cap(x) = c · tanh(x / c)`; without one, `cap(x) = x`. There is
//! no mask, since a path contains only the nodes that are attended to.
//!
//! Backward, with `g` the gradient of the output, `dpⱼ = g · vⱼ` and `dsⱼ = capʹ pⱼ (dpⱼ − Σᵢ pᵢ dpᵢ)`:
//! `dvⱼ += pⱼ g`, `dkⱼ += scale · dsⱼ q`, `dq += scale · Σ dsⱼ kⱼ`.
//!
//! If paths share a long prefix, one matrix product computes the prefix's part of `s` for all of them, and another one
//! the prefix's part of the output.

use super::activation::{softmax, tanh};
use super::shared_prefix::{KvHead, SharedPrefix, shared_len};
use super::simd::{add_scaled, dot, wide_add_scaled, wide_dot};
use super::storage::slice;
use crate::model::forest::Forest;
use crate::model::spec::AttentionDirection;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::sync::Arc;

/// Scaled dot-product attention over the nodes of a forest, in f32.
///
/// # Shapes
/// Queries `[n_queries, n_heads, d_head]`; keys and values `[n_nodes, n_kv_heads, d_head]`; the result is
/// `[n_queries, n_heads, d_head]`. Query head `h` reads key/value head `h / (n_heads / n_kv_heads)`.
#[derive(Clone)]
pub(crate) struct ForestAttention {
    pub(crate) forest: Arc<Forest>,
    /// The nodes that have a query, as indices among the new nodes (those without cached keys); `None` is all new
    /// nodes, in order.
    pub(crate) query_rows: Option<Arc<Vec<u32>>>,
    pub(crate) scale: f32,
    pub(crate) soft_cap: Option<f32>,
    pub(crate) direction: AttentionDirection,
    /// Length of the window of causal attention in tokens, the token itself included; `None` is unlimited.
    pub(crate) window: Option<usize>,
    /// For each head and each position of a key, the term that is added to the score, `[n_heads, n_positions]`.
    pub(crate) bias: Option<Arc<Vec<Vec<f32>>>>,
}

/// The sizes of one call.
#[derive(Clone, Copy)]
struct Dims {
    n_queries: usize,
    n_nodes: usize,
    n_heads: usize,
    n_kv_heads: usize,
    d_head: usize,
}

impl Dims {
    fn of(op: &ForestAttention, q: &[usize], k: &[usize]) -> Result<Dims> {
        let ([n_queries, n_heads, d_head], [n_nodes, n_kv_heads, _]) = (q, k) else {
            bail!("attention needs three dimensions; found {q:?} and {k:?}")
        };
        let dims = Dims {
            n_queries: *n_queries,
            n_nodes: *n_nodes,
            n_heads: *n_heads,
            n_kv_heads: *n_kv_heads,
            d_head: *d_head,
        };
        let n_new = op.forest.len() - op.forest.n_past();
        let expected = op.query_rows.as_ref().map_or(n_new, |rows| rows.len());
        if dims.n_nodes != op.forest.len() || dims.n_queries != expected {
            let n = op.forest.len();
            bail!("attention needs {n} keys and {expected} queries; found {n_nodes} and {n_queries}")
        }
        Ok(dims)
    }

    /// The start of head `head` of row `row` in a `[rows, heads, d_head]` array.
    fn at(&self, row: usize, heads: usize, head: usize) -> usize {
        (row * heads + head) * self.d_head
    }

    fn kv_head(&self, head: usize) -> usize {
        head / (self.n_heads / self.n_kv_heads)
    }
}

/// A row's query at one head.
struct HeadQuery<'a, S> {
    simd: S,
    dims: Dims,
    head: usize,
    query: &'a [f32],
}

/// The nodes that a row attends to, and the scores of the last ones (the shared prefix), if already computed.
struct ScoredPath<'a> {
    nodes: &'a [u32],
    prefix_scores: &'a [f32],
}

/// Queries, keys and values.
#[derive(Clone, Copy)]
struct Qkv<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
}

/// Rows per task. If they share a long prefix, all of them are computed for one head after the other, so that the
/// head's keys of the prefix stay in the cache.
const ROWS: usize = 32;
/// Rows that are computed together if there is no shared prefix. The keys of all heads of a node lie next to each other
/// in memory; with so few rows, they are also read soon after each other.
const FEW_ROWS: usize = 4;

/// Consecutive rows with queries, from `first` on, and the path of each.
struct SomeRows<'a> {
    op: &'a ForestAttention,
    dims: Dims,
    qkv: Qkv<'a>,
    first: usize,
    paths: &'a [Vec<u32>],
    /// Length of the prefix that all paths share and whose scores are computed by one product.
    n_shared: usize,
    out: &'a mut [f32],
}

impl WithSimd for SomeRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (dims, Qkv { k, v, .. }) = (self.dims, self.qkv);
        let shared = self.paths.first().map_or(&[][..], |path| &path[path.len() - self.n_shared..]);
        let mut scratch = Scratch::default();
        for kv in 0..dims.n_kv_heads {
            let kv_head = KvHead { index: kv, n_kv_heads: dims.n_kv_heads, d_head: dims.d_head };
            let prefix = (!shared.is_empty()).then(|| SharedPrefix::gather(k, v, shared, kv_head));
            let n_group = dims.n_heads / dims.n_kv_heads;
            for head in kv * n_group..(kv + 1) * n_group {
                self.head(simd, head, prefix.as_ref(), &mut scratch);
            }
        }
    }
}

/// Buffers that the heads reuse.
#[derive(Default)]
struct Scratch {
    queries: Vec<f32>,
    /// Scores, then probabilities, of the shared prefix, `[rows, n_shared]`.
    prefix: Vec<f32>,
    /// Weighted values of the shared prefix, `[rows, d_head]`.
    prefix_out: Vec<f32>,
    probs: Vec<f32>,
}

impl SomeRows<'_> {
    /// Adds the output of each row at one head to `out`.
    #[inline(always)]
    fn head<S: Simd>(&mut self, simd: S, head: usize, prefix: Option<&SharedPrefix>, scratch: &mut Scratch) {
        let (dims, Qkv { q, k, v }, d_head) = (self.dims, self.qkv, self.dims.d_head);
        let (kv, n_shared) = (dims.kv_head(head), self.n_shared);
        let query = |i: usize| &q[dims.at(self.first + i, dims.n_heads, head)..][..d_head];
        if let Some(prefix) = prefix {
            scratch.queries.clear();
            (0..self.paths.len()).for_each(|i| scratch.queries.extend(query(i)));
            prefix.scores(&scratch.queries, self.op.scale, &mut scratch.prefix);
        }
        for (i, path) in self.paths.iter().enumerate() {
            let in_prefix = i * n_shared..(i + 1) * n_shared;
            let n_own = path.len() - n_shared;
            let scored = ScoredPath { nodes: path, prefix_scores: &scratch.prefix[in_prefix.clone()] };
            let query = HeadQuery { simd, dims, head, query: query(i) };
            self.op.probabilities(query, k, scored, &mut scratch.probs);
            scratch.prefix[in_prefix].copy_from_slice(&scratch.probs[n_own..]);
            let out = &mut self.out[dims.at(i, dims.n_heads, head)..][..d_head];
            let value = |node: u32| &v[dims.at(node as usize, dims.n_kv_heads, kv)..][..d_head];
            let own = path[..n_own].iter().zip(&scratch.probs);
            wide_add_scaled(simd, out, own.map(|(&node, &p)| (p, value(node))));
        }
        if let Some(prefix) = prefix {
            prefix.weighted_values(&scratch.prefix, &mut scratch.prefix_out);
            for (i, sum) in scratch.prefix_out.chunks_exact(d_head).enumerate() {
                add_scaled(&mut self.out[dims.at(i, dims.n_heads, head)..][..d_head], 1.0, sum);
            }
        }
    }
}

impl ForestAttention {
    /// The output of attention.
    ///
    /// # Shapes
    /// Those of [`ForestAttention`].
    pub(crate) fn forward(self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        if !q.device().is_cpu() {
            return self.composed(q, k, v);
        }
        q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, self)
    }

    fn rows(&self, dims: Dims, qkv: Qkv) -> Vec<f32> {
        let width = dims.n_heads * dims.d_head;
        let mut out = vec![0f32; dims.n_queries * width];
        let arch = Arch::new();
        out.par_chunks_mut(ROWS * width).enumerate().for_each(|(chunk, out)| {
            let mut paths = vec![Vec::new(); out.len() / width];
            paths.iter_mut().enumerate().for_each(|(i, path)| self.attended(chunk * ROWS + i, path));
            let n_shared = shared_len(&paths);
            let n_rows = if n_shared == 0 { FEW_ROWS } else { ROWS };
            for (i, (out, paths)) in out.chunks_mut(n_rows * width).zip(paths.chunks(n_rows)).enumerate() {
                let first = chunk * ROWS + i * n_rows;
                arch.dispatch(SomeRows { op: self, dims, qkv, first, paths, n_shared, out });
            }
        });
        out
    }

    /// Writes the nodes that row `row` attends to into `path`.
    fn attended(&self, row: usize, path: &mut Vec<u32>) {
        let new = self.query_rows.as_ref().map_or(row, |rows| rows[row] as usize);
        let node = (self.forest.n_past() + new) as u32;
        match self.direction {
            AttentionDirection::Causal => {
                self.forest.ancestors(node, self.window.unwrap_or(usize::MAX), path);
            }
            AttentionDirection::Bidirectional => {
                path.clear();
                path.extend(self.forest.chain_of(node));
            }
        }
    }

    /// A row's attention probability for each node of its path.
    #[inline(always)]
    fn probabilities<S: Simd>(&self, query: HeadQuery<S>, k: &[f32], path: ScoredPath, probs: &mut Vec<f32>) {
        let HeadQuery { simd, dims, head, query } = query;
        let ScoredPath { nodes, prefix_scores } = path;
        let kv = dims.kv_head(head);
        let own = &nodes[..nodes.len() - prefix_scores.len()];
        probs.clear();
        probs.resize(own.len(), 0.0);
        // A loop, because a closure in `Vec::extend` would be compiled without wide registers.
        for (score, &node) in probs.iter_mut().zip(own) {
            let key = &k[dims.at(node as usize, dims.n_kv_heads, kv)..][..dims.d_head];
            *score = self.scale * wide_dot(simd, query, key);
        }
        probs.extend_from_slice(prefix_scores);
        if let Some(cap) = self.soft_cap {
            probs.iter_mut().for_each(|score| *score = cap * tanh(*score / cap));
        }
        if let Some(bias) = &self.bias {
            let of_head = &bias[head];
            let positions = nodes.iter().map(|&node| self.forest.position(node) as usize);
            probs.iter_mut().zip(positions).for_each(|(score, position)| *score += of_head[position]);
        }
        softmax(probs);
    }

    /// The derivative of the soft-cap at the score of a query and a key; 1 without a soft-cap.
    fn cap_slope(&self, query: &[f32], key: &[f32]) -> f32 {
        self.soft_cap.map_or(1.0, |cap| 1.0 - tanh(self.scale * dot(query, key) / cap).powi(2))
    }

    /// The gradients of one query head, and its terms in the gradients of its key head and value head.
    ///
    /// # Shapes
    /// `[n_queries, d_head]`, then twice `[n_nodes, d_head]`.
    fn backward_head(&self, dims: Dims, head: usize, qkv: Qkv, grad: &[f32]) -> [Vec<f32>; 3] {
        let Qkv { q, k, v } = qkv;
        let (d, kv) = (dims.d_head, dims.kv_head(head));
        let mut dq = vec![0f32; dims.n_queries * d];
        let mut dk = vec![0f32; dims.n_nodes * d];
        let mut dv = vec![0f32; dims.n_nodes * d];
        let (mut path, mut probs, mut dp) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..dims.n_queries {
            self.attended(row, &mut path);
            let from = dims.at(row, dims.n_heads, head);
            let (query, grad) = (&q[from..][..d], &grad[from..][..d]);
            let scored = ScoredPath { nodes: &path, prefix_scores: &[] };
            let head_query = HeadQuery { simd: pulp::Scalar::new(), dims, head, query };
            self.probabilities(head_query, k, scored, &mut probs);
            dp.clear();
            dp.extend(path.iter().map(|&n| dot(grad, &v[dims.at(n as usize, dims.n_kv_heads, kv)..][..d])));
            let mean = dot(&probs, &dp);
            for ((&node, &p), &dp) in path.iter().zip(&probs).zip(&dp) {
                let node = node as usize;
                let key = &k[dims.at(node, dims.n_kv_heads, kv)..][..d];
                let ds = self.scale * p * (dp - mean) * self.cap_slope(query, key);
                add_scaled(&mut dv[node * d..][..d], p, grad);
                add_scaled(&mut dk[node * d..][..d], ds, query);
                add_scaled(&mut dq[row * d..][..d], ds, key);
            }
        }
        [dq, dk, dv]
    }

    /// Attention in candle's operations, for devices other than the CPU: one gather per step along the paths, so
    /// that only all scores and the keys of one step are in memory at once.
    fn composed(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let dims = Dims::of(self, q.dims(), k.dims())?;
        let mut paths = vec![Vec::new(); dims.n_queries];
        paths.iter_mut().enumerate().for_each(|(row, path)| self.attended(row, path));
        let n_steps = paths.iter().map(Vec::len).max().unwrap_or(0);
        // Query heads that share a key head are neighbours.
        let grouped = (dims.n_queries, dims.n_kv_heads, dims.n_heads / dims.n_kv_heads, dims.d_head);
        let q = (q.reshape(grouped)? * f64::from(self.scale))?;
        let mut scores = Vec::with_capacity(n_steps);
        for step in 0..n_steps {
            let keys = rows_at(&paths, step, k)?.unsqueeze(2)?; // [n_queries, n_kv_heads, 1, d_head]
            let mut score = q.broadcast_mul(&keys)?.sum(3)?.reshape((dims.n_queries, dims.n_heads))?;
            if let Some(cap) = self.soft_cap.map(f64::from) {
                score = ((score / cap)?.tanh()? * cap)?;
            }
            scores.push((score + self.bias_at(&paths, step, dims.n_heads, q.device())?)?);
        }
        let scores = Tensor::stack(&scores, 2)?; // [n_queries, n_heads, n_steps]
        let odds = scores.broadcast_sub(&scores.max_keepdim(2)?)?.exp()?;
        let probs = odds.broadcast_div(&odds.sum_keepdim(2)?)?;
        let mut out = q.zeros_like()?;
        for step in 0..n_steps {
            let values = rows_at(&paths, step, v)?.unsqueeze(2)?;
            let p = probs.narrow(2, step, 1)?.reshape((grouped.0, grouped.1, grouped.2, 1))?;
            out = (out + p.broadcast_mul(&values)?)?;
        }
        out.reshape((dims.n_queries, dims.n_heads, dims.d_head))
    }

    /// The term added to the scores at one step: the bias, or minus infinity for shorter paths.
    fn bias_at(&self, paths: &[Vec<u32>], step: usize, n_heads: usize, device: &Device) -> Result<Tensor> {
        let mut added = Vec::with_capacity(paths.len() * n_heads);
        for path in paths {
            let node = path.get(step).map(|&node| self.forest.position(node) as usize);
            added.extend((0..n_heads).map(|head| match (node, &self.bias) {
                (None, _) => f32::NEG_INFINITY,
                (Some(position), Some(bias)) => bias[head][position],
                (Some(_), None) => 0.0,
            }));
        }
        Tensor::from_vec(added, (paths.len(), n_heads), device)
    }
}

/// The keys or values of each path's node at one step; of node 0 if the path is shorter.
fn rows_at(paths: &[Vec<u32>], step: usize, of_nodes: &Tensor) -> Result<Tensor> {
    let nodes: Vec<u32> = paths.iter().map(|path| path.get(step).copied().unwrap_or(0)).collect();
    of_nodes.index_select(&Tensor::from_vec(nodes, paths.len(), of_nodes.device())?, 0)
}

impl CustomOp3 for ForestAttention {
    fn name(&self) -> &'static str {
        "forest-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        layout_q: &Layout,
        k: &CpuStorage,
        layout_k: &Layout,
        v: &CpuStorage,
        layout_v: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dims = Dims::of(self, layout_q.dims(), layout_k.dims())?;
        let qkv = Qkv { q: slice(q, layout_q)?, k: slice(k, layout_k)?, v: slice(v, layout_v)? };
        let out = self.rows(dims, qkv);
        Ok((CpuStorage::F32(out), layout_q.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dims = Dims::of(self, q.dims(), k.dims())?;
        let flat = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let (qs, ks, vs, gs) = (flat(q)?, flat(k)?, flat(v)?, flat(grad)?);
        let qkv = Qkv { q: &qs, k: &ks, v: &vs };
        let heads: Vec<[Vec<f32>; 3]> =
            (0..dims.n_heads).into_par_iter().map(|head| self.backward_head(dims, head, qkv, &gs)).collect();
        let gather = |part: usize, rows: usize, n_heads: usize, like: &Tensor| {
            let mut all = vec![0f32; rows * n_heads * dims.d_head];
            for (head, grads) in heads.iter().enumerate() {
                let to = if part == 0 { head } else { dims.kv_head(head) };
                for (row, grad) in grads[part].chunks(dims.d_head).enumerate() {
                    add_scaled(&mut all[dims.at(row, n_heads, to)..][..dims.d_head], 1.0, grad);
                }
            }
            Tensor::from_vec(all, like.shape(), like.device())
        };
        Ok((
            Some(gather(0, dims.n_queries, dims.n_heads, q)?),
            Some(gather(1, dims.n_nodes, dims.n_kv_heads, k)?),
            Some(gather(2, dims.n_nodes, dims.n_kv_heads, v)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    /// The same attention with dense matrices, a mask and a scale of 0.3.
    fn dense(forest: &Forest, q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
        let n = forest.len();
        let mut mask = vec![f32::NEG_INFINITY; n * n];
        for node in 0..n {
            for ancestor in forest.path(node as u32) {
                mask[node * n + ancestor as usize] = 0.0;
            }
        }
        let mask = Tensor::from_vec(mask, (n, n), &Device::Cpu).unwrap();
        let groups = q.dim(1).unwrap() / k.dim(1).unwrap();
        let heads = (0..q.dim(1).unwrap()).map(|h| {
            let pick =
                |t: &Tensor, h: usize| t.narrow(1, h, 1).unwrap().squeeze(1).unwrap().contiguous().unwrap();
            let (q, k, v) = (pick(q, h), pick(k, h / groups), pick(v, h / groups));
            let scores = (q.matmul(&k.t().unwrap()).unwrap() * 0.3).unwrap().broadcast_add(&mask).unwrap();
            candle_nn::ops::softmax(&scores, 1).unwrap().matmul(&v).unwrap()
        });
        Tensor::stack(&heads.collect::<Vec<_>>(), 1).unwrap()
    }

    /// Attention over the texts with each of its settings.
    fn every_setting(texts: &[Vec<u32>], window: usize, bias: Arc<Vec<Vec<f32>>>) -> Vec<ForestAttention> {
        let settings = [
            (AttentionDirection::Causal, None, None, None),
            (AttentionDirection::Causal, Some(0.7), Some(window), None),
            (AttentionDirection::Causal, None, None, Some(bias)),
            (AttentionDirection::Bidirectional, None, None, None),
        ];
        let op = |(direction, soft_cap, window, bias)| {
            let (forest, _) = match direction {
                AttentionDirection::Causal => Forest::of_texts(texts).unwrap(),
                AttentionDirection::Bidirectional => Forest::of_chains(texts).unwrap(),
            };
            let forest = Arc::new(forest);
            ForestAttention { forest, query_rows: None, scale: 0.3, soft_cap, direction, window, bias }
        };
        settings.map(op).into()
    }

    #[test]
    fn forward_and_gradients_equal_dense_masked_attention() {
        let (forest, _) =
            Forest::of_texts(&[vec![1, 2, 3, 4], vec![1, 2, 5], vec![6, 2], vec![1, 9, 3]]).unwrap();
        let n = forest.len();
        let var = |heads: usize| Var::randn(0f32, 1f32, (n, heads, 10), &Device::Cpu).unwrap();
        let (q, k, v) = (var(6), var(2), var(2));
        let weights = Tensor::randn(0f32, 1f32, (n, 6, 10), &Device::Cpu).unwrap();
        let op = ForestAttention {
            forest: Arc::new(forest.clone()),
            query_rows: None,
            scale: 0.3,
            soft_cap: None,
            direction: AttentionDirection::Causal,
            window: None,
            bias: None,
        };
        let ours = q.apply_op3(&k, &v, op).unwrap();
        let theirs = dense(&forest, &q, &k, &v);
        let ours_grads = (&ours * &weights).unwrap().sum_all().unwrap().backward().unwrap();
        let their_grads = (&theirs * &weights).unwrap().sum_all().unwrap().backward().unwrap();
        let worst = |a: &Tensor, b: &Tensor| -> f32 {
            (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
        };
        assert!(worst(&ours, &theirs) < 1e-5, "forward differs by {}", worst(&ours, &theirs));
        for (name, t) in [("q", &q), ("k", &k), ("v", &v)] {
            let (a, b) = (ours_grads.get(t).unwrap(), their_grads.get(t).unwrap());
            assert!(worst(a, b) < 5e-5, "gradient of {name} differs by {}", worst(a, b));
        }
    }

    #[test]
    fn rows_with_a_long_shared_prefix_get_the_same_outputs() {
        let long: Vec<u32> = (0..150).collect();
        let other = [&long[..100], &[7; 60]].concat();
        let normal = |n: usize, heads| Tensor::randn(0f32, 1f32, (n, heads, 10), &Device::Cpu).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let bias = Arc::new((0..6).map(|h| (0..160).map(|p| (h * p) as f32 * 0.01).collect()).collect());
        for op in every_setting(&[long, other], 90, bias) {
            let n = op.forest.len();
            let (q, k, v) = (normal(n, 6), normal(n, 2), normal(n, 2));
            let together = flat(&op.clone().forward(&q, &k, &v).unwrap());
            let composed = flat(&op.composed(&q, &k, &v).unwrap());
            let worst = together.iter().zip(&composed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 5e-6, "{:?}: {worst}", op.direction);
        }
    }

    #[test]
    fn candles_operations_give_the_same_for_every_setting_and_for_some_rows() {
        let texts = [vec![1, 2, 3, 4, 7, 7], vec![1, 2, 5], vec![6, 2], vec![1, 9, 3]];
        let normal = |n: usize, heads| Tensor::randn(0f32, 1f32, (n, heads, 10), &Device::Cpu).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-6);
        let bias = Arc::new((0..6).map(|h| (0..6).map(|p| (h * p) as f32 * 0.1).collect()).collect());
        for op in every_setting(&texts, 2, bias) {
            let n = op.forest.len();
            let (q, k, v) = (normal(n, 6), normal(n, 2), normal(n, 2));
            let all = op.clone().forward(&q, &k, &v).unwrap();
            assert!(close(&flat(&all), &flat(&op.composed(&q, &k, &v).unwrap())));
            let rows = Tensor::new(&[5u32, 0, 3], &Device::Cpu).unwrap();
            let query_rows = Some(Arc::new(vec![5, 0, 3]));
            let some = ForestAttention { query_rows, ..op };
            let q = q.index_select(&rows, 0).unwrap();
            let expected = flat(&all.index_select(&rows, 0).unwrap());
            assert_eq!(flat(&some.clone().forward(&q, &k, &v).unwrap()), expected);
            assert!(close(&flat(&some.composed(&q, &k, &v).unwrap()), &expected));
        }
    }

    #[test]
    fn gradients_of_every_setting_and_of_some_rows_equal_those_of_candles_operations() {
        let texts = [vec![1, 2, 3, 4, 7, 7], vec![1, 2, 5], vec![6, 2], vec![1, 9, 3]];
        let var = |n: usize, heads: usize| Var::randn(0f32, 1f32, (n, heads, 10), &Device::Cpu).unwrap();
        let bias = Arc::new((0..6).map(|h| (0..6).map(|p| (h * p) as f32 * 0.1).collect()).collect());
        for op in every_setting(&texts, 2, bias) {
            let n = op.forest.len();
            for query_rows in [None, Some(Arc::new(vec![5, 0, 3]))] {
                let n_queries = query_rows.as_ref().map_or(n, |rows| rows.len());
                let (q, k, v) = (var(n_queries, 6), var(n, 2), var(n, 2));
                let probe = Tensor::randn(0f32, 1f32, (n_queries, 6, 10), &Device::Cpu).unwrap();
                let op = ForestAttention { query_rows, ..op.clone() };
                let gradients = |out: Tensor| (out * &probe).unwrap().sum_all().unwrap().backward().unwrap();
                let ours = gradients(op.clone().forward(&q, &k, &v).unwrap());
                let theirs = gradients(op.composed(&q, &k, &v).unwrap());
                for of in [&q, &k, &v] {
                    let off = (ours.get(of).unwrap() - theirs.get(of).unwrap()).unwrap().abs().unwrap();
                    let off = off.max_all().unwrap().to_scalar::<f32>().unwrap();
                    assert!(off < 2e-5, "{:?} {:?}: {off}", op.direction, op.soft_cap);
                }
            }
        }
    }
}
