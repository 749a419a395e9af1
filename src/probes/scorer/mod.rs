//! Fits and scores at one hook point, with baselines: [`Scorer`].
//!
//! - `settings`: the dataset, the split and the settings
//! - `method`: finds a method by its name
//! - `fit`: the probe, the other methods, and the same fits on shuffled targets or another model
//! - `folds`, `held_out`: the decomposition of each fold, and the predictions collected from all folds
//! - `class_scores`: classifiers and the baselines of classes
//! - `without_model`: baselines that need no model
//! - `surplus`: text baselines, and the text and the activations together: [`TextScores`]
//! - `class_surplus`: the same for classes
//! - `nested`: scores at the layers that the folds choose themselves
//! - `strata_scores`: the surplus in parts of the test entities
//! - `rows`, `prediction_rows`: result rows

mod class_scores;
mod class_surplus;
mod fit;
mod folds;
mod held_out;
mod method;
mod nested;
mod prediction_rows;
mod rows;
mod settings;
mod strata_scores;
mod surplus;
mod without_model;

pub use fit::ScoredProbe;
pub use method::Method;
pub use settings::{Baselines, Scorer};
pub use surplus::TextScores;
pub use without_model::ScoredBaseline;
