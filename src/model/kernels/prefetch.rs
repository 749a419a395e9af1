//! Prefetching of memory before it is read; this file uses `unsafe`.
//!
//! In decoding, every weight is read once, in order, by a loop that is as fast as memory; the processor prefetches by
//! itself, but not beyond a page of 4 KB, and then waits. With prefetching one page ahead, decoding SmolLM2 in 4 bits
//! is a quarter faster.
#![allow(unsafe_code, reason = "prefetches, as the module says above")]

/// Distance in bytes between the read and the prefetched position.
pub(super) const AHEAD: usize = 4096;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Prefetches values into the cache; does nothing on machines without such an instruction.
#[inline(always)]
pub(super) fn prefetch<T: Copy>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(LINE / size_of::<T>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the pointer is a slice's own, and the instruction changes caches only, for any pointer.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, LINE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefetching_changes_nothing_and_accepts_any_length() {
        let bytes: Vec<u8> = (0..200).collect();
        for n in [0, 1, 63, 64, 65, 200] {
            prefetch(&bytes[..n]);
        }
        assert!(bytes.iter().enumerate().all(|(i, byte)| *byte == i as u8));
    }
}
