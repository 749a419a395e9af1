//! Products of sizes without overflow, and their comparison with the free memory.

use crate::error::{Error, Result};

/// The product of sizes; [`u64::MAX`] if it is larger.
///
/// # Examples
/// ```
/// use mappa::limits::product;
/// assert_eq!(product([3, 4]), 12);
/// assert_eq!(product([usize::MAX, 2, 2]), u64::MAX);
/// ```
pub fn product(sizes: impl IntoIterator<Item = usize>) -> u64 {
    sizes.into_iter().fold(1, |product: u64, size| product.saturating_mul(size as u64))
}

/// Refuses work that needs more memory than is free; `what` names the work.
///
/// # Errors
/// [`Error::Invalid`] with the needed memory, the free memory, and the advice `way_out`.
pub fn check_memory(what: &str, needed: u64, way_out: &str) -> Result<()> {
    if needed < SMALL { Ok(()) } else { check(what, needed, available_bytes(), way_out) }
}

/// Work that needs fewer bytes is never refused: asking the system for the free memory takes longer than such work.
const SMALL: u64 = 16 << 20;

fn check(what: &str, needed: u64, available: Option<u64>, way_out: &str) -> Result<()> {
    let Some(available) = available.filter(|free| *free < needed) else { return Ok(()) };
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 * 1e-9);
    let found = format!("{} needed", gigabytes(needed));
    let expected = format!("at most the {} that are free; {way_out}", gigabytes(available));
    Err(Error::invalid(format!("memory for {what}"), found, expected))
}

/// The bytes of free memory, if the system reports them, limited by the bytes that this process may still allocate
/// (`ulimit -v`).
pub fn available_bytes() -> Option<u64> {
    let refresh =
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
    let system = sysinfo::System::new_with_specifics(refresh);
    let free =
        system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory).min(system.available_memory());
    let free = Some(free).filter(|free| *free > 0);
    free.into_iter().chain(address_space()).min()
}

/// Bytes that this process may still allocate, if its address space is limited.
fn address_space() -> Option<u64> {
    let line_of = |file: &str, name: &str| {
        let text = std::fs::read(file).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.to_string()))
    };
    let number = |line: &str| line.split_whitespace().next()?.parse::<u64>().ok();
    let most = number(&line_of("/proc/self/limits", "Max address space")?)?;
    let used = number(&line_of("/proc/self/status", "VmSize:")?)?.saturating_mul(1024);
    Some(most.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_refused_only_if_it_does_not_fit_and_both_figures_are_named() {
        let check = |needed, available| check("the rows", needed, available, "use fewer");
        assert!(check(10, Some(10)).is_ok() && check(u64::MAX, None).is_ok());
        let refusal = check(140_000_000_000, Some(20_000_000_000)).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "memory for the rows: found 140.0 GB needed; expected at most the 20.0 GB that are free; use fewer"
        );
        assert!(available_bytes().is_none_or(|free| free > 1 << 20));
    }
}
