//! Sparse dictionaries of a lab: loaded for a model, listed on a dataset, trained, clamped.
//!
//! - `loading`: loads a dictionary and checks it against the model
//! - `listing`: latents, the entities they are active on, and the groups they match
//! - `top_tokens`: the tokens of a text on which latents are most active
//! - `clamping`: the effect of clamped latents on the probability of names
//! - `training`: trains a dictionary on a model's activations; `settings` are its settings, `trained_texts` its texts

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
pub(super) use trained_texts::TextSources;
pub use training::{TrainedDictionary, train_dictionary};
