//! Texts to tokens with their byte ranges, and tokens back to text. The forward pass does not use this module.
//!
//! - `hf_tokenizer`: a Hugging Face tokenizer with the settings of its folder; `encoded`: its results
//! - `tokenizer_files`: the files next to a tokenizer.json; `json_object` reads one
//! - `vocabulary`: the tokenizer of a folder without a tokenizer.json; `pieces`: the merges of its pieces
//! - `bos`: the choice of a first token; `end_tokens`: the tokens that end a text
//! - `chat`: chat templates, and the date they receive
//! - `streaming_decoder`: text while its tokens are generated
//! - `random_tokens`: tokens drawn at random

mod bos;
mod chat;
mod encoded;
mod end_tokens;
mod hf_tokenizer;
mod json_object;
mod pieces;
mod random_tokens;
mod streaming_decoder;
mod tokenizer_files;
mod vocabulary;

pub use bos::Bos;
pub use chat::{ChatDate, Role, Turn};
pub use encoded::{Encoded, EncodedPrompt};
pub use hf_tokenizer::Tokenizer;
pub(crate) use hf_tokenizer::without_spaces;
pub(crate) use pieces::PieceLengths;
pub use random_tokens::draw_tokens;
pub use streaming_decoder::StreamingDecoder;
pub(crate) use tokenizer_files::{ChatSource, TokenizerFiles};
