//! Whole numbers of flags, each in its range.

use clap::builder::RangedU64ValueParser;
use mappa::limits::Limit;

/// Parses a size in a range.
pub(super) fn within(limit: Limit) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(limit.least..=limit.most)
}
