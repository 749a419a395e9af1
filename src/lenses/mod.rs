//! Lenses: the next token that a model would predict from the stream of an earlier layer.
//!
//! - `lens`: the logit lens, and lenses with an affine map per layer: [`Lens`]
//! - `ridge`: fits the maps of a ridge lens to texts
//! - `texts`: the texts' tokens, divided into training rows and held-out rows
//! - `rows`: the stream at many hook points, computed in batches
//! - `score`: cross-entropy, and divergence from the model's own prediction, on held-out rows
//! - `words`: the most probable tokens at each layer and token of a text
//! - `files`: lenses on disk, in the format of the library `tuned-lens`

mod files;
mod lens;
mod ridge;
mod rows;
mod score;
#[cfg(test)]
mod tests;
mod texts;
mod words;

pub use files::LENS_FILES;
pub use lens::{Lens, Translator};
pub use ridge::{FittedLens, RidgeLensSettings, fit_ridge_lens, least_rows};
pub use score::{LensScore, score_lenses};
pub use texts::{LensDraw, LensTexts};
pub use words::{LensCell, lens_words};
