//! Conversion of half precision, the format of the blocks' scales, to f32, by a table of all values.
//!
//! A lookup leaves the arithmetic units to the weights; converting the scale of each block took a quarter of the time.

/// Every half-precision value in f32, by its bits.
static HALVES: [f32; 1 << 16] = halves();

/// The half-precision value in two bytes of a block, in f32.
#[inline(always)]
pub(super) fn half<const N: usize>(block: &[u8; N], at: usize) -> f32 {
    HALVES[u16::from_le_bytes(*first(&block[at..])) as usize]
}

/// The first bytes of a slice as an array.
#[inline(always)]
#[allow(clippy::expect_used, reason = "callers pass whole blocks")]
pub(super) fn first<const N: usize>(from: &[u8]) -> &[u8; N] {
    from.first_chunk().expect("a block's bytes are counted by its type")
}

#[allow(long_running_const_eval, reason = "65,536 times a few steps")]
const fn halves() -> [f32; 1 << 16] {
    let mut all = [0.0; 1 << 16];
    let mut bits = 0;
    while bits < 1 << 16 {
        all[bits as usize] = f32::from_bits(widened(bits));
        bits += 1;
    }
    all
}

/// The bits of the same value in single precision.
const fn widened(bits: u32) -> u32 {
    let (sign, exponent, mantissa) = ((bits & 0x8000) << 16, bits >> 10 & 31, bits & 0x3ff);
    let magnitude = match (exponent, mantissa) {
        (0, 0) => 0,
        (0, _) => {
            // A subnormal value gets a leading one and the corresponding exponent.
            let shift = mantissa.leading_zeros() - 21;
            (113 - shift) << 23 | (mantissa << shift & 0x3ff) << 13
        }
        (31, _) => 0xff << 23 | mantissa << 13,
        _ => (exponent + 112) << 23 | mantissa << 13,
    };
    sign | magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_converted_as_by_the_half_crate() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (half(&bits.to_le_bytes(), 0), half::f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(), "{bits:x}");
        }
    }
}
