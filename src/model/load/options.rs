//! The settings for loading a model: number formats and device.

use crate::error::{Error, Result};
use crate::model::device::DeviceChoice;
use crate::model::kernels::PackedBf16;
use crate::model::location::Location;
use crate::model::precision::{Compute, Precision};

/// The number format of a model's weights, its device, and the number format of its blocks' products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// The number format of the matrices; `None` is the stored format for a GGUF file, and f32 otherwise.
    pub precision: Option<Precision>,
    /// The device.
    pub device: DeviceChoice,
    /// The number format of the blocks' products.
    pub compute: Compute,
}

impl LoadOptions {
    /// The number format of the matrices of a GGUF file or another model.
    pub(crate) fn precision_of(self, is_gguf: bool) -> Precision {
        self.precision.unwrap_or(if is_gguf { Precision::AsStored } else { Precision::F32 })
    }

    /// Refuses products in a format that the processor or device lacks, or that would change nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the reason.
    pub(super) fn check(self, location: &Location) -> Result<()> {
        let is_gguf = matches!(location, Location::Gguf(_));
        let is_quantised = is_gguf && self.precision_of(is_gguf) == Precision::AsStored;
        if self.compute == Compute::Q8 && !is_quantised {
            let expected =
                "a GGUF file whose weights keep their stored types; other weights are multiplied in f32";
            return Err(Error::invalid("--compute", "q8 without quantised weights", expected));
        }
        let found = match (self.compute, self.device) {
            (Compute::Bf16, DeviceChoice::Cpu) if !PackedBf16::is_supported() => {
                "bf16 on a processor without AVX-512 BF16".to_string()
            }
            (Compute::Bf16, device) if device != DeviceChoice::Cpu => format!("bf16 on {device}"),
            _ => return Ok(()),
        };
        Err(Error::invalid("--compute", found, "f32, which every machine supports"))
    }
}

impl From<Precision> for LoadOptions {
    fn from(precision: Precision) -> LoadOptions {
        LoadOptions { precision: Some(precision), ..LoadOptions::default() }
    }
}
