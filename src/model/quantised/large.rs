//! Blocks of 256 weights, in parts of 16 or 32 whose own scales have a few bits.
//!
//! # Source
//! `ggml-quants.c` of llama.cpp says how the bytes lie; values are held against gguf-py's `dequantize`.

use super::small::{IQ4, half, nibbles};

/// Weights of a block.
pub(super) const LARGE: usize = 256;

/// An array of a slice's first numbers.
#[inline(always)]
fn first<const N: usize>(from: &[u8]) -> &[u8; N] {
    from.first_chunk().expect("a block's bytes are counted by its type")
}

#[inline(always)]
pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; LARGE]) {
    let (scales, quants) = (first::<16>(block), &block[16..80]);
    let (d, min) = (half(block[80], block[81]), half(block[82], block[83]));
    for (part, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let (dl, ml) = (d * f32::from(scales[part] & 15), min * f32::from(scales[part] >> 4));
        // Halves of 128 weights lie in 32 bytes each, two bits of each byte for every 32 weights.
        let (from, shift) = (part / 8 * 32 + part % 2 * 16, part % 8 / 2 * 2);
        let quants = first::<16>(&quants[from..]);
        for j in 0..16 {
            out[j] = dl * f32::from(quants[j] >> shift & 3) - ml;
        }
    }
}

#[inline(always)]
pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; LARGE]) {
    let (high, quants, scales) = (&block[..32], &block[32..96], first::<12>(&block[96..]));
    let d = half(block[108], block[109]);
    for (part, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        // Four bits of a scale lie in one of eight bytes, two in one of four.
        let low = scales[part % 8] >> (part / 8 * 4) & 15;
        let scale = low | (scales[8 + part % 4] >> (part / 4 * 2) & 3) << 4;
        let dl = d * (f32::from(scale) - 32.0);
        let (from, shift, bit) = (part / 8 * 32 + part % 2 * 16, part % 8 / 2 * 2, part / 2);
        let (quants, high) = (first::<16>(&quants[from..]), first::<16>(&high[part % 2 * 16..]));
        for j in 0..16 {
            let q = (quants[j] >> shift & 3) | (high[j] >> bit & 1) << 2;
            out[j] = dl * (f32::from(q) - 4.0);
        }
    }
}

/// The 6 bits of a part's scale and of its offset, as Q4_K and Q5_K pack them.
#[inline(always)]
fn scale_and_offset(packed: &[u8; 12], part: usize) -> (f32, f32) {
    let (scale, offset) = match part {
        0..4 => (packed[part] & 63, packed[part + 4] & 63),
        _ => (
            packed[part + 4] & 15 | packed[part - 4] >> 6 << 4,
            packed[part + 4] >> 4 | packed[part] >> 6 << 4,
        ),
    };
    (f32::from(scale), f32::from(offset))
}

#[inline(always)]
pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; LARGE]) {
    let (d, min) = (half(block[0], block[1]), half(block[2], block[3]));
    let (scales, quants) = (first::<12>(&block[4..]), &block[16..]);
    for (part, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, offset) = scale_and_offset(scales, part);
        let (dl, ml) = (d * scale, min * offset);
        let (quants, shift) = (first::<32>(&quants[part / 2 * 32..]), part % 2 * 4);
        for j in 0..32 {
            out[j] = dl * f32::from(quants[j] >> shift & 15) - ml;
        }
    }
}

#[inline(always)]
pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; LARGE]) {
    let (d, min) = (half(block[0], block[1]), half(block[2], block[3]));
    let (scales, fifths, quants) = (first::<12>(&block[4..]), first::<32>(&block[16..]), &block[48..]);
    for (part, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, offset) = scale_and_offset(scales, part);
        let (dl, ml) = (d * scale, min * offset);
        let (quants, shift) = (first::<32>(&quants[part / 2 * 32..]), part % 2 * 4);
        for j in 0..32 {
            let q = (quants[j] >> shift & 15) | (fifths[j] >> part & 1) << 4;
            out[j] = dl * f32::from(q) - ml;
        }
    }
}

#[inline(always)]
pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; LARGE]) {
    let (low, high, scales) = (&block[..128], &block[128..192], first::<16>(&block[192..]));
    let d = half(block[208], block[209]);
    for (part, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let dl = d * f32::from(scales[part] as i8);
        // Of 128 weights, the lower bits of the first and the second 64 share 64 bytes, the upper of all four
        // times 32 share 32.
        let (half, quarter, side) = (part / 8, part % 8 / 2, part % 2 * 16);
        let low = first::<16>(&low[half * 64 + quarter % 2 * 32 + side..]);
        let high = first::<16>(&high[half * 32 + side..]);
        let (of_low, of_high) = (quarter / 2 * 4, quarter * 2);
        for j in 0..16 {
            let q = (low[j] >> of_low & 15) | (high[j] >> of_high & 3) << 4;
            out[j] = dl * (f32::from(q) - 32.0);
        }
    }
}

#[inline(always)]
pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f32; LARGE]) {
    let d = half(block[0], block[1]);
    let (high, low, quants) =
        (u16::from_le_bytes([block[2], block[3]]), first::<4>(&block[4..]), &block[8..]);
    for (part, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let scale = u16::from(low[part / 2] >> (part % 2 * 4) & 15) | (high >> (2 * part) & 3) << 4;
        let dl = d * (f32::from(scale) - 32.0);
        nibbles(first::<16>(&quants[part * 16..]), out, |q| dl * IQ4[usize::from(q & 15)]);
    }
}
