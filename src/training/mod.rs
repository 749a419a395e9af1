//! Training a small model on relations between entities: the bundled teaching model is made here.
//!
//! - `relations`: who is near whom, where from where, before or after whom
//! - `corpus`: those relations as sentences; no coordinate and no date of an entity among them
//! - `vocabulary`: a byte-pair tokenizer whose pieces are smaller than names
//! - `loss`, `adam`: next-token cross-entropy and the optimiser
//! - `trainer`: the loop, with checkpoints that resume to the bit
//! - `export`: the model as a Hugging Face folder

mod adam;
mod corpus;
mod export;
mod loss;
mod relations;
mod trainer;
mod vocabulary;

pub use corpus::{Corpus, Stanza};
pub use export::export;
pub use trainer::{Progress, Trainer, TrainingSettings};
pub use vocabulary::train_tokenizer;
