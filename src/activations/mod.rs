//! Activations: a model's internal vectors at each entity, at every layer.
//!
//! - `extract`: runs entities through the model and records these vectors
//! - `store`: writes the vectors into files and reads them

mod extract;
mod store;

pub(crate) use extract::Batches;
pub use extract::{
    Division, ExtractedActivations, Placed, Pooling, Prepared, PromptedDataset, Recording, Shard, Span,
    SpanRow, StoredDtype, TextModel, TokenScope, Unplaced, batch_tokens, extract, place_all, place_texts,
    save_unplaced,
};
pub use store::{ActivationStore, Activations, FillSummary, Verdict};
