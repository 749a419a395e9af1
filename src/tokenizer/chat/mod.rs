//! Chat templates: a text as the user's turn, as the model was taught to see it.
//!
//! - `template`: a template that takes a user's turn
//! - `jinja`: Jinja as transformers sets it up
//! - `source`: a template's text, brought to what minijinja reads; `remainder` rewrites the operator `%`
//! - `arguments`: arguments by place or by name
//! - `strings`, `sequences`: methods of Python's strings, lists and maps
//! - `filters`: filters and functions that differ from minijinja's own
//! - `json`: the filter `tojson`

mod arguments;
mod date;
mod filters;
mod jinja;
mod json;
mod remainder;
mod sequences;
mod source;
mod strings;
mod template;
mod token;

pub use date::ChatDate;
pub(super) use template::ChatTemplate;
pub use template::{Role, Turn};
