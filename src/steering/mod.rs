//! Steering: moving the stream while the model reads or generates.
//!
//! - `dose`: what to move and how far, as a user writes it
//! - `direction`: unit vectors in the stream, of a vector or by chance
//! - `vectors`: vectors by hook point, on disk; `pairs` makes them of texts
//! - `op`: the change at one row of the stream
//! - `layers`: blocks that are changed together
//! - `positions`: which tokens are changed, by their absolute place
//! - `steer`: the hooks that change them
//! - `neurons`: MLP units held at a value, what is read then, and the loss
//! - `sweep`: dose and response, beside random directions of the same length
//! - `press`: units of a sparse dictionary, and whether what they stand for comes out
//! - `reply`, `names`, `gazetteer`: what a model makes of texts, as numbers
//! - `lens`: the tokens that a vector raises by itself
//! - `next_logits`: the logits after a text, steered and not, as a file
//! - `recommend`: what a sweep says is the best layer and dose

mod direction;
mod dose;
mod gazetteer;
mod layers;
mod lens;
mod names;
mod neurons;
mod next_logits;
mod op;
mod pairs;
mod positions;
mod press;
mod recommend;
mod reply;
mod steer;
mod sweep;
mod vectors;

pub use direction::Direction;
pub use dose::{Dose, Level, Reads, Toward};
pub use gazetteer::Gazetteer;
pub use layers::Layers;
pub use lens::raised_and_lowered;
pub use names::NameSet;
pub use neurons::{Ablate, Held, mean_loss, random_units, readings};
pub use next_logits::NextLogits;
pub use op::{Along, Norm, Op};
pub use pairs::{Contrast, TextPairs};
pub use positions::{Positions, Where};
pub use press::{Press, Pressed, other_units};
pub use recommend::{Recommendation, points, recommend};
pub use steer::{Steer, SteerTexts, Steers};
pub use sweep::{Sweep, SweepProgress, Way, sweep};
pub use vectors::Vectors;
