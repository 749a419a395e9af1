//! Attention over a forest: each node attends to itself and its ancestors.

use super::activation::{softmax, tanh};
use super::affine::slice;
use super::beginning::{Beginning, n_shared};
use super::forest::Forest;
use super::lanes::{add_scaled, dot, wide_add_scaled, wide_dot};
use super::spec::Direction;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::sync::Arc;

/// Scaled dot-product attention of a forest's nodes to their ancestors, in f32.
///
/// # Shapes
/// Queries `[n_asked, n_heads, d_head]`; keys and values `[n_nodes, n_kv_heads, d_head]`; the result is
/// `[n_asked, n_heads, d_head]`. Query head `h` reads key/value head `h / (n_heads / n_kv_heads)`.
#[derive(Clone)]
pub(super) struct ForestAttention {
    pub forest: Arc<Forest>,
    /// Which of the new nodes ask; `None` is all of them, in order.
    pub asked: Option<Arc<Vec<u32>>>,
    pub scale: f32,
    pub soft_cap: Option<f32>,
    pub direction: Direction,
    /// How many tokens back a token sees, itself counted.
    pub window: Option<usize>,
    /// What is added to a head's scores for the key's position, `[n_heads, n_positions]`.
    pub bias: Option<Arc<Vec<Vec<f32>>>>,
}

/// The sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    n_asked: usize,
    n_nodes: usize,
    n_heads: usize,
    n_kv_heads: usize,
    d_head: usize,
}

impl Sizes {
    fn of(op: &ForestAttention, q: &[usize], k: &[usize]) -> Result<Sizes> {
        let ([n_asked, n_heads, d_head], [n_nodes, n_kv_heads, _]) = (q, k) else {
            bail!("attention wants three dimensions, got {q:?} and {k:?}")
        };
        let sizes = Sizes {
            n_asked: *n_asked,
            n_nodes: *n_nodes,
            n_heads: *n_heads,
            n_kv_heads: *n_kv_heads,
            d_head: *d_head,
        };
        let n_new = op.forest.len() - op.forest.n_past();
        let expected = op.asked.as_ref().map_or(n_new, |asked| asked.len());
        if sizes.n_nodes != op.forest.len() || sizes.n_asked != expected {
            bail!(
                "attention of {expected} among {} got {} keys, {} queries",
                op.forest.len(),
                n_nodes,
                n_asked
            )
        }
        Ok(sizes)
    }

    /// Where head `head` of row `row` begins in a `[rows, heads, d_head]` array.
    fn at(&self, row: usize, heads: usize, head: usize) -> usize {
        (row * heads + head) * self.d_head
    }

    fn kv_head(&self, head: usize) -> usize {
        head / (self.n_heads / self.n_kv_heads)
    }
}

/// A row's query at one head.
struct Asking<'a, S> {
    simd: S,
    sizes: Sizes,
    head: usize,
    query: &'a [f32],
}

/// Rows that one task takes: head by head where they begin alike at length, so that the keys they share stay near.
const ROWS: usize = 32;
/// Rows that are taken head by head where they do not: then a row's heads are read in the order they lie in.
const FEW_ROWS: usize = 4;

/// Some of the rows that ask, from `first` on, and what each attends to.
struct SomeRows<'a> {
    op: &'a ForestAttention,
    sizes: Sizes,
    qkv: [&'a [f32]; 3],
    first: usize,
    paths: &'a [Vec<u32>],
    /// How many nodes all of them see first and meet together.
    n_shared: usize,
    out: &'a mut [f32],
}

impl WithSimd for SomeRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (sizes, [_, k, v]) = (self.sizes, self.qkv);
        let shared = self.paths.first().map_or(&[][..], |path| &path[path.len() - self.n_shared..]);
        let mut room = Room::default();
        for kv in 0..sizes.n_kv_heads {
            let at = (kv, sizes.n_kv_heads, sizes.d_head);
            let beginning = (!shared.is_empty()).then(|| Beginning::gather([k, v], shared, at));
            let n_group = sizes.n_heads / sizes.n_kv_heads;
            for head in kv * n_group..(kv + 1) * n_group {
                self.head(simd, (head, kv), beginning.as_ref(), (shared.len(), &mut room));
            }
        }
    }
}

