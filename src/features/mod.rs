//! Sparse dictionaries (sparse autoencoders): many directions of the stream, few of them active in any row.
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
pub use files::DICTIONARY_FILES;
pub use groups::{Groups, Match, TestMatch};
pub use tokens::{TopToken, Windows};
