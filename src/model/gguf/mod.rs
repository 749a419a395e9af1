//! Models from GGUF files, the format of llama.cpp: one file for metadata, tokenizer and weights.
//!
//! A file is converted to the contents of a Hugging Face folder: the fields of a config.json for the family, a
//! tokenizer.json, and tensors by name. Quantised matrices stay quantised.
//!
//! - `header`: the file's table of contents, with all counts checked
//! - `tensor_type`: the types in which values are stored
//! - `metadata`: values by key, and the refusal of unread keys that may change numbers; `keys`: the keys of one
//!   architecture
//! - `split`: models in several files; `purpose`: the refusal of files without a language model
//! - `architectures`: the supported architectures, and their families
//! - `config`, `rope`: the conversion of metadata to a family's config fields
//! - `tensors`: for each parameter, its tensor in the file and its rows in that tensor
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
