//! The memory that a model needs, checked against the free memory before weights are read.

use super::params::list;
use crate::error::{Error, Result};
use crate::model::precision::Compute;
use crate::model::precision::Precision;
use crate::model::spec::Spec;

/// Tokens of one pass in an extraction; their activations are in memory at the same time.
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
        let n: usize = shape.iter().product();
        n as u64
            * match compute {
                _ if shape.len() == 1 || param.place.is_norm() => 4,
                Compute::Bf16 if param.is_block_matrix() => 2,
                _ => each,
            }
    });
    sizes.sum()
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
    PASS_TOKENS.min(4 * spec.n_context as u64) * token_bytes(spec) as u64
}

/// Bytes of free memory, if the system reports it.
pub fn available_bytes() -> Option<u64> {
    let refresh =
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
    let system = sysinfo::System::new_with_specifics(refresh);
    let free =
        system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory).min(system.available_memory());
    (free > 0).then_some(free)
}

/// Refuses a model that does not fit into the free memory.
///
/// # Errors
/// [`Error::Invalid`] with both figures.
pub(crate) fn check(needed: u64, available: Option<u64>) -> Result<()> {
    let Some(available) = available.filter(|free| *free < needed) else { return Ok(()) };
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 * 1e-9);
    let found = format!("{} needed", gigabytes(needed));
    let expected = format!(
        "at most the {} that are free; use --dtype bf16 (half of f32), a quantised GGUF file or a smaller model",
        gigabytes(available)
    );
    Err(Error::invalid("memory for the model", found, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_refused_only_if_it_does_not_fit_and_both_figures_are_named() {
        assert!(check(10, Some(10)).is_ok() && check(u64::MAX, None).is_ok());
        let refusal = check(140_000_000_000, Some(20_000_000_000)).unwrap_err().to_string();
        assert!(refusal.contains("140.0 GB") && refusal.contains("20.0 GB"), "{refusal}");
        assert!(available_bytes().is_none_or(|free| free > 1 << 20));
    }
}
