//! Several matrices times the same few rows of a stream, in one parallel step instead of several.
//!
//! In decoding, one product takes about ten microseconds. Starting and joining a parallel step takes as long.

use super::affine::Affine;
use super::linear::{Linear, Matrix};
use super::storage::slice_on_cpu;
use super::weight_rows::{FEW_ROWS, Values, WeightRows, products_of_few};
use crate::error::Result;
use crate::model::spec::ActivationFn;
use candle_core::{Device, Storage, Tensor};

/// A matrix with its bias, and an optional activation function after it.
pub(crate) type Activated<'a> = (&'a Linear, Option<ActivationFn>);

/// The products of `x` with each of several matrices, with bias and activation.
///
/// # Shapes
/// `[n, in]` to one `[n, out]` per matrix.
pub(crate) fn together<const N: usize>(linears: [Activated; N], x: &Tensor) -> Result<[Tensor; N]> {
    let mut all = Vec::with_capacity(N);
    match in_one_step(&linears, x)? {
        Some(tensors) => all = tensors,
        None => {
            for (linear, activation) in linears {
                all.push(match activation {
                    Some(activation) => linear.activated(activation, x)?,
                    None => linear.forward(x)?,
                });
            }
        }
    }
    all.try_into().map_err(|_| crate::error::Error::Internal("a product was lost".into()))
}

/// The products in one parallel step; `None` if rows, device or gradients need the products one by one.
fn in_one_step(linears: &[Activated], x: &Tensor) -> Result<Option<Vec<Tensor>>> {
    let (n, d_in) = x.dims2()?;
    let needs_own_step = |(linear, _): &Activated| match &linear.weight {
        Matrix::Dense(weight) => weight.track_op() || !weight.device().is_cpu(),
        Matrix::Quantised(_) => false,
        Matrix::Q8(_) | Matrix::Bf16(_) => true,
    };
    let is_many = n > FEW_ROWS || n == 0 || d_in == 0;
    if is_many || x.track_op() || !x.device().is_cpu() || linears.iter().any(needs_own_step) {
        return Ok(None);
    }
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let x = slice_on_cpu(&storage, layout)?;
    let guards: Vec<_> = linears
        .iter()
        .map(|(linear, _)| match &linear.weight {
            Matrix::Dense(weight) => Some(weight.storage_and_layout()),
            _ => None,
        })
        .collect();
    let mut matrices = Vec::with_capacity(linears.len());
    for ((linear, _), guard) in linears.iter().zip(&guards) {
        match (&linear.weight, guard.as_ref().map(|(storage, layout)| (&**storage, layout))) {
            (_, Some((Storage::Cpu(storage), layout))) => matrices.push(WeightRows::new(storage, layout)?),
            (Matrix::Quantised(blocks), _) => {
                let [d_out, d_in] = blocks.dims();
                matrices.push(WeightRows { values: Values::Quantised(blocks), d_out, d_in });
            }
            _ => return Ok(None),
        }
    }
    if matrices.iter().any(|w| w.d_in != d_in) {
        return Ok(None); // One by one, the error names the matrix that does not fit.
    }
    let mut tensors = Vec::with_capacity(linears.len());
    let products = products_of_few(x, &matrices);
    for ((mut out, w), (linear, activation)) in products.into_iter().zip(&matrices).zip(linears) {
        let op = Affine { activation: *activation, gate: None };
        op.finish_all(&mut out, w.d_out, linear.bias.as_ref())?;
        tensors.push(Tensor::from_vec(out, (n, w.d_out), &Device::Cpu)?);
    }
    Ok(Some(tensors))
}
