//! Rotary position embeddings as data: the layout of the pairs, and the frequencies.

use std::sync::Arc;

/// The rotation of queries and keys, by an angle that grows with the position.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// Number of rotated dimensions of a head, from the first on. An odd number is rounded up to whole pairs, but the
    /// exponents of the frequencies are divided by the odd number.
    pub n_rotated: usize,
    /// The base of the frequencies.
    pub theta: f64,
    /// The dimensions that form a pair.
    pub layout: RotaryLayout,
    /// The change of the frequencies for longer texts.
    pub scaling: RotaryScaling,
}

/// The dimensions of a head that are rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotaryLayout {
    /// Dimension `i` with `i + n_rotated / 2` (GPT-NeoX, Llama).
    Half,
    /// Dimension `2i` with `2i + 1` (GPT-J, GLM).
    Interleaved,
}

/// A change of the rotary frequencies for texts longer than the model's original context.
#[derive(Debug, Clone, PartialEq)]
pub enum RotaryScaling {
    /// None.
    Nothing,
    /// Every frequency divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Low frequencies divided, high ones unchanged, those between the two interpolated (Llama 3.1).
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths above `context / low` are low frequencies.
        low: f64,
        /// Wavelengths below `context / high` are high frequencies.
        high: f64,
        /// The original context: the longest text before the frequencies were scaled, in tokens.
        context: f64,
    },
    /// Frequencies of pairs below a first bound unchanged, those above a second bound divided, a ramp between the two
    /// (YaRN).
    Yarn {
        /// The divisor.
        factor: f64,
        /// The first and the second bound, as indices of pairs.
        bounds: (f64, f64),
        /// Factor on cosines and sines.
        attention_factor: f64,
    },
    /// Each frequency divided by its own factor (LongRoPE).
    EachOwn {
        /// One factor per pair; all layers share the list.
        factors: Arc<[f64]>,
        /// Factor on cosines and sines.
        attention_factor: f64,
    },
}

impl Rotary {
    /// The whole head rotated, halves paired, frequencies unchanged.
    pub fn plain(d_head: usize, theta: f64) -> Rotary {
        Rotary { n_rotated: d_head, theta, layout: RotaryLayout::Half, scaling: RotaryScaling::Nothing }
    }

    /// The number of rotated pairs.
    pub fn n_pairs(&self) -> usize {
        self.n_rotated.div_ceil(2)
    }

    /// The frequency of each pair, computed in f32 as Hugging Face does.
    ///
    /// # Units
    /// Radians per position.
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

    /// Factor on cosines and sines.
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
