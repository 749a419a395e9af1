//! What a model is, without its weights: for a look at models larger than memory.

use super::families::Config;
use super::load::bundled_files;
use super::location::Location;
use super::spec::Spec;
use super::tokenizer::Tokenizer;
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
            Location::Bundled => {
                let [(_, config), (_, tokenizer), _] = bundled_files();
                let name = super::load::BUNDLED_MODEL;
                Outline::parse(name.into(), &Path::new("models").join(name), (config, tokenizer))
            }
        }
    }

    fn parse(name: String, folder: &Path, (config, tokenizer): (&[u8], &[u8])) -> Result<Outline> {
        let spec = Config::parse(&folder.join("config.json"), config)?.spec()?;
        let n_tokens = Tokenizer::parse(&folder.join("tokenizer.json"), tokenizer)?.len();
        Ok(Outline { name, spec, n_tokens })
    }
}
