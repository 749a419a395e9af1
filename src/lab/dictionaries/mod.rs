//! Sparse dictionaries of a lab: loaded for a model, listed on a dataset, trained, clamped.
//!
//! - `loading`: a dictionary that fits a model
//! - `listing`: latents by the entities they are active on, and the groups they tell
//! - `top_tokens`: latents by the tokens of a text
//! - `clamping`: the names that come out when latents are clamped
//! - `training`: a dictionary of a model's activations; `settings` of it; `trained_texts` are its texts

mod clamping;
mod listing;
mod loading;
mod settings;
mod top_tokens;
mod trained_texts;
mod training;

pub use clamping::{ClampReport, ClampSettings, clamp_groups};
pub use listing::{ListedOn, Listing, ListingSettings, group_row, group_rows, kind_of, list};
pub use loading::load_dictionary;
pub use settings::DictionarySettings;
pub use top_tokens::{TopTokens, top_tokens};
pub use training::{TrainedDictionary, train_dictionary};
