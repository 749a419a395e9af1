//! The quantised types that are read: llama.cpp's numbers and names for them, and the size of their blocks.

use candle_core::quantized::GgmlDType;
use std::fmt;

/// A way to store several weights in one block of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, non_camel_case_types, reason = "llama.cpp's own names")]
pub enum QuantType {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_NL,
    IQ4_XS,
    MXFP4,
}

/// A type and its facts.
struct Row {
    ty: QuantType,
    /// The number that stands for the type in a GGUF file.
    ggml: u32,
    name: &'static str,
    /// Weights of a block.
    weights: usize,
    /// Bytes of a block.
    bytes: usize,
    /// The same type in candle, whose products round the stream to 8 bits as llama.cpp's do.
    candle: Option<GgmlDType>,
}

const fn row(
    ty: QuantType,
    (ggml, name): (u32, &'static str),
    (weights, bytes): (usize, usize),
    candle: Option<GgmlDType>,
) -> Row {
    Row { ty, ggml, name, weights, bytes, candle }
}

/// In the order of [`QuantType`].
const TYPES: [Row; 13] = [
    row(QuantType::Q4_0, (2, "Q4_0"), (32, 18), Some(GgmlDType::Q4_0)),
    row(QuantType::Q4_1, (3, "Q4_1"), (32, 20), Some(GgmlDType::Q4_1)),
    row(QuantType::Q5_0, (6, "Q5_0"), (32, 22), Some(GgmlDType::Q5_0)),
    row(QuantType::Q5_1, (7, "Q5_1"), (32, 24), Some(GgmlDType::Q5_1)),
    row(QuantType::Q8_0, (8, "Q8_0"), (32, 34), Some(GgmlDType::Q8_0)),
    row(QuantType::Q2_K, (10, "Q2_K"), (256, 84), Some(GgmlDType::Q2K)),
    row(QuantType::Q3_K, (11, "Q3_K"), (256, 110), Some(GgmlDType::Q3K)),
    row(QuantType::Q4_K, (12, "Q4_K"), (256, 144), Some(GgmlDType::Q4K)),
    row(QuantType::Q5_K, (13, "Q5_K"), (256, 176), Some(GgmlDType::Q5K)),
    row(QuantType::Q6_K, (14, "Q6_K"), (256, 210), Some(GgmlDType::Q6K)),
    row(QuantType::IQ4_NL, (20, "IQ4_NL"), (32, 18), None),
    row(QuantType::IQ4_XS, (23, "IQ4_XS"), (256, 136), None),
    row(QuantType::MXFP4, (39, "MXFP4"), (32, 17), None),
];

impl QuantType {
    /// Every type.
    pub fn all() -> impl Iterator<Item = QuantType> {
        TYPES.iter().map(|row| row.ty)
    }

    /// The type of llama.cpp's number.
    pub fn from_ggml(number: u32) -> Option<QuantType> {
        TYPES.iter().find(|row| row.ggml == number).map(|row| row.ty)
    }

    /// The number of weights that a block holds.
    pub fn block_weights(self) -> usize {
        self.row().weights
    }

    /// The number of bytes that a block takes.
    pub fn block_bytes(self) -> usize {
        self.row().bytes
    }

    /// The bytes of `width` weights; none if they are no whole number of blocks.
    pub fn bytes_of(self, width: usize) -> Option<usize> {
        let whole = width.is_multiple_of(self.block_weights());
        whole.then(|| (width / self.block_weights()).checked_mul(self.block_bytes()))?
    }

    /// The type in candle, if candle multiplies rows of this width: of some types, only pairs of blocks.
    pub(crate) fn of_candle(self, width: usize) -> Option<GgmlDType> {
        let in_pairs = matches!(self, QuantType::Q4_1 | QuantType::Q5_0 | QuantType::Q5_1);
        let fits = !in_pairs || width.is_multiple_of(2 * self.block_weights());
        self.row().candle.filter(|_| fits)
    }

    fn row(self) -> &'static Row {
        &TYPES[self as usize]
    }
}

impl fmt::Display for QuantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_types_and_agree_with_candle() {
        for (i, row) in TYPES.iter().enumerate() {
            assert_eq!(row.ty as usize, i, "{}", row.name);
            if let Some(candle) = row.candle {
                assert_eq!(
                    (candle.block_size(), candle.type_size()),
                    (row.weights, row.bytes),
                    "{}",
                    row.name
                );
            }
        }
    }

    #[test]
    fn rows_are_whole_blocks_and_candle_takes_some_in_pairs() {
        assert_eq!(QuantType::Q4_1.bytes_of(64), Some(40));
        assert_eq!(QuantType::Q4_K.bytes_of(64), None);
        assert_eq!(QuantType::Q8_0.bytes_of(usize::MAX - 31), None);
        assert!(QuantType::Q4_1.of_candle(32).is_none() && QuantType::Q4_1.of_candle(64).is_some());
        assert!(QuantType::Q8_0.of_candle(32).is_some() && QuantType::MXFP4.of_candle(64).is_none());
    }
}
