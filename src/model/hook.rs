//! The one seam of the forward pass: reading the stream, changing it, or both.

use super::forest::Forest;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use candle_core::Tensor;
use std::collections::BTreeMap;

/// A look into the forward pass: read the stream, change it, or both.
pub trait Hook {
    /// Called once before each pass with the nodes it will compute, so that a hook knows absolute
    /// positions whether or not a cache is used.
    fn begin(&mut self, _forest: &Forest) -> Result<()> {
        Ok(())
    }

    /// Called at each hook point in order; what it returns flows on.
    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor>;

    /// The last layer needed, so that the pass may stop early. `None` runs to the end.
    fn last_layer(&self) -> Option<usize> {
        None
    }
}

/// The hook that looks at nothing.
#[derive(Debug, Clone, Copy)]
pub struct Untouched;

impl Hook for Untouched {
    fn at(&mut self, _: HookPoint, stream: Tensor) -> Result<Tensor> {
        Ok(stream)
    }
}

/// Keeps what passes at some hook points: all nodes, or chosen ones.
#[derive(Debug)]
pub struct Capture {
    nodes: Option<Tensor>,
    kept: BTreeMap<HookPoint, Option<Tensor>>,
}

impl Capture {
    /// Keeps every node at these hook points.
    pub fn all(points: &[HookPoint]) -> Capture {
        Capture { nodes: None, kept: points.iter().map(|p| (*p, None)).collect() }
    }

    /// Keeps these nodes, in this order, at these hook points.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the indices cannot be laid out.
    pub fn nodes(points: &[HookPoint], nodes: &[u32]) -> Result<Capture> {
        let nodes = Tensor::from_slice(nodes, nodes.len(), &candle_core::Device::Cpu)?;
        Ok(Capture { nodes: Some(nodes), ..Capture::all(points) })
    }

    /// What was kept at a hook point.
    ///
    /// # Shapes
    /// `[n_nodes, width]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the pass never came by.
    pub fn get(&self, point: HookPoint) -> Result<&Tensor> {
        self.kept.get(&point).and_then(Option::as_ref).ok_or_else(|| {
            Error::invalid("hook point", point, "one that this model has and that was asked for")
        })
    }
}

impl Hook for Capture {
    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        if let Some(slot) = self.kept.get_mut(&point) {
            *slot = Some(match &self.nodes {
                Some(nodes) => stream.index_select(nodes, 0)?, // [n_nodes, width]
                None => stream.clone(),
            });
        }
        Ok(stream)
    }

    fn last_layer(&self) -> Option<usize> {
        self.kept.keys().map(|point| point.layer()).max()
    }
}

/// Two hooks in turn: the second sees what the first made of the stream.
pub struct Both<'a>(pub &'a mut dyn Hook, pub &'a mut dyn Hook);

impl Hook for Both<'_> {
    fn begin(&mut self, forest: &Forest) -> Result<()> {
        self.0.begin(forest)?;
        self.1.begin(forest)
    }

    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        let stream = self.0.at(point, stream)?;
        self.1.at(point, stream)
    }

    // Both may be combined with generation, which needs the logits: the pass never stops early.
}
