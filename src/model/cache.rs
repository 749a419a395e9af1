//! The keys and values of the nodes that earlier passes computed.

use crate::error::Result;
use candle_core::Tensor;

/// The keys and values of the nodes that earlier passes computed, a pair a layer.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    layers: Vec<(Tensor, Tensor)>,
}

impl Cache {
    /// Appends a layer's new keys and values and gives all of them.
    pub(super) fn join(&mut self, l: usize, k: Tensor, v: Tensor) -> Result<(Tensor, Tensor)> {
        let joined = match self.layers.get(l) {
            Some((k_past, v_past)) => (Tensor::cat(&[k_past, &k], 0)?, Tensor::cat(&[v_past, &v], 0)?),
            None => (k.contiguous()?, v.contiguous()?),
        };
        match self.layers.get_mut(l) {
            Some(layer) => *layer = joined.clone(),
            None => self.layers.push(joined.clone()),
        }
        Ok(joined)
    }
}
