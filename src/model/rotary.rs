//! Rotary positions: pairs of a head's dimensions turned by an angle that grows with the position.

use super::spec::RotaryLayout;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::sync::Arc;

/// The cosines and sines of one pass: a row a token.
#[derive(Debug, Clone)]
pub(super) struct Rotary {
    /// `[n_tokens, n_rotated / 2]`, cosine and sine.
    turns: Arc<Vec<(f32, f32)>>,
    n_pairs: usize,
    layout: RotaryLayout,
}

impl Rotary {
    /// The turns for tokens at these positions.
    pub fn at(positions: &[u32], n_rotated: usize, theta: f64, layout: RotaryLayout) -> Rotary {
        let n_pairs = n_rotated / 2;
        // f32 steps, as Hugging Face takes them: position times frequency is rounded before the cosine.
        let frequencies: Vec<f32> =
            (0..n_pairs).map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / n_rotated as f32)).collect();
        let turns = positions
            .iter()
            .flat_map(|&p| frequencies.iter().map(move |f| p as f32 * f))
            .map(|angle| (angle.cos(), angle.sin()))
            .collect();
        Rotary { turns: Arc::new(turns), n_pairs, layout }
    }

    /// # Shapes
    /// `[n_tokens, heads, d_head]` in and out.
    pub fn turn(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(Turn { rotary: self.clone(), sense: 1.0 })
    }
}

/// Turns forward (`sense` 1) or back (−1).
struct Turn {
    rotary: Rotary,
    sense: f32,
}

impl CustomOp1 for Turn {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("rotary wants contiguous tensors") };
        let (_, n_heads, d_head) = layout.shape().dims3()?;
        let mut out = x.as_slice::<f32>()?[from..to].to_vec();
        let n = self.rotary.n_pairs;
        out.par_chunks_mut(n_heads * d_head).enumerate().for_each(|(token, row)| {
            let turns = &self.rotary.turns[token * n..][..n];
            for head in row.chunks_mut(d_head) {
                for (i, &(cos, sin)) in turns.iter().enumerate() {
                    let (a, b) = match self.rotary.layout {
                        RotaryLayout::Half => (i, i + n),
                        RotaryLayout::Interleaved => (2 * i, 2 * i + 1),
                    };
                    let (x, y, sin) = (head[a], head[b], sin * self.sense);
                    head[a] = x * cos - y * sin;
                    head[b] = y * cos + x * sin;
                }
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        // The transpose of a rotation is the rotation back.
        let back = Turn { rotary: self.rotary.clone(), sense: -self.sense };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn turning_keeps_lengths_and_only_relative_positions_matter() {
        for layout in [RotaryLayout::Half, RotaryLayout::Interleaved] {
            let x = Tensor::randn(0f32, 1f32, (1, 2, 12), &Device::Cpu).unwrap();
            let y = Tensor::randn(0f32, 1f32, (1, 2, 12), &Device::Cpu).unwrap();
            let turned = |t: &Tensor, p: u32| Rotary::at(&[p], 8, 10_000.0, layout).turn(t).unwrap();
            let product = |a: u32, b: u32| -> f32 {
                (turned(&x, a) * turned(&y, b)).unwrap().sum_all().unwrap().to_scalar().unwrap()
            };
            assert!((product(3, 7) - product(10, 14)).abs() < 1e-4);
            assert!(
                (product(0, 0) - (&x * &y).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()).abs()
                    < 1e-5
            );
            assert!((product(3, 7) - product(3, 8)).abs() > 1e-3);
        }
    }

    #[test]
    fn the_gradient_is_turned_back() {
        let x = Var::randn(0f32, 1f32, (3, 2, 8), &Device::Cpu).unwrap();
        let rotary = Rotary::at(&[0, 4, 9], 8, 10_000.0, RotaryLayout::Half);
        let loss = rotary.turn(&x).unwrap().sqr().unwrap().sum_all().unwrap();
        // Lengths are kept, so the gradient of the squared length is 2x.
        let grad = loss.backward().unwrap().get(&x).unwrap().clone();
        let off = (grad - (x.as_tensor() * 2.0).unwrap()).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
    }
}
