//! Readers of table files (CSV, TSV, JSON and Parquet), which give cells as texts.
//!
//! - `cells`: columns, rows and lines, for any format: [`Cells`]
//! - `format`: the format by the ending of a file's name, and its reader
//! - `delimited`: CSV and TSV; `separator` finds the sign between cells, `quotes` refuses unpaired quote signs
//! - `json`: one object per line, or an array of objects
//! - `parquet`: Parquet files, column by column; `parquet_sizes` checks the sizes that they state, `thrift` walks through
//!   their metadata

mod cells;
mod delimited;
mod format;
mod json;
mod parquet;
mod parquet_sizes;
mod quotes;
mod separator;
mod thrift;

pub(super) use cells::{Cells, Commas};
pub(super) use format::{ENDINGS, Format, load, parse};
pub(crate) use parquet::first_column;
