//! A model by folder or by name: config, tokenizer and weights as one.

use super::families::{Config, Family};
use super::params::Param;
use super::spec::Spec;
use super::tokenizer::Tokenizer;
use super::transformer::Transformer;
use super::weights::{Source, Weights};
use crate::artefact;
use crate::error::{Error, Result};
use candle_core::Tensor;
use std::path::Path;

/// The name of the model inside the binary.
pub const BUNDLED_MODEL: &str = "atlas";

/// The bundled model's files by name: config, tokenizer, weights.
pub fn bundled_files() -> [(&'static str, &'static [u8]); 3] {
    [
        ("config.json", include_bytes!("../../models/atlas/config.json")),
        ("tokenizer.json", include_bytes!("../../models/atlas/tokenizer.json")),
        ("model.safetensors", include_bytes!("../../models/atlas/model.safetensors")),
    ]
}

/// What gives a model its parameters: told name and shape, it answers the values.
pub type Parameters = dyn FnMut(Param, &[usize]) -> Result<Tensor>;

/// A model that is ready to run.
pub struct Model {
    /// What folders and result rows call it.
    pub name: String,
    /// The weights, and the forward pass.
    pub transformer: Transformer,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// SHA-256 of config.json.
    pub config_sha256: String,
}

impl Model {
    /// A model by path or name: a folder, else `models/NAME` in the lab, else the bundled one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none; otherwise what is wrong with its files.
    pub fn find(lab: &Path, name: &str) -> Result<Model> {
        let in_lab = lab.join("models").join(name);
        match [Path::new(name), &in_lab].into_iter().find(|folder| folder.join("config.json").is_file()) {
            Some(folder) => Model::load(folder),
            None if name == BUNDLED_MODEL => Model::bundled(),
            None => {
                let expected = format!(
                    "a folder with config.json, tokenizer.json and model.safetensors, a folder in {}, or `{BUNDLED_MODEL}`",
                    lab.join("models").display()
                );
                Err(Error::invalid("model", name, expected))
            }
        }
    }

    /// A model from a folder in Hugging Face layout; its name is the folder's.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn load(folder: &Path) -> Result<Model> {
        let read = |name: &str| artefact::load_bytes(&folder.join(name));
        let (config, tokenizer) = (read("config.json")?, read("tokenizer.json")?);
        let name = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let name = name.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
        Model::assemble(&name, folder, (&config, &tokenizer), Weights::open(folder)?)
    }

    /// The model inside the binary.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn bundled() -> Result<Model> {
        let folder = Path::new("models").join(BUNDLED_MODEL);
        let [(_, config), (_, tokenizer), (weights_name, weights)] = bundled_files();
        let weights = Weights::bundled(&folder.join(weights_name), weights)?;
        Model::assemble(BUNDLED_MODEL, &folder, (config, tokenizer), weights)
    }

    /// The spec of a model in a folder, and its parameters one by one.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn parameters(folder: &Path) -> Result<(Spec, Box<Parameters>)> {
        let path = folder.join("config.json");
        let config = artefact::load_bytes(&path)?;
        let config = Config::parse(&path, &config)?;
        let family = config.family()?;
        let spec = config.spec()?;
        let (weights, shape_of) = (Weights::open(folder)?, spec.clone());
        let load = move |param, shape: &[usize]| {
            weights.load(param, &source(family, &shape_of, (param, &weights)), shape)
        };
        Ok((spec, Box::new(load)))
    }

    /// Only the weights and the forward pass of a model in a folder, without its tokenizer.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn load_transformer(folder: &Path) -> Result<Transformer> {
        let (spec, mut load) = Model::parameters(folder)?;
        Transformer::new(spec, &mut *load)
    }

    fn assemble(
        name: &str,
        folder: &Path,
        (config, tokenizer): (&[u8], &[u8]),
        weights: Weights,
    ) -> Result<Model> {
        let config_path = folder.join("config.json");
        let parsed = Config::parse(&config_path, config)?;
        let family = parsed.family()?;
        let spec = parsed.spec()?;
        Ok(Model {
            name: name.to_string(),
            transformer: transformer(family, spec, &weights)?,
            tokenizer: Tokenizer::parse(&folder.join("tokenizer.json"), tokenizer)?,
            weights_sha256: weights.sha256(),
            config_sha256: artefact::hash(config),
        })
    }

    /// The model's spec.
    pub fn spec(&self) -> &Spec {
        &self.transformer.spec
    }
}

fn transformer(family: &Family, spec: Spec, weights: &Weights) -> Result<Transformer> {
    Transformer::new(spec.clone(), &mut |param, shape| {
        weights.load(param, &source(family, &spec, (param, weights)), shape)
    })
}

/// Where a checkpoint keeps a parameter: with the family's prefix, or without where it was left out.
fn source(family: &Family, spec: &Spec, (param, weights): (Param, &Weights)) -> Source {
    let mut source = (family.source)(spec, param);
    let prefixed = format!("{}{}", family.prefix, source.tensor);
    // The unembedding stands outside the base model, so it never has the prefix.
    if param != Param::Unembed && weights.contains(&prefixed) {
        source.tensor = prefixed;
    }
    source
}
