//! The state of one pass.

use super::hook::Hook;
use super::kv_cache::KvCache;
use super::row_dedup::RowDedup;
use super::token_cache::TokenwiseOutput;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::forest::Forest;
use crate::model::kernels::RotaryTable;
use crate::model::spec::{Alibi, Rotary, Spec};
use candle_core::Tensor;
use std::sync::Arc;

/// The state that a pass carries from block to block, in addition to the stream.
pub(super) struct Pass<'a> {
    pub(super) spec: &'a Spec,
    pub(super) forest: Arc<Forest>,
    pub(super) cache: Option<&'a mut KvCache>,
    pub(super) hook: &'a mut dyn Hook,
    /// The rotary tables computed so far; layers with the same settings share one.
    pub(super) rotary_tables: Vec<(Rotary, RotaryTable)>,
    /// The ALiBi terms; `None` until a layer needs them.
    pub(super) bias: Option<Arc<Vec<Vec<f32>>>>,
    /// The rows that the current block computes; `None` is all.
    pub(super) query_rows: Option<Arc<Vec<u32>>>,
    /// The equal rows of the stream, as long as a row's values depend on that row alone; `None` if all rows are
    /// computed.
    pub(super) dedup: Option<RowDedup>,
    /// The outputs of block 0 that depend on the token alone, if they are cached.
    pub(super) tokenwise: Option<TokenwiseOutput>,
}

impl<'a> Pass<'a> {
    /// A pass before its first block.
    pub(super) fn new(
        spec: &'a Spec,
        forest: Arc<Forest>,
        cache: Option<&'a mut KvCache>,
        hook: &'a mut dyn Hook,
    ) -> Pass<'a> {
        Pass {
            spec,
            forest,
            cache,
            hook,
            rotary_tables: vec![],
            bias: None,
            query_rows: None,
            dedup: None,
            tokenwise: None,
        }
    }

    /// Selects the rows that the current block computes from the values of all rows.
    ///
    /// # Shapes
    /// `[n_new, width]` to `[n_queries, width]`.
    pub(super) fn queried(&self, values: &Tensor) -> Result<Tensor> {
        Ok(match &self.query_rows {
            Some(rows) => {
                let index = Tensor::from_slice(rows, rows.len(), values.device())?;
                values.index_select(&index, 0)?
            }
            None => values.clone(),
        })
    }

    /// One representative of equal rows, or all rows without deduplication.
    ///
    /// # Shapes
    /// `[n_new, width]` to `[n_unique, width]`.
    pub(super) fn unique(&self, rows: &Tensor) -> Result<Tensor> {
        Ok(self.dedup.as_ref().map_or_else(|| Ok(rows.clone()), |dedup| dedup.unique(rows))?)
    }

    /// All rows from their representatives.
    ///
    /// # Shapes
    /// `[n_unique, width]` to `[n_new, width]`.
    pub(super) fn expand(&self, unique: Tensor) -> Result<Tensor> {
        Ok(self.dedup.as_ref().map_or_else(|| Ok(unique.clone()), |dedup| dedup.expand(&unique))?)
    }

    /// The rotary table of the new nodes.
    pub(super) fn rotary_table(&mut self, rotary: &Rotary) -> RotaryTable {
        if let Some((_, table)) = self.rotary_tables.iter().find(|(known, _)| known == rotary) {
            return table.clone();
        }
        let table = RotaryTable::new(self.forest.new_positions(), rotary);
        self.rotary_tables.push((rotary.clone(), table.clone()));
        table
    }

    /// The ALiBi terms of all positions.
    pub(super) fn alibi_terms(&mut self, alibi: &Alibi) -> Arc<Vec<Vec<f32>>> {
        let (forest, scale) = (&self.forest, self.spec.attention.scale as f32);
        self.bias.get_or_insert_with(|| Arc::new(alibi.terms(forest.n_positions(), scale))).clone()
    }

    /// The values at a hook point after the hook.
    pub(super) fn at(&mut self, point: HookPoint, values: Tensor) -> Result<Tensor> {
        self.hook.at(point, values)
    }
}
