//! How much memory a model needs, and whether the machine has it; asked before weights are read.

use super::compute::Compute;
use super::params::list;
use super::spec::Spec;
use super::weights::Precision;
use crate::error::{Error, Result};

/// Tokens of one pass when entities are extracted; their products are the working memory.
const PASS_TOKENS: u64 = 4096;

/// The types in which a file stores matrices, with the bytes of each; the one with most bytes first.
pub type StoredTypes = Vec<(String, u64)>;

/// Adds up the bytes of each type.
pub(super) fn stored_types(matrices: impl Iterator<Item = (String, u64)>) -> StoredTypes {
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

/// Bytes that the weights take in memory, where their matrices are stored in these types.
///
/// # Units
/// Bytes; for matrices beside bf16 blocks that stay as they are stored, four a weight, which is the most.
pub fn weight_bytes(spec: &Spec, (precision, compute): (Precision, Compute), stored: &StoredTypes) -> u64 {
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

/// Bytes that running the model takes besides its weights: the widest tensors of one pass.
///
/// # Units
/// Bytes.
pub fn pass_bytes(spec: &Spec) -> u64 {
    let heads = spec.d_head * (2 * spec.n_heads + 2 * spec.n_kv_heads);
    let neurons = spec.d_mlp * if spec.mlp.is_gated() { 3 } else { 2 };
    PASS_TOKENS.min(4 * spec.n_context as u64) * (4 * spec.d_model + heads.max(neurons)) as u64 * 4
}

/// Bytes of memory that are free for use, if the system tells.
pub fn available_bytes() -> Option<u64> {
    let refresh =
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
    let system = sysinfo::System::new_with_specifics(refresh);
    let free =
        system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory).min(system.available_memory());
    (free > 0).then_some(free)
}

/// Refuses a model that does not fit.
///
/// # Errors
/// [`Error::Invalid`] with both figures.
pub(super) fn check(needed: u64, available: Option<u64>) -> Result<()> {
    let Some(available) = available.filter(|free| *free < needed) else { return Ok(()) };
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 * 1e-9);
    let found = format!("{} needed", gigabytes(needed));
    let expected = format!(
        "at most the {} that are free; ask for --dtype bf16 (half of f32), take a quantised GGUF or a smaller model",
        gigabytes(available)
    );
    Err(Error::invalid("memory for the model", found, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_refused_by_its_figure_and_only_when_it_does_not_fit() {
        assert!(check(10, Some(10)).is_ok() && check(u64::MAX, None).is_ok());
        let refusal = check(140_000_000_000, Some(20_000_000_000)).unwrap_err().to_string();
        assert!(refusal.contains("140.0 GB") && refusal.contains("20.0 GB"), "{refusal}");
        assert!(available_bytes().is_none_or(|free| free > 1 << 20));
    }
}
