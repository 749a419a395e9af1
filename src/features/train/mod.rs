//! Training of a sparse dictionary: TopK, with an auxiliary loss that revives dead latents (Gao et al. 2024).
//!
//! - `settings`: size, length and rate of a training
//! - `row_source`: training rows in parts; `texts`: rows for every token of texts, by the model's forward pass
//! - `parameters`: the four arrays, used for the parameters, their moments and the gradient
//! - `topk`, `gradient`: the loss and its hand-written gradient, at the cost of the active latents only
//! - `adam`: the optimiser, with decoder rows kept at unit norm
//! - `init`: the first parameters
//! - `trainer`: portions, batches, steps; `checkpoint`: a saved trainer, which resumes with bit-identical results
//! - `explained`: the fraction of variance explained by a dictionary, by principal components and by random directions

mod adam;
mod checkpoint;
mod explained;
mod gradient;
mod init;
mod parameters;
mod row_source;
mod settings;
mod texts;
mod topk;
mod trainer;

pub use explained::{Explained, explained_by_components, explained_by_dictionary, explained_by_random};
pub use row_source::RowSource;
pub use settings::TrainSettings;
pub use texts::{TextRows, TokenizedTexts};
pub use trainer::{DictionaryTrainer, StepStatistics};
