//! Matrices as they lie in memory, and their product with the stream.

use super::affine::{Affine, Stored, StoredMatrix};
use super::bf16::PackedBf16;
use super::compute::Compute;
use super::elementwise::multiply;
use super::params::Param;
use super::quantised::Blocks;
use super::spec::Activation;
use crate::error::Result;
use candle_core::quantized::{QMatMul, QStorage, QTensor};
use candle_core::{DType, Device, Module, Tensor};
use std::borrow::Cow;
use std::sync::Arc;

/// A parameter's values.
#[derive(Debug, Clone)]
pub enum Weight {
    /// Numbers in f32, f16 or bf16; whatever they are, products are taken in f32.
    Dense(Tensor),
    /// Blocks of quantised numbers, kept so in memory; products are taken in f32 with what they unpack to.
    Quantised(Blocks),
    /// Blocks of quantised numbers whose products round the other side to 8 bits as well, as llama.cpp's do.
    Rounding(Arc<QTensor>),
    /// Numbers in bf16, by which the other side is multiplied in bf16 too.
    Bf16(PackedBf16),
}

impl Weight {
    /// The same values where a model computes, and as it multiplies by them.
    pub(super) fn kept(self, param: Param, device: &Device, compute: Compute) -> Result<Weight> {
        if compute == Compute::Bf16 && param.is_block_matrix() {
            return Ok(Weight::Bf16(PackedBf16::new(&self.into_stored()?)?));
        }
        let blocks = match self {
            Weight::Quantised(blocks) => blocks,
            Weight::Dense(tensor) => return Ok(Weight::Dense(tensor.to_device(device)?)),
            Weight::Rounding(_) | Weight::Bf16(_) => return Ok(self),
        };
        if let (Compute::Q8, Some(dtype)) = (compute, blocks.ty().of_candle(blocks.dims()[1])) {
            let storage = QStorage::from_data(Cow::Borrowed(blocks.bytes()), device, dtype)?;
            return Ok(Weight::Rounding(Arc::new(QTensor::new(storage, &blocks.dims()[..])?)));
        }
        match device.is_cpu() {
            true => Ok(Weight::Quantised(blocks)),
            // Only the processor's products unpack as they go.
            false => Ok(Weight::Dense(blocks.dense()?.to_device(device)?)),
        }
    }

    /// Its rows in another order, row `i` being that at `order[i]`; of a vector, its numbers.
    pub(super) fn with_rows(self, order: &[usize]) -> Result<Weight> {
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

    /// The values in f32, for parameters that are looked up or added.
    pub(crate) fn dense(self) -> Result<Tensor> {
        Ok(self.into_stored()?.to_dtype(DType::F32)?)
    }

    /// The values in their own type, or in f32 where they are quantised.
    pub(super) fn into_stored(self) -> Result<Tensor> {
        Ok(match self {
            Weight::Dense(tensor) => tensor,
            Weight::Quantised(blocks) => blocks.dense()?,
            Weight::Rounding(blocks) => blocks.dequantize(&blocks.device())?,
            Weight::Bf16(packed) => packed.dense()?,
        })
    }
}

/// A matrix `[out, in]`.
#[derive(Debug, Clone)]
pub(super) enum Matrix {
    Dense(Tensor),
    Quantised(Blocks),
    Rounding(QMatMul),
    Bf16(PackedBf16),
}

impl Matrix {
    pub fn new(weight: Weight) -> Result<Matrix> {
        Ok(match weight {
            Weight::Dense(tensor) => Matrix::Dense(tensor),
            Weight::Quantised(blocks) => Matrix::Quantised(blocks),
            Weight::Rounding(blocks) => Matrix::Rounding(QMatMul::from_arc(blocks)?),
            Weight::Bf16(packed) => Matrix::Bf16(packed),
        })
    }

