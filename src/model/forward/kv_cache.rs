//! The key/value cache: keys and values of the nodes that earlier passes computed.

use crate::error::Result;
use candle_core::Tensor;

/// The keys and values of the nodes that earlier passes computed, one pair per layer.
#[derive(Debug, Default, Clone)]
pub struct KvCache {
    layers: Vec<(Buffer, Buffer)>,
    is_frozen: bool,
}

/// Rows with spare capacity after them, so that a step writes its own rows and copies no others.
#[derive(Debug, Clone)]
struct Buffer {
    /// `[capacity, n_kv_heads, d_head]`.
    all: Tensor,
    n: usize,
}

impl Buffer {
    fn new(rows: &Tensor) -> Result<Buffer> {
        Ok(Buffer { all: rows.contiguous()?, n: rows.dim(0)? })
    }

    /// Appends rows and returns all of them.
    fn append(&mut self, rows: &Tensor) -> Result<Tensor> {
        let (n, heads, d_head) = rows.dims3()?;
        let needed = self.n + n;
        if needed > self.all.dim(0)? {
            // With doubling, a row is copied once on average, for any number of steps.
            let capacity = (2 * needed).max(64);
            let wider = Tensor::zeros((capacity, heads, d_head), rows.dtype(), rows.device())?;
            wider.slice_set(&self.all.narrow(0, 0, self.n)?, 0, 0)?;
            self.all = wider;
        }
        self.all.slice_set(&rows.contiguous()?, 0, self.n)?;
        self.n = needed;
        Ok(self.all.narrow(0, 0, needed)?)
    }
}

impl KvCache {
    /// The same cache, to which later passes add nothing: several passes may continue the same nodes, also in blocks
    /// after the first, and gradients flow through the new keys and values.
    pub fn frozen(self) -> KvCache {
        KvCache { is_frozen: true, ..self }
    }

    /// Appends a layer's new keys and values and returns all of them.
    pub(super) fn append(&mut self, l: usize, k: Tensor, v: Tensor) -> Result<(Tensor, Tensor)> {
        if self.is_frozen {
            let Some((keys, values)) = self.layers.get(l) else { return Ok((k, v)) };
            let after = |past: &Buffer, new: Tensor| Tensor::cat(&[past.all.narrow(0, 0, past.n)?, new], 0);
            return Ok((after(keys, k)?, after(values, v)?));
        }
        if let Some((keys, values)) = self.layers.get_mut(l) {
            return Ok((keys.append(&k)?, values.append(&v)?));
        }
        self.layers.push((Buffer::new(&k)?, Buffer::new(&v)?));
        Ok((k, v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn rows_are_returned_in_order_for_any_steps() {
        let all = Tensor::randn(0f32, 1f32, (200, 2, 3), &Device::Cpu).unwrap();
        let mut cache = KvCache::default();
        let mut n = 0;
        for step in [5usize, 1, 1, 90, 3, 100] {
            let new = all.narrow(0, n, step).unwrap();
            let (k, v) = cache.append(0, new.clone(), (new * 2.0).unwrap()).unwrap();
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
