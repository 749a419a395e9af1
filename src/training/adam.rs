//! AdamW (Loshchilov & Hutter 2019) with a state that can be saved, so that training resumes with bit-identical
//! results.

use crate::error::Result;
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.98;
const EPS: f32 = 1e-8;
/// Weight decay of matrices; the weights of norms do not decay.
const WEIGHT_DECAY: f32 = 0.01;
/// Maximum norm of all gradients together; larger gradients are scaled down.
const CLIP: f32 = 1.0;

/// One parameter with its running moments.
pub(super) struct Slot {
    pub name: String,
    pub var: Var,
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

impl Slot {
    pub(super) fn new(name: String, var: Var) -> Slot {
        let n = var.elem_count();
        Slot { name, var, first: vec![0.0; n], second: vec![0.0; n] }
    }
}

/// The optimiser: its parameters and the number of steps taken.
pub(super) struct Adam {
    pub slots: Vec<Slot>,
    pub step: usize,
}

impl Adam {
    /// The gradients of a backward pass, in the order of the slots.
    pub(super) fn gradients(&self, store: &GradStore) -> Result<Vec<Vec<f32>>> {
        let of = |slot: &Slot| match store.get(&slot.var) {
            Some(grad) => grad.flatten_all()?.to_vec1(),
            None => Ok(vec![0.0; slot.first.len()]),
        };
        Ok(self.slots.iter().map(of).collect::<candle_core::Result<_>>()?)
    }

    /// Takes one step against the gradients.
    pub(super) fn step(&mut self, grads: Vec<Vec<f32>>, rate: f32) -> Result<()> {
        self.step += 1;
        let squares: f64 = grads.iter().flatten().map(|g| f64::from(*g) * f64::from(*g)).sum();
        let shrink = (CLIP / squares.sqrt().max(1e-12) as f32).min(1.0);
        let t = self.step as i32;
        let (fix1, fix2) = (1.0 - BETA1.powi(t), 1.0 - BETA2.powi(t));
        for (slot, grad) in self.slots.iter_mut().zip(grads) {
            let decay = if slot.var.rank() > 1 { rate * WEIGHT_DECAY } else { 0.0 };
            let mut values: Vec<f32> = slot.var.flatten_all()?.to_vec1()?;
            values
                .par_iter_mut()
                .zip(slot.first.par_iter_mut().zip(slot.second.par_iter_mut()))
                .zip(grad.par_iter())
                .with_min_len(8192)
                .for_each(|((x, (m, v)), g)| {
                    let g = g * shrink;
                    *m = BETA1 * *m + (1.0 - BETA1) * g;
                    *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                    *x -= decay * *x + rate * (*m / fix1) / ((*v / fix2).sqrt() + EPS);
                });
            slot.var.set(&Tensor::from_vec(values, slot.var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convex_bowl_is_descended() {
        let var = Var::from_vec(vec![3f32, -2.0], 2, &Device::Cpu).unwrap();
        let mut adam = Adam { slots: vec![Slot::new("x".into(), var.clone())], step: 0 };
        for _ in 0..400 {
            let loss = var.sqr().unwrap().sum_all().unwrap();
            let grads = adam.gradients(&loss.backward().unwrap()).unwrap();
            adam.step(grads, 0.03).unwrap();
        }
        let left: Vec<f32> = var.to_vec1().unwrap();
        assert!(left.iter().all(|x| x.abs() < 1e-2), "{left:?}");
    }

    #[test]
    fn the_first_step_is_the_rate_whatever_the_gradients_size() {
        for size in [1e-3f32, 1.0, 1e3] {
            let var = Var::from_vec(vec![0f32], 1, &Device::Cpu).unwrap();
            let mut adam = Adam { slots: vec![Slot::new("x".into(), var.clone())], step: 0 };
            let loss = (var.as_tensor() * f64::from(size)).unwrap().sum_all().unwrap();
            let grads = adam.gradients(&loss.backward().unwrap()).unwrap();
            adam.step(grads, 0.1).unwrap();
            assert!((var.to_vec1::<f32>().unwrap()[0] + 0.1).abs() < 1e-4);
        }
    }
}
