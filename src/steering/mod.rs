//! Steering: changes of the stream while the model processes or generates text. A probe's *reading* is its prediction
//! from the changed stream.
//!
//! - `dose`: targets and doses as a user writes them
//! - `direction`: unit vectors in the stream, from a vector or random
//! - `vectors`: vectors by hook point, on disk; `contrast_pairs` computes them from texts
//! - `op`: the change at one row of the stream
//! - `layer_set`: blocks that are changed together
//! - `positions`: the tokens that are changed, by their absolute positions
//! - `steer`: the hooks that change them
//! - `ablation`: MLP neurons fixed at a value, a probe's predictions during ablation, and the loss
//! - `sweep`: dose and response, with random directions of the same length as a baseline
//! - `clamp`: latents of a sparse dictionary clamped, and the names in the resulting texts
//! - `text_stats`, `name_set`, `gazetteer`: statistics of texts, the probability of names, and names with places or
//!   times
//! - `logit_lens`: the tokens whose logits a vector raises or lowers
//! - `next_logits`: the logits after a text, steered and unsteered, as a file
//! - `watched`: reports the progress of a long pass
//! - `recommend`: the best layer and dose of a sweep

mod ablation;
mod clamp;
mod contrast_pairs;
mod direction;
mod dose;
mod gazetteer;
mod layer_set;
mod logit_lens;
mod name_set;
mod next_logits;
mod op;
mod positions;
mod recommend;
mod steer;
mod sweep;
mod text_stats;
mod vectors;
mod watched;

pub use ablation::{AblationHook, HeldNeuron, ProbeAt, mean_loss, random_units, readings};
pub use clamp::{ClampTrial, ClampedLatent, other_latents};
pub use contrast_pairs::{ContrastMethod, ContrastPairs};
pub use direction::UnitDirection;
pub use dose::{ClampLevel, Dose, RequiredTarget, TargetReading};
pub use gazetteer::Gazetteer;
pub use layer_set::LayerSet;
pub use logit_lens::raised_and_lowered;
pub use name_set::NameSet;
pub use next_logits::NextLogits;
pub use op::{Basis, Norm, Op};
pub use positions::{TokenChoice, TokenPositions};
pub use recommend::{Recommendation, points, recommend};
pub use steer::{SteerHook, SteerHooks, SteerTexts};
pub use sweep::{DoseSweep, SweepDirection, check_doses, sweep};
pub(crate) use text_stats::{repetition, token_log_probs};
pub use vectors::Vectors;
