//! Asks for memory before it is read: one of the places with `unsafe`.
//!
//! In decoding every weight is read once, in order, by a loop that computes as fast as memory delivers; the machine looks
//! ahead by itself, but not beyond a page of 4 KB, and then waits. Asked for one page ahead, SmolLM2 in 4 bits is decoded a
//! quarter faster.
#![allow(unsafe_code, reason = "prefetches, as the module says above")]

/// Bytes that lie between what is read and what is asked for.
pub(super) const AHEAD: usize = 4096;

/// Bytes that come together.
const LINE: usize = 64;

/// Asks for some numbers to be brought near; where the machine has no word for it, does nothing.
#[inline(always)]
pub(super) fn prefetch<T: Copy>(numbers: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(LINE / size_of::<T>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the pointer is a slice's own, and the instruction changes nothing but caches, whatever it points at.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (numbers, LINE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_changes_nothing_and_takes_any_length() {
        let bytes: Vec<u8> = (0..200).collect();
        for n in [0, 1, 63, 64, 65, 200] {
            prefetch(&bytes[..n]);
        }
        assert!(bytes.iter().enumerate().all(|(i, byte)| *byte == i as u8));
    }
}
