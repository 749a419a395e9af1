//! `activation(x · wᵀ + b)` over the rows of a stream, perhaps times a gate, in f32 on the CPU.

use super::bf16::PackedBf16;
use super::quantised::Blocks;
use super::spec::Activation;
use super::weight_rows::{FEW, Numbers, Rows, few};
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail,
};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Output columns of one product for each of the threads: sums that are taken up again for the next inputs, and finished
/// in the end, are then still near; weights in fewer bits take only this many rows of f32. Two times as many as the
/// kernels for AVX-512 take at once.
const BLOCK: usize = 192;

/// A matrix product with what follows it; products are f32 whatever the weights lie in.
///
/// # Shapes
/// `x` `[n, in]`, `w` `[out, in]`, `b` `[out]`; the result is `[n, out]`.
#[derive(Default)]
pub(super) struct Affine {
    pub activation: Option<Activation>,
    /// What each number is multiplied by in the end, `[n, out]`; it has no gradient.
    pub gate: Option<Tensor>,
}

/// A tensor's numbers on the CPU, in the order of its rows.
pub(super) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("found a tensor that is not contiguous"),
    }
}

/// The same, of a tensor that may lie elsewhere.
pub(super) fn on_cpu<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => slice(storage, layout),
        _ => bail!("found a gate or a bias on another device"),
    }
}

/// Some columns of rows that are `of` wide.
#[derive(Clone, Copy)]
struct Columns {
    from: usize,
    to: usize,
    of: usize,
}

/// What follows a product, on some rows.
struct Finish<'a> {
    out: &'a mut [f32],
    columns: Columns,
    b: Option<&'a [f32]>,
    activation: Option<Activation>,
    /// As long as `out`, or nothing.
    gate: &'a [f32],
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Columns { from, to, of } = self.columns;
        for (i, row) in self.out.chunks_exact_mut(of).enumerate() {
            let row = &mut row[from..to];
            if let Some(b) = self.b {
                row.iter_mut().zip(&b[from..to]).for_each(|(y, b)| *y += b);
            }
            if let Some(activation) = self.activation {
                activation.apply_to(row);
            }
            if let Some(gate) = self.gate.get(i * of + from..i * of + to) {
                row.iter_mut().zip(gate).for_each(|(y, gate)| *y *= gate);
            }
        }
    }
}

impl Affine {
    fn forward(
        &self,
        (x, shape): (&[f32], &Layout),
        w: Rows,
        b: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let ((n, d_in), d_out) = (shape.shape().dims2()?, w.d_out);
        if d_in != w.d_in {
            bail!("a stream {d_in} wide meets weights for {}", w.d_in)
        }
        if (1..=FEW).contains(&n) && d_in > 0 {
            let mut out = few(x, &[w]).pop().unwrap_or_default();
            self.finish(&mut out, Columns { from: 0, to: d_out, of: d_out }, b)?;
            return Ok((CpuStorage::F32(out), (n, d_out).into()));
        }
        let mut out = vec![0f32; n * d_out];
        let mut wide = Vec::new();
        let block = BLOCK * rayon::current_num_threads();
        for from in (0..d_out).step_by(block) {
            let width = block.min(d_out - from);
            let rows = w.f32(from..from + width, &mut wide);
            let product = MatMut::from_row_major_slice_mut(&mut out, n, d_out).subcols_mut(from, width);
            let (x, w) =
                (MatRef::from_row_major_slice(x, n, d_in), MatRef::from_row_major_slice(rows, width, d_in));
            matmul(product, Accum::Replace, x, w.transpose(), 1.0, Par::rayon(0)); // [n, in] · [in, width]
            self.finish(&mut out, Columns { from, to: from + width, of: d_out }, b)?;
        }
        Ok((CpuStorage::F32(out), (n, d_out).into()))
    }

    /// Adds bias, activation and gate to a product whose every column is there.
    pub(super) fn finish_all(&self, out: &mut [f32], d_out: usize, b: Option<&Tensor>) -> Result<()> {
        let held = b.map(Tensor::storage_and_layout);
        let b = held.as_ref().map(|(storage, layout)| on_cpu(storage, layout)).transpose()?;
        self.finish(out, Columns { from: 0, to: d_out, of: d_out }, b)
    }

