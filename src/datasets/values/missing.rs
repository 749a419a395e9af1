//! Cells without a value.

/// Words and signs for no value in other people's files, beside a blank cell: those of pandas, `\N` of databases,
/// and dashes.
const NOTHING: [&str; 20] = [
    "na", "n/a", "nan", "null", "none", "#n/a", "#n/a n/a", "#na", "<na>", "-nan", "1.#ind", "-1.#ind",
    "1.#qnan", "-1.#qnan", "\\n", "-", "–", "—", "?", "−",
];

/// Tells if a cell is blank.
pub(in crate::datasets) fn is_blank(cell: &str) -> bool {
    cell.trim().is_empty()
}

/// Tells if a cell says that it holds no number. Nan is a town in Thailand: no name says so.
pub(in crate::datasets) fn is_nothing(cell: &str) -> bool {
    is_blank(cell) || NOTHING.contains(&cell.trim().to_lowercase().as_str())
}
