//! Activations: every layer's stream at each entity's last token.
//!
//! - `span`: which tokens of a text are the entity's, by character offsets
//! - `placement`: all entities of a dataset, and those that have no place
//! - `extract`: entities through the model, packed as forests
//! - `store`: the arrays, spans and card in a lab

mod extract;
mod placement;
mod span;
mod store;

pub use extract::{Extraction, Progress, Reader, extract};
pub use placement::{Placed, Unplaced, place_all, place_texts, save_unplaced};
pub use span::{Span, SpanRow};
pub use store::{ActivationStore, Activations};
