//! Sums over slices, in as many running sums as fill vector registers.
//!
//! Called within [`pulp::Arch::dispatch`], each becomes the widest instructions the machine has; the order
//! of a sum does not depend on them.

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
pub(super) fn sum(a: &[f32]) -> f32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_counts_once_at_any_length() {
        for n in [0usize, 1, 31, 32, 33, 64, 100] {
            let a: Vec<f32> = (0..n).map(|i| i as f32 + 1.0).collect();
            let b = vec![2f32; n];
            let total = (n * (n + 1) / 2) as f32;
            assert_eq!((sum(&a), dot(&a, &b)), (total, 2.0 * total));
            assert_eq!(squares(&b, 1.0), n as f32);
        }
    }
}
