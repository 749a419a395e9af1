//! Causal tests: is a subspace of the stream used for an answer?
//!
//! - `question`: texts about entities, and the answers among which the model chooses
//! - `pairs`: pairs of texts with different answers, a base and a source
//! - `subspace`: subspaces of the stream by their orthonormal bases, and the angles between them
//! - `streams`: the stream of each text at its changed token; `pair_batch`: the base texts of several pairs, computed
//!   once for all layers
//! - `interchange`: the answers after a part of the stream is exchanged between base and source
//! - `das`: the subspace whose interchange changes the most answers, found by gradient
//! - `projection`: the losses and answers without a subspace

mod das;
mod interchange;
mod pair_batch;
mod pairs;
#[cfg(test)]
mod planted;
mod projection;
mod question;
mod streams;
mod subspace;

pub use das::{Das, DasSettings, Search};
pub use interchange::{Answered, Exchange, Interchange, answers_of};
pub use pairs::{Pair, arbitrary_answers, grouped_pairs, training_pairs};
pub use projection::{Ablated, AblationTexts, Fill, Projection, mean_row};
pub use question::{Question, QuestionText};
pub use streams::SourceStreams;
pub use subspace::{RandomAngles, Subspace};
