//! A model's parameters by name, taken one by one while the model is built.

use crate::error::{Error, Result};
use crate::model::kernels::{Linear, Matrix, Norm, Weight};
use crate::model::spec::NormKind;
use crate::model::weights::{Param, Place};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;

/// The parameters that are not yet part of the model.
pub(super) struct Parts {
    pub(super) all: HashMap<Param, Weight>,
    /// Added to the variance inside norms.
    pub(super) eps: f64,
    /// The device of norms without a stored weight.
    pub(super) device: Device,
}

impl Parts {
    fn take(&mut self, param: Param) -> Result<Weight> {
        self.all.remove(&param).ok_or_else(|| Error::Internal(format!("no parameter {param}")))
    }

    /// A parameter in f32, if the model has it.
    pub(super) fn dense(&mut self, param: Param) -> Result<Option<Tensor>> {
        self.all.remove(&param).map(Weight::dense).transpose()
    }

    /// A matrix without its bias.
    pub(super) fn matrix(&mut self, place: Place) -> Result<Matrix> {
        Matrix::new(self.take(place.weight())?)
    }

    /// A matrix with its bias, if it has one.
    pub(super) fn linear(&mut self, place: Place) -> Result<Linear> {
        Ok(Linear { weight: self.matrix(place)?, bias: self.dense(place.bias())? })
    }

    /// A matrix with its bias, if the model has the matrix.
    pub(super) fn maybe_linear(&mut self, place: Place) -> Result<Option<Linear>> {
        self.all.contains_key(&place.weight()).then(|| self.linear(place)).transpose()
    }

    /// A norm over rows of this width.
    pub(super) fn norm(&mut self, place: Place, kind: NormKind, width: usize) -> Result<Norm> {
        let weight = match self.dense(place.weight())? {
            Some(weight) => weight,
            None => Tensor::ones(width, DType::F32, &self.device)?,
        };
        let bias = self.dense(place.bias())?.map_or_else(|| weight.zeros_like(), Ok)?;
        Ok(Norm { kind, eps: self.eps, weight, bias })
    }
}