    /// Adds the bias to some columns, applies the activation, and multiplies by the gate.
    fn finish(&self, out: &mut [f32], columns: Columns, b: Option<&[f32]>) -> Result<()> {
        if b.is_none() && self.activation.is_none() && self.gate.is_none() {
            return Ok(());
        }
        let held = self.gate.as_ref().map(Tensor::storage_and_layout);
        let gate = match held.as_ref() {
            Some((storage, layout)) => on_cpu(storage, layout)?,
            None => &[],
        };
        if !gate.is_empty() && gate.len() != out.len() {
            bail!("a gate of {} numbers meets {}", gate.len(), out.len())
        }
        let (arch, at_once) = (Arch::new(), 16 * columns.of);
        out.par_chunks_mut(at_once).enumerate().for_each(|(part, out)| {
            let gate = gate.get(part * at_once..).map_or(&[][..], |rest| &rest[..out.len().min(rest.len())]);
            arch.dispatch(Finish { out, columns, b, activation: self.activation, gate });
        });
        Ok(())
    }

    /// The gradient before the activation, for which the product is taken once more.
    fn before_activation(&self, [x, w]: [&Tensor; 2], b: Option<&Tensor>, grad: &Tensor) -> Result<Tensor> {
        if self.gate.is_some() {
            bail!("a gated product has no gradient")
        }
        let Some(activation) = self.activation else { return Ok(grad.clone()) };
        let mut before = x.matmul(&w.t()?)?;
        if let Some(b) = b {
            before = before.broadcast_add(b)?;
        }
        let mut slopes = before.flatten_all()?.to_vec1::<f32>()?;
        slopes.par_iter_mut().for_each(|x| *x = activation.slope(*x));
        grad * Tensor::from_vec(slopes, grad.shape(), grad.device())?
    }
}

/// The gradients of `x` and `w` from that of their product.
fn gradients([x, w]: [&Tensor; 2], grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
    if w.dtype() != DType::F32 {
        bail!("training wants weights in f32")
    }
    Ok((Some(grad.matmul(w)?), Some(grad.t()?.matmul(x)?)))
}

impl CustomOp2 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        of_x: &Layout,
        w: &CpuStorage,
        of_w: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((slice(x, of_x)?, of_x), Rows::of(w, of_w)?, None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        gradients([x, w], &self.before_activation([x, w], None, grad)?)
    }
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        of_x: &Layout,
        w: &CpuStorage,
        of_w: &Layout,
        b: &CpuStorage,
        of_b: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((slice(x, of_x)?, of_x), Rows::of(w, of_w)?, Some(slice(b, of_b)?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = self.before_activation([x, w], Some(b), grad)?;
        let (of_x, of_w) = gradients([x, w], &grad)?;
        Ok((of_x, of_w, Some(grad.sum(0)?)))
    }
}

/// The same with a matrix that is no tensor; it has no gradient.
pub(super) struct Stored {
    pub op: Affine,
    pub w: StoredMatrix,
    pub b: Option<Tensor>,
}

/// A matrix that is no tensor.
pub(super) enum StoredMatrix {
    Blocks(Blocks),
    Bf16(PackedBf16),
}

