//! Tensors on the CPU as slices of f32.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

/// The values of a contiguous f32 tensor on the CPU, in the order of its rows.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("found a tensor that is not contiguous"),
    }
}

/// As [`slice`], for a tensor on any device; an error if it is not on the CPU.
pub(super) fn slice_on_cpu<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => slice(storage, layout),
        _ => bail!("found a gate or a bias on another device"),
    }
}

/// Calls `f` with the values of an optional tensor on the CPU.
pub(super) fn with_values<R>(
    tensor: Option<&Tensor>,
    f: impl FnOnce(Option<&[f32]>) -> Result<R>,
) -> Result<R> {
    let guard = tensor.map(Tensor::storage_and_layout);
    f(guard.as_ref().map(|(storage, layout)| slice_on_cpu(storage, layout)).transpose()?)
}
