//! Models from a GGUF file, the format of llama.cpp: one file for metadata, tokenizer and weights.
//!
//! A file is read as what a Hugging Face folder would hold: a config.json for the family's own reader, a
//! tokenizer.json, and tensors by name. Quantised matrices stay quantised.
//!
//! - `header`: the file's table of contents, with every count checked
//! - `kind`: how numbers are stored, and which ways are read
//! - `metadata`: values by key; what is not read is refused
//! - `config`: metadata to a family's config fields
//! - `tensors`: which tensor, and which of its rows, is which parameter
//! - `tokenizer`, `pre_tokenizer`: vocabulary and merges to a tokenizer.json
//! - `control_vector`: vectors that are added to the stream, as llama.cpp keeps them
//! - `file`: an open file as spec, parameters and tokenizer

mod config;
mod control_vector;
mod file;
mod header;
mod kind;
mod metadata;
mod pre_tokenizer;
mod tensors;
mod tokenizer;

pub use control_vector::{ByBlock, load_control_vector, save_control_vector};
pub(super) use file::GgufFile;
