//! A model by folder or by name: config, tokenizer and weights as one.

use super::families::{Config, Family};
use super::gguf::GgufFile;
use super::linear::Weight;
use super::location::{self, Location, is_gguf};
use super::memory;
use super::params::{Param, Place};
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
    /// SHA-256 of config.json, or of the fields that a GGUF file has in its place.
    pub config_sha256: String,
}

/// The files of a model, read or mapped.
struct Files<'a> {
    folder: &'a Path,
    config: &'a [u8],
    tokenizer: &'a [u8],
}

impl Model {
    /// A model from where it lies.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn open(location: &Location, precision: Precision) -> Result<Model> {
        match location {
            Location::Folder { path, name } => {
                Ok(Model { name: name.clone(), ..Model::load(path, precision)? })
            }
            Location::Gguf(path) => Model::load_gguf(path, precision),
            Location::Bundled => Model::bundled(precision),
        }
    }

    /// A model from a folder in Hugging Face layout, or from a GGUF file; its name is theirs.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn load(folder: &Path, precision: Precision) -> Result<Model> {
        if is_gguf(folder) {
            return Model::load_gguf(folder, precision);
        }
        let read = |name: &str| artefact::load_bytes(&folder.join(name));
        let (config, tokenizer) = (read("config.json")?, tokenizer_json(folder)?);
        let files = Files { folder, config: &config, tokenizer: &tokenizer };
        Model::assemble(location::name(folder), files, precision, || Weights::open(folder, precision))
    }

    fn load_gguf(path: &Path, precision: Precision) -> Result<Model> {
        let file = GgufFile::open(path)?;
        let tokenizer = Tokenizer::parse(path, &file.tokenizer_json()?)?;
        let hashes = (file.sha256(), file.spec()?.1);
        let parameters = of_gguf(file, precision)?;
        Model::put_together(location::stem(path), (path, tokenizer), parameters, (precision, hashes))
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

    /// The spec of a model in a folder or a GGUF file, and its parameters one by one.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn parameters(folder: &Path, precision: Precision) -> Result<(Spec, Box<Parameters>)> {
        if is_gguf(folder) {
            return of_gguf(GgufFile::open(folder)?, precision);
        }
        let path = folder.join("config.json");
        let config = Config::parse(&path, &artefact::load_bytes(&path)?)?;
        parameters(&config, precision, || Weights::open(folder, precision))
            .map(|(spec, load, _)| (spec, load))
    }

    /// Only the weights and the forward pass of a model in a folder or a GGUF file, without its tokenizer.
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
        let (spec, load, weights_sha256) = parameters(&config, precision, weights)?;
        let hashes = (weights_sha256, artefact::hash(files.config));
        Model::put_together(name, (&tokenizer_path, tokenizer), (spec, load), (precision, hashes))
    }

    fn put_together(
        name: String,
        (tokenizer_path, tokenizer): (&Path, Tokenizer),
        (spec, mut load): (Spec, Box<Parameters>),
        (precision, (weights_sha256, config_sha256)): (Precision, (String, String)),
    ) -> Result<Model> {
        if let Some(id) = tokenizer.largest_id().filter(|id| *id as usize >= spec.d_vocab) {
            let found = format!("token id {id}");
            let expected = format!(
                "ids below {}, the rows of the model's embedding; the tokenizer belongs to another model",
                spec.d_vocab
            );
            return Err(Error::bad_file(tokenizer_path, found, expected));
        }
        let transformer = Transformer::new(spec, &mut *load)?;
        Ok(Model { name, transformer, tokenizer, precision, weights_sha256, config_sha256 })
    }

    /// The model's spec.
    pub fn spec(&self) -> &Spec {
        &self.transformer.spec
    }
}

/// A GGUF file's spec, and its parameters one by one.
fn of_gguf(file: GgufFile, precision: Precision) -> Result<(Spec, Box<Parameters>)> {
    let (spec, _) = file.spec()?;
    let needed = file.weight_bytes(precision) + memory::pass_bytes(&spec);
    memory::check(needed, memory::available_bytes())?;
    let shape_of = spec.clone();
    let load = move |param, shape: &[usize]| file.load(&shape_of, (param, shape), precision);
    Ok((spec, Box::new(load)))
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
    spec.head = head(family, &spec, &weights)?;
    let (sha256, shape_of) = (weights.sha256(), spec.clone());
    let load = move |param, shape: &[usize]| {
        weights.load(param, &source(family, &shape_of, (param, &weights)), shape)
    };
    Ok((spec, Box::new(load), sha256))
}

/// The head, if the checkpoint has one: base models are saved without.
///
/// Where a head that is said to be tied lies in the file with other values than the embedding's, it is
/// not tied, as transformers takes it.
fn head(family: &Family, spec: &Spec, weights: &Weights) -> Result<Option<Head>> {
    let Some(head) = spec.head else { return Ok(None) };
    let untied = Spec { head: Some(Head { tied: false, ..head }), ..spec.clone() };
    let at = |place: Place| source(family, &untied, (place.weight(), weights));
    let is_there = |place: Place| at(place).tensors.iter().all(|tensor| weights.contains(tensor));
    if head.tied && is_there(Place::Unembed) && is_there(Place::Embed) {
        let shape = [spec.d_vocab, spec.embedding.d_embed.unwrap_or(spec.d_model)];
        if !weights.same(&at(Place::Embed), &at(Place::Unembed), &shape)? {
            return Ok(untied.head);
        }
    }
    let is_whole =
        (head.tied || is_there(Place::Unembed)) && (head.transform.is_none() || is_there(Place::HeadDense));
    Ok(Some(head).filter(|_| is_whole))
}

/// Where a checkpoint keeps a parameter: under the family's name with its prefix or without, or under the
/// older names of LayerNorm's parameters.
fn source(family: &Family, spec: &Spec, (param, weights): (Param, &Weights)) -> Source {
    let mut source = (family.source)(spec, param);
    for tensor in &mut source.tensors {
        let older =
            tensor.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let names = [tensor.clone(), older];
        let prefixed = names.iter().map(|name| format!("{}{name}", family.prefix));
        if let Some(found) = prefixed.chain(names.clone()).find(|name| weights.contains(name)) {
            *tensor = found;
        }
    }
    source
}
