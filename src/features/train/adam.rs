//! Adam (Kingma & Ba 2015) on the four arrays, with decoder rows kept at unit norm.

use super::parameters::Parameters;
use crate::model::simd::{add_scaled, dot};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
/// As small as in Gao et al. 2024, since gradients of single latents are small.
const EPS: f32 = 6.25e-10;
/// Number of values in one parallel task.
const AT_ONCE: usize = 8192;

/// The running moments of all gradients, and the number of steps taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adam {
    pub first: Parameters,
    pub second: Parameters,
    pub step: usize,
}

impl Adam {
    pub(super) fn new(params: &Parameters) -> Adam {
        let zeros = Parameters::zeros(params.d_in, params.d_sae);
        Adam { first: zeros.clone(), second: zeros, step: 0 }
    }

    /// Takes one step against the gradient.
    ///
    /// A decoder row has a fixed length, so the part of its gradient along it is removed, and the row is normalised
    /// afterwards.
    pub(super) fn step(&mut self, params: &mut Parameters, mut gradient: Parameters, rate: f32) {
        self.step += 1;
        let (arch, d) = (Arch::new(), params.d_in);
        let rows = gradient.w_dec.par_chunks_exact_mut(d).zip(params.w_dec.par_chunks_exact(d));
        rows.with_min_len(64).for_each(|(slope, row)| arch.dispatch(Across { slope, row }));
        let fixes = (1.0 - fix(BETA1, self.step), 1.0 - fix(BETA2, self.step));
        let moments = self.first.arrays_mut().into_iter().zip(self.second.arrays_mut());
        for ((x, g), (m, v)) in params.arrays_mut().into_iter().zip(gradient.arrays()).zip(moments) {
            let moments = m.par_chunks_mut(AT_ONCE).zip(v.par_chunks_mut(AT_ONCE));
            let all = x.par_chunks_mut(AT_ONCE).zip(g.par_chunks(AT_ONCE)).zip(moments);
            all.for_each(|((x, g), (m, v))| arch.dispatch(Move { x, g, m, v, rate, fixes }));
        }
        let rows = params.w_dec.par_chunks_exact_mut(d).with_min_len(64);
        rows.for_each(|row| arch.dispatch(UnitLength { row }));
    }
}

/// `beta` to the power of the step, which may be too large for an `i32`.
fn fix(beta: f32, step: usize) -> f32 {
    beta.powi(i32::try_from(step).unwrap_or(i32::MAX))
}

/// Removes the part of a gradient along a row of unit length.
struct Across<'a> {
    slope: &'a mut [f32],
    row: &'a [f32],
}

impl WithSimd for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let along = dot(self.slope, self.row);
        add_scaled(self.slope, -along, self.row);
    }
}

/// One step of a chunk of values.
struct Move<'a> {
    x: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    rate: f32,
    fixes: (f32, f32),
}

impl WithSimd for Move<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Move { x, g, m, v, rate, fixes: (first, second) } = self;
        for (((x, g), m), v) in x.iter_mut().zip(g).zip(m).zip(v) {
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *v = BETA2 * *v + (1.0 - BETA2) * g * g;
            *x -= rate * (*m / first) / ((*v / second).sqrt() + EPS);
        }
    }
}

/// Normalises a row to length 1.
pub(super) struct UnitLength<'a> {
    pub row: &'a mut [f32],
}

impl WithSimd for UnitLength<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let length = dot(self.row, self.row).sqrt();
        if length > 0.0 {
            self.row.iter_mut().for_each(|x| *x /= length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_the_rate_at_first_and_decoder_rows_stay_at_unit_norm() {
        let mut params = Parameters { w_dec: vec![0.6, 0.8, 1.0, 0.0], ..Parameters::zeros(2, 2) };
        let mut adam = Adam::new(&params);
        for step in 0..5 {
            let mut gradient = Parameters::zeros(2, 2);
            gradient.w_enc = vec![1e-4, -3.0, 0.0, 20.0];
            // The first row's gradient is along the row, so the row must not turn.
            gradient.w_dec = vec![6.0, 8.0, 1.0, 5.0];
            adam.step(&mut params, gradient, 0.01);
            if step == 0 {
                let moved: Vec<f32> = vec![-0.01, 0.01, 0.0, -0.01];
                let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
                assert!(params.w_enc.iter().zip(&moved).all(near), "{:?}", params.w_enc);
            }
        }
        assert!((params.w_dec[0] - 0.6).abs() < 1e-3 && (params.w_dec[1] - 0.8).abs() < 1e-3);
        assert!(params.w_dec[3] < -0.01);
        for row in params.w_dec.chunks(2) {
            assert!((row[0] * row[0] + row[1] * row[1] - 1.0).abs() < 1e-6);
        }
    }
}
