//! Blocks of 256 weights, in parts of 16 or 32 that have their own scales of a few bits.
//!
//! # Source
//! The layout of the bytes is that of `ggml-quants.c` in llama.cpp; tests compare the values with gguf-py's
//! `dequantize`.

use super::half::{first, half};
use super::sink::Sink;
use super::sixteen::Sixteen;
use super::small::{IQ4, nibbles};

#[inline(always)]
pub(super) fn q2_k<L: Sixteen>(lanes: L, block: &[u8; 84], sink: &mut impl Sink<L>) {
    let (scales, quants) = (first::<16>(block), &block[16..80]);
    let (d, min) = (half(block, 80), half(block, 82));
    // Each half of 128 weights takes 32 bytes; two bits of each byte belong to one of its quarters of 32 weights.
    for (half, side) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let four = lanes.bytes(first(&quants[32 * half + 16 * side..]));
        for quarter in 0..4 {
            let part = 8 * half + 2 * quarter + side;
            let (dl, ml) = (d * f32::from(scales[part] & 15), min * f32::from(scales[part] >> 4));
            let q = lanes.and(lanes.right(four, 2 * quarter as u32), 3);
            sink.put(lanes, part, lanes.plus(lanes.times(lanes.real(q), dl), -ml));
        }
    }
}

#[inline(always)]
pub(super) fn q3_k<L: Sixteen>(lanes: L, block: &[u8; 110], sink: &mut impl Sink<L>) {
    let (high, quants, scales) = (&block[..32], &block[32..96], first::<12>(&block[96..]));
    let d = half(block, 108);
    for (half, side) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let four = lanes.bytes(first(&quants[32 * half + 16 * side..]));
        let thirds = lanes.right(lanes.bytes(first(&high[16 * side..])), 4 * half as u32);
        for quarter in 0..4 {
            let part = 8 * half + 2 * quarter + side;
            // Four bits of a scale are in one of eight bytes, two bits in one of four bytes.
            let low = scales[part % 8] >> (part / 8 * 4) & 15;
            let scale = low | (scales[8 + part % 4] >> (part / 4 * 2) & 3) << 4;
            let dl = d * (f32::from(scale) - 32.0);
            let low = lanes.and(lanes.right(four, 2 * quarter as u32), 3);
            let third = lanes.and(lanes.right(thirds, quarter as u32), 1);
            let q = lanes.or(low, lanes.left(third, 2));
            sink.put(lanes, part, lanes.times(lanes.plus(lanes.real(q), -4.0), dl));
        }
    }
}

/// The 6-bit scale and the 6-bit offset of a part, in the packing of Q4_K and Q5_K.
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
pub(super) fn q4_k<L: Sixteen>(lanes: L, block: &[u8; 144], sink: &mut impl Sink<L>) {
    let (d, min) = (half(block, 0), half(block, 2));
    let (scales, quants) = (first::<12>(&block[4..]), &block[16..]);
    // Two parts share 32 bytes: the lower half-bytes belong to the first part, the upper ones to the second.
    for pair in 0..4 {
        let sides = [0, 16].map(|side| nibbles(lanes, first(&quants[pair * 32 + side..])));
        for half in [0, 1] {
            let (scale, offset) = scale_and_offset(scales, 2 * pair + half);
            let (dl, ml) = (d * scale, min * offset);
            for side in [0, 1] {
                let weights = lanes.plus(lanes.times(lanes.real(sides[side][half]), dl), -ml);
                sink.put(lanes, 4 * pair + 2 * half + side, weights);
            }
        }
    }
}

#[inline(always)]
pub(super) fn q5_k<L: Sixteen>(lanes: L, block: &[u8; 176], sink: &mut impl Sink<L>) {
    let (d, min) = (half(block, 0), half(block, 2));
    let (scales, quants) = (first::<12>(&block[4..]), &block[48..]);
    let fifths = [16, 32].map(|side| lanes.bytes(first(&block[side..])));
    for pair in 0..4 {
        let sides = [0, 16].map(|side| nibbles(lanes, first(&quants[pair * 32 + side..])));
        for half in [0, 1] {
            let part = 2 * pair + half;
            let (scale, offset) = scale_and_offset(scales, part);
            let (dl, ml) = (d * scale, min * offset);
            for side in [0, 1] {
                let fifth = lanes.left(lanes.and(lanes.right(fifths[side], part as u32), 1), 4);
                let q = lanes.or(sides[side][half], fifth);
                sink.put(lanes, 2 * part + side, lanes.plus(lanes.times(lanes.real(q), dl), -ml));
            }
        }
    }
}

#[inline(always)]
pub(super) fn q6_k<L: Sixteen>(lanes: L, block: &[u8; 210], sink: &mut impl Sink<L>) {
    let (low, high, scales) = (&block[..128], &block[128..192], first::<16>(&block[192..]));
    let d = half(block, 208);
    // Of each half of 128 weights, 64 bytes contain the lower four bits: the first 64 weights in the lower half-bytes,
    // the other 64 in the upper ones. Another 32 bytes contain the upper two bits of all four quarters.
    for (half, side) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let from = [0, 32].map(|from| nibbles(lanes, first(&low[64 * half + from + 16 * side..])));
        let upper = lanes.bytes(first(&high[32 * half + 16 * side..]));
        for quarter in 0..4 {
            let part = 8 * half + 2 * quarter + side;
            let upper = lanes.and(lanes.right(upper, 2 * quarter as u32), 3);
            let q = lanes.or(from[quarter % 2][quarter / 2], lanes.left(upper, 4));
            let dl = d * f32::from(scales[part] as i8);
            sink.put(lanes, part, lanes.times(lanes.plus(lanes.real(q), -32.0), dl));
        }
    }
}

#[inline(always)]
pub(super) fn iq4_xs<L: Sixteen>(lanes: L, block: &[u8; 136], sink: &mut impl Sink<L>) {
    let d = half(block, 0);
    let (high, low, quants) =
        (u16::from_le_bytes([block[2], block[3]]), first::<4>(&block[4..]), &block[8..]);
    for part in 0..8 {
        let scale = u16::from(low[part / 2] >> (part % 2 * 4) & 15) | (high >> (2 * part) & 3) << 4;
        let dl = d * (f32::from(scale) - 32.0);
        let [first_half, second_half] = nibbles(lanes, first(&quants[part * 16..]));
        sink.put(lanes, 2 * part, lanes.times(lanes.pick(&IQ4, first_half), dl));
        sink.put(lanes, 2 * part + 1, lanes.times(lanes.pick(&IQ4, second_half), dl));
    }
}
