//! Models with random weights: the baseline that a trained model must beat.

use super::forward::Transformer;
use super::kernels::Weight;
use super::load::Model;
use super::precision::Compute;
use super::spec::Spec;
use super::weights::{BlockPart, Param, ParamKind, Place, convert};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_distr::{Distribution, Normal};

/// A model of this shape with random weights.
///
/// # Errors
/// [`Error::Tensor`] for invalid shapes.
pub fn untrained(spec: &Spec, seed: u64) -> Result<Transformer> {
    draw(spec, spec.clone(), seed, Compute::F32)
}

/// The blocks of [`untrained`] up to and including block `layer`, with the same weights, without a head.
///
/// # Errors
/// Those of [`untrained`].
pub fn untrained_up_to(layer: usize, spec: &Spec, seed: u64) -> Result<Transformer> {
    draw(spec, spec.up_to(layer), seed, Compute::F32)
}

impl Model {
    /// The blocks of [`untrained`] up to and including block `layer`, with products in this model's number format,
    /// without a head.
    ///
    /// # Errors
    /// Those of [`untrained`].
    pub fn untrained_up_to(&self, layer: usize, seed: u64) -> Result<Transformer> {
        draw(self.spec(), self.spec().up_to(layer), seed, self.compute)
    }
}

/// Draws a model with the spec `part`, which has the first blocks of `whole`, and the weights that an untrained model
/// with the spec `whole` has in these blocks.
fn draw(whole: &Spec, part: Spec, seed: u64, compute: Compute) -> Result<Transformer> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    Transformer::new(part, &mut |param, shape| {
        let weight = Weight::Dense(random_param(whole, param, shape, &mut rng)?);
        convert(weight, param, &Device::Cpu, compute)
    })
}

/// Random values for one parameter: norms scale by 1, biases are 0, all other weights are normally distributed.
///
/// Matrices that write to the stream have a smaller deviation, so that the stream does not grow with depth.
pub(crate) fn random_param(
    spec: &Spec,
    param: Param,
    shape: &[usize],
    rng: &mut impl rand::Rng,
) -> Result<Tensor> {
    if param.kind == ParamKind::Bias {
        return Ok(Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
    }
    if param.place.is_norm() {
        return Ok(Tensor::full(spec.norm.neutral_weight(), shape, &Device::Cpu)?);
    }
    let deviation = match param.place {
        Place::Embed | Place::Positions | Place::TokenTypes => 0.05,
        Place::Block(_, BlockPart::AttnOut | BlockPart::Down) => {
            (shape[1] as f32).sqrt().recip() / (2.0 * spec.n_layers as f32).sqrt()
        }
        _ => (shape[1] as f32).sqrt().recip(),
    };
    let normal = Normal::new(0f32, deviation).map_err(|e| Error::Internal(e.to_string()))?;
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal.sample(rng)).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}