impl CustomOp1 for Stored {
    fn name(&self) -> &'static str {
        "affine of a stored matrix"
    }

    fn cpu_fwd(&self, x: &CpuStorage, of_x: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(x, of_x)?;
        let held = self.b.as_ref().map(Tensor::storage_and_layout);
        let b = held.as_ref().map(|(storage, layout)| on_cpu(storage, layout)).transpose()?;
        match &self.w {
            StoredMatrix::Blocks(blocks) => {
                let [d_out, d_in] = blocks.dims();
                self.op.forward((x, of_x), Rows { numbers: Numbers::Blocks(blocks), d_out, d_in }, b)
            }
            StoredMatrix::Bf16(packed) => {
                let (n, [d_out, _]) = (of_x.shape().dims2()?.0, packed.dims());
                let mut out = packed.product(x, n)?;
                self.op.finish(&mut out, Columns { from: 0, to: d_out, of: d_out }, b)?;
                Ok((CpuStorage::F32(out), (n, d_out).into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn worst(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    fn composed(x: &Tensor, w: &Tensor, b: Option<&Tensor>, activation: Option<Activation>) -> Tensor {
        let mut y = x.matmul(&w.t().unwrap()).unwrap();
        if let Some(b) = b {
            y = y.broadcast_add(b).unwrap();
        }
        activation.map_or(y.clone(), |activation| activation.composed(&y).unwrap())
    }

    #[test]
    fn values_and_gradients_are_those_of_candles_steps() {
        let var = |shape: &[usize]| Var::randn(0f32, 0.5f32, shape, &Device::Cpu).unwrap();
        // Many rows and few; wider than one block of columns, and not a whole number of blocks.
        for n in [37, 1, 3] {
            values_and_gradients(var(&[n, 20]), var(&[1100, 20]), var(&[1100]), var(&[n, 1100]));
        }
    }

    fn values_and_gradients(x: Var, w: Var, b: Var, probe: Var) {
        let activations = [None, Some(Activation::Gelu), Some(Activation::GeluTanh), Some(Activation::Silu)];
        for activation in activations {
            for bias in [None, Some(b.as_tensor())] {
                let ours = match bias {
                    Some(b) => x.apply_op3(&w, b, Affine { activation, gate: None }).unwrap(),
                    None => x.apply_op2(&w, Affine { activation, gate: None }).unwrap(),
                };
                let theirs = composed(&x, &w, bias, activation);
                assert!(worst(&ours, &theirs) < 1e-5, "{activation:?}: {}", worst(&ours, &theirs));
                let gradients = |y: &Tensor| (y * probe.as_tensor()).unwrap().sum_all().unwrap().backward();
                let (ours, theirs) = (gradients(&ours).unwrap(), gradients(&theirs).unwrap());
                let wanted = [Some(x.as_tensor()), Some(w.as_tensor()), bias];
                for of in wanted.into_iter().flatten() {
                    let (a, b) = (ours.get(of).unwrap(), theirs.get(of).unwrap());
                    assert!(worst(a, b) < 1e-4, "gradient {:?} {activation:?}: {}", of.shape(), worst(a, b));
                }
            }
        }
    }

    #[test]
    fn a_gate_multiplies_what_comes_out() {
        let normal = |shape: &[usize]| Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap();
        for n in [1, 3, 50] {
            let (x, w, b, gate) =
                (normal(&[n, 20]), normal(&[1100, 20]), normal(&[1100]), normal(&[n, 1100]));
            let gated = || Affine { activation: None, gate: Some(gate.clone()) };
            let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let with_bias = (x.apply_op3(&w, &b, Affine::default()).unwrap() * &gate).unwrap();
            assert_eq!(values(x.apply_op3(&w, &b, gated()).unwrap()), values(with_bias));
            let without = (x.apply_op2(&w, Affine::default()).unwrap() * &gate).unwrap();
            assert_eq!(values(x.apply_op2(&w, gated()).unwrap()), values(without));
            let narrow = Affine {
                activation: None,
                gate: Some(gate.narrow(1, 0, 1000).unwrap().contiguous().unwrap()),
            };
            assert!(x.apply_op2(&w, narrow).unwrap_err().to_string().contains("a gate of"));
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let normal = |shape: &[usize]| Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap();
        let (x, w, b) = (normal(&[333, 700]), normal(&[1500, 700]), normal(&[1500]));
        let with = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            let y = pool
                .install(|| x.apply_op3(&w, &b, Affine { activation: Some(Activation::Gelu), gate: None }));
            y.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let one = with(1);
        for n in [2, 3, 8] {
            assert!(with(n) == one, "{n} threads");
        }
    }

    #[test]
    fn sixteen_bit_weights_multiply_as_their_widened_selves() {
        let all = Tensor::randn(0f32, 1f32, (9, 33), &Device::Cpu).unwrap();
        let x = all.clone();
        for (dtype, n) in [(DType::F16, 9), (DType::BF16, 9), (DType::F16, 1), (DType::BF16, 2)] {
            let x = all.narrow(0, 0, n).unwrap();
            let w = Tensor::randn(0f32, 1f32, (1030, 33), &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let ours = x.apply_op2(&w, Affine::default()).unwrap();
            let theirs = composed(&x, &w.to_dtype(DType::F32).unwrap(), None, None);
            assert!(worst(&ours, &theirs) < 1e-5);
        }
        assert!(
            x.apply_op2(&Tensor::ones((4, 32), DType::F32, &Device::Cpu).unwrap(), Affine::default())
                .is_err()
        );
    }
}
