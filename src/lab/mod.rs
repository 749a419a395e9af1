//! A lab: models and datasets by name, and all operations on them, whose results are saved and reused.
//!
//! - `folders`: the lab's folder and the paths of artefacts; `facade`: the main operations, one method per operation
//! - `models`, `datasets`: finding by name, with downloads
//! - `prompting`, `prompted`: the text around each entity; a dataset with its prompt
//! - `extraction`: activations
//! - `probing`: probes, their scores and baselines
//! - `saved_probes`: probes by their targets
//! - `comparison`, `geometry`, `strata`, `neurons`: analyses of probes
//! - `steering`, `vectors`, `sweeps`: changes of the stream, files of directions, dose–response sweeps
//! - `causes`: causal tests of subspaces
//! - `dictionaries`: sparse dictionaries
//! - `lenses`: the next token that the model would predict from an earlier layer
//! - `word_vectors`: word vectors learned from texts; `training_text` finds the text of a trained model
//! - `experiment`, `run`: all stages, from one file
//! - `figures`: figures as files; `drawn`: the rows of a dataset's figures; `picture`: the signature of a PNG;
//!   `placed`: exchanged folders
//! - `next_step`: the command to suggest after probes; `suggest`: commands to paste; `toml_file`: parses TOML;
//!   `written`: parses values in the format of flags

mod causes;
mod comparison;
mod datasets;
mod dictionaries;
mod drawn;
mod experiment;
mod extraction;
mod facade;
mod figures;
mod folders;
mod geometry;
mod lenses;
mod models;
mod neurons;
mod next_step;
mod picture;
mod placed;
mod probing;
mod prompted;
mod prompting;
mod run;
mod saved_probes;
mod steering;
mod strata;
pub mod suggest;
mod sweeps;
mod toml_file;
mod training_text;
mod vectors;
mod word_vectors;
mod written;

pub use causes::{
    AnswerChoice, CauseReport, CauseSettings, OwnAnswers, Threshold, Use, UseVerdict, cause,
    draw_saved_causes, saved_causes,
};
pub use comparison::{Comparison, compare_probes};
pub use datasets::{DatasetSource, Pulled, find as find_dataset, pull as pull_dataset};
pub use dictionaries::{
    ClampReport, ClampSettings, DictionarySettings, ListedOn, Listing, ListingSettings, TopTokens,
    TrainedDictionary, clamp_groups, group_row, group_rows, kind_of, list, load_dictionary, top_tokens,
    train_dictionary,
};
pub use drawn::Drawn;
pub use experiment::Experiment;
pub use extraction::{Done, ExtractionJob, ExtractionSettings, merge_shards};
pub use figures::{
    Canvas, SavedNames, draw_lens, draw_neurons, draw_probes, draw_saved, draw_strata, draw_sweep,
    probed_datasets, saved_beside, saved_lenses, saved_sweeps, scored_datasets,
};
pub use folders::{ACTIVATIONS, Lab};
pub use geometry::{Geometry, geometry};
pub use lenses::{LensReport, LensSettings, fit_lens, load_lens};
pub use models::{ModelSettings, find as find_model, name_in_lab, pull as pull_model, weights_card};
pub use neurons::{NeuronReport, NeuronSettings, neurons};
pub use next_step::{Given, NextStep};
pub use probing::{
    BestLayer, PreparedRequest, ProbeReport, ProbeRequest, ProbingJob, ProbingSettings, fit_all, fit_parts,
    merge_parts,
};
pub use prompted::Prompted;
pub use prompting::{Prompting, load_prompts};
pub use run::{Labelled, Report};
pub use saved_probes::{ProbeChoice, ProbeFinder, SavedProbes};

pub use steering::{Change, Latent, LoadedLatent, ReadingTable, SteeredText, readings};
pub use strata::{StrataReport, StrataSettings, strata};
pub use sweeps::{SweepReport, SweepSettings, entities, sweep};
pub use vectors::{VectorSettings, VectorSource, load_vectors, make_vectors};
pub use word_vectors::{LearnJob, LearnReport, LearnSource, learn_vectors};
