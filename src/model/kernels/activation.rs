//! Activation functions, softmax, and the functions they consist of.
//!
//! Each is plain arithmetic without branches or calls, so that a loop over it is compiled to SIMD instructions; the
//! standard library's `exp` and `tanh` are calls that take one number at a time.

use super::simd::sum;
use crate::model::spec::ActivationFn;
use candle_core::{Result, Tensor};
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LOG2_E, PI};

/// `eˣ` to two units in the last place; arguments are clamped to the range in which f32 is neither 0 nor ∞.
///
/// `x = n ln 2 + r`, and `eʳ` is a polynomial fitted for the smallest relative error over `|r| ≤ ln 2 / 2`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2²³ rounds to an integer, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4; // few bits, so that its product with n is exact
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut p = 0.001_383_580_2;
    for c in [0.008_375_645, 0.041_668_29, 0.166_664_1, 0.499_999_9, 1.0, 1.0] {
        p = p * r + c;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23)); // 2ⁿ
    p * power
}

/// The error function to 5e-7: an odd rational function, fitted for the smallest relative error up to 3.9,
/// beyond which it is 1 in f32.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-3.9, 3.9);
    let t = x * x;
    let mut numerator = 2.066_455_9e-6;
    for c in [0.000_285_062_36, 0.003_738_389, 0.052_668_22, 0.189_667_93, FRAC_2_SQRT_PI] {
        numerator = numerator * t + c;
    }
    let mut denominator = 3.826_984_5e-5;
    for c in [0.001_157_384_8, 0.014_914_367, 0.113_819_405, 0.501_421_6, 1.0] {
        denominator = denominator * t + c;
    }
    x * numerator / denominator
}

#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The softmax of scores, in place.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|s| *s = exp(*s - max));
    let scale = 1.0 / sum(scores);
    scores.iter_mut().for_each(|s| *s *= scale);
}

/// The argument of the hyperbolic tangent in the approximation of gelu, and its derivative.
#[inline(always)]
fn tanh_argument(x: f32) -> (f32, f32) {
    const SCALE: f32 = 0.797_884_6; // √(2 / π)
    (SCALE * (x + 0.044715 * x * x * x), SCALE * (1.0 + 3.0 * 0.044715 * x * x))
}

impl ActivationFn {
    /// Applies the function to each value in place.
    #[inline(always)]
    pub(super) fn apply_to(self, values: &mut [f32]) {
        // The match is outside the loops, so that each loop is compiled to SIMD instructions.
        match self {
            ActivationFn::Relu => values.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x }),
            ActivationFn::Gelu => {
                values.iter_mut().for_each(|x| *x = 0.5 * *x * (1.0 + erf(*x * FRAC_1_SQRT_2)));
            }
            ActivationFn::GeluTanh => {
                values.iter_mut().for_each(|x| *x = 0.5 * *x * (1.0 + tanh(tanh_argument(*x).0)));
            }
            ActivationFn::Silu => values.iter_mut().for_each(|x| *x *= sigmoid(*x)),
        }
    }

    /// The function in candle's operations, for devices other than the CPU.
    pub(crate) fn composed(self, x: &Tensor) -> Result<Tensor> {
        match self {
            ActivationFn::Relu => x.relu(),
            ActivationFn::Gelu => x.gelu_erf(),
            ActivationFn::GeluTanh => x.gelu(),
            ActivationFn::Silu => x.silu(),
        }
    }

    /// The derivative at `x`, for training.
    pub(super) fn slope(self, x: f32) -> f32 {
        match self {
            ActivationFn::Relu => f32::from(x > 0.0),
            ActivationFn::Gelu => {
                0.5 * (1.0 + erf(x * FRAC_1_SQRT_2)) + x * exp(-0.5 * x * x) / (2.0 * PI).sqrt()
            }
            ActivationFn::GeluTanh => {
                let (u, du) = tanh_argument(x);
                let t = tanh(u);
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du
            }
            ActivationFn::Silu => {
                let s = sigmoid(x);
                s * (1.0 + x * (1.0 - s))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const ALL: [ActivationFn; 4] =
        [ActivationFn::Relu, ActivationFn::Gelu, ActivationFn::GeluTanh, ActivationFn::Silu];

    fn grid() -> Vec<f32> {
        (-200_000..=200_000).map(|i| i as f32 * 1e-4).collect()
    }

    #[test]
    fn exp_equals_the_standard_one_to_three_units_in_the_last_place() {
        let worst = (-870_000..=880_000)
            .map(|i| i as f32 * 1e-4)
            .map(|x| (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs())
            .fold(0f64, f64::max);
        assert!(worst < 3.0 * f64::from(f32::EPSILON), "off by {worst:e}");
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY) < 1e-37, exp(1000.0) > 1e38), (1.0, true, true));
    }

    #[test]
    fn activations_equal_candles_and_nan_stays_nan() {
        for activation in ALL {
            let mut ours = grid();
            activation.apply_to(&mut ours);
            let x = Tensor::new(grid(), &Device::Cpu).unwrap();
            let theirs = activation.composed(&x).unwrap().to_vec1::<f32>().unwrap();
            let off = |(a, b): (&f32, &f32)| (a - b).abs() / b.abs().max(1.0);
            let worst = ours.iter().zip(&theirs).map(off).fold(0f32, f32::max);
            assert!(worst < 2e-6, "{activation:?} is off by {worst:e}");
            let mut bad = [f32::NAN];
            activation.apply_to(&mut bad);
            assert!(bad[0].is_nan(), "{activation:?} hides a NaN");
        }
    }

    #[test]
    fn slopes_equal_difference_quotients() {
        for activation in ALL {
            for x in [-3.3f32, -1.1, -0.2, 0.3, 0.9, 2.7] {
                let (mut up, mut down) = ([x + 1e-2], [x - 1e-2]);
                activation.apply_to(&mut up);
                activation.apply_to(&mut down);
                let change = (up[0] - down[0]) / 2e-2;
                assert!((change - activation.slope(x)).abs() < 1e-3, "{activation:?} at {x}");
            }
        }
    }
}
