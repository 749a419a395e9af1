//! Rotary positions: pairs of a head's dimensions are rotated by an angle that grows with the position.

use super::storage::slice;
use crate::model::spec::{Rotary, RotaryLayout};
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// The cosines and sines of one pass, one row per token.
#[derive(Debug, Clone)]
pub(crate) struct RotaryTable {
    /// `[n_tokens, n_pairs]`, cosine and sine.
    cos_sin: Arc<Vec<(f32, f32)>>,
    n_pairs: usize,
    layout: RotaryLayout,
}

impl RotaryTable {
    /// The table for tokens at these positions.
    pub(crate) fn new(positions: &[u32], rotary: &Rotary) -> RotaryTable {
        let (frequencies, factor) = (rotary.frequencies(), rotary.attention_factor());
        // Position times frequency is rounded to f32 before the cosine, as in Hugging Face.
        let cos_sin = positions
            .iter()
            .flat_map(|&p| frequencies.iter().map(move |f| p as f32 * f))
            .map(|angle| (angle.cos() * factor, angle.sin() * factor))
            .collect();
        RotaryTable { cos_sin: Arc::new(cos_sin), n_pairs: frequencies.len(), layout: rotary.layout }
    }

    /// The rows of the given tokens.
    pub(crate) fn select(&self, tokens: &[u32]) -> RotaryTable {
        let row = |&token: &u32| &self.cos_sin[token as usize * self.n_pairs..][..self.n_pairs];
        RotaryTable { cos_sin: Arc::new(tokens.iter().flat_map(row).copied().collect()), ..*self }
    }

    /// Rotates queries or keys.
    ///
    /// # Shapes
    /// `[n_tokens, heads, d_head]` in and out.
    pub(crate) fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return self.composed(x);
        }
        x.contiguous()?.apply_op1(Rotate { table: self.clone(), sign: 1.0 })
    }

    /// The rotation in candle's operations, for devices other than the CPU.
    fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let (n_tokens, n_heads, d_head) = x.dims3()?;
        let n = self.n_pairs;
        let column = |part: fn(&(f32, f32)) -> f32| {
            let values: Vec<f32> = self.cos_sin.iter().map(part).collect();
            Tensor::from_vec(values, (n_tokens, 1, n), x.device()) // one row for all heads
        };
        let (cos, sin) = (column(|pair| pair.0)?, column(|pair| pair.1)?);
        let rotated = x.narrow(2, 0, 2 * n)?;
        let (a, b) = match self.layout {
            RotaryLayout::Half => (rotated.narrow(2, 0, n)?, rotated.narrow(2, n, n)?),
            RotaryLayout::Interleaved => {
                let pairs = rotated.reshape((n_tokens, n_heads, n, 2))?;
                let side = |i| pairs.narrow(3, i, 1)?.squeeze(3);
                (side(0)?, side(1)?)
            }
        };
        let new_a = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let new_b = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        let rotated = match self.layout {
            RotaryLayout::Half => Tensor::cat(&[new_a, new_b], D::Minus1)?,
            RotaryLayout::Interleaved => {
                Tensor::stack(&[new_a, new_b], 3)?.reshape((n_tokens, n_heads, 2 * n))?
            }
        };
        Tensor::cat(&[rotated, x.narrow(2, 2 * n, d_head - 2 * n)?], D::Minus1)
    }
}

/// Rotates forward (`sign` 1) or back (−1).
struct Rotate {
    table: RotaryTable,
    sign: f32,
}

impl CustomOp1 for Rotate {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, n_heads, d_head) = layout.shape().dims3()?;
        let (n, width, x) = (self.table.n_pairs, n_heads * d_head, slice(x, layout)?);
        let mut out = vec![0f32; x.len()];
        out.par_chunks_mut(width).zip(x.par_chunks(width)).enumerate().for_each(|(token, (row, x))| {
            row.copy_from_slice(x);
            let cos_sin = &self.table.cos_sin[token * n..][..n];
            for head in row.chunks_mut(d_head) {
                for (i, &(cos, sin)) in cos_sin.iter().enumerate() {
                    let (a, b) = match self.table.layout {
                        RotaryLayout::Half => (i, i + n),
                        RotaryLayout::Interleaved => (2 * i, 2 * i + 1),
                    };
                    let (x, y, sin) = (head[a], head[b], sin * self.sign);
                    head[a] = x * cos - y * sin;
                    head[b] = y * cos + x * sin;
                }
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        // The transpose of a rotation is the rotation back.
        let back = Rotate { table: self.table.clone(), sign: -self.sign };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::RotaryScaling;
    use candle_core::{Device, Var};

    fn rotary(layout: RotaryLayout) -> Rotary {
        Rotary { n_rotated: 8, theta: 10_000.0, layout, scaling: RotaryScaling::Nothing }
    }

    #[test]
    fn rotation_keeps_lengths_and_depends_on_relative_positions_alone() {
        for layout in [RotaryLayout::Half, RotaryLayout::Interleaved] {
            let x = Tensor::randn(0f32, 1f32, (1, 2, 12), &Device::Cpu).unwrap();
            let y = Tensor::randn(0f32, 1f32, (1, 2, 12), &Device::Cpu).unwrap();
            let rotated = |t: &Tensor, p: u32| RotaryTable::new(&[p], &rotary(layout)).rotate(t).unwrap();
            let product = |a: u32, b: u32| -> f32 {
                (rotated(&x, a) * rotated(&y, b)).unwrap().sum_all().unwrap().to_scalar().unwrap()
            };
            assert!((product(3, 7) - product(10, 14)).abs() < 1e-4);
            assert!(
                (product(0, 0) - (&x * &y).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()).abs()
                    < 1e-5
            );
            assert!((product(3, 7) - product(3, 8)).abs() > 1e-3);
            let x = Tensor::randn(0f32, 1f32, (4, 2, 12), &Device::Cpu).unwrap();
            let table = RotaryTable::new(&[0, 3, 9, 4], &rotary(layout));
            let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(table.rotate(&x).unwrap()), values(table.composed(&x).unwrap()));
            let last = x.narrow(0, 2, 1).unwrap();
            let of_last = values(table.select(&[2]).rotate(&last).unwrap());
            assert_eq!(of_last, values(table.rotate(&x).unwrap().narrow(0, 2, 1).unwrap()));
        }
    }

    #[test]
    fn the_gradient_is_rotated_back() {
        let x = Var::randn(0f32, 1f32, (3, 2, 8), &Device::Cpu).unwrap();
        let table = RotaryTable::new(&[0, 4, 9], &rotary(RotaryLayout::Half));
        let loss = table.rotate(&x).unwrap().sqr().unwrap().sum_all().unwrap();
        // Lengths are kept, so the gradient of the squared length is 2x.
        let grad = loss.backward().unwrap().get(&x).unwrap().clone();
        let off = (grad - (x.as_tensor() * 2.0).unwrap()).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
    }
}
