//! The tensors of a checkpoint in which a parameter is stored.

use super::params::{Param, ParamKind};

/// The tensors in which a parameter is stored, and its part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSource {
    /// The checkpoint's tensor; several are stacked.
    pub tensors: Vec<String>,
    /// The parameter's part of a tensor.
    pub slice: Slice,
}

/// A parameter's part of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// True if matrices are stored `[in, out]` (GPT-2's `Conv1D`).
    pub transposed: bool,
    /// The parameter's output rows.
    pub rows: SliceRows,
}

/// A parameter's output rows of a tensor.
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
    /// Rows from `from` on, of a tensor with `of` rows that holds several parameters one after the other.
    pub fn after(from: usize, of: usize) -> SliceRows {
        SliceRows::Of { groups: 1, of, from }
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
