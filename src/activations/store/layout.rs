//! The layout of a store: the names of its files and folders.

use crate::hook_point::HookPoint;

/// The card: the inputs and the run that made the other files.
pub(super) const CARD: &str = "card.json";
/// The file with each entity's tokens.
pub(super) const SPANS: &str = "spans.csv";
/// The file with the checksums of the arrays and the spans.
pub(super) const CHECKSUMS: &str = "checksums.csv";
/// The file with the hashes of the arrays' blocks of rows.
pub(super) const BLOCKS: &str = "blocks.csv";
/// The folder of the shards to merge.
pub(super) const SHARDS: &str = ".shards";
/// The folder of unfinished files.
pub(super) const STAGING: &str = ".partial";
/// The file in the staging folder that lists the finished parts.
pub(super) const JOURNAL: &str = "journal.csv";
const ENDING: &str = ".safetensors";

/// The file name of a hook point.
pub(super) fn file_name(point: HookPoint) -> String {
    format!("{point}{ENDING}")
}

/// The hook point of a file's name; `None` for other files.
pub(super) fn point_of(name: &str) -> Option<HookPoint> {
    name.strip_suffix(ENDING)?.parse().ok()
}
