//! Several matrices by the same few rows of a stream: one step for the threads in place of several.
//!
//! In decoding a product takes some ten microseconds, which is what it takes to hand it out and wait for its end.

use super::affine::{Affine, on_cpu};
use super::linear::{Linear, Matrix};
use super::spec::Activation;
use super::weight_rows::{FEW, Numbers, Rows, few};
use crate::error::Result;
use candle_core::{Storage, Tensor};

/// The products with each of several matrices, with its bias and perhaps an activation.
///
/// # Shapes
/// `[n, in]` to `[n, out]` of each.
pub(super) fn together<const N: usize>(
    linears: [(&Linear, Option<Activation>); N],
    x: &Tensor,
) -> Result<[Tensor; N]> {
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

fn in_one_step(linears: &[(&Linear, Option<Activation>)], x: &Tensor) -> Result<Option<Vec<Tensor>>> {
    let (n, d_in) = x.dims2()?;
    let is_traced = |(linear, _): &(&Linear, _)| match &linear.weight {
        Matrix::Dense(weight) => weight.track_op() || !weight.device().is_cpu(),
        Matrix::Quantised(_) => false,
        Matrix::Rounding(_) | Matrix::Bf16(_) => true,
    };
    if n > FEW || n == 0 || d_in == 0 || x.track_op() || !x.device().is_cpu() || linears.iter().any(is_traced)
    {
        return Ok(None);
    }
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let x = on_cpu(&storage, layout)?;
    let held: Vec<_> = linears
        .iter()
        .map(|(linear, _)| match &linear.weight {
            Matrix::Dense(weight) => Some(weight.storage_and_layout()),
            _ => None,
        })
        .collect();
    let mut matrices = Vec::with_capacity(linears.len());
    for ((linear, _), held) in linears.iter().zip(&held) {
        match (&linear.weight, held.as_ref().map(|(storage, layout)| (&**storage, layout))) {
            (_, Some((Storage::Cpu(storage), layout))) => matrices.push(Rows::of(storage, layout)?),
            (Matrix::Quantised(blocks), _) => {
                let [d_out, d_in] = blocks.dims();
                matrices.push(Rows { numbers: Numbers::Blocks(blocks), d_out, d_in });
            }
            _ => return Ok(None),
        }
    }
    if matrices.iter().any(|w| w.d_in != d_in) {
        return Ok(None); // One by one, the matrix is named that does not fit.
    }
    let mut tensors = Vec::with_capacity(linears.len());
    for ((mut out, w), (linear, activation)) in few(x, &matrices).into_iter().zip(&matrices).zip(linears) {
        let op = Affine { activation: *activation, gate: None };
        op.finish_all(&mut out, w.d_out, linear.bias.as_ref())?;
        tensors.push(Tensor::from_vec(out, (n, w.d_out), &candle_core::Device::Cpu)?);
    }
    Ok(Some(tensors))
}
