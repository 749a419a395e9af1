//! The numbers in which a model's blocks multiply the stream by their matrices.

use super::bf16::PackedBf16;
use super::device::DeviceChoice;
use super::location::Location;
use super::weights::Precision;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The numbers in which the blocks' matrix products are taken; their sums are f32, and so is all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compute {
    /// f32, whatever the weights lie in: a quantised matrix means the numbers that it unpacks to.
    #[default]
    F32,
    /// The stream rounded to 8 bits beside quantised matrices, as llama.cpp takes their products; f32 beside others, and in
    /// the models that know nothing, whose matrices are not quantised.
    Q8,
    /// bf16, the stream and the blocks' weights rounded to it, where the processor has AVX-512 BF16.
    Bf16,
}

/// Each with its name.
const NAMES: [(&str, Compute); 3] = [("f32", Compute::F32), ("bf16", Compute::Bf16), ("q8", Compute::Q8)];

impl Compute {
    /// Refuses what this machine's processor, or another device, cannot compute in, and what would change nothing.
    pub(super) fn check(
        self,
        device: DeviceChoice,
        (location, precision): (&Location, Precision),
    ) -> Result<()> {
        let is_quantised = matches!(location, Location::Gguf(_)) && precision == Precision::AsStored;
        if self == Compute::Q8 && !is_quantised {
            let expected = "a GGUF file whose weights stay as they are stored; others are multiplied in f32";
            return Err(Error::invalid("--compute", "q8 without quantised weights", expected));
        }
        let found = match (self, device) {
            (Compute::Bf16, DeviceChoice::Cpu) if !PackedBf16::is_supported() => {
                "bf16 on a processor without AVX-512 BF16".to_string()
            }
            (Compute::Bf16, device) if device != DeviceChoice::Cpu => format!("bf16 on {device}"),
            _ => return Ok(()),
        };
        Err(Error::invalid("--compute", found, "f32, which every machine computes in"))
    }
}

impl FromStr for Compute {
    type Err = Error;

    fn from_str(name: &str) -> Result<Compute> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, compute)| *compute).ok_or_else(|| {
            let expected = "f32, bf16 (on processors with AVX-512 BF16), or q8 (the stream in 8 bits beside quantised \
                            weights, as in llama.cpp)";
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
