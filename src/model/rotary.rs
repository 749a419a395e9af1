//! Rotary positions: pairs of a head's dimensions turned by an angle that grows with the position.

use super::affine::slice;
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// Queries and keys are rotated by an angle that grows with the position.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// How many of a head's dimensions are rotated, from the first; an odd number is rounded up to whole
    /// pairs, and still divides the exponents of the frequencies.
    pub n_rotated: usize,
    /// The base of the frequencies.
    pub theta: f64,
    /// Which dimensions form a pair.
    pub layout: RotaryLayout,
    /// How the frequencies are changed for longer texts.
    pub scaling: RotaryScaling,
}

/// Which dimensions of a head are rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotaryLayout {
    /// Dimension `i` with `i + n_rotated / 2` (GPT-NeoX, Llama).
    Half,
    /// Dimension `2i` with `2i + 1` (GPT-J, GLM).
    Interleaved,
}

/// How rotary frequencies are changed for texts longer than the model was first made for.
#[derive(Debug, Clone, PartialEq)]
pub enum RotaryScaling {
    /// Not at all.
    Nothing,
    /// Every frequency divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Low frequencies divided, high ones left, those between blended (Llama 3.1).
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths above `context / low` are low frequencies.
        low: f64,
        /// Wavelengths below `context / high` are high frequencies.
        high: f64,
        /// The context the model was first made for.
        context: f64,
    },
    /// Dimensions below a first bound left, those above a second divided, a ramp between (YaRN).
    Yarn {
        /// The divisor.
        factor: f64,
        /// The first and the second bound, in dimensions.
        bounds: (f64, f64),
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
    },
    /// Each frequency divided by its own factor (LongRoPE).
    EachOwn {
        /// One factor a pair.
        factors: Vec<f64>,
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
    },
}

impl Rotary {
    /// The whole head turned, halves paired, frequencies as they are.
    pub fn plain(d_head: usize, theta: f64) -> Rotary {
        Rotary { n_rotated: d_head, theta, layout: RotaryLayout::Half, scaling: RotaryScaling::Nothing }
    }

    /// The number of pairs that are turned.
    pub fn n_pairs(&self) -> usize {
        self.n_rotated.div_ceil(2)
    }

    /// Radians a position, for each pair; f32 steps, as Hugging Face takes them.
    pub fn frequencies(&self) -> Vec<f32> {
        let period = |i: usize| (self.theta as f32).powf((2 * i) as f32 / self.n_rotated as f32);
        (0..self.n_pairs())
            .map(|i| match &self.scaling {
                RotaryScaling::Nothing => 1.0 / period(i),
                RotaryScaling::Linear { factor } => 1.0 / period(i) / *factor as f32,
                RotaryScaling::Llama3 { factor, low, high, context } => {
                    llama3(1.0 / period(i), [*factor, *low, *high, *context].map(|x| x as f32))
                }
                RotaryScaling::Yarn { factor, bounds: (first, second), .. } => {
                    let span = if first == second { 0.001 } else { second - first };
                    let divided = ((i as f64 - first) / span).clamp(0.0, 1.0) as f32;
                    divided / (*factor as f32 * period(i)) + (1.0 - divided) / period(i)
                }
                RotaryScaling::EachOwn { factors, .. } => 1.0 / (factors[i] as f32 * period(i)),
            })
            .collect()
    }

    /// What cosines and sines are multiplied by.
    pub fn attention_factor(&self) -> f32 {
        match self.scaling {
            RotaryScaling::Yarn { attention_factor, .. }
            | RotaryScaling::EachOwn { attention_factor, .. } => attention_factor as f32,
            _ => 1.0,
        }
    }
}

fn llama3(frequency: f32, [factor, low, high, context]: [f32; 4]) -> f32 {
    let wavelength = 2.0 * std::f32::consts::PI / frequency;
    if wavelength < context / high {
        return frequency;
    }
    if wavelength > context / low {
        return frequency / factor;
    }
    let kept = (context / wavelength - low) / (high - low);
    (1.0 - kept) * frequency / factor + kept * frequency
}

/// The cosines and sines of one pass: a row a token.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    /// `[n_tokens, n_rotated / 2]`, cosine and sine.
    turns: Arc<Vec<(f32, f32)>>,
    n_pairs: usize,
    layout: RotaryLayout,
}

impl Turns {
    /// The turns for tokens at these positions.
    pub fn at(positions: &[u32], rotary: &Rotary) -> Turns {
        let (frequencies, factor) = (rotary.frequencies(), rotary.attention_factor());
        // Position times frequency is rounded to f32 before the cosine, as in Hugging Face.
        let turns = positions
            .iter()
            .flat_map(|&p| frequencies.iter().map(move |f| p as f32 * f))
            .map(|angle| (angle.cos() * factor, angle.sin() * factor))
            .collect();
        Turns { turns: Arc::new(turns), n_pairs: frequencies.len(), layout: rotary.layout }
    }

