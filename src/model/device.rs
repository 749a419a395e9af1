//! The device of a model: the CPU, or an accelerator for which the program was built.

use crate::error::{Error, Result};
use candle_core::Device;
use std::fmt;
use std::str::FromStr;

/// A device as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The CPU.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its number, in a program built with `--features cuda`.
    Cuda(usize),
    /// An Apple GPU by its number, in a program built with `--features metal`.
    Metal(usize),
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the program was not built for the device, or the machine lacks it.
    pub fn open(self) -> Result<Device> {
        let (opened, feature, is_built) = match self {
            DeviceChoice::Cpu => return Ok(Device::Cpu),
            DeviceChoice::Cuda(n) => (Device::new_cuda(n), "cuda", candle_core::utils::cuda_is_available()),
            DeviceChoice::Metal(n) => {
                (Device::new_metal(n), "metal", candle_core::utils::metal_is_available())
            }
        };
        opened.map_err(|error| match is_built {
            true => {
                let expected = "an existing device that is free; --device cpu works everywhere";
                Error::invalid("--device", format!("{self}: {error}"), expected)
            }
            false => {
                let expected = format!(
                    "cpu: this program was built without {feature}; rebuild it with \
                     `cargo build --release --features {feature}`"
                );
                Error::invalid("--device", self, expected)
            }
        })
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<DeviceChoice> {
        let (kind, number) = name.split_once(':').unwrap_or((name, "0"));
        match (kind, number.parse()) {
            ("cpu", _) if kind == name => Ok(DeviceChoice::Cpu),
            ("cuda", Ok(n)) => Ok(DeviceChoice::Cuda(n)),
            ("metal", Ok(n)) => Ok(DeviceChoice::Metal(n)),
            _ => Err(Error::invalid(
                "device",
                name,
                "cpu, cuda, metal, or a device with its number, such as cuda:1",
            )),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(n) => write!(f, "cuda:{n}"),
            DeviceChoice::Metal(n) => write!(f, "metal:{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed_as_they_are_printed_and_others_are_refused() {
        for device in
            [DeviceChoice::Cpu, DeviceChoice::Cuda(0), DeviceChoice::Cuda(3), DeviceChoice::Metal(1)]
        {
            assert_eq!(device.to_string().parse::<DeviceChoice>().unwrap(), device);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for bad in ["gpu", "cuda:", "cuda:x", "cpu:1", "cuda:-1", ""] {
            assert!(bad.parse::<DeviceChoice>().unwrap_err().to_string().contains("cuda:1"), "{bad}");
        }
    }

    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    #[test]
    fn an_unsupported_device_is_refused_with_the_way_to_build_for_it() {
        assert!(DeviceChoice::Cpu.open().unwrap().is_cpu());
        for (device, feature) in [(DeviceChoice::Cuda(0), "cuda"), (DeviceChoice::Metal(0), "metal")] {
            let message = device.open().unwrap_err().to_string();
            assert!(message.contains(&format!("--features {feature}")), "{message}");
        }
    }
}
