//! Result rows as tidy CSV files: written by probing, steering and dictionaries, read by figures.
//!
//! - `scores`: scores and predictions of probes, and the methods and baselines that they name
//! - `strata`: the surplus in parts of the test entities
//! - `causes`: exchanges of subspaces, their angles and their ablation
//! - `comparisons`: differences between two sets of predictions
//! - `geometry`: participation ratios and cosines of probes
//! - `neurons`: MLP neurons and their ablation
//! - `sweeps`: dose–response sweeps of steering
//! - `lenses`: scores of lenses by layer, and the tokens that they read in a text
//! - `dictionaries`: latents of sparse dictionaries, and their clamping
//! - `csv_rows`: saves and loads rows
//! - `file_names`: the names of result files

mod causes;
mod comparisons;
mod csv_rows;
mod dictionaries;
mod file_names;
mod geometry;
mod lenses;
mod neurons;
mod scores;
mod strata;
mod sweeps;

pub use causes::*;
pub use comparisons::ComparisonRow;
pub use csv_rows::{load_rows, load_unchanged_rows, parse_rows, save_rows};
pub use dictionaries::{ClampRow, LatentGroupRow, LatentRow, LatentTokenRow};
pub use file_names::*;
pub use geometry::{CosineRow, ParticipationRow};
pub use lenses::{LensScoreRow, LensTokenRow};
pub use neurons::{AblationRow, NeuronRow};
pub use scores::*;
pub use strata::{ALL, StratumRow};
pub use sweeps::{SweepPoint, SweepRow};
