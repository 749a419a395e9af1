//! Number formats: of the weights in memory, and of the products in blocks.

use crate::error::{Error, Result};
use candle_core::DType;
use std::fmt;
use std::str::FromStr;

/// The number format of the matrices in memory; norms and biases are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Four bytes per weight.
    #[default]
    F32,
    /// Two bytes per weight, with eleven significant bits.
    F16,
    /// Two bytes per weight, with eight significant bits.
    Bf16,
    /// The format of the checkpoint; the quantised matrices of a GGUF file stay quantised.
    AsStored,
}

impl Precision {
    /// The type of a matrix in memory; `None` is the stored type.
    pub(crate) fn dtype(self) -> Option<DType> {
        match self {
            Precision::F32 => Some(DType::F32),
            Precision::F16 => Some(DType::F16),
            Precision::Bf16 => Some(DType::BF16),
            Precision::AsStored => None,
        }
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Precision> {
        match name {
            "f32" | "float32" => Ok(Precision::F32),
            "f16" | "float16" => Ok(Precision::F16),
            "bf16" | "bfloat16" => Ok(Precision::Bf16),
            "auto" => Ok(Precision::AsStored),
            _ => Err(Error::invalid("dtype", name, "f32, f16, bf16 or auto (as the checkpoint stores it)")),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::Bf16 => "bf16",
            Precision::AsStored => "auto",
        })
    }
}

/// The number format of the blocks' matrix products; their sums and all other operations are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compute {
    /// f32 for weights in every format; quantised matrices are unpacked.
    #[default]
    F32,
    /// The stream rounded to 8 bits in products with quantised matrices, as in llama.cpp; f32 in other products, and in
    /// the untrained and shuffled models, whose matrices are not quantised.
    Q8,
    /// bf16, to which the stream and the blocks' weights are rounded; needs a processor with AVX-512 BF16.
    Bf16,
}

/// The settings by name.
const NAMES: [(&str, Compute); 3] = [("f32", Compute::F32), ("bf16", Compute::Bf16), ("q8", Compute::Q8)];

impl FromStr for Compute {
    type Err = Error;

    fn from_str(name: &str) -> Result<Compute> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, compute)| *compute).ok_or_else(|| {
            let expected = "f32, bf16 (on processors with AVX-512 BF16), or q8 (the stream in 8 bits for products with \
                            quantised weights, as in llama.cpp)";
            Error::invalid("compute", name, expected)
        })
    }
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, compute)| compute == self).map_or("?", |(name, _)| name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_they_are_printed_and_others_are_refused() {
        for (_, compute) in NAMES {
            assert_eq!(compute.to_string().parse::<Compute>().unwrap(), compute);
        }
        for bad in ["", "F32", "int8"] {
            assert!(bad.parse::<Compute>().unwrap_err().to_string().contains("q8"), "{bad}");
        }
    }
}
