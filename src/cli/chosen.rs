//! The model that a command works with: its flags, and how it is found.

use clap::Args;
use mappa::Result;
use mappa::model::{BUNDLED_MODEL, Location, Model, Precision};
use std::path::Path;

/// Which model, and how its weights lie in memory.
#[derive(Args)]
pub struct ChosenModel {
    /// A model's name or folder.
    #[arg(long = "model", value_name = "NAME|FOLDER", default_value = BUNDLED_MODEL)]
    pub name: String,
    /// How weights lie in memory: f32, f16, bf16, or auto (as they are stored). Products are f32 always.
    #[arg(long, default_value = "f32", value_name = "DTYPE")]
    pub dtype: Precision,
}

impl ChosenModel {
    /// The model, ready to run.
    pub fn load(&self, lab: &Path) -> Result<Model> {
        load(lab, &self.name, self.dtype)
    }
}

/// A model by name or folder, ready to run.
pub fn load(lab: &Path, name: &str, dtype: Precision) -> Result<Model> {
    Model::open(&Location::find(lab, name)?, dtype)
}