/// Room that the heads use in turn.
#[derive(Default)]
struct Room {
    queries: Vec<f32>,
    /// Scores, then probabilities, of the nodes that all rows see first, `[rows, n_shared]`.
    first: Vec<f32>,
    /// What the rows take of those, `[rows, d_head]`.
    taken: Vec<f32>,
    probs: Vec<f32>,
}

impl SomeRows<'_> {
    /// What each row takes at one head.
    #[inline(always)]
    fn head<S: Simd>(
        &mut self,
        simd: S,
        (head, kv): (usize, usize),
        beginning: Option<&Beginning>,
        (n_shared, room): (usize, &mut Room),
    ) {
        let (sizes, [q, k, v], d_head) = (self.sizes, self.qkv, self.sizes.d_head);
        let query = |i: usize| &q[sizes.at(self.first + i, sizes.n_heads, head)..][..d_head];
        if let Some(beginning) = beginning {
            room.queries.clear();
            (0..self.paths.len()).for_each(|i| room.queries.extend(query(i)));
            beginning.scores(&room.queries, self.op.scale, &mut room.first);
        }
        for (i, path) in self.paths.iter().enumerate() {
            let first = i * n_shared..(i + 1) * n_shared;
            let n_own = path.len() - n_shared;
            let scored = &room.first[first.clone()];
            let asking = Asking { simd, sizes, head, query: query(i) };
            self.op.probabilities(asking, k, (path, scored), &mut room.probs);
            room.first[first].copy_from_slice(&room.probs[n_own..]);
            let out = &mut self.out[sizes.at(i, sizes.n_heads, head)..][..d_head];
            let value = |node: u32| &v[sizes.at(node as usize, sizes.n_kv_heads, kv)..][..d_head];
            let own = path[..n_own].iter().zip(&room.probs);
            wide_add_scaled(simd, out, own.map(|(&node, &p)| (p, value(node))));
        }
        if let Some(beginning) = beginning {
            beginning.weighted(&room.first, &mut room.taken);
            for (i, taken) in room.taken.chunks_exact(d_head).enumerate() {
                add_scaled(&mut self.out[sizes.at(i, sizes.n_heads, head)..][..d_head], 1.0, taken);
            }
        }
    }
}

