//! Models from a GGUF file, the format of llama.cpp: one file for metadata, tokenizer and weights.
//!
//! A file is read as what a Hugging Face folder would hold: a config.json for the family's own reader, a
//! tokenizer.json, and tensors by name. Quantised matrices stay quantised.
//!
//! - `header`: the file's table of contents, with every count checked
//! - `tensor_type`: the types in which values are stored
//! - `metadata`, `keys`: values by key, and by an architecture's; what is not read is refused
//! - `split`: the files of a model in several; `purpose`: files that hold no model
//! - `architectures`: those that are read, and the families they are
//! - `config`, `rope`: metadata to a family's config fields
//! - `tensors`: which tensor, and which of its rows, is which parameter
//! - `vocabulary`: tokens by id; `tokenizer`, `pre_tokenizer`, `word_piece`: a tokenizer.json of them
//! - `control_vector`: vectors that are added to the stream, as llama.cpp keeps them
//! - `file`: an open model as spec, parameters and tokenizer

mod architectures;
mod config;
mod control_vector;
mod file;
mod header;
mod keys;
mod metadata;
mod pre_tokenizer;
mod purpose;
mod rope;
mod split;
mod tensor_type;
mod tensors;
mod tokenizer;
mod vocabulary;
mod word_piece;

pub use control_vector::{ControlVector, load_control_vector, save_control_vector};
pub(crate) use file::GgufFile;
pub(crate) use purpose::is_no_model;
pub(crate) use split::{PartName, first as first_part};
