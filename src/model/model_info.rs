//! A model's metadata, read without its weights: for models that are larger than the memory.

use super::families::Config;
use super::gguf::GgufFile;
use super::load::{LoadOptions, bundled_files, bundled_weights, spec_of_checkpoint};
use super::location::{BUNDLED_MODEL, Location};
use super::precision::{Compute, Precision};
use super::spec::Spec;
use super::weights::Weights;
use super::weights::memory::{self, StoredTypes};
use crate::artefact;
use crate::error::Result;
use crate::tokenizer::Tokenizer;
use std::path::Path;

/// A model's name, spec and tokenizer, read from its small files and the names of its tensors.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    /// Its name in folders and result rows.
    pub name: String,
    /// Its spec.
    pub spec: Spec,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The types in which its matrices are stored.
    pub stored: StoredTypes,
    /// The default number format of its weights in memory.
    pub precision: Precision,
}

impl ModelInfo {
    /// Reads a model's small files and the names of its tensors.
    ///
    /// # Errors
    /// An error in its files.
    pub fn of(location: &Location) -> Result<ModelInfo> {
        match location {
            Location::Folder { path, name } => {
                let path_of_config = path.join("config.json");
                let config = Config::parse(&path_of_config, &artefact::load_bytes(&path_of_config)?);
                let weights = Weights::open(path, Precision::AsStored)?;
                ModelInfo::of_checkpoint(name, Tokenizer::open(path)?, &config?, &weights)
            }
            Location::Gguf(path) => {
                let file = GgufFile::open(path)?;
                Ok(ModelInfo {
                    name: location.name(),
                    spec: file.spec()?.0,
                    tokenizer: file.tokenizer()?,
                    stored: file.stored_types(),
                    precision: LoadOptions::default().precision_of(true),
                })
            }
            Location::Bundled => {
                let [(_, config), (_, tokenizer), _] = bundled_files();
                let folder = Path::new("models").join(BUNDLED_MODEL);
                let weights = bundled_weights(Precision::AsStored)?;
                let tokenizer = Tokenizer::parse(&folder.join("tokenizer.json"), tokenizer)?;
                let config = Config::parse(&folder.join("config.json"), config)?;
                ModelInfo::of_checkpoint(BUNDLED_MODEL, tokenizer, &config, &weights)
            }
        }
    }

    /// The size of the weights in memory.
    ///
    /// # Units
    /// Bytes.
    pub fn weight_bytes(&self, precision: Precision, compute: Compute) -> u64 {
        memory::weight_bytes(&self.spec, precision, compute, &self.stored)
    }

    fn of_checkpoint(
        name: &str,
        tokenizer: Tokenizer,
        config: &Config,
        weights: &Weights,
    ) -> Result<ModelInfo> {
        let spec = spec_of_checkpoint(config, weights)?;
        let (stored, precision) = (weights.stored_types()?, LoadOptions::default().precision_of(false));
        Ok(ModelInfo { name: name.to_string(), spec, tokenizer, stored, precision })
    }
}
