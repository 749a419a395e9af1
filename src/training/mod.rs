//! Training of a small model on relations between entities; the bundled teaching model was trained with it.
//!
//! - `relations`: neighbours, directions and order of entities
//! - `corpus`: those relations as sentences, without any coordinate or date of an entity
//! - `byte_pair`: a byte-pair tokenizer with tokens shorter than names
//! - `loss`, `adam`: next-token cross-entropy and the optimiser
//! - `trainer`: the loop, with checkpoints that resume with bit-identical results
//! - `export`: the model as a Hugging Face folder

mod adam;
mod byte_pair;
mod corpus;
mod export;
mod loss;
mod relations;
mod trainer;

pub use byte_pair::train_tokenizer;
pub use corpus::{CORPUS_FILE, Corpus, Stanza, text_of_stanzas};
pub use export::{MODEL_FILES, export};
pub use trainer::{ModelTrainer, StepReport, TrainingSettings};
