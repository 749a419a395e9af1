//! The keys and values of the nodes that earlier passes computed.

use crate::error::Result;
use candle_core::Tensor;

/// The keys and values of the nodes that earlier passes computed, a pair a layer.
#[derive(Debug, Default)]
pub struct Cache {
    layers: Vec<(Rows, Rows)>,
}

/// Rows with room for more behind them, so that a step writes its own and copies no other.
#[derive(Debug)]
struct Rows {
    /// `[room, n_kv_heads, d_head]`.
    all: Tensor,
    n: usize,
}

impl Rows {
    fn new(rows: &Tensor) -> Result<Rows> {
        Ok(Rows { all: rows.contiguous()?, n: rows.dim(0)? })
    }

    /// Appends rows and gives all of them.
    fn join(&mut self, rows: &Tensor) -> Result<Tensor> {
        let (n, heads, d_head) = rows.dims3()?;
        let needed = self.n + n;
        if needed > self.all.dim(0)? {
            // Twice the room each time: a row is copied once on average, however many steps there are.
            let room = (2 * needed).max(64);
            let wider = Tensor::zeros((room, heads, d_head), rows.dtype(), rows.device())?;
            wider.slice_set(&self.all.narrow(0, 0, self.n)?, 0, 0)?;
            self.all = wider;
        }
        self.all.slice_set(&rows.contiguous()?, 0, self.n)?;
        self.n = needed;
        Ok(self.all.narrow(0, 0, needed)?)
    }
}

impl Cache {
    /// Appends a layer's new keys and values and gives all of them.
    pub(super) fn join(&mut self, l: usize, k: Tensor, v: Tensor) -> Result<(Tensor, Tensor)> {
        if let Some((keys, values)) = self.layers.get_mut(l) {
            return Ok((keys.join(&k)?, values.join(&v)?));
        }
        self.layers.push((Rows::new(&k)?, Rows::new(&v)?));
        Ok((k, v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn rows_come_back_in_order_whatever_the_steps() {
        let all = Tensor::randn(0f32, 1f32, (200, 2, 3), &Device::Cpu).unwrap();
        let mut cache = Cache::default();
        let mut n = 0;
        for step in [5usize, 1, 1, 90, 3, 100] {
            let new = all.narrow(0, n, step).unwrap();
            let (k, v) = cache.join(0, new.clone(), (new * 2.0).unwrap()).unwrap();
            n += step;
            let (before, doubled) =
                (all.narrow(0, 0, n).unwrap(), (all.narrow(0, 0, n).unwrap() * 2.0).unwrap());
            for (ours, theirs) in [(k, before), (v, doubled)] {
                assert!(ours.is_contiguous());
                assert_eq!(ours.to_vec3::<f32>().unwrap(), theirs.to_vec3::<f32>().unwrap());
            }
        }
    }
}
