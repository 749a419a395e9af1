//! The columns of a file by their role, from their headings and cells.
//!
//! - `heading`: a column's name, with its role in brackets; `known_headings`: names that imply a role
//! - `sheet`: cells with their headings, and the errors about columns that are missing or ambiguous
//! - `targets`: the columns of the target; `decimal_mark`: the decimal mark of its numbers
//! - `roles`: the columns of every role, and the entity of a row

mod decimal_mark;
mod heading;
mod known_headings;
mod roles;
mod sheet;
mod targets;

pub(super) use heading::{ColumnRole, Heading};
pub(super) use roles::Columns;
pub(super) use sheet::Sheet;
