//! Matches of latents and groups, as cells of a table.

use mappa::results::LatentGroupRow;

/// The column heads for [`cells_of`].
pub(super) const HEADS: [&str; 8] =
    ["group", "F1 train", "test: n", "precision", "recall", "F1", "average precision", "by chance"];

/// The cells of one match.
pub(super) fn cells_of(row: &LatentGroupRow) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
    let share = row.share.map_or("–".into(), |share| format!("{share:.3}"));
    vec![
        row.group.clone(),
        format!("{:.2}", row.train_f1),
        row.n_test.to_string(),
        number(row.precision),
        number(row.recall),
        number(row.f1),
        number(row.average_precision),
        share,
    ]
}
