//! Parsing of the values in cells.
//!
//! - `number`: numbers with decimal points or commas
//! - `year`: years and dates as decimal years; `date`: calendar dates
//! - `missing`: cells without a value

mod date;
pub(super) mod missing;
pub(super) mod number;
pub(super) mod year;

pub(super) use date::compact_to_iso;
pub use date::{date_to_year, year_to_date};
