//! Artefacts on disk, written completely or not at all, each with a card of its inputs; and the reading of text files.
//!
//! - `files`: whole files and their hashes; `file_state`: a file that changes while it is read
//! - `unfinished`: files that are being written; `lock` keeps other processes out: [`Lock`]; `disk`: errors of full disks
//! - `text`: UTF-8 text files, without their byte order mark; other encodings are refused: [`load_text`], [`text_of`]
//! - `json`: JSON files of bounded length
//! - `folder_name`: the name of one folder or file, which cannot lead outside its parent: [`FolderName`]
//! - `card`: the run record of an artefact: [`Card`]
//! - `foreign`: calls of other libraries, whose panics become errors
//! - `date`: the calendar, and the present time for cards

mod card;
mod date;
mod disk;
mod file_state;
mod files;
mod folder_name;
mod foreign;
mod json;
mod lock;
mod text;
mod unfinished;

pub use card::Card;
pub use date::date_now;
pub(crate) use date::{day_to_iso, days_in_month, days_in_year};
pub(crate) use disk::{disk_full, write_error};
pub(crate) use file_state::FileState;
pub use files::{
    check_target, has_bytes, hash, hash_file, is_there, load_bytes, load_saved, remove, save_bytes,
};
pub(crate) use files::{hex, open_regular};
pub use folder_name::{FolderName, path_below};
pub(crate) use foreign::{Limits, caught, guarded, limited};
pub(crate) use json::json_of;
pub use lock::Lock;
pub use text::{load_text, text_of};
