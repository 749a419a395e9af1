//! mappa: a probing lab for language models. It finds where a model keeps *where* and *when*, and
//! writes it back.
//!
//! The line the data takes, one module a stage:
//!
//! - [`datasets`]: entities with a place or a year
//! - [`model`]: tokens in, residual stream out, one seam ([`model::Hook`])
//! - [`tokenizer`]: texts to tokens, and back
//! - [`hub`]: models fetched from the Hugging Face hub, in the cache that Python shares
//! - [`activations`]: every layer's stream at each entity's last token
//! - [`probes`]: linear readers of the stream, their scores and baselines
//! - [`features`]: sparse dictionaries of the stream
//! - [`steering`]: directions added back while the model generates
//! - [`results`]: the rows that probes and steering write
//! - [`figures`]: pictures of saved rows
//! - [`progress`]: observation of long work
//! - [`training`]: the corpus and the trainer behind the bundled model
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod activations;
pub mod artefact;
pub mod datasets;
pub mod error;
pub mod features;
pub mod figures;
pub mod hook_point;
pub mod hub;
pub mod lab;
pub mod model;
pub mod probes;
pub mod progress;
pub mod results;
pub mod steering;
pub mod tokenizer;
pub mod training;

pub use error::{Error, Result};
pub use lab::Lab;