impl ForestAttention {
    /// # Shapes
    /// As the type says.
    pub fn forward(self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        if !q.device().is_cpu() {
            return self.composed(q, k, v);
        }
        q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, self)
    }

    fn rows(&self, sizes: Sizes, [q, k, v]: [&[f32]; 3]) -> Vec<f32> {
        let width = sizes.n_heads * sizes.d_head;
        let mut out = vec![0f32; sizes.n_asked * width];
        let arch = Arch::new();
        out.par_chunks_mut(ROWS * width).enumerate().for_each(|(chunk, out)| {
            let mut paths = vec![Vec::new(); out.len() / width];
            paths.iter_mut().enumerate().for_each(|(i, path)| self.seen(chunk * ROWS + i, path));
            let n_shared = n_shared(&paths);
            let at_once = if n_shared == 0 { FEW_ROWS } else { ROWS };
            for (i, (out, paths)) in out.chunks_mut(at_once * width).zip(paths.chunks(at_once)).enumerate() {
                let first = chunk * ROWS + i * at_once;
                arch.dispatch(SomeRows { op: self, sizes, qkv: [q, k, v], first, paths, n_shared, out });
            }
        });
        out
    }

    /// Writes the nodes that row `row` attends to into `path`.
    fn seen(&self, row: usize, path: &mut Vec<u32>) {
        let new = self.asked.as_ref().map_or(row, |asked| asked[row] as usize);
        let node = (self.forest.n_past() + new) as u32;
        match self.direction {
            Direction::Causal => self.forest.ancestors(node, self.window.unwrap_or(usize::MAX), path),
            Direction::Bidirectional => {
                path.clear();
                path.extend(self.forest.chain_of(node));
            }
        }
    }

    /// What a row gives each node of `path`, the last of which may have their scores.
    #[inline(always)]
    fn probabilities<S: Simd>(
        &self,
        Asking { simd, sizes, head, query }: Asking<S>,
        k: &[f32],
        (path, scored): (&[u32], &[f32]),
        probs: &mut Vec<f32>,
    ) {
        let kv = sizes.kv_head(head);
        let own = &path[..path.len() - scored.len()];
        probs.clear();
        probs.resize(own.len(), 0.0);
        // A loop: the closure of an iterator that extends a vector is compiled without wide registers.
        for (score, &node) in probs.iter_mut().zip(own) {
            let key = &k[sizes.at(node as usize, sizes.n_kv_heads, kv)..][..sizes.d_head];
            *score = self.scale * wide_dot(simd, query, key);
        }
        probs.extend_from_slice(scored);
        if let Some(cap) = self.soft_cap {
            probs.iter_mut().for_each(|score| *score = cap * tanh(*score / cap));
        }
        if let Some(bias) = &self.bias {
            let of_head = &bias[head];
            let positions = path.iter().map(|&node| self.forest.position(node) as usize);
            probs.iter_mut().zip(positions).for_each(|(score, position)| *score += of_head[position]);
        }
        softmax(probs);
    }

    /// Gradients of one query head, its key head and its value head, each `[rows, d_head]`.
    fn backward_head(&self, sizes: Sizes, head: usize, [q, k, v, grad]: [&[f32]; 4]) -> [Vec<f32>; 3] {
        let (d, kv) = (sizes.d_head, sizes.kv_head(head));
        let mut dq = vec![0f32; sizes.n_asked * d];
        let mut dk = vec![0f32; sizes.n_nodes * d];
        let mut dv = vec![0f32; sizes.n_nodes * d];
        let (mut path, mut probs, mut dp) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..sizes.n_asked {
            self.seen(row, &mut path);
            let from = sizes.at(row, sizes.n_heads, head);
            let (query, grad) = (&q[from..][..d], &grad[from..][..d]);
            let asking = Asking { simd: pulp::Scalar::new(), sizes, head, query };
            self.probabilities(asking, k, (&path, &[]), &mut probs);
            dp.clear();
            dp.extend(path.iter().map(|&n| dot(grad, &v[sizes.at(n as usize, sizes.n_kv_heads, kv)..][..d])));
            let mean = dot(&probs, &dp);
            for ((&node, &p), &dp) in path.iter().zip(&probs).zip(&dp) {
                let node = node as usize;
                let ds = self.scale * p * (dp - mean);
                add_scaled(&mut dv[node * d..][..d], p, grad);
                add_scaled(&mut dk[node * d..][..d], ds, query);
                add_scaled(&mut dq[row * d..][..d], ds, &k[sizes.at(node, sizes.n_kv_heads, kv)..][..d]);
            }
        }
        [dq, dk, dv]
    }
}

