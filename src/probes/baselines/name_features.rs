//! The features of the names-only baseline: hashed n-grams of the characters and words of a name.

use super::sparse_rows::SparseRows;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The number of columns that n-grams are hashed to.
///
/// Rare n-grams distinguish names: on the paper's places, 2,048 columns lose about a sixth of the R² that 2¹⁸
/// columns reach.
pub const NAME_COLUMNS: usize = 1 << 18;
/// The longest n-gram of characters.
const MAX_CHARACTERS: usize = 4;
/// The longest n-gram of words.
const MAX_WORDS: usize = 2;

/// Hashed n-grams of names in lower case: 1 to 4 characters of a word, whose start and end are marked, and 1 to 2
/// words.
///
/// An entry is `ln(1 + count)`; each row is scaled to Euclidean length 1. The hash is fixed, so that the columns
/// are the same in every run and on every machine.
///
/// # Shapes
/// `[n_names, NAME_COLUMNS]`.
///
/// # Examples
/// ```
/// let features = mappa::probes::name_features(&["Paris", "paris", "Rome"]);
/// assert_eq!(features.row(0), features.row(1));
/// assert_ne!(features.row(0), features.row(2));
/// ```
pub fn name_features(names: &[&str]) -> SparseRows {
    let rows: Vec<Vec<(u32, f32)>> = names.par_iter().map(|name| features_of(name)).collect();
    SparseRows::of(&rows, NAME_COLUMNS)
}

/// The columns of one name, ascending, and their values.
fn features_of(name: &str) -> Vec<(u32, f32)> {
    let mut columns: BTreeMap<u32, f64> = BTreeMap::new();
    for (hash, count) in n_gram_counts(name) {
        // The logarithm applies to each n-gram's own count, also where several n-grams share a column.
        *columns.entry((hash % NAME_COLUMNS as u64) as u32).or_default() += f64::from(count).ln_1p();
    }
    let norm = columns.values().map(|v| v * v).sum::<f64>().sqrt();
    columns.into_iter().map(|(column, value)| (column, (value / norm) as f32)).collect()
}

/// The count of each n-gram of a name, by its hash.
fn n_gram_counts(name: &str) -> BTreeMap<u64, u32> {
    let name = name.to_lowercase();
    let words: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    for n in 1..=MAX_WORDS {
        for run in words.windows(n) {
            *counts.entry(hash(b'w', run.join(" ").as_bytes())).or_default() += 1;
        }
    }
    // Split at white space, so that hyphens, apostrophes and full stops are characters of the n-grams.
    for word in name.split_whitespace() {
        let marked: Vec<char> = std::iter::once('<').chain(word.chars()).chain(['>']).collect();
        for n in 1..=MAX_CHARACTERS {
            for run in marked.windows(n) {
                let run: String = run.iter().collect();
                *counts.entry(hash(b'c', run.as_bytes())).or_default() += 1;
            }
        }
    }
    counts
}

/// The 64-bit FNV-1a hash of a kind and a text; the high half is combined into the low half, whose bits are mixed
/// less well.
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

    fn dot(a: &[(u32, f32)], b: &[(u32, f32)]) -> f32 {
        let b: BTreeMap<u32, f32> = b.iter().copied().collect();
        a.iter().map(|(column, value)| value * b.get(column).unwrap_or(&0.0)).sum()
    }

    #[test]
    fn rows_have_length_one_and_an_empty_name_is_zero() {
        let features = name_features(&["New York", "Łódź", "a a a", ""]);
        for row in 0..3 {
            assert!((dot(features.row(row), features.row(row)) - 1.0).abs() < 1e-6);
        }
        assert!(features.row(3).is_empty());
    }

    #[test]
    fn names_with_the_same_ending_are_more_similar() {
        let features = name_features(&["Nottingham", "Birmingham", "Kyoto"]);
        let near = dot(features.row(0), features.row(1));
        let far = dot(features.row(0), features.row(2));
        assert!(near > 2.0 * far, "{near} {far}");
    }

    #[test]
    fn characters_and_words_are_counted() {
        // Words: ab, cd, "ab cd". Characters: `<ab>` and `<cd>` have 4 + 3 + 2 + 1 n-grams each, of which they share `<` and
        // `>`.
        let counts = n_gram_counts("Ab cd");
        assert_eq!(counts.len(), 3 + 2 * 10 - 2);
        assert_eq!(counts.values().filter(|count| **count == 2).count(), 2);
    }

    #[test]
    fn the_hash_never_changes() {
        // FNV-1a of "a" is af63dc4c8601ec8c, from the authors' own table of test vectors.
        let plain = 0xaf63_dc4c_8601_ec8c_u64;
        assert_eq!(hash(b'a', b""), plain ^ (plain >> 32));
    }
}
