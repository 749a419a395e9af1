//! The ways to divide a piece of a vocabulary into two other pieces, which are the merges of SentencePiece's BPE.

use crate::limits::TOKEN_BYTES;
use std::collections::HashSet;

/// The lengths of the pieces of a vocabulary. Most divisions of a long piece have a side whose length no piece has, so
/// they need no look-up.
pub(crate) struct PieceLengths(HashSet<usize>);

impl PieceLengths {
    /// The lengths of these pieces.
    ///
    /// # Errors
    /// A sentence about a piece that is longer than any real one: the time for its divisions grows with the square
    /// of its length.
    pub(crate) fn of<'a>(pieces: impl Iterator<Item = &'a str>) -> Result<PieceLengths, String> {
        let mut lengths = HashSet::new();
        for (piece, id) in pieces.zip(0..) {
            if TOKEN_BYTES.size(piece.len() as u64).is_none() {
                return Err(format!("token {id} of {} bytes", piece.len()));
            }
            lengths.insert(piece.len());
        }
        Ok(PieceLengths(lengths))
    }

    /// The divisions of a piece into two sides whose lengths both occur in the vocabulary; the shortest left side is
    /// first.
    pub(crate) fn splits<'a>(&self, piece: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let both = |at: &usize| self.0.contains(at) && self.0.contains(&(piece.len() - at));
        let places = piece.char_indices().skip(1).map(|(at, _)| at).filter(both);
        places.map(|at| piece.split_at(at)).collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sides_of_known_lengths_are_tried_and_a_huge_piece_is_refused() {
        let lengths = PieceLengths::of(["a", "bcd", "é"].into_iter()).unwrap();
        let splits = |piece: &str| lengths.splits(piece).map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>();
        assert_eq!(splits("abcd"), ["a bcd", "ab cd", "abc d"]);
        assert_eq!(splits("éa"), ["é a"]);
        assert!(splits("abcde") == ["ab cde", "abc de"] && splits("a").is_empty());
        let long = "a".repeat(1_000_000);
        assert!(PieceLengths::of([long.as_str()].into_iter()).err().unwrap().contains("1000000 bytes"));
    }
}
