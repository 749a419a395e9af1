//! Tokenizers of folders without a tokenizer.json: the files that stood there before, read as transformers
//! 5.23.0 reads them.
//!
//! - `open`: a folder to a tokenizer
//! - `class`: the class that transformers takes, and the files that it reads
//! - `special`: special and added tokens, as the folder's JSON files name them
//! - `recipe`: a model with all that stands around it, made a tokenizer
//! - `byte_level`: vocab.json and merges.txt; `word_piece`: vocab.txt
//! - `sentence_piece`: SentencePiece's model, which `proto` reads

mod byte_level;
mod class;
mod open;
mod proto;
mod recipe;
mod sentence_piece;
mod special;
mod word_piece;

pub(super) use open::{Opened, open};
