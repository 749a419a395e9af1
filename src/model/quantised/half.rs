//! Numbers in half precision, the scales of blocks, by a table of all of them.
//!
//! A look at memory leaves the units for arithmetic to the weights; a conversion for each block was a quarter of the time.

/// Every number in half precision, by its bits.
static HALVES: [f32; 1 << 16] = halves();

/// The number that lies in the two bytes at a place of a block.
#[inline(always)]
pub(super) fn half<const N: usize>(block: &[u8; N], at: usize) -> f32 {
    HALVES[u16::from_le_bytes(*first(&block[at..])) as usize]
}

/// An array of a slice's first bytes.
#[inline(always)]
#[allow(clippy::expect_used, reason = "callers pass whole blocks")]
pub(super) fn first<const N: usize>(from: &[u8]) -> &[u8; N] {
    from.first_chunk().expect("a block's bytes are counted by its type")
}

#[allow(long_running_const_eval, reason = "65,536 times some steps")]
const fn halves() -> [f32; 1 << 16] {
    let mut all = [0.0; 1 << 16];
    let mut bits = 0;
    while bits < 1 << 16 {
        all[bits as usize] = f32::from_bits(widened(bits));
        bits += 1;
    }
    all
}

/// The bits in single precision.
const fn widened(bits: u32) -> u32 {
    let (sign, exponent, mantissa) = ((bits & 0x8000) << 16, bits >> 10 & 31, bits & 0x3ff);
    let magnitude = match (exponent, mantissa) {
        (0, 0) => 0,
        (0, _) => {
            // What has no leading one gets it, and the exponent that goes with its place.
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
    fn every_half_is_read_as_the_library_for_them_reads_it() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (half(&bits.to_le_bytes(), 0), half::f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(), "{bits:x}");
        }
    }
}
