//! Models from GGUF files, the format of llama.cpp: one file for metadata, tokenizer and weights.
//!
//! A file is converted to the contents of a Hugging Face folder: the fields of a config.json for the family, a
//! tokenizer.json, and tensors by name. Quantised matrices stay quantised.
//!
//! - `header`: the file's table of contents, with all counts checked
//! - `tensor_type`: the types in which values are stored
//! - `metadata`: values by key; a key of the architecture that is not read is refused; `keys`: the architecture's keys
//! - `split`: models in several files; `purpose`: files without a model
//! - `architectures`: the supported architectures, and their families
//! - `config`, `rope`: metadata to a family's config fields
//! - `tensors`: the tensor of each parameter, and its rows
//! - `vocabulary`: tokens by id; `tokenizer`, `pre_tokenizer`, `word_piece`: the tokenizer.json
//! - `control_vector`: vectors that are added to the stream, in llama.cpp's format
//! - `file`: an open model: its spec, parameters and tokenizer

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
