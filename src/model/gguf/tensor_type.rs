//! The types in which a GGUF file stores a tensor's values.

use crate::model::kernels::QuantType;
use candle_core::DType;
use std::fmt;

/// A supported type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GgmlType {
    /// Separate values.
    Dense(DType),
    /// Values in quantised blocks.
    Quantised(QuantType),
}

/// ggml's code and name for each type of separate values.
const DENSE: &[(u32, DType, &str)] =
    &[(0, DType::F32, "F32"), (1, DType::F16, "F16"), (30, DType::BF16, "BF16")];

/// ggml's codes and names of unsupported types, for errors.
const UNSUPPORTED: &[(u32, &str)] = &[
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
];

impl GgmlType {
    /// The type with this code of ggml.
    ///
    /// # Errors
    /// The name of an unsupported type, or the code of an unknown one.
    pub(super) fn from_ggml(number: u32) -> Result<GgmlType, String> {
        if let Some((_, dtype, _)) = DENSE.iter().find(|(n, ..)| *n == number) {
            return Ok(GgmlType::Dense(*dtype));
        }
        if let Some(ty) = QuantType::from_ggml(number) {
            return Ok(GgmlType::Quantised(ty));
        }
        let unread = UNSUPPORTED.iter().find(|(n, _)| *n == number);
        Err(unread.map_or_else(|| format!("type {number}"), |(_, name)| (*name).to_string()))
    }

    /// The names of the supported types.
    pub(super) fn known() -> String {
        let quantised = QuantType::all().map(GgmlType::Quantised);
        let all = DENSE.iter().map(|(_, dtype, _)| GgmlType::Dense(*dtype)).chain(quantised);
        all.map(|kind| kind.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The number of values in a block.
    pub(super) fn block(self) -> usize {
        match self {
            GgmlType::Dense(_) => 1,
            GgmlType::Quantised(ty) => ty.block_weights(),
        }
    }

    /// The number of bytes of a row of `width` values; `None` if `width` is not a multiple of the block's length.
    fn row(self, width: usize) -> Option<usize> {
        match self {
            GgmlType::Dense(dtype) => width.checked_mul(dtype.size_in_bytes()),
            GgmlType::Quantised(ty) => ty.bytes_of(width),
        }
    }

    /// The number of bytes of a tensor; `None` if it is empty, its rows are not whole blocks, or the size overflows.
    pub(super) fn size(self, shape: &[usize]) -> Option<usize> {
        let (width, rows) = shape.split_last()?;
        rows.iter().try_fold(self.row(*width)?, |size, n| size.checked_mul(*n)).filter(|size| *size > 0)
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GgmlType::Dense(dtype) => {
                let name = DENSE.iter().find(|(_, of, _)| of == dtype).map_or("?", |(.., name)| *name);
                f.write_str(name)
            }
            GgmlType::Quantised(ty) => ty.fmt(f),
        }
    }
}
