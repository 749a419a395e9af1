//! The choices that distinguish transformer families, as plain data.
//!
//! - `architecture`: a whole model: [`Spec`], its sizes, its hook points
//! - `embedding`: from tokens to the stream; `head`: from the stream to logits
//! - `layer`: the window and the positions of one layer's attention; `rotary`: rotary positions
//! - `attention`, `block`, `norm`: attention, block and MLP, norms

mod architecture;
mod attention;
mod block;
mod embedding;
mod head;
mod layer;
mod norm;
mod rotary;

pub use architecture::{Sizes, Spec};
pub use attention::{Attention, AttentionDirection, QkNorm, QkNormOver};
pub use block::{ActivationFn, Biases, BlockKind, Mlp};
pub use embedding::{Embedding, PositionEmbedding};
pub use head::Head;
pub use layer::{Alibi, Layer, PositionEncoding, Rounding};
pub use norm::{NormKind, Placement};
pub use rotary::{Rotary, RotaryLayout, RotaryScaling};