    /// Where it lies.
    pub fn device(&self) -> Device {
        match self {
            Matrix::Dense(weight) => weight.device().clone(),
            Matrix::Quantised(_) | Matrix::Bf16(_) => Device::Cpu,
            Matrix::Rounding(QMatMul::QTensor(blocks)) => blocks.device(),
            Matrix::Rounding(QMatMul::Tensor(weight) | QMatMul::TensorF16(weight)) => weight.device().clone(),
        }
    }

    /// All of it in f32.
    pub fn dense(&self) -> Result<Tensor> {
        Ok(match self {
            Matrix::Dense(weight) => weight.to_dtype(DType::F32)?,
            Matrix::Quantised(blocks) => blocks.dense()?,
            Matrix::Bf16(packed) => packed.dense()?,
            Matrix::Rounding(QMatMul::QTensor(blocks)) => blocks.dequantize(&Device::Cpu)?,
            Matrix::Rounding(QMatMul::Tensor(weight) | QMatMul::TensorF16(weight)) => {
                weight.to_dtype(DType::F32)?
            }
        })
    }

    /// The rows of these ids in f32.
    ///
    /// # Shapes
    /// `[n_ids]` to `[n_ids, in]`.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Matrix::Dense(weight) => weight.index_select(ids, 0)?.to_dtype(DType::F32)?,
            Matrix::Quantised(blocks) => blocks.rows(ids)?,
            Matrix::Bf16(packed) => packed.dense()?.index_select(ids, 0)?,
            Matrix::Rounding(blocks) => blocks.embedding(ids)?.to_dtype(DType::F32)?,
        })
    }
}

/// A matrix `[out, in]` and perhaps a bias.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub weight: Matrix,
    pub bias: Option<Tensor>,
}

impl Linear {
    /// # Shapes
    /// `[n_tokens, in]` to `[n_tokens, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.followed_by(Affine::default(), x)
    }

    /// The activation of what the matrix and its bias give.
    ///
    /// # Shapes
    /// `[n_tokens, in]` to `[n_tokens, out]`.
    pub fn activated(&self, activation: Activation, x: &Tensor) -> Result<Tensor> {
        self.followed_by(Affine { activation: Some(activation), gate: None }, x)
    }

    /// What the matrix and its bias give, number by number times a gate.
    ///
    /// # Shapes
    /// `[n_tokens, in]` and `[n_tokens, out]` to `[n_tokens, out]`.
    pub fn gated(&self, gate: Tensor, x: &Tensor) -> Result<Tensor> {
        let is_traced = |tensor: &Tensor| tensor.track_op();
        let takes_a_gate = x.device().is_cpu()
            && match &self.weight {
                // A gradient needs the two factors apart.
                Matrix::Dense(weight) => ![&gate, x, weight].into_iter().any(is_traced),
                Matrix::Quantised(_) | Matrix::Bf16(_) => true,
                Matrix::Rounding(_) => false,
            };
        if takes_a_gate {
            return self.followed_by(Affine { activation: None, gate: Some(gate.contiguous()?) }, x);
        }
        Ok(multiply(&gate, &self.forward(x)?)?)
    }

    fn followed_by(&self, op: Affine, x: &Tensor) -> Result<Tensor> {
        let y = match (&self.weight, &self.bias) {
            (Matrix::Dense(weight), bias) if x.device().is_cpu() => {
                let x = x.contiguous()?;
                return Ok(match bias {
                    Some(bias) => x.apply_op3(weight, bias, op)?,
                    None => x.apply_op2(weight, op)?,
                });
            }
            (Matrix::Quantised(blocks), bias) => {
                let w = StoredMatrix::Blocks(blocks.clone());
                return Ok(x.contiguous()?.apply_op1(Stored { op, w, b: bias.clone() })?);
            }
            (Matrix::Bf16(packed), bias) => {
                let w = StoredMatrix::Bf16(packed.clone());
                return Ok(x.contiguous()?.apply_op1(Stored { op, w, b: bias.clone() })?);
            }
            (Matrix::Dense(weight), _) => x.matmul(&weight.to_dtype(DType::F32)?.t()?)?,
            (Matrix::Rounding(blocks), _) => blocks.forward(&x.contiguous()?)?,
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