impl ForestAttention {
    /// The same in candle's own steps, for other devices: one gather a step back along the texts, so that
    /// no more is held at once than the keys of one step and the scores of all.
    fn composed(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let sizes = Sizes::of(self, q.dims(), k.dims())?;
        let mut paths = vec![Vec::new(); sizes.n_asked];
        paths.iter_mut().enumerate().for_each(|(row, path)| self.seen(row, path));
        let n_steps = paths.iter().map(Vec::len).max().unwrap_or(0);
        // Query heads lie in runs that share a key head.
        let grouped = (sizes.n_asked, sizes.n_kv_heads, sizes.n_heads / sizes.n_kv_heads, sizes.d_head);
        let q = (q.reshape(grouped)? * f64::from(self.scale))?;
        let mut scores = Vec::with_capacity(n_steps);
        for step in 0..n_steps {
            let keys = self.step(&paths, step, k)?.unsqueeze(2)?; // [n_asked, n_kv_heads, 1, d_head]
            let mut score = q.broadcast_mul(&keys)?.sum(3)?.reshape((sizes.n_asked, sizes.n_heads))?;
            if let Some(cap) = self.soft_cap.map(f64::from) {
                score = ((score / cap)?.tanh()? * cap)?;
            }
            scores.push((score + self.added(&paths, (step, sizes.n_heads), q.device())?)?);
        }
        let scores = Tensor::stack(&scores, 2)?; // [n_asked, n_heads, n_steps]
        let odds = scores.broadcast_sub(&scores.max_keepdim(2)?)?.exp()?;
        let probs = odds.broadcast_div(&odds.sum_keepdim(2)?)?;
        let mut out = q.zeros_like()?;
        for step in 0..n_steps {
            let values = self.step(&paths, step, v)?.unsqueeze(2)?;
            let p = probs.narrow(2, step, 1)?.reshape((grouped.0, grouped.1, grouped.2, 1))?;
            out = (out + p.broadcast_mul(&values)?)?;
        }
        out.reshape((sizes.n_asked, sizes.n_heads, sizes.d_head))
    }

    /// The keys or values of each path's node at one step; of any node where the path is shorter.
    fn step(&self, paths: &[Vec<u32>], step: usize, of_nodes: &Tensor) -> Result<Tensor> {
        let nodes: Vec<u32> = paths.iter().map(|path| path.get(step).copied().unwrap_or(0)).collect();
        of_nodes.index_select(&Tensor::from_vec(nodes, paths.len(), of_nodes.device())?, 0)
    }

