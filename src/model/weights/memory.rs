//! The memory that a model needs, checked against the free memory before weights are read.

use super::params::list;
use crate::error::Result;
use crate::limits::{check_memory, product};
use crate::model::precision::Compute;
use crate::model::precision::Precision;
use crate::model::spec::{PositionEmbedding, Spec};

/// The most tokens of one pass in this estimate; the default batches of an extraction have at most 2048.
const PASS_TOKENS: u64 = 4096;

/// The types in which a file stores matrices, with the bytes of each, in descending order of bytes.
pub type StoredTypes = Vec<(String, u64)>;

/// The sum of the bytes of each type.
pub(crate) fn stored_types(matrices: impl Iterator<Item = (String, u64)>) -> StoredTypes {
    let mut types: StoredTypes = vec![];
    for (name, bytes) in matrices {
        match types.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += bytes,
            None => types.push((name, bytes)),
        }
    }
    types.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    types
}

/// The size of the weights in memory, for matrices that are stored in these types.
///
/// # Units
/// Bytes. With products in bf16, matrices outside the blocks that keep their stored type are counted with four bytes
/// per weight, an upper bound.
pub fn weight_bytes(spec: &Spec, precision: Precision, compute: Compute, stored: &StoredTypes) -> u64 {
    let each = match (precision.dtype(), compute) {
        (Some(dtype), _) => dtype.size_in_bytes() as u64,
        (None, Compute::Bf16) => 4,
        (None, _) => return stored.iter().map(|(_, bytes)| bytes).sum(),
    };
    let sizes = list(spec).into_iter().map(|(param, shape)| {
        let of_one = match compute {
            _ if shape.len() == 1 || param.place.is_norm() => 4,
            Compute::Bf16 if param.is_block_matrix() => 2,
            _ => each,
        };
        product(shape).saturating_mul(of_one)
    });
    sizes.fold(0, u64::saturating_add)
}

/// Bytes per token of a pass: the tensors that are in memory at the same time in attention or in the MLP (whichever
/// needs more), and the values of one hook point.
///
/// # Units
/// Bytes per token.
pub fn token_bytes(spec: &Spec) -> usize {
    let heads = 2 * spec.d_queries() + 2 * spec.d_keys();
    let neurons = spec.d_mlp * if spec.mlp.is_gated() { 4 } else { 2 };
    4 * (6 * spec.d_model + heads.max(neurons) + spec.d_mlp)
}

/// Bytes of memory for one pass, in addition to the weights.
///
/// # Units
/// Bytes.
pub fn pass_bytes(spec: &Spec) -> u64 {
    let n_tokens = PASS_TOKENS.min((spec.n_context as u64).saturating_mul(4));
    n_tokens.saturating_mul(token_bytes(spec) as u64)
}

/// Bytes of the table of positions that are computed, not stored.
///
/// # Units
/// Bytes.
pub(crate) fn table_bytes(spec: &Spec) -> u64 {
    match spec.embedding.positions {
        PositionEmbedding::Sinusoidal { offset } => product([offset + spec.n_context, spec.d_model, 4]),
        _ => 0,
    }
}

/// Refuses a model that does not fit into the free memory.
///
/// # Errors
/// [`crate::Error::Invalid`] with both figures.
pub fn check(needed: u64) -> Result<()> {
    check_memory(
        "the model",
        needed,
        "use --dtype bf16 (half of f32), a quantised GGUF file or a smaller model",
    )
}
