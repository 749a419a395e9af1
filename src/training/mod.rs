//! Training a small model on relations between entities: the bundled teaching model is made here.
//!
//! - `relations`: who is near whom, where from where, before or after whom
//! - `corpus`: those relations as sentences; no coordinate and no date of an entity among them
//! - `byte_pair`: a byte-pair tokenizer whose pieces are smaller than names
//! - `loss`, `adam`: next-token cross-entropy and the optimiser
//! - `trainer`: the loop, with checkpoints that resume to the bit
//! - `export`: the model as a Hugging Face folder

mod adam;
mod byte_pair;
mod corpus;
mod export;
mod loss;
mod relations;
mod trainer;

pub use byte_pair::train_tokenizer;
pub use corpus::{Corpus, Stanza};
pub use export::export;
pub use trainer::{ModelTrainer, StepReport, TrainingSettings};
