//! Conversion of a stored parameter to the form that the forward pass multiplies with.

use super::params::Param;
use crate::error::Result;
use crate::model::kernels::{PackedBf16, Weight};
use crate::model::precision::Compute;
use candle_core::Device;
use candle_core::quantized::{QStorage, QTensor};
use std::borrow::Cow;
use std::sync::Arc;

/// Moves a parameter to a device, in the form that the forward pass multiplies with.
pub(crate) fn convert(weight: Weight, param: Param, device: &Device, compute: Compute) -> Result<Weight> {
    if compute == Compute::Bf16 && param.is_block_matrix() {
        return Ok(Weight::Bf16(PackedBf16::new(&weight.into_stored()?)?));
    }
    let blocks = match weight {
        Weight::Quantised(blocks) => blocks,
        Weight::Dense(tensor) => return Ok(Weight::Dense(tensor.to_device(device)?)),
        Weight::Q8(_) | Weight::Bf16(_) => return Ok(weight),
    };
    if let (Compute::Q8, Some(dtype)) = (compute, blocks.ty().candle_type(blocks.dims()[1])) {
        let storage = QStorage::from_data(Cow::Borrowed(blocks.bytes()), device, dtype)?;
        return Ok(Weight::Q8(Arc::new(QTensor::new(storage, &blocks.dims()[..])?)));
    }
    match device.is_cpu() {
        true => Ok(Weight::Quantised(blocks)),
        // Only the CPU's kernels unpack quantised blocks while they multiply.
        false => Ok(Weight::Dense(blocks.dense()?.to_device(device)?)),
    }
}
