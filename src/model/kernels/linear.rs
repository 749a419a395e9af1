//! Weights as they are stored in memory, and their product with the stream.

use super::affine::{Affine, PackedAffine, PackedMatrix};
use super::bf16::PackedBf16;
use super::elementwise::multiply;
use super::quantised::QuantisedMatrix;
use crate::error::Result;
use crate::model::spec::ActivationFn;
use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{DType, Device, Module, Tensor};
use std::sync::Arc;

/// The values of one parameter.
#[derive(Debug, Clone)]
pub enum Weight {
    /// f32, f16 or bf16; products are taken in f32 in each case.
    Dense(Tensor),
    /// Quantised blocks, which stay quantised in memory; products are taken in f32 with the unpacked values.
    Quantised(QuantisedMatrix),
    /// Quantised blocks whose products round the stream to 8 bits, as llama.cpp does.
    Q8(Arc<QTensor>),
    /// bf16, with products in bf16.
    Bf16(PackedBf16),
}

impl Weight {
    /// The weight with its rows reordered: row `i` is the row at `order[i]`; a vector's values likewise.
    pub(crate) fn with_rows(self, order: &[usize]) -> Result<Weight> {
        Ok(match self {
            Weight::Quantised(blocks) => Weight::Quantised(blocks.with_rows(order)?),
            other => {
                let index: Vec<u32> = order.iter().map(|at| *at as u32).collect();
                let values = other.into_stored()?;
                let index = Tensor::from_vec(index, order.len(), values.device())?;
                Weight::Dense(values.index_select(&index, 0)?)
            }
        })
    }

    /// The values in f32.
    pub(crate) fn dense(self) -> Result<Tensor> {
        Ok(self.into_stored()?.to_dtype(DType::F32)?)
    }

    /// The values in their stored type, or in f32 if they are quantised.
    pub(crate) fn into_stored(self) -> Result<Tensor> {
        Ok(match self {
            Weight::Dense(tensor) => tensor,
            Weight::Quantised(blocks) => blocks.dense()?,
            Weight::Q8(blocks) => blocks.dequantize(&blocks.device())?,
            Weight::Bf16(packed) => packed.dense()?,
        })
    }
}

/// A matrix `[out, in]`.
#[derive(Debug, Clone)]
pub(crate) enum Matrix {
    Dense(Tensor),
    Quantised(QuantisedMatrix),
    Q8(QMatMul),
    Bf16(PackedBf16),
}

impl Matrix {
    pub(crate) fn new(weight: Weight) -> Result<Matrix> {
        Ok(match weight {
            Weight::Dense(tensor) => Matrix::Dense(tensor),
            Weight::Quantised(blocks) => Matrix::Quantised(blocks),
            Weight::Q8(blocks) => Matrix::Q8(QMatMul::from_arc(blocks)?),
            Weight::Bf16(packed) => Matrix::Bf16(packed),
        })
    }

    /// The device of its values.
    pub(crate) fn device(&self) -> Device {
        match self {
            Matrix::Dense(weight) => weight.device().clone(),
            Matrix::Quantised(_) | Matrix::Bf16(_) => Device::Cpu,
            Matrix::Q8(QMatMul::QTensor(blocks)) => blocks.device(),
            Matrix::Q8(QMatMul::Tensor(weight) | QMatMul::TensorF16(weight)) => weight.device().clone(),
        }
    }

    /// The whole matrix in f32.
    pub(crate) fn dense(&self) -> Result<Tensor> {
        Ok(match self {
            Matrix::Dense(weight) => weight.to_dtype(DType::F32)?,
            Matrix::Quantised(blocks) => blocks.dense()?,
            Matrix::Bf16(packed) => packed.dense()?,
            Matrix::Q8(QMatMul::QTensor(blocks)) => blocks.dequantize(&Device::Cpu)?,
            Matrix::Q8(QMatMul::Tensor(weight) | QMatMul::TensorF16(weight)) => {
                weight.to_dtype(DType::F32)?
            }
        })
    }

    /// The rows of these ids in f32.
    ///
    /// # Shapes
    /// `[n_ids]` to `[n_ids, in]`.
    pub(crate) fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Matrix::Dense(weight) => weight.index_select(ids, 0)?.to_dtype(DType::F32)?,
            Matrix::Quantised(blocks) => blocks.rows(ids)?,
            Matrix::Bf16(packed) => packed.dense()?.index_select(ids, 0)?,
            Matrix::Q8(blocks) => blocks.embedding(ids)?.to_dtype(DType::F32)?,
        })
    }
}

/// A matrix `[out, in]` with an optional bias.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    pub(crate) weight: Matrix,
    pub(crate) bias: Option<Tensor>,
}

impl Linear {
    /// `x · wᵀ + b`.
    ///
    /// # Shapes
    /// `[n_tokens, in]` to `[n_tokens, out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.apply(Affine::default(), x)
    }

    /// `activation(x · wᵀ + b)`.
    ///
    /// # Shapes
    /// `[n_tokens, in]` to `[n_tokens, out]`.
    pub(crate) fn activated(&self, activation: ActivationFn, x: &Tensor) -> Result<Tensor> {
        self.apply(Affine { activation: Some(activation), gate: None }, x)
    }

    /// `(x · wᵀ + b) · gate`, elementwise.
    ///
    /// # Shapes
    /// `[n_tokens, in]` and `[n_tokens, out]` to `[n_tokens, out]`.
    pub(crate) fn gated(&self, gate: Tensor, x: &Tensor) -> Result<Tensor> {
        let is_traced = |tensor: &Tensor| tensor.track_op();
        let fuses_gate = x.device().is_cpu()
            && match &self.weight {
                // A gradient needs both factors.
                Matrix::Dense(weight) => ![&gate, x, weight].into_iter().any(is_traced),
                Matrix::Quantised(_) | Matrix::Bf16(_) => ![&gate, x].into_iter().any(is_traced),
                Matrix::Q8(_) => false,
            };
        if fuses_gate {
            return self.apply(Affine { activation: None, gate: Some(gate.contiguous()?) }, x);
        }
        Ok(multiply(&gate, &self.forward(x)?)?)
    }

    fn apply(&self, op: Affine, x: &Tensor) -> Result<Tensor> {
        let y = match (&self.weight, &self.bias) {
            (Matrix::Dense(weight), bias) if x.device().is_cpu() => {
                let x = x.contiguous()?;
                return Ok(match bias {
                    Some(bias) => x.apply_op3(weight, bias, op)?,
                    None => x.apply_op2(weight, op)?,
                });
            }
            (Matrix::Quantised(blocks), bias) => {
                let w = PackedMatrix::Quantised(blocks.clone());
                return Ok(x.contiguous()?.apply_op1(PackedAffine { op, w, b: bias.clone() })?);
            }
            (Matrix::Bf16(packed), bias) => {
                let w = PackedMatrix::Bf16(packed.clone());
                return Ok(x.contiguous()?.apply_op1(PackedAffine { op, w, b: bias.clone() })?);
            }
            (Matrix::Dense(weight), _) => x.matmul(&weight.to_dtype(DType::F32)?.t()?)?,
            (Matrix::Q8(blocks), _) => blocks.forward(&x.contiguous()?)?,
        };
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        Ok(match op.activation {
            Some(activation) => activation.composed(&y)?,
            None => y,
        })
    }
}
