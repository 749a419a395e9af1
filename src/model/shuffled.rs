//! The models that know nothing, beside this one: drawn anew, or its weights in other places.

use super::linear::Weight;
use super::load::Model;
use super::params::{draw, up_to};
use super::transformer::Transformer;
use crate::error::Result;
use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

impl Model {
    /// The blocks of this model up to one of them, the numbers of each tensor in another order, and no head.
    ///
    /// Each tensor keeps its mean, its spread and its outliers, so that what is read here owes nothing to what
    /// was learnt but that. The order is drawn from the seed and the tensor's place in the model, so that a
    /// model cut off after a block is the same up to there. The weights are read again from where they lie.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn shuffled_up_to(&self, layer: usize, seed: u64) -> Result<Transformer> {
        let mut load = self.read_again()?;
        let mut n_tensors = 0;
        Transformer::new(up_to(layer, self.spec()), &mut |param, shape| {
            let mut values: Vec<f32> = load(param, shape)?.dense()?.flatten_all()?.to_vec1()?;
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(n_tensors);
            n_tensors += 1;
            values.shuffle(&mut rng);
            let shuffled = Weight::Dense(Tensor::from_vec(values, shape, &Device::Cpu)?);
            shuffled.kept(param, &Device::Cpu, self.compute)
        })
    }

    /// The blocks of [`untrained`](super::untrained()) up to one of them, multiplied as this model's are, and no head.
    ///
    /// # Errors
    /// As [`untrained`](super::untrained).
    pub fn untrained_up_to(&self, layer: usize, seed: u64) -> Result<Transformer> {
        draw(self.spec(), up_to(layer, self.spec()), (seed, self.compute))
    }
}