    /// The turns of some of the tokens.
    pub fn of(&self, tokens: &[u32]) -> Turns {
        let row = |&token: &u32| &self.turns[token as usize * self.n_pairs..][..self.n_pairs];
        Turns { turns: Arc::new(tokens.iter().flat_map(row).copied().collect()), ..*self }
    }

    /// # Shapes
    /// `[n_tokens, heads, d_head]` in and out.
    pub fn turn(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return self.composed(x);
        }
        x.contiguous()?.apply_op1(Turn { turns: self.clone(), sense: 1.0 })
    }

    /// The same in candle's own steps, for other devices.
    fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let (n_tokens, n_heads, d_head) = x.dims3()?;
        let n = self.n_pairs;
        let table = |part: fn(&(f32, f32)) -> f32| {
            let values: Vec<f32> = self.turns.iter().map(part).collect();
            Tensor::from_vec(values, (n_tokens, 1, n), x.device()) // one row for all heads
        };
        let (cos, sin) = (table(|turn| turn.0)?, table(|turn| turn.1)?);
        let turned = x.narrow(2, 0, 2 * n)?;
        let (a, b) = match self.layout {
            RotaryLayout::Half => (turned.narrow(2, 0, n)?, turned.narrow(2, n, n)?),
            RotaryLayout::Interleaved => {
                let pairs = turned.reshape((n_tokens, n_heads, n, 2))?;
                let side = |i| pairs.narrow(3, i, 1)?.squeeze(3);
                (side(0)?, side(1)?)
            }
        };
        let to_a = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let to_b = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        let turned = match self.layout {
            RotaryLayout::Half => Tensor::cat(&[to_a, to_b], D::Minus1)?,
            RotaryLayout::Interleaved => {
                Tensor::stack(&[to_a, to_b], 3)?.reshape((n_tokens, n_heads, 2 * n))?
            }
        };
        Tensor::cat(&[turned, x.narrow(2, 2 * n, d_head - 2 * n)?], D::Minus1)
    }
}

/// Turns forward (`sense` 1) or back (−1).
struct Turn {
    turns: Turns,
    sense: f32,
}

impl CustomOp1 for Turn {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, n_heads, d_head) = layout.shape().dims3()?;
        let (n, width, x) = (self.turns.n_pairs, n_heads * d_head, slice(x, layout)?);
        let mut out = vec![0f32; x.len()];
        out.par_chunks_mut(width).zip(x.par_chunks(width)).enumerate().for_each(|(token, (row, x))| {
            row.copy_from_slice(x);
            let turns = &self.turns.turns[token * n..][..n];
            for head in row.chunks_mut(d_head) {
                for (i, &(cos, sin)) in turns.iter().enumerate() {
                    let (a, b) = match self.turns.layout {
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
        let back = Turn { turns: self.turns.clone(), sense: -self.sense };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn rotary(layout: RotaryLayout) -> Rotary {
        Rotary { n_rotated: 8, theta: 10_000.0, layout, scaling: RotaryScaling::Nothing }
    }

    #[test]
    fn turning_keeps_lengths_and_only_relative_positions_matter() {
        for layout in [RotaryLayout::Half, RotaryLayout::Interleaved] {
            let x = Tensor::randn(0f32, 1f32, (1, 2, 12), &Device::Cpu).unwrap();
            let y = Tensor::randn(0f32, 1f32, (1, 2, 12), &Device::Cpu).unwrap();
            let turned = |t: &Tensor, p: u32| Turns::at(&[p], &rotary(layout)).turn(t).unwrap();
            let product = |a: u32, b: u32| -> f32 {
                (turned(&x, a) * turned(&y, b)).unwrap().sum_all().unwrap().to_scalar().unwrap()
            };
            assert!((product(3, 7) - product(10, 14)).abs() < 1e-4);
            assert!(
                (product(0, 0) - (&x * &y).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()).abs()
                    < 1e-5
            );
            assert!((product(3, 7) - product(3, 8)).abs() > 1e-3);
            let x = Tensor::randn(0f32, 1f32, (4, 2, 12), &Device::Cpu).unwrap();
            let turns = Turns::at(&[0, 3, 9, 4], &rotary(layout));
            let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(turns.turn(&x).unwrap()), values(turns.composed(&x).unwrap()));
            let last = x.narrow(0, 2, 1).unwrap();
            let of_last = values(turns.of(&[2]).turn(&last).unwrap());
            assert_eq!(of_last, values(turns.turn(&x).unwrap().narrow(0, 2, 1).unwrap()));
        }
    }

    #[test]
    fn the_gradient_is_turned_back() {
        let x = Var::randn(0f32, 1f32, (3, 2, 8), &Device::Cpu).unwrap();
        let turns = Turns::at(&[0, 4, 9], &rotary(RotaryLayout::Half));
        let loss = turns.turn(&x).unwrap().sqr().unwrap().sum_all().unwrap();
        // Lengths are kept, so the gradient of the squared length is 2x.
        let grad = loss.backward().unwrap().get(&x).unwrap().clone();
        let off = (grad - (x.as_tensor() * 2.0).unwrap()).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
    }
}
