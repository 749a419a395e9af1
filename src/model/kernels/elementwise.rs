//! Sums and products of two tensors of the same shape, over all cores.

use super::storage::slice;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// The number of values that a thread computes at a time.
const CHUNK: usize = 1 << 15;

/// An operation on pairs of values.
#[derive(Clone, Copy)]
enum Pairwise {
    Add,
    Multiply,
}

/// `a + b`.
///
/// # Shapes
/// The same for `a`, `b` and the result.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    pair(a, b, Pairwise::Add)
}

/// `a · b`, elementwise.
///
/// # Shapes
/// The same for `a`, `b` and the result.
pub(crate) fn multiply(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    pair(a, b, Pairwise::Multiply)
}

fn pair(a: &Tensor, b: &Tensor, op: Pairwise) -> Result<Tensor> {
    match (a.device().is_cpu(), op) {
        (true, _) => a.contiguous()?.apply_op2(&b.contiguous()?, op),
        (false, Pairwise::Add) => a + b,
        (false, Pairwise::Multiply) => a * b,
    }
}

impl CustomOp2 for Pairwise {
    fn name(&self) -> &'static str {
        "pairs"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        layout_a: &Layout,
        b: &CpuStorage,
        layout_b: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if layout_a.dims() != layout_b.dims() {
            bail!(
                "found tensors of the shapes {:?} and {:?}; expected equal ones",
                layout_a.dims(),
                layout_b.dims()
            )
        }
        let (a, b) = (slice(a, layout_a)?, slice(b, layout_b)?);
        let mut out = vec![0f32; a.len()];
        let chunks = out.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)));
        chunks.for_each(|(out, (a, b))| {
            let each = out.iter_mut().zip(a.iter().zip(b));
            match self {
                Pairwise::Add => each.for_each(|(out, (a, b))| *out = a + b),
                Pairwise::Multiply => each.for_each(|(out, (a, b))| *out = a * b),
            }
        });
        Ok((CpuStorage::F32(out), layout_a.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok(match self {
            Pairwise::Add => (Some(grad.clone()), Some(grad.clone())),
            Pairwise::Multiply => (Some((grad * b)?), Some((grad * a)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn sums_products_and_their_gradients_equal_candles() {
        let var = || Var::randn(0f32, 1f32, (130, 300), &Device::Cpu).unwrap();
        let (a, b, probe) = (var(), var(), var());
        type Of = fn(&Tensor, &Tensor) -> Result<Tensor>;
        let cases: [(Of, Of); 2] = [(add, |a, b| a + b), (multiply, |a, b| a * b)];
        for (ours, theirs) in cases {
            let (ours, theirs) = (ours(&a, &b).unwrap(), theirs(&a, &b).unwrap());
            let gradients =
                |of: &Tensor| (of * probe.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(&ours), values(&theirs));
            let (ours, theirs) = (gradients(&ours), gradients(&theirs));
            for x in [&a, &b] {
                assert_eq!(values(ours.get(x).unwrap()), values(theirs.get(x).unwrap()));
            }
        }
        assert!(add(&a, &b.t().unwrap()).is_err());
    }
}
