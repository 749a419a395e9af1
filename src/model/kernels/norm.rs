//! LayerNorm and RMSNorm, row by row, in f32.

use super::simd;
use super::storage::slice;
use crate::model::spec::NormKind;
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// A norm with its weight and bias.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    pub(crate) kind: NormKind,
    pub(crate) eps: f64,
    /// All ones if the kind has no weight.
    pub(crate) weight: Tensor,
    /// In the weight's shape; all zeros if the kind has no bias.
    pub(crate) bias: Tensor,
}

impl Norm {
    /// Normalises each row.
    ///
    /// # Shapes
    /// `[.., width]` in and out, `width` being the weight's last dimension; a weight of several rows applies to the
    /// rows in turn, as for heads with their own weights.
    pub(crate) fn forward(&self, stream: &Tensor) -> Result<Tensor> {
        if !stream.device().is_cpu() {
            return self.composed(stream);
        }
        let width = self.weight.dim(D::Minus1)?;
        let op = NormRows { kind: self.kind, eps: self.eps as f32, width };
        stream.contiguous()?.apply_op3(&self.weight, &self.bias, op)
    }

    /// The norm in candle's operations, for devices other than the CPU.
    fn composed(&self, stream: &Tensor) -> Result<Tensor> {
        let centred = match self.kind.is_centred() {
            true => stream.broadcast_sub(&stream.mean_keepdim(D::Minus1)?)?,
            false => stream.clone(),
        };
        let scale = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        let weight = match self.kind {
            NormKind::RmsNormPlusOne => (&self.weight + 1.0)?,
            _ => self.weight.clone(),
        };
        centred.broadcast_div(&scale)?.broadcast_mul(&weight)?.broadcast_add(&self.bias)
    }
}

/// The operation on the CPU.
struct NormRows {
    kind: NormKind,
    eps: f32,
    width: usize,
}

impl NormRows {
    /// The row's mean, or 0, and the reciprocal of its scale.
    #[inline(always)]
    fn moments(&self, row: &[f32]) -> (f32, f32) {
        let n = row.len() as f32;
        let centre = if self.kind.is_centred() { simd::sum(row) / n } else { 0.0 };
        let variance = simd::squares(row, centre) / n;
        (centre, 1.0 / (variance + self.eps).sqrt())
    }

    /// The number that is added to the weight before the product.
    fn weight_offset(&self) -> f32 {
        if self.kind == NormKind::RmsNormPlusOne { 1.0 } else { 0.0 }
    }
}

/// Rows of a stream that are normalised into `out`.
struct SomeRows<'a> {
    norm: &'a NormRows,
    out: &'a mut [f32],
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
}

impl WithSimd for SomeRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (d, offset) = (self.norm.width, self.norm.weight_offset());
        let params = self.weight.chunks_exact(d).zip(self.bias.chunks_exact(d)).cycle();
        let rows = self.out.chunks_exact_mut(d).zip(self.x.chunks_exact(d));
        for ((out, x), (weight, bias)) in rows.zip(params) {
            let (centre, scale) = self.norm.moments(x);
            for ((out, x), (w, b)) in out.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
                *out = (x - centre) * scale * (w + offset) + b;
            }
        }
    }
}

impl CustomOp3 for NormRows {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout_x: &Layout,
        weight: &CpuStorage,
        layout_weight: &Layout,
        bias: &CpuStorage,
        layout_bias: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight, bias) =
            (slice(x, layout_x)?, slice(weight, layout_weight)?, slice(bias, layout_bias)?);
        let (arch, mut out) = (Arch::new(), vec![0f32; x.len()]);
        let chunk = weight.len() * 16;
        out.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(out, x)| {
            arch.dispatch(SomeRows { norm: self, out, x, weight, bias });
        });
        Ok((CpuStorage::F32(out), layout_x.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let flat = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let (xs, mut ws, gs) = (flat(x)?, flat(weight)?, flat(grad)?);
        ws.iter_mut().for_each(|w| *w += self.weight_offset());
        let (all, d) = (ws.len(), self.width);
        let mut dx = vec![0f32; xs.len()];
        let partial: Vec<Vec<f32>> = dx
            .par_chunks_mut(all * 64)
            .zip(xs.par_chunks(all * 64).zip(gs.par_chunks(all * 64)))
            .map(|(dx, (x, g))| {
                let mut dw = vec![0f32; all];
                let rows = dx.chunks_mut(d).zip(x.chunks(d).zip(g.chunks(d)));
                for (row, (dx, (x, g))) in rows.enumerate() {
                    let of_row = row * d % all..row * d % all + d;
                    self.backward_row(RowGradient { x, w: &ws[of_row.clone()], g }, dx, &mut dw[of_row]);
                }
                dw
            })
            .collect();
        let mut dw = vec![0f32; all];
        for part in partial {
            dw.iter_mut().zip(part).for_each(|(a, b)| *a += b);
        }
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), x.device())?),
            weight.track_op().then(|| Tensor::from_vec(dw, weight.shape(), weight.device())).transpose()?,
            match bias.track_op() {
                true => Some(grad.reshape(((), all))?.sum(0)?.reshape(weight.shape())?), // [.., width] -> [width]
                false => None,
            },
        ))
    }
}

/// The inputs of one row's gradient: row, weight, and gradient of the output.
struct RowGradient<'a> {
    x: &'a [f32],
    w: &'a [f32],
    g: &'a [f32],
}

