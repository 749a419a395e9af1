//! The one seam of the forward pass: reading the stream, changing it, or both.

use super::forest::Forest;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// A look into the forward pass: read the stream, change it, or both.
pub trait Hook: Send {
    /// Called once before each pass with the nodes it will compute, so that a hook knows absolute
    /// positions whether or not a cache is used.
    fn begin(&mut self, _forest: &Forest) -> Result<()> {
        Ok(())
    }

    /// Called at each hook point in order; what it returns flows on.
    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor>;

    /// Whether it looks at what passes at a hook point, or changes it; what nobody sees may be left out.
    fn sees(&self, _point: HookPoint) -> bool {
        true
    }

    /// The last layer needed, so that the pass may stop early. `None` runs to the end.
    fn last_layer(&self) -> Option<usize> {
        None
    }

    /// Whether nothing is needed of the last layer but what enters it.
    fn stops_before_block(&self) -> bool {
        false
    }

    /// The new nodes that are looked at within the last layer needed, so that the pass may leave out the
    /// others there: at its hook points other than `ResidPre`, the stream is these rows in this order.
    /// `None` is all.
    fn last_rows(&self) -> Option<Vec<u32>> {
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

    fn sees(&self, _: HookPoint) -> bool {
        false
    }
}

/// Chosen nodes of a pass, some perhaps more than once.
#[derive(Debug)]
pub struct Picked {
    nodes: Tensor,
    /// The nodes, each once.
    distinct: Vec<u32>,
    /// Where among the distinct ones each chosen node stands.
    among_distinct: Tensor,
}

impl Picked {
    /// These nodes, in this order.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the indices cannot be laid out.
    pub fn new(nodes: &[u32]) -> Result<Picked> {
        let distinct: Vec<u32> = BTreeSet::from_iter(nodes.iter().copied()).into_iter().collect();
        let place = |node: &u32| distinct.partition_point(|other| other < node) as u32;
        let places: Vec<u32> = nodes.iter().map(place).collect();
        let index = |of: &[u32]| Tensor::from_slice(of, of.len(), &Device::Cpu);
        Ok(Picked { nodes: index(nodes)?, among_distinct: index(&places)?, distinct })
    }

    /// The nodes, each once, in order: what [`Hook::last_rows`] answers for a hook that looks at these alone.
    pub fn distinct(&self) -> Vec<u32> {
        self.distinct.clone()
    }

    /// Their rows of what passes at a hook point, be it of all new nodes or, in the last block of a pass
    /// whose hook answered [`Picked::distinct`] to [`Hook::last_rows`], of the distinct ones alone.
    ///
    /// # Shapes
    /// `[n_new, width]` or `[n_distinct, width]`, to `[n_nodes, width]`.
    ///
    /// # Errors
    /// [`Error::Tensor`] if a node is not in the pass.
    pub fn rows(&self, stream: &Tensor) -> Result<Tensor> {
        // Where both counts are alike, all nodes are picked, and the two indices are one.
        let is_narrowed = stream.dim(0)? == self.distinct.len();
        let rows = if is_narrowed { &self.among_distinct } else { &self.nodes };
        Ok(stream.index_select(&rows.to_device(stream.device())?, 0)?)
    }
}

/// Keeps what passes at some hook points: all nodes, or chosen ones.
#[derive(Debug)]
pub struct Capture {
    nodes: Option<Picked>,
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
        Ok(Capture { nodes: Some(Picked::new(nodes)?), ..Capture::all(points) })
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
                Some(nodes) => nodes.rows(&stream)?, // [n_nodes, width]
                None => stream.clone(),
            });
        }
        Ok(stream)
    }

    fn sees(&self, point: HookPoint) -> bool {
        self.kept.contains_key(&point)
    }

    fn last_layer(&self) -> Option<usize> {
        self.kept.keys().map(|point| point.layer()).max()
    }

    fn stops_before_block(&self) -> bool {
        HookPoint::end_before_block(self.kept.keys())
    }

    fn last_rows(&self) -> Option<Vec<u32>> {
        self.nodes.as_ref().map(Picked::distinct)
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

    fn sees(&self, point: HookPoint) -> bool {
        self.0.sees(point) || self.1.sees(point)
    }

    // Both may be combined with generation, which needs the logits: the pass never stops early.
}
