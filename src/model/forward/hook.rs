//! Hooks: the one place where other code reads or changes the values of a forward pass.

use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::forest::Forest;
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// Reads or changes the values at the hook points of a forward pass.
pub trait Hook: Send {
    /// Called once before each pass with the forest whose new nodes it computes, so that a hook knows absolute
    /// positions with and without a cache.
    fn begin(&mut self, _forest: &Forest) -> Result<()> {
        Ok(())
    }

    /// Called at each hook point in order; the pass continues with the returned values.
    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor>;

    /// True if the hook reads or changes the values at a point. If false, the pass may skip computing them.
    fn sees(&self, _point: HookPoint) -> bool {
        true
    }

    /// The last layer that the hook needs, after which the pass stops; `None` runs to the end.
    fn last_layer(&self) -> Option<usize> {
        None
    }

    /// True if the hook needs only the input of its [`Hook::last_layer`], so that the pass stops before this block.
    fn stops_before_block(&self) -> bool {
        false
    }

    /// The new nodes that the hook needs in the last layer, so that the pass may skip the others there: at the hook
    /// points of that layer other than `ResidPre`, the stream has these rows in this order. `None` is all.
    fn last_rows(&self) -> Option<Vec<u32>> {
        None
    }
}

/// The hook that does nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoHook;

impl Hook for NoHook {
    fn at(&mut self, _: HookPoint, stream: Tensor) -> Result<Tensor> {
        Ok(stream)
    }

    fn sees(&self, _: HookPoint) -> bool {
        false
    }
}

/// A selection of nodes of a pass; a node may be selected more than once.
#[derive(Debug)]
pub struct RowSelection {
    nodes: Tensor,
    /// The nodes, each once, in order.
    distinct: Vec<u32>,
    /// The index of each selected node among the distinct ones.
    among_distinct: Tensor,
}

impl RowSelection {
    /// Selects these nodes, in this order.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the indices cannot be laid out.
    pub fn new(nodes: &[u32]) -> Result<RowSelection> {
        let distinct: Vec<u32> = BTreeSet::from_iter(nodes.iter().copied()).into_iter().collect();
        let place = |node: &u32| distinct.partition_point(|other| other < node) as u32;
        let places: Vec<u32> = nodes.iter().map(place).collect();
        let index = |of: &[u32]| Tensor::from_slice(of, of.len(), &Device::Cpu);
        Ok(RowSelection { nodes: index(nodes)?, among_distinct: index(&places)?, distinct })
    }

    /// The nodes, each once, in order: the result of [`Hook::last_rows`] for a hook that needs these alone.
    pub fn distinct(&self) -> Vec<u32> {
        self.distinct.clone()
    }

    /// The rows of the selected nodes, from the values of all new nodes or, in the last block of a pass whose hook
    /// returns [`RowSelection::distinct`] from [`Hook::last_rows`], of the distinct nodes.
    ///
    /// # Shapes
    /// `[n_new, width]` or `[n_distinct, width]`, to `[n_nodes, width]`.
    ///
    /// # Errors
    /// [`Error::Tensor`] if a node is not in the pass.
    pub fn rows(&self, stream: &Tensor) -> Result<Tensor> {
        // The count may also be that of all new nodes. Then every node is selected, so both indices are the same.
        let is_narrowed = stream.dim(0)? == self.distinct.len();
        let rows = if is_narrowed { &self.among_distinct } else { &self.nodes };
        Ok(stream.index_select(&rows.to_device(stream.device())?, 0)?)
    }
}

/// Captures the values of all nodes, or of selected ones, at chosen hook points.
#[derive(Debug)]
pub struct Capture {
    nodes: Option<RowSelection>,
    captured: BTreeMap<HookPoint, Option<Tensor>>,
}

impl Capture {
    /// Captures all nodes at these hook points.
    pub fn all(points: &[HookPoint]) -> Capture {
        Capture { nodes: None, captured: points.iter().map(|p| (*p, None)).collect() }
    }

    /// Captures these nodes, in this order, at these hook points.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the indices cannot be laid out.
    pub fn nodes(points: &[HookPoint], nodes: &[u32]) -> Result<Capture> {
        Ok(Capture { nodes: Some(RowSelection::new(nodes)?), ..Capture::all(points) })
    }

    /// The captured values of a hook point.
    ///
    /// # Shapes
    /// `[n_nodes, width]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the pass did not reach the point.
    pub fn get(&self, point: HookPoint) -> Result<&Tensor> {
        self.captured.get(&point).and_then(Option::as_ref).ok_or_else(|| {
            Error::invalid("hook point", point, "one that this model has and that was requested")
        })
    }
}

impl Hook for Capture {
    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        if let Some(slot) = self.captured.get_mut(&point) {
            *slot = Some(match &self.nodes {
                Some(nodes) => nodes.rows(&stream)?, // [n_nodes, width]
                None => stream.clone(),
            });
        }
        Ok(stream)
    }

    fn sees(&self, point: HookPoint) -> bool {
        self.captured.contains_key(&point)
    }

    fn last_layer(&self) -> Option<usize> {
        self.captured.keys().map(|point| point.layer()).max()
    }

    fn stops_before_block(&self) -> bool {
        HookPoint::end_before_block(self.captured.keys())
    }

    fn last_rows(&self) -> Option<Vec<u32>> {
        self.nodes.as_ref().map(RowSelection::distinct)
    }
}

/// Two hooks in sequence: the second sees the values that the first returns.
pub struct Chain<'a>(pub &'a mut dyn Hook, pub &'a mut dyn Hook);

impl Hook for Chain<'_> {
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

    // A chain is used in generation, which needs the logits: the pass never stops early.
}
