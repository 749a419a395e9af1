//! Matrices as they lie in memory, and their product with the stream.

use super::affine::Affine;
use super::elementwise::multiply;
use super::spec::Activation;
use crate::error::Result;
use candle_core::quantized::{QMatMul, QStorage, QTensor};
use candle_core::{DType, Device, Module, Tensor};
use std::sync::Arc;

/// A parameter's values.
#[derive(Debug, Clone)]
pub enum Weight {
    /// Numbers in f32, f16 or bf16; whatever they are, products are taken in f32.
    Dense(Tensor),
    /// Blocks of quantised numbers, kept so in memory; products round the other side to 8 bits as well,
    /// as llama.cpp's do.
    Quantised(Arc<QTensor>),
}

impl Weight {
    /// The same values where a model computes.
    pub(super) fn moved_to(self, device: &Device) -> Result<Weight> {
        Ok(match self {
            Weight::Dense(tensor) => Weight::Dense(tensor.to_device(device)?),
            Weight::Quantised(blocks) if device.is_cpu() => Weight::Quantised(blocks),
            Weight::Quantised(blocks) => {
                let storage = QStorage::from_data(blocks.data()?, device, blocks.dtype())?;
                Weight::Quantised(Arc::new(QTensor::new(storage, blocks.shape())?))
            }
        })
    }

    /// The values in f32, for parameters that are looked up or added.
    pub(crate) fn dense(self) -> Result<Tensor> {
        Ok(match self {
            Weight::Dense(tensor) => tensor.to_dtype(DType::F32)?,
            Weight::Quantised(blocks) => blocks.dequantize(&blocks.device())?,
        })
    }
}

/// A matrix `[out, in]`.
#[derive(Debug, Clone)]
pub(super) enum Matrix {
    Dense(Tensor),
    Quantised(QMatMul),
}

impl Matrix {
    pub fn new(weight: Weight) -> Result<Matrix> {
        Ok(match weight {
            Weight::Dense(tensor) => Matrix::Dense(tensor),
            Weight::Quantised(blocks) => Matrix::Quantised(QMatMul::from_arc(blocks)?),
        })
    }

    /// Where it lies.
    pub fn device(&self) -> Device {
        match self {
            Matrix::Dense(weight) => weight.device().clone(),
            Matrix::Quantised(QMatMul::QTensor(blocks)) => blocks.device(),
            Matrix::Quantised(QMatMul::Tensor(weight) | QMatMul::TensorF16(weight)) => {
                weight.device().clone()
            }
        }
    }

    /// # Shapes
    /// `[n_tokens, in]` to `[n_tokens, out]`.
    fn product(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Matrix::Dense(weight) => x.matmul(&weight.to_dtype(DType::F32)?.t()?)?,
            Matrix::Quantised(blocks) => blocks.forward(&x.contiguous()?)?,
        })
    }

    /// All of it in f32.
    pub fn dense(&self) -> Result<Tensor> {
        Ok(match self {
            Matrix::Dense(weight) => weight.to_dtype(DType::F32)?,
            Matrix::Quantised(QMatMul::QTensor(blocks)) => blocks.dequantize(&candle_core::Device::Cpu)?,
            Matrix::Quantised(QMatMul::Tensor(weight) | QMatMul::TensorF16(weight)) => {
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
            Matrix::Quantised(blocks) => blocks.embedding(ids)?.to_dtype(DType::F32)?,
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
        // A gradient needs the two factors apart.
        let is_traced = |weight: &Tensor| [&gate, x, weight].iter().any(|tensor| tensor.track_op());
        if matches!(&self.weight, Matrix::Dense(weight) if x.device().is_cpu() && !is_traced(weight)) {
            return self.followed_by(Affine { activation: None, gate: Some(gate.contiguous()?) }, x);
        }
        Ok(multiply(&gate, &self.forward(x)?)?)
    }

    fn followed_by(&self, op: Affine, x: &Tensor) -> Result<Tensor> {
        let activation = op.activation;
        if let (Matrix::Dense(weight), true) = (&self.weight, x.device().is_cpu()) {
            let x = x.contiguous()?;
            return Ok(match &self.bias {
                Some(bias) => x.apply_op3(weight, bias, op)?,
                None => x.apply_op2(weight, op)?,
            });
        }
        let mut y = self.weight.product(x)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        Ok(match activation {
            Some(activation) => activation.composed(&y)?,
            None => y,
        })
    }
}
