//! The names-only baseline: what can be read from the letters and words of a name alone.

use ndarray::Array2;
use rayon::prelude::*;
use std::collections::HashMap;

/// Columns that the n-grams of a name are hashed into, unless another number is asked for.
pub const NAME_DIMS: usize = 2048;
/// The longest run of characters that is counted.
const MAX_CHARACTERS: usize = 4;
/// The longest run of words that is counted.
const MAX_WORDS: usize = 2;

/// Hashed n-grams of names: 1 to 4 characters of a word with marks at its ends, and 1 to 2 words,
/// in lower case; the logarithm of one more than the count, each row of length 1.
///
/// The hash is fixed, so that the columns mean the same in every run and on every machine.
///
/// # Shapes
/// `[n_names, dims]`.
///
/// # Examples
/// ```
/// let features = mappa::probes::name_features(&["Paris", "paris", "Rome"], 64);
/// assert_eq!(features.row(0), features.row(1));
/// assert_ne!(features.row(0), features.row(2));
/// ```
pub fn name_features(names: &[&str], dims: usize) -> Array2<f32> {
    let mut features = Array2::zeros((names.len(), dims));
    if dims == 0 {
        return features;
    }
    features.outer_iter_mut().into_par_iter().zip(names.par_iter()).for_each(|(mut row, name)| {
        // Counted apart first: the logarithm is of one n-gram's count, not of a column's sum.
        for (hash, count) in n_gram_counts(name) {
            row[(hash % dims as u64) as usize] += (f64::from(count)).ln_1p() as f32;
        }
        let norm = row.dot(&row).sqrt();
        if norm > 0.0 {
            row /= norm;
        }
    });
    features
}

/// How often each n-gram stands in a name, by its hash.
fn n_gram_counts(name: &str) -> Vec<(u64, u32)> {
    let name = name.to_lowercase();
    let words: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut counts: HashMap<u64, u32> = HashMap::new();
    for n in 1..=MAX_WORDS {
        for run in words.windows(n) {
            *counts.entry(hash(b'w', run.join(" ").as_bytes())).or_default() += 1;
        }
    }
    // Split at white space here, so that hyphens, apostrophes and full stops count as characters.
    for word in name.split_whitespace() {
        let marked: Vec<char> = std::iter::once('<').chain(word.chars()).chain(['>']).collect();
        for n in 1..=MAX_CHARACTERS {
            for run in marked.windows(n) {
                let run: String = run.iter().collect();
                *counts.entry(hash(b'c', run.as_bytes())).or_default() += 1;
            }
        }
    }
    let mut counts: Vec<(u64, u32)> = counts.into_iter().collect();
    // In a fixed order, so that sums within a column round the same way in every run.
    counts.sort_unstable();
    counts
}

/// The 64-bit FNV-1a hash of a kind and a text, its halves folded so that low bits are well mixed.
///
/// # Source
/// Fowler, Noll, Vo: draft-eastlake-fnv, offset basis and prime for 64 bits.
fn hash(kind: u8, text: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in std::iter::once(&kind).chain(text) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_length_one_and_an_empty_name_is_zero() {
        let features = name_features(&["New York", "Łódź", "a a a", ""], NAME_DIMS);
        for row in 0..3 {
            assert!((features.row(row).dot(&features.row(row)) - 1.0).abs() < 1e-5);
        }
        assert!(features.row(3).iter().all(|v| *v == 0.0));
    }

    #[test]
    fn names_that_share_an_ending_are_nearer() {
        let features = name_features(&["Nottingham", "Birmingham", "Kyoto"], NAME_DIMS);
        let near = features.row(0).dot(&features.row(1));
        assert!(near > 0.3 && near > 3.0 * features.row(0).dot(&features.row(2)));
    }

    #[test]
    fn characters_and_words_are_counted() {
        // Words: ab, cd, "ab cd"; characters of each marked word of 4: 4 + 3 + 2 + 1, `<` and `>` shared.
        let counts = n_gram_counts("Ab cd");
        assert_eq!(counts.len(), 3 + 2 * 10 - 2);
        assert_eq!(counts.iter().filter(|(_, count)| *count == 2).count(), 2);
    }

    #[test]
    fn the_hash_never_changes() {
        // FNV-1a of "a" is af63dc4c8601ec8c, from the authors' own table of test vectors.
        let plain = 0xaf63_dc4c_8601_ec8c_u64;
        assert_eq!(hash(b'a', b""), plain ^ (plain >> 32));
    }
}
