//! Foreign texts made safe to display: short, in one line, without control characters and without secrets.
//!
//! - `text`: names, cells, headings, fields, answers of servers, messages of libraries: [`shown`], [`shown_up_to`];
//!   texts of several lines: [`plain_lines`]; texts in figures: [`drawn`]
//! - `address`: addresses without keys, passwords and signatures: [`without_secrets`], [`address_without_secrets`]
//! - `shell`: words of commands to paste: [`shell_word`], [`shell_path`], [`shell_flag`]

mod address;
mod shell;
mod text;

pub use address::{address_without_secrets, without_secrets};
pub use shell::{shell_flag, shell_path, shell_word};
pub use text::{LONGEST, drawn, is_unprintable, plain_lines, shown, shown_path, shown_up_to};
