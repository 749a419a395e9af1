//! Cells without a value.

/// Words and signs for a missing value: those of pandas, `\N` of databases, and dashes.
const NOTHING: [&str; 20] = [
    "na", "n/a", "nan", "null", "none", "#n/a", "#n/a n/a", "#na", "<na>", "-nan", "1.#ind", "-1.#ind",
    "1.#qnan", "-1.#qnan", "\\n", "-", "–", "—", "?", "−",
];

/// True for a blank cell.
pub(in crate::datasets) fn is_blank(cell: &str) -> bool {
    cell.trim().is_empty()
}

/// True for a blank cell, or one with a word for a missing value. Not for names: Nan is a town in Thailand.
pub(in crate::datasets) fn is_nothing(cell: &str) -> bool {
    is_blank(cell) || NOTHING.contains(&cell.trim().to_lowercase().as_str())
}
