//! The number formats of stored activations.

use super::value_names::{name_of, parse};
use crate::error::{Error, Result};
use half::{bf16, f16};
use safetensors::tensor::Dtype;
use std::fmt;
use std::str::FromStr;

/// The number format of a store's arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoredDtype {
    /// 32 bits, as computed.
    #[default]
    F32,
    /// 16 bits, with 11 significant binary digits; at most 65504.
    F16,
    /// 16 bits, with 8 significant binary digits; the range of f32.
    Bf16,
}

pub(super) const DTYPES: [(&str, StoredDtype); 3] =
    [("f32", StoredDtype::F32), ("f16", StoredDtype::F16), ("bf16", StoredDtype::Bf16)];

impl FromStr for StoredDtype {
    type Err = Error;

    fn from_str(word: &str) -> Result<StoredDtype> {
        parse("number format to store", word, &DTYPES)
    }
}

impl fmt::Display for StoredDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(self, &DTYPES))
    }
}

impl StoredDtype {
    /// The dtype in safetensors.
    pub(crate) fn safetensors(self) -> Dtype {
        match self {
            StoredDtype::F32 => Dtype::F32,
            StoredDtype::F16 => Dtype::F16,
            StoredDtype::Bf16 => Dtype::BF16,
        }
    }

    /// The format of a safetensors dtype; `None` for dtypes that stores do not use.
    pub(crate) fn of_safetensors(dtype: Dtype) -> Option<StoredDtype> {
        DTYPES.iter().map(|(_, stored)| *stored).find(|stored| stored.safetensors() == dtype)
    }

    /// Bytes of one number.
    pub(crate) fn size(self) -> usize {
        if self == StoredDtype::F32 { 4 } else { 2 }
    }

    /// The largest finite number.
    pub(crate) fn largest(self) -> f32 {
        match self {
            StoredDtype::F32 => f32::MAX,
            StoredDtype::F16 => f16::MAX.to_f32(),
            StoredDtype::Bf16 => bf16::MAX.to_f32(),
        }
    }

    /// Appends values in little-endian order; the error is the first value that is too large.
    pub(crate) fn encode(self, values: &[f32], bytes: &mut Vec<u8>) -> Result<(), f32> {
        // Values between the largest bf16 and the largest f32 may be rounded down as well as up.
        let overflows = |x: f32| match self {
            StoredDtype::F32 => false,
            StoredDtype::F16 => x.abs() > self.largest(),
            StoredDtype::Bf16 => bf16::from_f32(x).is_infinite(),
        };
        if let Some(large) = values.iter().find(|x| overflows(**x)) {
            return Err(*large);
        }
        match self {
            StoredDtype::F32 => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            StoredDtype::F16 => bytes.extend(values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes())),
            StoredDtype::Bf16 => bytes.extend(values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes())),
        }
        Ok(())
    }

    /// The values of encoded bytes.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let pairs = bytes.as_chunks::<2>().0.iter();
        match self {
            StoredDtype::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            StoredDtype::F16 => pairs.map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            StoredDtype::Bf16 => pairs.map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_format_lists_the_known_ones() {
        let message = "f8".parse::<StoredDtype>().unwrap_err().to_string();
        assert!(message.contains("f32, f16, bf16"), "{message}");
    }

    #[test]
    fn numbers_are_rounded_once_and_none_becomes_an_infinity() {
        let values = [0.0, -0.0, 1.0, -2.5, 65504.0, 1e-7, 3.140_625, 0.1, -65504.0];
        for (_, dtype) in DTYPES {
            let mut bytes = Vec::new();
            dtype.encode(&values, &mut bytes).unwrap();
            assert_eq!(bytes.len(), values.len() * dtype.size());
            let back = dtype.decode(&bytes);
            for (x, y) in values.iter().zip(&back) {
                // Half a unit in the last place, or of the smallest number of f16.
                let digits = [(StoredDtype::F32, 24), (StoredDtype::F16, 11), (StoredDtype::Bf16, 8)];
                let (_, digits) = digits.iter().find(|(of, _)| *of == dtype).unwrap();
                assert!((x - y).abs() <= x.abs() * 0.5f32.powi(*digits) + 3e-8, "{dtype}: {x} became {y}");
            }
            let mut again = Vec::new();
            dtype.encode(&back, &mut again).unwrap();
            assert_eq!(again, bytes, "{dtype}");
        }
        let too_large =
            [(StoredDtype::F16, 65505.0), (StoredDtype::F16, -7e4), (StoredDtype::Bf16, f32::MAX)];
        for (dtype, large) in too_large {
            assert_eq!(dtype.encode(&[1.0, large], &mut Vec::new()), Err(large));
        }
    }
}