    /// What is added to the scores at one step: minus infinity where the path is shorter.
    fn added(&self, paths: &[Vec<u32>], (step, n_heads): (usize, usize), device: &Device) -> Result<Tensor> {
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

impl CustomOp3 for ForestAttention {
    fn name(&self) -> &'static str {
        "forest-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        of_q: &Layout,
        k: &CpuStorage,
        of_k: &Layout,
        v: &CpuStorage,
        of_v: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(self, of_q.dims(), of_k.dims())?;
        let out = self.rows(sizes, [slice(q, of_q)?, slice(k, of_k)?, slice(v, of_v)?]);
        Ok((CpuStorage::F32(out), of_q.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        if self.soft_cap.is_some() || self.asked.is_some() {
            bail!("training through a soft-cap on attention, or of some rows only, is not written")
        }
        let sizes = Sizes::of(self, q.dims(), k.dims())?;
        let flat = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let (qs, ks, vs, gs) = (flat(q)?, flat(k)?, flat(v)?, flat(grad)?);
        let heads: Vec<[Vec<f32>; 3]> = (0..sizes.n_heads)
            .into_par_iter()
            .map(|head| self.backward_head(sizes, head, [&qs, &ks, &vs, &gs]))
            .collect();
        let gather = |part: usize, rows: usize, n_heads: usize, like: &Tensor| {
            let mut all = vec![0f32; rows * n_heads * sizes.d_head];
            for (head, grads) in heads.iter().enumerate() {
                let to = if part == 0 { head } else { sizes.kv_head(head) };
                for (row, grad) in grads[part].chunks(sizes.d_head).enumerate() {
                    add_scaled(&mut all[sizes.at(row, n_heads, to)..][..sizes.d_head], 1.0, grad);
                }
            }
            Tensor::from_vec(all, like.shape(), like.device())
        };
        Ok((
            Some(gather(0, sizes.n_asked, sizes.n_heads, q)?),
            Some(gather(1, sizes.n_nodes, sizes.n_kv_heads, k)?),
            Some(gather(2, sizes.n_nodes, sizes.n_kv_heads, v)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    /// The same sum written with dense matrices and a mask.
    fn dense(forest: &Forest, q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Tensor {
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
            let scores = (q.matmul(&k.t().unwrap()).unwrap() * scale).unwrap().broadcast_add(&mask).unwrap();
            candle_nn::ops::softmax(&scores, 1).unwrap().matmul(&v).unwrap()
        });
        Tensor::stack(&heads.collect::<Vec<_>>(), 1).unwrap()
    }

    /// Attention over some texts with each of its choices.
    fn every_choice(texts: &[Vec<u32>], window: usize, bias: Arc<Vec<Vec<f32>>>) -> Vec<ForestAttention> {
        let choices = [
            (Direction::Causal, None, None, None),
            (Direction::Causal, Some(0.7), Some(window), None),
            (Direction::Causal, None, None, Some(bias)),
            (Direction::Bidirectional, None, None, None),
        ];
        let op = |(direction, soft_cap, window, bias)| {
            let (forest, _) = match direction {
                Direction::Causal => Forest::of_texts(texts).unwrap(),
                Direction::Bidirectional => Forest::of_chains(texts).unwrap(),
            };
            let forest = Arc::new(forest);
            ForestAttention { forest, asked: None, scale: 0.3, soft_cap, direction, window, bias }
        };
        choices.map(op).into()
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
            asked: None,
            scale: 0.3,
            soft_cap: None,
            direction: Direction::Causal,
            window: None,
            bias: None,
        };
        let ours = q.apply_op3(&k, &v, op).unwrap();
        let theirs = dense(&forest, &q, &k, &v, 0.3);
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
    fn rows_that_begin_alike_at_length_meet_their_keys_together_and_get_the_same() {
        let long: Vec<u32> = (0..150).collect();
        let other = [&long[..100], &[7; 60]].concat();
        let normal = |n: usize, heads| Tensor::randn(0f32, 1f32, (n, heads, 10), &Device::Cpu).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let bias = Arc::new((0..6).map(|h| (0..160).map(|p| (h * p) as f32 * 0.01).collect()).collect());
        for op in every_choice(&[long, other], 90, bias) {
            let n = op.forest.len();
            let (q, k, v) = (normal(n, 6), normal(n, 2), normal(n, 2));
            let together = flat(&op.clone().forward(&q, &k, &v).unwrap());
            let composed = flat(&op.composed(&q, &k, &v).unwrap());
            let worst = together.iter().zip(&composed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 5e-6, "{:?}: {worst}", op.direction);
        }
    }

    #[test]
    fn the_gathered_form_is_the_same_for_every_choice_and_some_rows_are_those_of_all() {
        let texts = [vec![1, 2, 3, 4, 7, 7], vec![1, 2, 5], vec![6, 2], vec![1, 9, 3]];
        let normal = |n: usize, heads| Tensor::randn(0f32, 1f32, (n, heads, 10), &Device::Cpu).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-6);
        let bias = Arc::new((0..6).map(|h| (0..6).map(|p| (h * p) as f32 * 0.1).collect()).collect());
        for op in every_choice(&texts, 2, bias) {
            let n = op.forest.len();
            let (q, k, v) = (normal(n, 6), normal(n, 2), normal(n, 2));
            let all = op.clone().forward(&q, &k, &v).unwrap();
            assert!(close(&flat(&all), &flat(&op.composed(&q, &k, &v).unwrap())));
            let rows = Tensor::new(&[5u32, 0, 3], &Device::Cpu).unwrap();
            let asked = Some(Arc::new(vec![5, 0, 3]));
            let some = ForestAttention { asked, ..op };
            let q = q.index_select(&rows, 0).unwrap();
            let expected = flat(&all.index_select(&rows, 0).unwrap());
            assert_eq!(flat(&some.clone().forward(&q, &k, &v).unwrap()), expected);
            assert!(close(&flat(&some.composed(&q, &k, &v).unwrap()), &expected));
        }
    }
}