impl NormRows {
    /// Writes the gradient of one row to `dx`, and adds its part of the weight's gradient to `dw`.
    ///
    /// With `n = (x − centre) · scale`: `dx = scale · (g·w − mean(g·w)* − n · mean(g·w·n))`, where the
    /// starred mean belongs to LayerNorm only.
    fn backward_row(&self, row: RowGradient, dx: &mut [f32], dw: &mut [f32]) {
        let RowGradient { x, w, g } = row;
        let (centre, scale) = self.moments(x);
        let d = x.len() as f32;
        let (mut sum, mut sum_n) = (0f32, 0f32);
        for i in 0..x.len() {
            let n = (x[i] - centre) * scale;
            dw[i] += g[i] * n;
            sum += g[i] * w[i];
            sum_n += g[i] * w[i] * n;
        }
        let mean = if self.kind.is_centred() { sum / d } else { 0.0 };
        for i in 0..x.len() {
            let n = (x[i] - centre) * scale;
            dx[i] = scale * (g[i] * w[i] - mean - n * sum_n / d);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn forward_and_gradients_equal_the_composed_norms() {
        let x = Var::randn(0.3f32, 1.5f32, (70, 24), &Device::Cpu).unwrap();
        let weight = Var::randn(1f32, 0.2f32, 24, &Device::Cpu).unwrap();
        let bias = Var::randn(0f32, 0.2f32, 24, &Device::Cpu).unwrap();
        let probe = Tensor::randn(0f32, 1f32, (70, 24), &Device::Cpu).unwrap();
        for kind in [NormKind::LayerNorm, NormKind::RmsNorm] {
            let norm =
                Norm { kind, eps: 1e-5, weight: weight.as_tensor().clone(), bias: bias.as_tensor().clone() };
            let ours = norm.forward(&x).unwrap();
            let theirs = match kind {
                NormKind::LayerNorm => candle_nn::ops::layer_norm_slow(&x, &weight, &bias, 1e-5).unwrap(),
                _ => candle_nn::ops::rms_norm_slow(&x, &weight, 1e-5).unwrap().broadcast_add(&bias).unwrap(),
            };
            let worst = |a: &Tensor, b: &Tensor| -> f32 {
                (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
            };
            assert!(worst(&ours, &theirs) < 1e-5);
            assert!(worst(&ours, &norm.composed(&x).unwrap()) < 1e-5);
            let a = (&ours * &probe).unwrap().sum_all().unwrap().backward().unwrap();
            let b = (&theirs * &probe).unwrap().sum_all().unwrap().backward().unwrap();
            assert!(worst(a.get(&x).unwrap(), b.get(&x).unwrap()) < 1e-4);
            assert!(worst(a.get(&weight).unwrap(), b.get(&weight).unwrap()) < 1e-4);
            assert!(worst(a.get(&bias).unwrap(), b.get(&bias).unwrap()) < 1e-4);
        }
    }

    #[test]
    fn gradients_of_norms_per_head_and_of_one_plus_weight_equal_the_composed_ones() {
        let x = Var::randn(0.3f32, 1.5f32, (70, 3, 8), &Device::Cpu).unwrap();
        let probe = Tensor::randn(0f32, 1f32, (70, 3, 8), &Device::Cpu).unwrap();
        for (kind, shape) in [
            (NormKind::RmsNormPlusOne, vec![8]),
            (NormKind::RmsNorm, vec![3, 8]),
            (NormKind::LayerNormNoBias, vec![3, 8]),
        ] {
            let weight = Var::randn(1f32, 0.2f32, shape, &Device::Cpu).unwrap();
            let bias = weight.zeros_like().unwrap();
            let norm = Norm { kind, eps: 1e-5, weight: weight.as_tensor().clone(), bias };
            let gradients = |y: Tensor| (y * &probe).unwrap().sum_all().unwrap().backward().unwrap();
            let (a, b) = (gradients(norm.forward(&x).unwrap()), gradients(norm.composed(&x).unwrap()));
            for of in [x.as_tensor(), weight.as_tensor()] {
                let off = (a.get(of).unwrap() - b.get(of).unwrap()).unwrap().abs().unwrap();
                let off = off.max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(off < 1e-4, "{kind:?} {:?}: {off}", of.dims());
            }
        }
    }

    #[test]
    fn a_weight_per_head_applies_to_the_heads_in_turn_and_plus_one_adds_one() {
        let x = Tensor::randn(0f32, 1f32, (3, 2, 8), &Device::Cpu).unwrap();
        let weight = Tensor::randn(0f32, 1f32, (2, 8), &Device::Cpu).unwrap();
        let norm = |kind, weight: Tensor| {
            let bias = weight.zeros_like().unwrap();
            Norm { kind, eps: 1e-5, weight, bias }
        };
        let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let all = norm(NormKind::LayerNormNoBias, weight.clone()).forward(&x).unwrap();
        for head in 0..2 {
            let one = norm(NormKind::LayerNormNoBias, weight.get(head).unwrap());
            let of_head = x.narrow(1, head, 1).unwrap();
            assert_eq!(values(one.forward(&of_head).unwrap()), values(all.narrow(1, head, 1).unwrap()));
        }
        assert!(
            values((norm(NormKind::LayerNormNoBias, weight.clone()).composed(&x).unwrap() - &all).unwrap())
                .iter()
                .all(|off| off.abs() < 1e-5)
        );
        let more = norm(NormKind::RmsNorm, (weight.clone() + 1.0).unwrap()).forward(&x).unwrap();
        assert_eq!(values(norm(NormKind::RmsNormPlusOne, weight).forward(&x).unwrap()), values(more));
    }
}
