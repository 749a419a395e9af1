//! Sparse dictionaries: directions of the stream, of which few are active at a time.
//!
//! - `dictionary`: a sparse autoencoder: encoding and decoding
//! - `activation_index`: the rows on which each latent is active; `groups`: latents that detect a group of entities
//! - `tokens`: the tokens on which latents are most active
//! - `files`: dictionaries as SAELens and Gemma Scope save them
//! - `train`: training on rows of activations

mod activation_index;
mod dictionary;
mod files;
mod groups;
mod tokens;
pub mod train;

pub use activation_index::ActivationIndex;
pub use dictionary::{Dictionary, SparseActivation};
pub use groups::{Groups, Match, TestMatch};
pub use tokens::{TopToken, Windows};
