//! Tokenizers of folders without a tokenizer.json: older files, read as transformers 5.23.0 reads them.
//!
//! - `open`: the tokenizer of a folder
//! - `class`: the class that transformers chooses, and its files
//! - `special`: special and added tokens, as the folder's JSON files name them
//! - `recipe`: a tokenizer from its model, normaliser, pre-tokenizer, decoder and special tokens
//! - `byte_level`: vocab.json and merges.txt; `word_piece`: vocab.txt
//! - `sentence_piece`: a SentencePiece model, which `proto` parses

mod byte_level;
mod class;
mod open;
mod proto;
mod recipe;
mod sentence_piece;
mod special;
mod word_piece;

pub(super) use open::{Opened, open};
