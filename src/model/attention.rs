//! Attention over a forest: each node attends to itself and its ancestors.

use super::forest::Forest;
use super::spec::Direction;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::sync::Arc;

/// Scaled dot-product attention of the forest's new nodes to their ancestors, in f32 on the CPU.
///
/// # Shapes
/// Queries `[n_new, n_heads, d_head]`; keys and values `[n_nodes, n_kv_heads, d_head]`; the result is
/// `[n_new, n_heads, d_head]`. Query head `h` reads key/value head `h / (n_heads / n_kv_heads)`.
pub(super) struct ForestAttention {
    pub forest: Arc<Forest>,
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
    n_new: usize,
    n_nodes: usize,
    n_heads: usize,
    n_kv_heads: usize,
    d_head: usize,
}

impl Sizes {
    fn of(forest: &Forest, q: &[usize], k: &[usize]) -> Result<Sizes> {
        let ([n_new, n_heads, d_head], [n_nodes, n_kv_heads, _]) = (q, k) else {
            bail!("attention wants three dimensions, got {q:?} and {k:?}")
        };
        let sizes = Sizes {
            n_new: *n_new,
            n_nodes: *n_nodes,
            n_heads: *n_heads,
            n_kv_heads: *n_kv_heads,
            d_head: *d_head,
        };
        if sizes.n_nodes != forest.len() || sizes.n_new != forest.len() - forest.n_past() {
            bail!("attention over {} nodes got {} keys and {} queries", forest.len(), n_nodes, n_new)
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

/// The dot product; eight running sums let the compiler use vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (x, y) in a8.iter().zip(b8) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// `to += factor · from`.
fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (t, f) in to.iter_mut().zip(from) {
        *t += factor * f;
    }
}

/// Turns scores into probabilities in place.
fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for s in scores.iter_mut() {
        *s = (*s - max).exp();
        sum += *s;
    }
    for s in scores.iter_mut() {
        *s /= sum;
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let data = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&data[from..to]),
        None => bail!("attention wants contiguous tensors"),
    }
}

impl ForestAttention {
    fn forward(&self, sizes: Sizes, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
        let width = sizes.n_heads * sizes.d_head;
        let mut out = vec![0f32; sizes.n_new * width];
        let rows = 32; // enough work a task, few enough to balance
        out.par_chunks_mut(rows * width).enumerate().for_each(|(chunk, out)| {
            let (mut path, mut probs) = (Vec::new(), Vec::new());
            for (i, out) in out.chunks_mut(width).enumerate() {
                let row = chunk * rows + i;
                self.seen(row, &mut path);
                for (head, out) in out.chunks_mut(sizes.d_head).enumerate() {
                    let kv = sizes.kv_head(head);
                    let query = &q[sizes.at(row, sizes.n_heads, head)..][..sizes.d_head];
                    self.probabilities(&sizes, (head, query), k, &path, &mut probs);
                    for (&node, &p) in path.iter().zip(&probs) {
                        add_scaled(
                            out,
                            p,
                            &v[sizes.at(node as usize, sizes.n_kv_heads, kv)..][..sizes.d_head],
                        );
                    }
                }
            }
        });
        out
    }

    /// Writes the nodes that the new node `row` attends to into `path`.
    fn seen(&self, row: usize, path: &mut Vec<u32>) {
        let node = (self.forest.n_past() + row) as u32;
        match self.direction {
            Direction::Causal => self.forest.ancestors(node, self.window.unwrap_or(usize::MAX), path),
            Direction::Bidirectional => {
                path.clear();
                path.extend(self.forest.chain_of(node));
            }
        }
    }

    /// What head `head` gives each node of `path`.
    fn probabilities(
        &self,
        sizes: &Sizes,
        (head, query): (usize, &[f32]),
        k: &[f32],
        path: &[u32],
        probs: &mut Vec<f32>,
    ) {
        let kv = sizes.kv_head(head);
        probs.clear();
        probs.extend(path.iter().map(|&node| {
            self.scale * dot(query, &k[sizes.at(node as usize, sizes.n_kv_heads, kv)..][..sizes.d_head])
        }));
        if let Some(cap) = self.soft_cap {
            probs.iter_mut().for_each(|score| *score = cap * (*score / cap).tanh());
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
        let mut dq = vec![0f32; sizes.n_new * d];
        let mut dk = vec![0f32; sizes.n_nodes * d];
        let mut dv = vec![0f32; sizes.n_nodes * d];
        let (mut path, mut probs, mut dp) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..sizes.n_new {
            self.seen(row, &mut path);
            let from = sizes.at(row, sizes.n_heads, head);
            let (query, grad) = (&q[from..][..d], &grad[from..][..d]);
            self.probabilities(&sizes, (head, query), k, &path, &mut probs);
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

impl CustomOp3 for ForestAttention {
    fn name(&self) -> &'static str {
        "forest-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(&self.forest, q_layout.dims(), k_layout.dims())?;
        let out =
            self.forward(sizes, contiguous(q, q_layout)?, contiguous(k, k_layout)?, contiguous(v, v_layout)?);
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        if self.soft_cap.is_some() {
            bail!("training through a soft-cap on attention is not written")
        }
        let sizes = Sizes::of(&self.forest, q.dims(), k.dims())?;
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
            Some(gather(0, sizes.n_new, sizes.n_heads, q)?),
            Some(gather(1, sizes.n_nodes, sizes.n_kv_heads, k)?),
            Some(gather(2, sizes.n_nodes, sizes.n_kv_heads, v)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

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
}
