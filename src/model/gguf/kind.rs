//! How a GGUF file stores a tensor's numbers.

use candle_core::DType;
use candle_core::quantized::GgmlDType;
use std::fmt;

/// A type that is read; the numbers of a row are stored in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub GgmlDType);

/// ggml's number for each type that is read, and its name.
const READ: &[(u32, GgmlDType, &str)] = &[
    (0, GgmlDType::F32, "F32"),
    (1, GgmlDType::F16, "F16"),
    (2, GgmlDType::Q4_0, "Q4_0"),
    (3, GgmlDType::Q4_1, "Q4_1"),
    (6, GgmlDType::Q5_0, "Q5_0"),
    (7, GgmlDType::Q5_1, "Q5_1"),
    (8, GgmlDType::Q8_0, "Q8_0"),
    (10, GgmlDType::Q2K, "Q2_K"),
    (11, GgmlDType::Q3K, "Q3_K"),
    (12, GgmlDType::Q4K, "Q4_K"),
    (13, GgmlDType::Q5K, "Q5_K"),
    (14, GgmlDType::Q6K, "Q6_K"),
    (30, GgmlDType::BF16, "BF16"),
];

/// ggml's number for each other type, so that an error can name it.
const UNREAD: &[(u32, &str)] = &[
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

impl Kind {
    /// The types that are read.
    pub const KNOWN: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K";

    /// The type of ggml's number; if it is not read, its name.
    ///
    /// # Errors
    /// The name of the type, or its number.
    pub fn from_ggml(number: u32) -> Result<Kind, String> {
        if let Some((_, dtype, _)) = READ.iter().find(|(n, ..)| *n == number) {
            return Ok(Kind(*dtype));
        }
        let unread = UNREAD.iter().find(|(n, _)| *n == number);
        Err(unread.map_or_else(|| format!("type {number}"), |(_, name)| (*name).to_string()))
    }

    /// The numbers' own type, if each stands alone.
    pub fn dense(self) -> Option<DType> {
        match self.0 {
            GgmlDType::F32 => Some(DType::F32),
            GgmlDType::F16 => Some(DType::F16),
            GgmlDType::BF16 => Some(DType::BF16),
            _ => None,
        }
    }

    /// Whether candle takes products of rows of this width as they are: of some types, only pairs of blocks.
    pub fn multiplies(self, width: usize) -> bool {
        let in_pairs = matches!(self.0, GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1);
        !in_pairs || width.is_multiple_of(2 * self.block())
    }

    /// How many numbers a block holds.
    pub fn block(self) -> usize {
        self.0.block_size()
    }

    /// The bytes of one row of `width` numbers; none if it is no whole number of blocks.
    fn row(self, width: usize) -> Option<usize> {
        let whole = width.is_multiple_of(self.block());
        whole.then(|| (width / self.block()).checked_mul(self.0.type_size()))?
    }

    /// The bytes of a tensor; none if it is empty, its rows are no whole blocks, or memory could not hold it.
    pub fn size(self, shape: &[usize]) -> Option<usize> {
        let (width, rows) = shape.split_last()?;
        rows.iter().try_fold(self.row(*width)?, |size, n| size.checked_mul(*n)).filter(|size| *size > 0)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = READ.iter().find(|(_, dtype, _)| *dtype == self.0).map_or("?", |(.., name)| *name);
        f.write_str(name)
    }
}
