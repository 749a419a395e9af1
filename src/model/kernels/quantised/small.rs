//! Blocks of 32 weights: a scale, for some types an offset, and the bits of each weight.
//!
//! Byte `j` of a block with 4 bits per weight contains weight `j` in its lower half and weight `j + 16` in its upper
//! half.
//!
//! # Source
//! The layout of the bytes is that of `ggml-quants.c` in llama.cpp; tests compare the values with gguf-py's
//! `dequantize`.

use super::half::{first, half};
use super::sink::Sink;
use super::sixteen::Sixteen;

/// The values of the 4-bit codes of IQ4_NL and IQ4_XS.
pub(super) const IQ4: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

/// The values of MXFP4's 4-bit codes (a sign, two bits of exponent and one of mantissa), doubled, so that they are
/// integers.
const MX: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

/// The lower and the upper half-bytes of 16 bytes.
#[inline(always)]
pub(super) fn nibbles<L: Sixteen>(lanes: L, from: &[u8; 16]) -> [L::Whole; 2] {
    let both = lanes.bytes(from);
    [lanes.and(both, 15), lanes.right(both, 4)]
}

/// The half-bytes of 16 bytes, each with a fifth bit from 4 separate bytes.
#[inline(always)]
fn fives<L: Sixteen>(lanes: L, [a, b, c, d]: &[u8; 4], from: &[u8; 16]) -> [L::Whole; 2] {
    let [low, high] = nibbles(lanes, from);
    [
        lanes.or_where(low, u16::from_le_bytes([*a, *b]), 16),
        lanes.or_where(high, u16::from_le_bytes([*c, *d]), 16),
    ]
}

#[inline(always)]
pub(super) fn q4_0<L: Sixteen>(lanes: L, block: &[u8; 18], sink: &mut impl Sink<L>) {
    let (d, [low, high]) = (half(block, 0), nibbles(lanes, first(&block[2..])));
    sink.put(lanes, 0, lanes.times(lanes.plus(lanes.real(low), -8.0), d));
    sink.put(lanes, 1, lanes.times(lanes.plus(lanes.real(high), -8.0), d));
}

#[inline(always)]
pub(super) fn q4_1<L: Sixteen>(lanes: L, block: &[u8; 20], sink: &mut impl Sink<L>) {
    let (d, m, [low, high]) = (half(block, 0), half(block, 2), nibbles(lanes, first(&block[4..])));
    sink.put(lanes, 0, lanes.plus(lanes.times(lanes.real(low), d), m));
    sink.put(lanes, 1, lanes.plus(lanes.times(lanes.real(high), d), m));
}

#[inline(always)]
pub(super) fn q5_0<L: Sixteen>(lanes: L, block: &[u8; 22], sink: &mut impl Sink<L>) {
    let (d, [low, high]) = (half(block, 0), fives(lanes, first(&block[2..]), first(&block[6..])));
    sink.put(lanes, 0, lanes.times(lanes.plus(lanes.real(low), -16.0), d));
    sink.put(lanes, 1, lanes.times(lanes.plus(lanes.real(high), -16.0), d));
}

#[inline(always)]
pub(super) fn q5_1<L: Sixteen>(lanes: L, block: &[u8; 24], sink: &mut impl Sink<L>) {
    let (d, m) = (half(block, 0), half(block, 2));
    let [low, high] = fives(lanes, first(&block[4..]), first(&block[8..]));
    sink.put(lanes, 0, lanes.plus(lanes.times(lanes.real(low), d), m));
    sink.put(lanes, 1, lanes.plus(lanes.times(lanes.real(high), d), m));
}

#[inline(always)]
pub(super) fn q8_0<L: Sixteen>(lanes: L, block: &[u8; 34], sink: &mut impl Sink<L>) {
    let d = half(block, 0);
    sink.put(lanes, 0, lanes.times(lanes.real(lanes.signed_bytes(first(&block[2..]))), d));
    sink.put(lanes, 1, lanes.times(lanes.real(lanes.signed_bytes(first(&block[18..]))), d));
}

#[inline(always)]
pub(super) fn iq4_nl<L: Sixteen>(lanes: L, block: &[u8; 18], sink: &mut impl Sink<L>) {
    let (d, [low, high]) = (half(block, 0), nibbles(lanes, first(&block[2..])));
    sink.put(lanes, 0, lanes.times(lanes.pick(&IQ4, low), d));
    sink.put(lanes, 1, lanes.times(lanes.pick(&IQ4, high), d));
}

#[inline(always)]
pub(super) fn mxfp4<L: Sixteen>(lanes: L, block: &[u8; 17], sink: &mut impl Sink<L>) {
    let e = block[0];
    // Half of 2^(e - 127), because the values of the table are doubled.
    let d = f32::from_bits(if e < 2 { 0x0020_0000 << e } else { (u32::from(e) - 1) << 23 });
    let [low, high] = nibbles(lanes, first(&block[1..]));
    sink.put(lanes, 0, lanes.times(lanes.pick(&MX, low), d));
    sink.put(lanes, 1, lanes.times(lanes.pick(&MX, high), d));
}
