//! The numbers in which a model's blocks multiply the stream by their matrices.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The numbers in which the blocks' matrix products are taken; their sums are f32, and so is all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compute {
    /// f32, whatever the weights lie in: a quantised matrix means the numbers that it unpacks to.
    #[default]
    F32,
    /// The stream rounded to 8 bits beside quantised matrices, as llama.cpp takes their products; f32 beside others.
    Q8,
}

/// Each with its name.
const NAMES: [(&str, Compute); 2] = [("f32", Compute::F32), ("q8", Compute::Q8)];

impl FromStr for Compute {
    type Err = Error;

    fn from_str(name: &str) -> Result<Compute> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, compute)| *compute).ok_or_else(|| {
            let expected = "f32, or q8 (the stream in 8 bits beside quantised weights, as in llama.cpp)";
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
    fn names_are_read_as_they_are_written_and_nothing_else_is_one() {
        for (_, compute) in NAMES {
            assert_eq!(compute.to_string().parse::<Compute>().unwrap(), compute);
        }
        for bad in ["", "F32", "int8"] {
            assert!(bad.parse::<Compute>().unwrap_err().to_string().contains("q8"), "{bad}");
        }
    }
}
