//! The supported quantised types: llama.cpp's codes and names, and the sizes of their blocks.

use candle_core::quantized::GgmlDType;
use std::fmt;

/// A quantised type: several weights are stored in one block of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, non_camel_case_types, reason = "llama.cpp's names")]
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

/// The properties of a type.
struct Row {
    ty: QuantType,
    /// The type's code in a GGUF file.
    ggml: u32,
    name: &'static str,
    /// Weights per block.
    weights: usize,
    /// Bytes per block.
    bytes: usize,
    /// The same type in candle, whose products round the stream to 8 bits, as llama.cpp does.
    candle: Option<GgmlDType>,
}

/// A code and a name of llama.cpp.
type Ggml = (u32, &'static str);
/// Weights and bytes of a block.
type Block = (usize, usize);

const fn row(ty: QuantType, ggml: Ggml, block: Block, candle: Option<GgmlDType>) -> Row {
    Row { ty, ggml: ggml.0, name: ggml.1, weights: block.0, bytes: block.1, candle }
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
    /// All types.
    pub fn all() -> impl Iterator<Item = QuantType> {
        TYPES.iter().map(|row| row.ty)
    }

    /// The type with llama.cpp's code.
    pub fn from_ggml(number: u32) -> Option<QuantType> {
        TYPES.iter().find(|row| row.ggml == number).map(|row| row.ty)
    }

    /// The number of weights in a block.
    pub fn block_weights(self) -> usize {
        self.row().weights
    }

    /// The number of bytes of a block.
    pub fn block_bytes(self) -> usize {
        self.row().bytes
    }

    /// The bytes of `width` weights; `None` if they are not whole blocks, or the size overflows.
    pub fn bytes_of(self, width: usize) -> Option<usize> {
        let whole = width.is_multiple_of(self.block_weights());
        whole.then(|| (width / self.block_weights()).checked_mul(self.block_bytes()))?
    }

    /// The type in candle, if candle multiplies rows of this width: for some types, the number of blocks must be even.
    pub(crate) fn candle_type(self, width: usize) -> Option<GgmlDType> {
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
    fn rows_are_in_the_order_of_the_types_and_agree_with_candle() {
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
    fn rows_are_whole_blocks_and_candle_needs_pairs_of_some() {
        assert_eq!(QuantType::Q4_1.bytes_of(64), Some(40));
        assert_eq!(QuantType::Q4_K.bytes_of(64), None);
        assert_eq!(QuantType::Q8_0.bytes_of(usize::MAX - 31), None);
        assert!(QuantType::Q4_1.candle_type(32).is_none() && QuantType::Q4_1.candle_type(64).is_some());
        assert!(QuantType::Q8_0.candle_type(32).is_some() && QuantType::MXFP4.candle_type(64).is_none());
    }
}
