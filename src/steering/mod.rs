//! Steering: moving the stream while the model reads or generates.
//!
//! - `dose`: what to move and how far, as a user writes it
//! - `direction`: unit vectors in the stream, from a probe, a file or chance
//! - `op`: the change at one row of the stream
//! - `positions`: which tokens are changed, by their absolute place
//! - `steer`: the hook that changes them
//! - `neurons`: MLP units held at a value, what is read then, and the loss
//! - `sweep`: dose and response, beside random directions of the same length

mod direction;
mod dose;
mod neurons;
mod op;
mod positions;
mod steer;
mod sweep;

pub use direction::Direction;
pub use dose::{Dose, Toward};
pub use neurons::{Ablate, Held, mean_loss, random_units, readings};
pub use op::{Along, Norm, Op};
pub use positions::{Positions, Where};
pub use steer::Steer;
pub use sweep::{Sweep, SweepProgress, sweep};
