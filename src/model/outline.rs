//! What a model is, without its weights in memory: for a look at models larger than that.

use super::compute::Compute;
use super::families::Config;
use super::gguf::GgufFile;
use super::load::{BUNDLED_MODEL, LoadOptions, as_stored, bundled_files};
use super::location::Location;
use super::memory::{self, StoredTypes};
use super::spec::Spec;
use super::weights::{Precision, Weights};
use crate::artefact;
use crate::error::Result;
use crate::tokenizer::Tokenizer;
use std::path::Path;

/// A model's name, spec and tokenizer, read from its small files and the names of its tensors.
#[derive(Debug, Clone)]
pub struct Outline {
    /// What folders and result rows call it.
    pub name: String,
    /// Its spec.
    pub spec: Spec,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The types in which its matrices are stored.
    pub stored: StoredTypes,
    /// The numbers that its weights lie in where nothing is asked for.
    pub precision: Precision,
}

impl Outline {
    /// Reads a model's small files and which tensors it has.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn of(location: &Location) -> Result<Outline> {
        match location {
            Location::Folder { path, name } => {
                let config = artefact::load_bytes(&path.join("config.json"))?;
                let weights = Weights::open(path, Precision::AsStored)?;
                Outline::parse(name.clone(), path, (&config, Tokenizer::open(path)?), &weights)
            }
            Location::Gguf(path) => {
                let file = GgufFile::open(path)?;
                Ok(Outline {
                    name: location.name(),
                    spec: file.spec()?.0,
                    tokenizer: file.tokenizer()?,
                    stored: file.stored_types(),
                    precision: LoadOptions::default().precision_of(true),
                })
            }
            Location::Bundled => {
                let [(_, config), (_, tokenizer), (weights_name, weights)] = bundled_files();
                let folder = Path::new("models").join(BUNDLED_MODEL);
                let weights = Weights::bundled(&folder.join(weights_name), weights, Precision::AsStored)?;
                let tokenizer = Tokenizer::parse(&folder.join("tokenizer.json"), tokenizer)?;
                Outline::parse(BUNDLED_MODEL.into(), &folder, (config, tokenizer), &weights)
            }
        }
    }

    /// Bytes that the weights will take in memory.
    ///
    /// # Units
    /// Bytes.
    pub fn weight_bytes(&self, precision: Precision, compute: Compute) -> u64 {
        memory::weight_bytes(&self.spec, (precision, compute), &self.stored)
    }

    fn parse(
        name: String,
        folder: &Path,
        (config, tokenizer): (&[u8], Tokenizer),
        weights: &Weights,
    ) -> Result<Outline> {
        let spec = as_stored(&Config::parse(&folder.join("config.json"), config)?, weights)?;
        let (stored, precision) = (weights.stored_types()?, LoadOptions::default().precision_of(false));
        Ok(Outline { name, spec, tokenizer, stored, precision })
    }
}
