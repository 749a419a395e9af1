//! Blocks of 32 weights: a scale, perhaps an offset, and each weight's bits.
//!
//! Byte `j` of a block of 4 bits a weight holds weight `j` in its lower half and weight `j + 16` in its upper half.
//!
//! # Source
//! `ggml-quants.c` of llama.cpp says how the bytes lie; values are held against gguf-py's `dequantize`.

/// The values of IQ4_NL's and IQ4_XS's 4 bits.
pub(super) const IQ4: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

/// Weights of a block.
pub(super) const SMALL: usize = 32;

/// The number in half precision that lies in two bytes, in a few steps without a branch.
#[inline(always)]
pub(super) fn half(low: u8, high: u8) -> f32 {
    let bits = u32::from(u16::from_le_bytes([low, high]));
    let (sign, rest) = ((bits & 0x8000) << 16, bits & 0x7fff);
    // Shifted into place, the exponent is too small by 112.
    let finite = f32::from_bits(rest << 13) * f32::from_bits((127 + 112) << 23);
    let endless = 0x7f80_0000 | ((rest & 0x3ff) << 13);
    let magnitude = if rest >= 0x7c00 { endless } else { finite.to_bits() };
    f32::from_bits(magnitude | sign)
}

/// 32 weights of 4 bits.
#[inline(always)]
pub(super) fn nibbles(from: &[u8; 16], out: &mut [f32; SMALL], value: impl Fn(u8) -> f32) {
    let (low, high) = out.split_at_mut(16);
    for j in 0..16 {
        low[j] = value(from[j] & 15);
        high[j] = value(from[j] >> 4);
    }
}

/// 32 weights of 5 bits, the fifth of each in 4 bytes of their own.
#[inline(always)]
fn fives(fifths: [u8; 4], from: &[u8; 16], out: &mut [f32; SMALL], value: impl Fn(u8) -> f32) {
    let fifths = u32::from_le_bytes(fifths);
    let (low, high) = out.split_at_mut(16);
    for j in 0..16 {
        low[j] = value(from[j] & 15 | ((fifths >> j) << 4 & 16) as u8);
        high[j] = value(from[j] >> 4 | (fifths >> (j + 12) & 16) as u8);
    }
}

#[inline(always)]
pub(super) fn q4_0([d0, d1, rest @ ..]: &[u8; 18], out: &mut [f32; SMALL]) {
    let d = half(*d0, *d1);
    nibbles(rest, out, |q| (f32::from(q) - 8.0) * d);
}

#[inline(always)]
pub(super) fn q4_1([d0, d1, m0, m1, rest @ ..]: &[u8; 20], out: &mut [f32; SMALL]) {
    let (d, m) = (half(*d0, *d1), half(*m0, *m1));
    nibbles(rest, out, |q| f32::from(q) * d + m);
}

#[inline(always)]
pub(super) fn q5_0([d0, d1, h0, h1, h2, h3, rest @ ..]: &[u8; 22], out: &mut [f32; SMALL]) {
    let d = half(*d0, *d1);
    fives([*h0, *h1, *h2, *h3], rest, out, |q| (f32::from(q) - 16.0) * d);
}

#[inline(always)]
pub(super) fn q5_1([d0, d1, m0, m1, h0, h1, h2, h3, rest @ ..]: &[u8; 24], out: &mut [f32; SMALL]) {
    let (d, m) = (half(*d0, *d1), half(*m0, *m1));
    fives([*h0, *h1, *h2, *h3], rest, out, |q| f32::from(q) * d + m);
}

#[inline(always)]
pub(super) fn q8_0([d0, d1, rest @ ..]: &[u8; 34], out: &mut [f32; SMALL]) {
    let d = half(*d0, *d1);
    out.iter_mut().zip(rest).for_each(|(x, q)| *x = f32::from(*q as i8) * d);
}

#[inline(always)]
pub(super) fn iq4_nl([d0, d1, rest @ ..]: &[u8; 18], out: &mut [f32; SMALL]) {
    let d = half(*d0, *d1);
    nibbles(rest, out, |q| d * IQ4[usize::from(q & 15)]);
}

/// A sign, two bits of exponent and one of mantissa, times a power of two.
#[inline(always)]
pub(super) fn mxfp4([e, rest @ ..]: &[u8; 17], out: &mut [f32; SMALL]) {
    // Half of 2^(e - 127), as the values are taken twice as large, so that they are whole.
    let d = f32::from_bits(if *e < 2 { 0x0020_0000 << *e } else { (u32::from(*e) - 1) << 23 });
    let whole = f32::from_bits((127 + 127) << 23); // Shifted into place, the exponent is too small by 127.
    nibbles(rest, out, |q| {
        let magnitude = f32::from_bits(u32::from(q & 7) << 22) * whole;
        f32::from_bits(magnitude.to_bits() | u32::from(q & 8) << 28) * d
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_read_as_the_library_for_them_reads_it() {
        for bits in 0..=u16::MAX {
            let [low, high] = bits.to_le_bytes();
            let (ours, theirs) = (half(low, high), half::f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(), "{bits:x}");
        }
    }
}
