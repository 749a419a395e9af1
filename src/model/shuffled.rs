//! The model with the values of each tensor shuffled: a baseline with the trained weights' distributions.

use super::forward::Transformer;
use super::kernels::Weight;
use super::load::Model;
use super::weights::convert;
use crate::error::Result;
use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

impl Model {
    /// The blocks of this model up to and including block `layer`, with the values of each tensor shuffled, without a
    /// head.
    ///
    /// Each tensor keeps its mean, its variance and its outliers, and nothing else from training. The order depends on
    /// the seed and the tensor's index in the model, so that models with different numbers of blocks have the same
    /// weights in their common blocks. The weights are read again from their files.
    ///
    /// # Errors
    /// An error in its files, with file and tensor, or too little memory.
    pub fn shuffled_up_to(&self, layer: usize, seed: u64) -> Result<Transformer> {
        let mut load = self.read_again()?;
        let mut n_tensors = 0;
        Transformer::new(self.spec().up_to(layer), &mut |param, shape| {
            let mut values: Vec<f32> = load(param, shape)?.dense()?.flatten_all()?.to_vec1()?;
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(n_tensors);
            n_tensors += 1;
            values.shuffle(&mut rng);
            let shuffled = Weight::Dense(Tensor::from_vec(values, shape, &Device::Cpu)?);
            convert(shuffled, param, &Device::Cpu, self.compute)
        })
    }
}
