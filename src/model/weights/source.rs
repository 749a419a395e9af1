//! The tensors of a checkpoint in which a parameter is stored.

use super::params::{BlockPart, Param, ParamKind};
use crate::model::spec::Spec;

/// The tensors in which a parameter is stored, and its part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSource {
    /// The checkpoint's tensor; or one tensor per head, to be stacked.
    pub tensors: Vec<String>,
    /// The parameter's part of a tensor.
    pub slice: Slice,
}

/// A parameter's part of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// True if matrices are stored `[in, out]` (GPT-2's `Conv1D`).
    pub transposed: bool,
    /// The rows that belong to the parameter.
    pub rows: SliceRows,
}

/// The rows of a tensor that belong to a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceRows {
    /// All.
    All,
    /// The tensor consists of `groups` groups of `of` rows; in each, the parameter's rows begin at `from`.
    Of {
        /// The number of groups.
        groups: usize,
        /// Rows of one group.
        of: usize,
        /// The parameter's first row in a group.
        from: usize,
    },
}

impl SliceRows {
    /// Rows from `from` on, in a tensor of `of` rows that concatenates several parameters.
    pub fn after(from: usize, of: usize) -> SliceRows {
        SliceRows::Of { groups: 1, of, from }
    }

    /// The rows of query, key or value in a matrix that concatenates all queries, all keys and all values.
    pub(crate) fn in_qkv(part: BlockPart, spec: &Spec) -> SliceRows {
        let (q, kv) = (spec.d_queries(), spec.d_keys());
        let from = match part {
            BlockPart::Key => q,
            BlockPart::Value => q + kv,
            _ => 0,
        };
        SliceRows::after(from, q + 2 * kv)
    }

    /// The rows of query, key or value in a matrix that concatenates query, key and value per head.
    pub(crate) fn in_qkv_of_heads(part: BlockPart, spec: &Spec) -> SliceRows {
        let index = match part {
            BlockPart::Key => 1,
            BlockPart::Value => 2,
            _ => 0,
        };
        SliceRows::Of { groups: spec.n_heads, of: 3 * spec.d_head, from: index * spec.d_head }
    }

    /// The rows of gate or up in a matrix that concatenates both.
    pub(crate) fn in_gate_up(part: BlockPart, spec: &Spec) -> SliceRows {
        SliceRows::after(if part == BlockPart::Up { spec.d_mlp } else { 0 }, 2 * spec.d_mlp)
    }
}

impl TensorSource {
    /// A whole tensor `{stem}.weight` or `{stem}.bias`.
    pub fn whole(stem: impl AsRef<str>, param: Param) -> TensorSource {
        TensorSource::rows(stem, param, SliceRows::All)
    }

    /// Rows of a tensor `{stem}.weight` or `{stem}.bias`.
    pub fn rows(stem: impl AsRef<str>, param: Param, rows: SliceRows) -> TensorSource {
        let kind = if param.kind == ParamKind::Bias { "bias" } else { "weight" };
        TensorSource::named(format!("{}.{kind}", stem.as_ref()), rows)
    }

    /// Rows of a tensor by its full name.
    pub fn named(tensor: String, rows: SliceRows) -> TensorSource {
        TensorSource { tensors: vec![tensor], slice: Slice { transposed: false, rows } }
    }
}
