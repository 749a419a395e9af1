//! What a model is, without its weights: for a look at models larger than memory.

use super::families::Config;
use super::gguf::GgufFile;
use super::load::bundled_files;
use super::location::{self, Location};
use super::memory;
use super::spec::Spec;
use super::tokenizer::Tokenizer;
use super::weights::Precision;
use crate::artefact;
use crate::error::Result;
use std::path::Path;

/// A model's name, spec and tokenizer size, read from its small files.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// What folders and result rows call it.
    pub name: String,
    /// Its spec.
    pub spec: Spec,
    /// How many tokens its tokenizer has.
    pub n_tokens: usize,
}

impl Outline {
    /// Reads a model's small files.
    ///
    /// # Errors
    /// What is wrong with config.json or tokenizer.json.
    pub fn of(location: &Location) -> Result<Outline> {
        match location {
            Location::Folder { path, name } => {
                let read = |name: &str| artefact::load_bytes(&path.join(name));
                Outline::parse(name.clone(), path, (&read("config.json")?, &read("tokenizer.json")?))
            }
            Location::Gguf(path) => {
                let file = GgufFile::open(path)?;
                let n_tokens = Tokenizer::parse(path, &file.tokenizer_json()?)?.len();
                Ok(Outline { name: location::stem(path), spec: file.spec()?.0, n_tokens })
            }
            Location::Bundled => {
                let [(_, config), (_, tokenizer), _] = bundled_files();
                let name = super::load::BUNDLED_MODEL;
                Outline::parse(name.into(), &Path::new("models").join(name), (config, tokenizer))
            }
        }
    }

    /// Bytes that the weights will take in memory.
    ///
    /// # Units
    /// Bytes.
    ///
    /// # Errors
    /// What is wrong with a GGUF file, whose quantised weights keep their size.
    pub fn weight_bytes(&self, location: &Location, precision: Precision) -> Result<u64> {
        match location {
            Location::Gguf(path) => Ok(GgufFile::open(path)?.weight_bytes(precision)),
            _ => Ok(memory::weight_bytes(&self.spec, precision)),
        }
    }

    fn parse(name: String, folder: &Path, (config, tokenizer): (&[u8], &[u8])) -> Result<Outline> {
        let spec = Config::parse(&folder.join("config.json"), config)?.spec()?;
        let n_tokens = Tokenizer::parse(&folder.join("tokenizer.json"), tokenizer)?.len();
        Ok(Outline { name, spec, n_tokens })
    }
}
