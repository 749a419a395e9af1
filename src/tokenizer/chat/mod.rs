//! Chat templates: a text as the user's turn, in the format that the model was trained on.
//!
//! - `template`: a chat template, ready to take turns; `date`: the date that it receives
//! - `jinja`: Jinja as transformers configures it
//! - `source`: a template's text, rewritten for minijinja; `operators` rewrites `%` and `+` as calls of
//!   `arithmetic`, `token` reads tags
//! - `arguments`: positional and keyword arguments
//! - `strings`, `sequences`: methods of Python's strings, lists and maps; `numerals`: its digits
//! - `filters`: filters and functions that differ from minijinja's own
//! - `json`: the filter `tojson`

mod arguments;
mod arithmetic;
mod date;
mod filters;
mod jinja;
mod json;
mod numerals;
mod operators;
mod sequences;
mod source;
mod strings;
mod template;
mod token;

pub use date::ChatDate;
pub(super) use template::ChatTemplate;
pub use template::{Role, Turn};
