//! Sums and products of two tensors of one shape, over all cores.

use super::affine::slice;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Numbers that one task takes at a time.
const AT_ONCE: usize = 1 << 15;

#[derive(Clone, Copy)]
enum Pairs {
    Added,
    Multiplied,
}

/// `a + b`.
///
/// # Shapes
/// Both alike, and so the result.
pub(super) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    pair(a, b, Pairs::Added)
}

/// `a · b`, number by number.
///
/// # Shapes
/// Both alike, and so the result.
pub(super) fn multiply(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    pair(a, b, Pairs::Multiplied)
}

fn pair(a: &Tensor, b: &Tensor, pairs: Pairs) -> Result<Tensor> {
    match (a.device().is_cpu(), pairs) {
        (true, _) => a.contiguous()?.apply_op2(&b.contiguous()?, pairs),
        (false, Pairs::Added) => a + b,
        (false, Pairs::Multiplied) => a * b,
    }
}

impl CustomOp2 for Pairs {
    fn name(&self) -> &'static str {
        "pairs"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        of_a: &Layout,
        b: &CpuStorage,
        of_b: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if of_a.dims() != of_b.dims() {
            bail!("tensors of shapes {:?} and {:?} do not pair", of_a.dims(), of_b.dims())
        }
        let (a, b) = (slice(a, of_a)?, slice(b, of_b)?);
        let mut out = vec![0f32; a.len()];
        let parts = out.par_chunks_mut(AT_ONCE).zip(a.par_chunks(AT_ONCE).zip(b.par_chunks(AT_ONCE)));
        parts.for_each(|(out, (a, b))| {
            let each = out.iter_mut().zip(a.iter().zip(b));
            match self {
                Pairs::Added => each.for_each(|(out, (a, b))| *out = a + b),
                Pairs::Multiplied => each.for_each(|(out, (a, b))| *out = a * b),
            }
        });
        Ok((CpuStorage::F32(out), of_a.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok(match self {
            Pairs::Added => (Some(grad.clone()), Some(grad.clone())),
            Pairs::Multiplied => (Some((grad * b)?), Some((grad * a)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn sums_products_and_their_gradients_are_candles() {
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
