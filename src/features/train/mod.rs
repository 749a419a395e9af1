//! Learning a sparse dictionary: TopK, with an auxiliary loss that brings dead units back (Gao et al. 2024).
//!
//! - `settings`: how large, how long, how fast
//! - `source`: where rows come from; `texts` is every token of some texts, by the model's forward pass
//! - `parameters`: what is learnt, the moments of what is learnt, and the gradient: one shape
//! - `topk`, `gradient`: the loss and its gradient by hand, paid for by active units alone
//! - `adam`: the step, with decoder rows kept at unit norm
//! - `begin`: the first parameters
//! - `trainer`: portions, batches, steps; `checkpoint` keeps them, so that training resumes to the bit
//! - `fit`: the fraction of variance explained, beside principal components and a random dictionary

mod adam;
mod begin;
mod checkpoint;
mod fit;
mod gradient;
mod parameters;
mod settings;
mod source;
mod texts;
mod topk;
mod trainer;

pub use fit::{Fit, fit, principal_components, random};
pub use settings::TrainSettings;
pub use source::{Source, Still, Watch};
pub use texts::{TextRows, Tokenised};
pub use trainer::{Progress, Trainer};
