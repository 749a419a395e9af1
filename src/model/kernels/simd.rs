//! SIMD sums over slices, with as many partial sums as fill vector registers.
//!
//! Called within [`pulp::Arch::dispatch`], each function is compiled to the machine's widest instructions; the order
//! of a sum does not depend on them. The functions named `wide` use SIMD instructions explicitly, since the compiler
//! uses narrow registers for several sums in one loop. The order of their sums depends on the machine alone.

use pulp::Simd;

const LANES: usize = 32;

/// The sum of `term` over two slices.
#[inline(always)]
fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += term(x[lane], y[lane]);
        }
    }
    for (lane, (x, y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += term(*x, *y);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// The dot product.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum_of(a, b, |x, y| x * y)
}

/// The sum.
#[inline(always)]
pub(crate) fn sum(a: &[f32]) -> f32 {
    sum_of(a, a, |x, _| x)
}

/// The sum of squared distances from `centre`.
#[inline(always)]
pub(crate) fn squares(a: &[f32], centre: f32) -> f32 {
    sum_of(a, a, |x, _| (x - centre) * (x - centre))
}

/// `to += factor · from`.
#[inline(always)]
pub(crate) fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (t, f) in to.iter_mut().zip(from) {
        *t += factor * f;
    }
}

/// Registers that a wide sum uses at a time: enough to hide the latency of an addition.
const UNROLL: usize = 4;

/// The dot product, in explicit SIMD instructions.
#[inline(always)]
pub(super) fn wide_dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let ((a_fours, a_ones), (b_fours, b_ones)) = (a.as_chunks::<UNROLL>(), b.as_chunks::<UNROLL>());
    let mut sums = [simd.splat_f32s(0.0); UNROLL];
    for (a, b) in a_fours.iter().zip(b_fours) {
        for i in 0..UNROLL {
            sums[i] = simd.mul_add_e_f32s(a[i], b[i], sums[i]);
        }
    }
    for (sum, (a, b)) in sums.iter_mut().zip(a_ones.iter().zip(b_ones)) {
        *sum = simd.mul_add_e_f32s(*a, *b, *sum);
    }
    let [first, second, third, fourth] = sums;
    let all = simd.add_f32s(simd.add_f32s(first, second), simd.add_f32s(third, fourth));
    a_rest.iter().zip(b_rest).fold(simd.reduce_sum_f32s(all), |sum, (a, b)| sum + a * b)
}

/// `to += Σ factor · from`, for terms of the length of `to`; each value of `to` is read and written once.
#[inline(always)]
pub(super) fn wide_add_scaled<'a, S: Simd>(
    simd: S,
    to: &mut [f32],
    terms: impl Iterator<Item = (f32, &'a [f32])> + Clone,
) {
    let (wide, rest) = S::as_mut_simd_f32s(to);
    let n_wide = wide.len();
    let (fours, ones) = wide.as_chunks_mut::<UNROLL>();
    let n_fours = fours.len();
    for (block, sums) in fours.iter_mut().enumerate() {
        let mut registers = *sums;
        for (factor, from) in terms.clone() {
            let factor = simd.splat_f32s(factor);
            let from = &S::as_simd_f32s(from).0.as_chunks::<UNROLL>().0[block];
            for i in 0..UNROLL {
                registers[i] = simd.mul_add_e_f32s(factor, from[i], registers[i]);
            }
        }
        *sums = registers;
    }
    if ones.is_empty() && rest.is_empty() {
        return;
    }
    for (factor, from) in terms {
        let (from, from_rest) = S::as_simd_f32s(from);
        let wide_factor = simd.splat_f32s(factor);
        for (sum, from) in ones.iter_mut().zip(&from[n_fours * UNROLL..n_wide]) {
            *sum = simd.mul_add_e_f32s(wide_factor, *from, *sum);
        }
        rest.iter_mut().zip(from_rest).for_each(|(sum, from)| *sum += factor * from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    /// Wide sums of integers, which are exact in any order.
    struct Wide(usize);

    impl WithSimd for Wide {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            let row = |factor: f32| (0..self.0).map(|i| factor * i as f32).collect::<Vec<f32>>();
            let (a, b, mut to) = (row(1.0), row(2.0), row(1.0));
            assert_eq!(wide_dot(simd, &a, &b), a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>());
            wide_add_scaled(simd, &mut to, [(3.0, &*a), (-0.5, &*b)].into_iter());
            assert_eq!(to, row(3.0));
        }
    }

    #[test]
    fn wide_sums_count_each_value_once_at_any_length() {
        for n in (0..70).chain([100, 127, 128, 256]) {
            Arch::new().dispatch(Wide(n));
            Wide(n).with_simd(pulp::Scalar::new());
        }
    }

    #[test]
    fn each_value_counts_once_at_any_length() {
        for n in [0usize, 1, 31, 32, 33, 64, 100] {
            let a: Vec<f32> = (0..n).map(|i| i as f32 + 1.0).collect();
            let b = vec![2f32; n];
            let total = (n * (n + 1) / 2) as f32;
            assert_eq!((sum(&a), dot(&a, &b)), (total, 2.0 * total));
            assert_eq!(squares(&b, 1.0), n as f32);
        }
    }
}
