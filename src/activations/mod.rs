//! Activations: what a model makes of each entity, at every layer.
//!
//! - `span`: which tokens of a text are the entity's, by character offsets
//! - `placement`: all entities of a dataset, and those that have no place
//! - `recording`: which tokens are read, made one or not, and in which numbers they are stored
//! - `plan`: which entities go through the model together, and which part of them one machine does
//! - `work`: one model's work on one dataset
//! - `extract`: reading into memory, and who watches
//! - `crew`: the passes, several groups at once
//! - `recorder`: the hook that reads a group as the pass comes by
//! - `store`: the arrays, spans and card in a lab
//! - `fill`, `merge`: a store from passes, and from shards
//! - `partial`, `journal`, `lock`: a store that is being written, whatever may end the program
//! - `checksums`: whether its files are what they were
//! - `table`, `files`: one array in a file, and where files lie

mod checksums;
mod crew;
mod extract;
mod files;
mod fill;
mod journal;
mod lock;
mod merge;
mod partial;
mod placement;
mod plan;
mod recorder;
mod recording;
mod span;
mod store;
mod table;
mod work;

pub use checksums::Verdict;
pub use extract::{Extraction, Progress, Reader, Watch, extract};
pub use fill::Filled;
pub use lock::Lock;
pub use placement::{Placed, Unplaced, place_all, place_texts, save_unplaced};
pub use plan::{Shard, group_nodes};
pub use recording::{Readout, Recording, Scope, Stored, hook_points};
pub use span::{Span, SpanRow};
pub use store::{ActivationStore, Activations};
pub use work::{Division, Work};
