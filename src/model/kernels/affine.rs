//! Matrix products with bias, activation and gate: `activation(x · wᵀ + b) · gate` over the rows of a stream, in f32 on
//! the CPU.

use super::bf16::PackedBf16;
use super::quantised::QuantisedMatrix;
use super::storage::{slice, with_values};
use super::weight_rows::{FEW_ROWS, Values, WeightRows, products_of_few};
use crate::model::spec::ActivationFn;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Error, Layout, Result, Shape, Tensor, bail,
};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Output columns per thread in one product. They are so few that the sums stay in the cache until bias and activation
/// are applied, and that the buffer for weights converted to f32 is small. It is twice the number of columns that the
/// AVX-512 kernels compute at once.
const BLOCK: usize = 192;

/// A matrix product with the operations after it; products are in f32 for weights of every type.
///
/// # Shapes
/// `x` `[n, in]`, `w` `[out, in]`, `b` `[out]`; the result is `[n, out]`.
#[derive(Default)]
pub(crate) struct Affine {
    pub(crate) activation: Option<ActivationFn>,
    /// A factor for each output, `[n, out]`; gradients are not implemented with a gate.
    pub(crate) gate: Option<Tensor>,
}

/// Consecutive columns of a row-major matrix.
#[derive(Clone, Copy)]
struct Columns {
    from: usize,
    to: usize,
    /// Width of the whole matrix.
    width: usize,
}

impl Columns {
    fn all(width: usize) -> Columns {
        Columns { from: 0, to: width, width }
    }
}

/// The operations on the rows of a product: bias, activation and gate.
struct Finish<'a> {
    out: &'a mut [f32],
    columns: Columns,
    b: Option<&'a [f32]>,
    activation: Option<ActivationFn>,
    /// As long as `out`, or empty.
    gate: &'a [f32],
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Columns { from, to, width } = self.columns;
        for (i, row) in self.out.chunks_exact_mut(width).enumerate() {
            let row = &mut row[from..to];
            if let Some(b) = self.b {
                row.iter_mut().zip(&b[from..to]).for_each(|(y, b)| *y += b);
            }
            if let Some(activation) = self.activation {
                activation.apply_to(row);
            }
            if let Some(gate) = self.gate.get(i * width + from..i * width + to) {
                row.iter_mut().zip(gate).for_each(|(y, gate)| *y *= gate);
            }
        }
    }
}

/// The rows of a stream on the CPU.
struct Stream<'a> {
    values: &'a [f32],
    n: usize,
    width: usize,
}

impl<'a> Stream<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Stream<'a>> {
        let values = slice(storage, layout)?;
        let (n, width) = layout.shape().dims2()?;
        Ok(Stream { values, n, width })
    }
}

impl Affine {
    fn forward(&self, x: &Stream, w: WeightRows, b: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let (n, d_in, d_out) = (x.n, x.width, w.d_out);
        if d_in != w.d_in {
            bail!("the stream is {d_in} wide; the weights need {}", w.d_in)
        }
        if (1..=FEW_ROWS).contains(&n) && d_in > 0 {
            let mut out = products_of_few(x.values, &[w]).pop().unwrap_or_default();
            self.finish(&mut out, Columns::all(d_out), b)?;
            return Ok((CpuStorage::F32(out), (n, d_out).into()));
        }
        let mut out = vec![0f32; n * d_out];
        let mut buffer = Vec::new();
        let block = BLOCK * rayon::current_num_threads();
        for from in (0..d_out).step_by(block) {
            let width = block.min(d_out - from);
            let rows = w.f32(from..from + width, &mut buffer);
            let product = MatMut::from_row_major_slice_mut(&mut out, n, d_out).subcols_mut(from, width);
            let x = MatRef::from_row_major_slice(x.values, n, d_in);
            let w = MatRef::from_row_major_slice(rows, width, d_in);
            matmul(product, Accum::Replace, x, w.transpose(), 1.0, Par::rayon(0)); // [n, in] · [in, width]
            self.finish(&mut out, Columns { from, to: from + width, width: d_out }, b)?;
        }
        Ok((CpuStorage::F32(out), (n, d_out).into()))
    }

    /// Applies bias, activation and gate to a complete product.
    pub(super) fn finish_all(&self, out: &mut [f32], d_out: usize, b: Option<&Tensor>) -> Result<()> {
        with_values(b, |b| self.finish(out, Columns::all(d_out), b))
    }

    /// Adds the bias to the given columns, applies the activation, and multiplies by the gate.
    fn finish(&self, out: &mut [f32], columns: Columns, b: Option<&[f32]>) -> Result<()> {
        if b.is_none() && self.activation.is_none() && self.gate.is_none() {
            return Ok(());
        }
        with_values(self.gate.as_ref(), |gate| {
            let gate = gate.unwrap_or_default();
            if !gate.is_empty() && gate.len() != out.len() {
                bail!("a gate of {} values for {} outputs", gate.len(), out.len())
            }
            let (arch, chunk) = (Arch::new(), 16 * columns.width);
            out.par_chunks_mut(chunk).enumerate().for_each(|(part, out)| {
                let gate =
                    gate.get(part * chunk..).map_or(&[][..], |rest| &rest[..out.len().min(rest.len())]);
                arch.dispatch(Finish { out, columns, b, activation: self.activation, gate });
            });
            Ok(())
        })
    }

