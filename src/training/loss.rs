//! Next-token cross-entropy over the edges of a forest.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::sync::Arc;

/// Cross-entropy of rows of logits with their target tokens, in nats, summed and divided by `divisor`.
///
/// It is one operation instead of five, so that the largest tensor of a training step is not copied.
pub(super) struct CrossEntropy {
    pub targets: Arc<Vec<u32>>,
    /// The number of targets of the whole batch, so that the losses of its shards add up to the mean.
    pub divisor: usize,
}

fn log_sum_exp(row: &[f32]) -> f32 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    max + row.iter().map(|x| (x - max).exp()).sum::<f32>().ln()
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("loss wants contiguous logits") };
        let (n, d) = layout.shape().dims2()?;
        if n != self.targets.len() {
            bail!("{n} rows of logits for {} targets", self.targets.len())
        }
        let data = &logits.as_slice::<f32>()?[from..to];
        let sum: f64 = data
            .par_chunks(d)
            .zip(self.targets.par_iter())
            .map(|(row, target)| f64::from(log_sum_exp(row) - row[*target as usize]))
            .sum();
        Ok((CpuStorage::F32(vec![(sum / self.divisor as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (n, d) = logits.dims2()?;
        let scale = grad.to_scalar::<f32>()? / self.divisor as f32;
        let mut out = logits.flatten_all()?.to_vec1::<f32>()?;
        out.par_chunks_mut(d).zip(self.targets.par_iter()).for_each(|(row, target)| {
            let total = log_sum_exp(row);
            for x in row.iter_mut() {
                *x = scale * (*x - total).exp();
            }
            row[*target as usize] -= scale;
        });
        Ok(Some(Tensor::from_vec(out, (n, d), logits.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn value_and_gradient_equal_candles_own() {
        let logits = Var::randn(0f32, 2f32, (9, 30), &Device::Cpu).unwrap();
        let targets: Vec<u32> = (0..9).map(|i| i * 3).collect();
        let ours = logits.apply_op1(CrossEntropy { targets: Arc::new(targets.clone()), divisor: 9 }).unwrap();
        let target = Tensor::from_vec(targets, 9, &Device::Cpu).unwrap();
        let theirs = candle_nn::loss::cross_entropy(&logits, &target).unwrap();
        let value = |t: &Tensor| t.to_scalar::<f32>().unwrap();
        assert!((value(&ours) - value(&theirs)).abs() < 1e-5);
        let (a, b) = (ours.backward().unwrap(), theirs.backward().unwrap());
        let off = (a.get(&logits).unwrap() - b.get(&logits).unwrap()).unwrap().abs().unwrap();
        assert!(value(&off.max_all().unwrap()) < 1e-6);
    }
}
