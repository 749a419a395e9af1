//! The text baselines, and the surplus of a model over them.
//!
//! - `kind`: the text baselines: [`TextKind`]
//! - `cross_fitted`: names-only predictions; a training entity is predicted by a fit without it
//! - `block_ridge`: a ridge on blocks of columns, each with its own penalty
//! - `calibration`: probabilities of classes from the predictions of a ridge: [`Calibration`]
//! - `blocks`: the columns that each text baseline adds to the activations: [`TextBlocks`]

mod block_ridge;
mod blocks;
mod calibration;
mod cross_fitted;
mod kind;

pub(super) use blocks::{TextBlocks, With};
pub(super) use calibration::{Calibration, log_shares};
pub use kind::TextKind;
