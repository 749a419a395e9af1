//! A model by folder or by name: config, tokenizer and weights as one.

use super::families::{Config, Family};
use super::linear::Weight;
use super::memory;
use super::params::{Param, Place, list};
use super::spec::{Head, Spec};
use super::tokenizer::Tokenizer;
use super::transformer::Transformer;
use super::weights::{Precision, Source, Weights};
use crate::artefact;
use crate::error::{Error, Result};
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
pub type Parameters = dyn FnMut(Param, &[usize]) -> Result<Weight>;

/// A model that is ready to run.
pub struct Model {
    /// What folders and result rows call it.
    pub name: String,
    /// The weights, and the forward pass.
    pub transformer: Transformer,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// How its weights lie in memory.
    pub precision: Precision,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// SHA-256 of config.json.
    pub config_sha256: String,
}

/// The files of a model, read or mapped.
struct Files<'a> {
    folder: &'a Path,
    config: &'a [u8],
    tokenizer: &'a [u8],
}

impl Model {
    /// A model by path or name: a folder, else `models/NAME` in the lab, else the bundled one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none; otherwise what is wrong with its files.
    pub fn find(lab: &Path, name: &str, precision: Precision) -> Result<Model> {
        let in_lab = lab.join("models").join(name);
        match [Path::new(name), &in_lab].into_iter().find(|folder| folder.join("config.json").is_file()) {
            Some(folder) => Model::load(folder, precision),
            None if name == BUNDLED_MODEL => Model::bundled(precision),
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
    pub fn load(folder: &Path, precision: Precision) -> Result<Model> {
        let read = |name: &str| artefact::load_bytes(&folder.join(name));
        let (config, tokenizer) = (read("config.json")?, tokenizer_json(folder)?);
        let name = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let name = name.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
        let files = Files { folder, config: &config, tokenizer: &tokenizer };
        Model::assemble(name, files, precision, || Weights::open(folder, precision))
    }

    /// The model inside the binary.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn bundled(precision: Precision) -> Result<Model> {
        let folder = Path::new("models").join(BUNDLED_MODEL);
        let [(_, config), (_, tokenizer), (weights_name, weights)] = bundled_files();
        let files = Files { folder: &folder, config, tokenizer };
        Model::assemble(BUNDLED_MODEL.into(), files, precision, || {
            Weights::bundled(&folder.join(weights_name), weights, precision)
        })
    }

    /// The spec of a model in a folder, and its parameters one by one.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn parameters(folder: &Path, precision: Precision) -> Result<(Spec, Box<Parameters>)> {
        let path = folder.join("config.json");
        let config = Config::parse(&path, &artefact::load_bytes(&path)?)?;
        parameters(&config, precision, || Weights::open(folder, precision))
            .map(|(spec, load, _)| (spec, load))
    }

    /// Only the weights and the forward pass of a model in a folder, without its tokenizer.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn load_transformer(folder: &Path, precision: Precision) -> Result<Transformer> {
        let (spec, mut load) = Model::parameters(folder, precision)?;
        Transformer::new(spec, &mut *load)
    }

    fn assemble(
        name: String,
        files: Files,
        precision: Precision,
        weights: impl FnOnce() -> Result<Weights>,
    ) -> Result<Model> {
        let config = Config::parse(&files.folder.join("config.json"), files.config)?;
        let tokenizer_path = files.folder.join("tokenizer.json");
        let tokenizer = Tokenizer::parse(&tokenizer_path, files.tokenizer)?;
        let (spec, mut load, weights_sha256) = parameters(&config, precision, weights)?;
        if let Some(id) = tokenizer.largest_id().filter(|id| *id as usize >= spec.d_vocab) {
            let found = format!("token id {id}");
            let expected = format!(
                "ids below {}, the rows of the model's embedding; the tokenizer belongs to another model",
                spec.d_vocab
            );
            return Err(Error::bad_file(&tokenizer_path, found, expected));
        }
        Ok(Model {
            name,
            transformer: Transformer::new(spec, &mut *load)?,
            tokenizer,
            precision,
            weights_sha256,
            config_sha256: artefact::hash(files.config),
        })
    }

    /// The model's spec.
    pub fn spec(&self) -> &Spec {
        &self.transformer.spec
    }
}

/// The tokenizer's file, or the way to make one where only older files are there.
fn tokenizer_json(folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join("tokenizer.json");
    if path.is_file() {
        return artefact::load_bytes(&path);
    }
    let expected = "tokenizer.json; with transformers, \
                    `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)` makes one of older files";
    Err(Error::bad_file(folder, "no tokenizer.json", expected))
}

/// A config's spec, its parameters one by one, and the hash of the weights they come from.
fn parameters(
    config: &Config,
    precision: Precision,
    weights: impl FnOnce() -> Result<Weights>,
) -> Result<(Spec, Box<Parameters>, String)> {
    let (family, mut spec) = (config.family()?, config.spec()?);
    let needed = memory::weight_bytes(&spec, precision) + memory::pass_bytes(&spec);
    memory::check(needed, memory::available_bytes())?;
    let weights = weights()?;
    spec.head = head(family, &spec, &weights);
    let (sha256, shape_of) = (weights.sha256(), spec.clone());
    let load = move |param, shape: &[usize]| {
        weights.load(param, &source(family, &shape_of, (param, &weights)), shape)
    };
    Ok((spec, Box::new(load), sha256))
}

/// The head, if the checkpoint has one: base models are saved without.
fn head(family: &Family, spec: &Spec, weights: &Weights) -> Option<Head> {
    let is_there = |param: Param| {
        source(family, spec, (param, weights)).tensors.iter().all(|tensor| weights.contains(tensor))
    };
    let of_head = |param: &Param| matches!(param.place, Place::Unembed | Place::HeadDense);
    let all = list(spec).into_iter().map(|(param, _)| param).filter(of_head);
    spec.head.filter(|_| all.into_iter().all(is_there))
}

/// Where a checkpoint keeps a parameter: with the family's prefix, or without where it was left out.
fn source(family: &Family, spec: &Spec, (param, weights): (Param, &Weights)) -> Source {
    let mut source = (family.source)(spec, param);
    for tensor in &mut source.tensors {
        let prefixed = format!("{}{tensor}", family.prefix);
        if weights.contains(&prefixed) {
            *tensor = prefixed;
        }
    }
    source
}
