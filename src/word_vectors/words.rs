//! The words of a name, and the forms in which a file of vectors may have them.

use std::collections::HashSet;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The parts of a name at white space, without punctuation at their ends.
pub(super) fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split_whitespace()
        .map(|part| part.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|p| !p.is_empty())
}

/// The pieces of a part between its hyphens, apostrophes and other signs, without a final `'s`; empty for a part
/// without signs.
pub(super) fn pieces(part: &str) -> Vec<&str> {
    let owner = part.strip_suffix("'s").or_else(|| part.strip_suffix("’s"));
    let pieces =
        owner.unwrap_or(part).split(|c: char| !c.is_alphanumeric()).filter(|piece| !piece.is_empty());
    pieces.filter(|piece| *piece != part).collect()
}

/// The forms of a word, in the order in which they are looked up: as written, in lower case, and in lower case without
/// accents.
pub(super) fn forms(word: &str) -> [String; 3] {
    let lower = word.to_lowercase();
    let plain = lower.nfd().filter(|c| !is_combining_mark(*c)).collect();
    [word.to_string(), lower, plain]
}

/// All forms of all words in the names and of their pieces: [`crate::word_vectors::NameVectors`] looks them up.
pub fn needed_words<'a>(names: impl IntoIterator<Item = &'a str>) -> HashSet<String> {
    let words = names.into_iter().flat_map(parts).flat_map(|part| [vec![part], pieces(part)].concat());
    words.flat_map(forms).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_divided_at_spaces_and_then_at_signs() {
        let found: Vec<&str> = parts("St. Winston-Salem, (N.C.) – d'Or").collect();
        assert_eq!(found, ["St", "Winston-Salem", "N.C", "d'Or"]);
        assert_eq!(pieces("Winston-Salem"), ["Winston", "Salem"]);
        assert_eq!(pieces("Highsmith's"), ["Highsmith"]);
        assert!(pieces("Salem").is_empty());
    }

    #[test]
    fn accents_are_removed_last() {
        assert_eq!(forms("Málaga"), ["Málaga", "málaga", "malaga"]);
        // Polish ł is a letter of its own, not an l with an accent.
        assert_eq!(forms("Łódź")[2], "łodz");
    }

    #[test]
    fn all_forms_of_all_words_are_needed() {
        let needed = needed_words(["Le-Mans"]);
        let expected = ["Le-Mans", "le-mans", "Le", "le", "Mans", "mans"];
        assert_eq!(needed, expected.iter().map(|word| word.to_string()).collect());
    }
}
