//! mappa: a probing lab for language models. It finds how a model represents places and times, and
//! steers it.
//!
//! ```
//! use mappa::{Change, Lab};
//!
//! # fn main() -> mappa::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("mappa-doc-{}", std::process::id()));
//! let lab = Lab::open(folder)?;
//! let model = lab.model("atlas")?; // the bundled model; or a folder, a GGUF file, a hub name
//! let probes = lab.probe(&model, "nyc_place")?; // extracts; fits and scores each layer with baselines
//! println!("R² {:.2} at {}", probes.best().r2, probes.best().point);
//! println!("names alone: {:.2}", probes.baseline("names-only").unwrap_or(f64::NAN));
//! println!("{}", lab.steer(&model, "Nairobi", &Change::toward("lat=40.7,lon=-74")?)?);
//! # assert!(probes.best().r2 > 0.5);
//! # std::fs::remove_dir_all(lab.root()).ok();
//! # Ok(())
//! # }
//! ```
//!
//! A [`Lab`] is a folder in which all results are saved and reused. The modules, one per stage, in the order of the
//! data flow:
//!
//! - [`datasets`]: entities with a place, a year or another number
//! - [`tokenizer`]: texts to tokens, and back
//! - [`model`]: tokens in, residual stream out; a [`model::Hook`] reads or changes the values in between
//! - [`activations`]: the stream of every layer at each entity's tokens
//! - [`probes`]: exact ridge and other probes, their scores and baselines
//! - [`features`]: sparse dictionaries of the stream
//! - [`steering`]: directions added while the model generates
//! - [`lenses`]: the next token that the model would predict from an earlier layer
//! - [`causal`]: exchanges of subspaces between texts, which test if an answer depends on them
//! - [`results`]: the rows that probes and steering write; [`figures`]: figures of these rows
//! - [`lab`]: all of these with models and datasets by name, as `mappa` runs them
//!
//! Other modules: [`hook_point`] names places in the forward pass, [`progress`] observes long work, [`hub`] downloads
//! models, [`artefact`] saves files with cards, [`limits`] bounds numbers from outside, [`shown`] prepares
//! foreign texts for display, [`word_vectors`] reads vectors for a baseline, [`training`] made the bundled model.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod activations;
pub mod artefact;
pub mod causal;
pub mod datasets;
pub mod error;
pub mod features;
pub mod figures;
pub mod hook_point;
pub mod hub;
pub mod lab;
pub mod lenses;
pub mod limits;
pub mod model;
pub mod probes;
pub mod progress;
pub mod results;
pub mod shown;
pub mod steering;
pub mod tokenizer;
pub mod training;
pub mod word_vectors;

pub use datasets::Dataset;
pub use error::{Error, Result};
pub use hook_point::HookPoint;
pub use lab::{Change, Experiment, Lab};
pub use model::Model;
pub use probes::Probe;
