//! Extraction: entities through the model, packed as forests (prefix trees), so that each distinct prefix of a batch
//! is computed once.
//!
//! - `text_model`: the model with its tokenizer, and the dataset with its prompt
//! - `span`, `placement`: the entity's tokens in its text, and entities without such tokens
//! - `recording`: the settings; `pooling` over tokens, `dtype` of the stored numbers, `value_names` for both
//! - `hook_points`: the widths of a model's hook points
//! - `batches`, `shard`, `prepared`: a dataset tokenised and divided into passes
//! - `workers`, `recorder`, `sink`: the passes, several at a time, and the receiver of their rows
//! - `in_memory`: an extraction into arrays

mod batches;
mod dtype;
mod hook_points;
mod in_memory;
mod placement;
mod pooling;
mod prepared;
mod recorder;
mod recording;
mod shard;
mod sink;
mod span;
mod text_model;
mod value_names;
mod workers;

pub(crate) use batches::Batches;
pub use batches::batch_tokens;
pub use dtype::StoredDtype;
pub(super) use hook_points::width;
pub use in_memory::{ExtractedActivations, extract};
pub use placement::{Placed, Unplaced, place_all, place_texts, save_unplaced};
pub use pooling::{Pooling, TokenScope};
pub use prepared::{Division, Prepared};
pub use recording::Recording;
pub use shard::Shard;
pub(super) use sink::Sink;
pub use span::{Span, SpanRow};
pub use text_model::{PromptedDataset, TextModel};
pub(super) use workers::{Jobs, run};
