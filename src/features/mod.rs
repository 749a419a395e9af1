//! Sparse features: dictionaries of directions, of which few are active at a time.
//!
//! - `dictionary`: encoding and decoding
//! - `active`: which units are active on which rows; `groups`: how well they tell a group of entities
//! - `tokens`: where in texts units are most active
//! - `files`: dictionaries as SAELens and Gemma Scope save them
//! - `train`: learning one from rows of activations

mod active;
mod dictionary;
mod files;
mod groups;
mod tokens;
pub mod train;

pub use active::Active;
pub use dictionary::{Activation, Dictionary};
pub use groups::{Groups, Match, TestMatch};
pub use tokens::{TopToken, Windows};
