//! Steering with the artefacts of a lab: probes, files of vectors, dictionaries.
//!
//! - `change`: the settings of a change of the stream, and its hook for a prompt
//! - `recommended_layers`: the blocks to steer at by default
//! - `latent`: a latent of a dictionary, added or clamped
//! - `readings`: predictions of the probes with and without the change
//! - `tried`: tries changes before they are suggested
//! - `steered_text`: a text with and without a change, in one call

mod change;
mod latent;
mod readings;
mod recommended_layers;
mod steered_text;
mod tried;

pub use change::Change;
pub use latent::{Latent, LoadedLatent};
pub use readings::{ReadingTable, readings};
pub use steered_text::SteeredText;
pub(super) use tried::{TriedChange, sweep_flags};
