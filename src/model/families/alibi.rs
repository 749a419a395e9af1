//! The slopes of ALiBi, in the two forms of the families that use it.

/// The slopes if further heads are appended to a power of two. The first heads (the largest power of two that is at
/// most `n_heads`) get the powers of one base, in order; the others get the odd powers of the base's square root.
///
/// # Source
/// Press et al., "Train Short, Test Long", arXiv 2108.12409, in the form of BLOOM and Falcon.
pub(super) fn appended(n_heads: usize) -> Vec<f32> {
    let whole = 1 << n_heads.ilog2();
    let base = |n: usize| (-(2f64.powf(3.0 - (n as f64).log2()))).exp2() as f32;
    let first = (1..=whole).map(|k| base(whole).powi(k as i32));
    let rest = (0..n_heads - whole).map(|k| base(2 * whole).powi(2 * k as i32 + 1));
    first.chain(rest).collect()
}

/// The slopes as powers of one base, for the smallest power of two that is at least `n_heads`. If `n_heads` is a power
/// of two, they are in order; otherwise the even powers come first, then the odd ones, cut to `n_heads`.
///
/// # Source
/// Press et al., as above, in the form of MPT, with a smallest slope of `2⁻⁸`.
pub(super) fn interleaved(n_heads: usize) -> Vec<f32> {
    let whole = n_heads.next_power_of_two();
    let slope = |k: usize| 1.0 / 2f32.powf(k as f32 * (8.0 / whole as f32));
    if whole == n_heads {
        return (1..=whole).map(slope).collect();
    }
    let (even, odd) = ((2..=whole).step_by(2), (1..=whole).step_by(2));
    even.chain(odd).take(n_heads).map(slope).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_two_of_heads_has_the_same_slopes_in_both_forms() {
        let expected = [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625];
        assert_eq!(appended(8), expected);
        assert_eq!(interleaved(8), expected);
        assert_eq!(appended(5)[4], 2f32.powi(-1));
        assert_eq!(
            interleaved(5),
            [2f32.powi(-2), 2f32.powi(-4), 2f32.powi(-6), 2f32.powi(-8), 2f32.powi(-1)]
        );
    }
}