    /// The gradient of the activation's input, from the gradient of its output; the product is computed again.
    fn before_activation(&self, inputs: [&Tensor; 2], b: Option<&Tensor>, grad: &Tensor) -> Result<Tensor> {
        if self.gate.is_some() {
            bail!("the gradient of a gated product is not implemented")
        }
        let Some(activation) = self.activation else { return Ok(grad.clone()) };
        let [x, w] = inputs;
        let mut before = x.matmul(&w.to_dtype(DType::F32)?.t()?)?;
        if let Some(b) = b {
            before = before.broadcast_add(b)?;
        }
        let mut slopes = before.flatten_all()?.to_vec1::<f32>()?;
        slopes.par_iter_mut().for_each(|x| *x = activation.slope(*x));
        grad * Tensor::from_vec(slopes, grad.shape(), grad.device())?
    }
}

/// The gradients of `x` and `w` from that of their product; `None` for an input that does not need one.
fn gradients(inputs: [&Tensor; 2], grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let [x, w] = inputs;
    if w.track_op() && w.dtype() != DType::F32 {
        bail!("training needs weights in f32")
    }
    let of_x = x.track_op().then(|| grad.matmul(&w.to_dtype(DType::F32)?)).transpose()?;
    let of_w = w.track_op().then(|| grad.t()?.matmul(x)).transpose()?;
    Ok((of_x, of_w))
}

impl CustomOp2 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout_x: &Layout,
        w: &CpuStorage,
        layout_w: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(&Stream::new(x, layout_x)?, WeightRows::new(w, layout_w)?, None)
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
        layout_x: &Layout,
        w: &CpuStorage,
        layout_w: &Layout,
        b: &CpuStorage,
        layout_b: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let b = slice(b, layout_b)?;
        self.forward(&Stream::new(x, layout_x)?, WeightRows::new(w, layout_w)?, Some(b))
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
        let (grad_x, grad_w) = gradients([x, w], &grad)?;
        let grad_b = b.track_op().then(|| grad.sum(0)).transpose()?;
        Ok((grad_x, grad_w, grad_b))
    }
}

/// [`Affine`] with a matrix that is not a candle tensor; only the stream has a gradient.
pub(super) struct PackedAffine {
    pub(super) op: Affine,
    pub(super) w: PackedMatrix,
    pub(super) b: Option<Tensor>,
}

/// A matrix that is not a candle tensor.
pub(super) enum PackedMatrix {
    Quantised(QuantisedMatrix),
    Bf16(PackedBf16),
}

impl CustomOp1 for PackedAffine {
    fn name(&self) -> &'static str {
        "affine of a stored matrix"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout_x: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = Stream::new(x, layout_x)?;
        with_values(self.b.as_ref(), |b| match &self.w {
            PackedMatrix::Quantised(blocks) => {
                let [d_out, d_in] = blocks.dims();
                self.op.forward(&x, WeightRows { values: Values::Quantised(blocks), d_out, d_in }, b)
            }
            PackedMatrix::Bf16(packed) => {
                let [d_out, _] = packed.dims();
                let mut out = packed.product(x.values, x.n)?;
                self.op.finish(&mut out, Columns::all(d_out), b)?;
                Ok((CpuStorage::F32(out), (x.n, d_out).into()))
            }
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let w = match &self.w {
            PackedMatrix::Quantised(blocks) => blocks.dense().map_err(Error::wrap)?,
            // The product rounds the stream, so that it has no gradient.
            PackedMatrix::Bf16(_) => bail!("gradients need products in f32"),
        };
        let grad = self.op.before_activation([x, &w], self.b.as_ref(), grad)?;
        grad.matmul(&w).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn worst(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    fn composed(x: &Tensor, w: &Tensor, b: Option<&Tensor>, activation: Option<ActivationFn>) -> Tensor {
        let mut y = x.matmul(&w.t().unwrap()).unwrap();
        if let Some(b) = b {
            y = y.broadcast_add(b).unwrap();
        }
        activation.map_or(y.clone(), |activation| activation.composed(&y).unwrap())
    }

    #[test]
    fn values_and_gradients_equal_candles() {
        let var = |shape: &[usize]| Var::randn(0f32, 0.5f32, shape, &Device::Cpu).unwrap();
        // Many rows and few; 1100 columns are several blocks on up to five threads, the last of them incomplete.
        for n in [37, 1, 3] {
            values_and_gradients(var(&[n, 20]), var(&[1100, 20]), var(&[1100]), var(&[n, 1100]));
        }
    }

    fn values_and_gradients(x: Var, w: Var, b: Var, probe: Var) {
        let activations =
            [None, Some(ActivationFn::Gelu), Some(ActivationFn::GeluTanh), Some(ActivationFn::Silu)];
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
    fn a_gate_multiplies_the_outputs() {
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
    fn the_number_of_threads_changes_no_bit() {
        let normal = |shape: &[usize]| Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap();
        let (x, w, b) = (normal(&[333, 700]), normal(&[1500, 700]), normal(&[1500]));
        let with = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            let y = pool
                .install(|| x.apply_op3(&w, &b, Affine { activation: Some(ActivationFn::Gelu), gate: None }));
            y.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let one = with(1);
        for n in [2, 3, 8] {
            assert!(with(n) == one, "{n} threads");
        }
    }

    #[test]
    fn sixteen_bit_weights_multiply_as_the_same_weights_in_f32() {
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
