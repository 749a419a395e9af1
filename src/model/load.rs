//! A model by folder or by name: config, tokenizer and weights as one.

use super::compute::Compute;
use super::device::DeviceChoice;
use super::families::{Config, Family};
use super::gguf::GgufFile;
use super::linear::Weight;
use super::location::{self, Location, is_gguf};
use super::memory::{self, StoredTypes};
use super::params::{Param, Place};
use super::spec::{Head, Spec};
use super::transformer::Transformer;
use super::weights::{Precision, Source, Weights};
use crate::artefact;
use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

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
    /// What it was asked for by, and can be again: a name or a path.
    pub given: String,
    /// The weights, and the forward pass.
    pub transformer: Transformer,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Where it lies.
    pub location: Location,
    /// How its weights lie in memory.
    pub precision: Precision,
    /// Where it computes.
    pub device: DeviceChoice,
    /// In which numbers its blocks' products are taken.
    pub compute: Compute,
    /// Tensors of its files that no parameter was made of, but for those that checkpoints usually have beside.
    pub unused: Vec<String>,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// SHA-256 of config.json, or of the fields that a GGUF file has in its place.
    pub config_sha256: String,
}

/// The numbers that a model's weights lie in, the device that it computes on, and the numbers that its blocks multiply in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// The numbers that matrices lie in; `None` is as they are stored in a GGUF file, and f32 elsewhere.
    pub precision: Option<Precision>,
    /// On which device.
    pub device: DeviceChoice,
    /// In which numbers the blocks' products are taken.
    pub compute: Compute,
}

impl LoadOptions {
    /// The numbers that matrices lie in, of a GGUF file or another model.
    pub(super) fn precision_of(self, is_gguf: bool) -> Precision {
        self.precision.unwrap_or(if is_gguf { Precision::AsStored } else { Precision::F32 })
    }
}

impl From<Precision> for LoadOptions {
    fn from(precision: Precision) -> LoadOptions {
        LoadOptions { precision: Some(precision), ..LoadOptions::default() }
    }
}

/// The small files of a model.
struct Files<'a> {
    folder: &'a Path,
    config: &'a [u8],
    tokenizer: Tokenizer,
}

impl Model {
    /// A model from where it lies, ready to run on a device.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor, or with the device.
    pub fn open(location: &Location, options: impl Into<LoadOptions>) -> Result<Model> {
        let options = options.into();
        match location {
            Location::Folder { path, name } => {
                Ok(Model { name: name.clone(), ..Model::load(path, options)? })
            }
            Location::Gguf(path) => Model::load_gguf(path, options),
            Location::Bundled => Model::bundled(options),
        }
    }

    /// A model from a folder in Hugging Face layout, or from a GGUF file; its name is theirs.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor, or with the device.
    pub fn load(folder: &Path, options: impl Into<LoadOptions>) -> Result<Model> {
        let options = options.into();
        if let Some(file) = gguf_at(folder)? {
            return Model::load_gguf(&file, options);
        }
        let config = artefact::load_bytes(&folder.join("config.json"))?;
        let files = Files { folder, config: &config, tokenizer: Tokenizer::open(folder)? };
        let location = Location::Folder { path: folder.to_path_buf(), name: location::name(folder) };
        Model::assemble(location, files, options, |precision| Weights::open(folder, precision))
    }

    fn load_gguf(path: &Path, options: LoadOptions) -> Result<Model> {
        let file = GgufFile::open(path)?;
        let tokenizer = file.tokenizer()?;
        let config_sha256 = file.spec()?.1;
        let file = Arc::new(file);
        let parameters = of_gguf(file.clone(), (options.precision_of(true), options.compute))?;
        let hashes = (Hashing::of(move || file.sha256()), config_sha256);
        let location = Location::Gguf(path.to_path_buf());
        Model::put_together(location, tokenizer, parameters, (options, hashes))
    }

    /// The model inside the binary.
    ///
    /// # Errors
    /// What is wrong with the device.
    pub fn bundled(options: impl Into<LoadOptions>) -> Result<Model> {
        let options = options.into();
        let folder = Path::new("models").join(BUNDLED_MODEL);
        let [(_, config), (_, tokenizer), (weights_name, weights)] = bundled_files();
        let tokenizer = Tokenizer::parse(&folder.join("tokenizer.json"), tokenizer)?;
        let files = Files { folder: &folder, config, tokenizer };
        Model::assemble(Location::Bundled, files, options, |precision| {
            Weights::bundled(&folder.join(weights_name), weights, precision)
        })
    }

    /// The spec of a model in a folder or a GGUF file, and its parameters one by one.
    ///
    /// # Errors
    /// What is wrong with its files, by file and tensor.
    pub fn parameters(folder: &Path, precision: Precision) -> Result<(Spec, Box<Parameters>)> {
        if let Some(file) = gguf_at(folder)? {
            return of_gguf(Arc::new(GgufFile::open(&file)?), (precision, Compute::F32));
        }
        let path = folder.join("config.json");
        let config = Config::parse(&path, &artefact::load_bytes(&path)?)?;
        parameters(&config, (precision, Compute::F32), || Weights::open(folder, precision))
            .map(|(spec, load, _)| (spec, load))
    }

    /// The parameters of this model one by one, read again from where it lies, with room for them in f32.
    ///
    /// # Errors
    /// A fault in its files, by file and tensor, or too little memory for them.
    pub(super) fn read_again(&self) -> Result<Box<Parameters>> {
        // As they are stored they are the same numbers in f32, in which they will be held.
        let precision = match self.precision {
            Precision::AsStored => Precision::F32,
            other => other,
        };
        match &self.location {
            Location::Folder { path, .. } | Location::Gguf(path) => {
                Model::parameters(path, precision).map(|(_, load)| load)
            }
            Location::Bundled => {
                let folder = Path::new("models").join(BUNDLED_MODEL);
                let [(config_name, config), _, (weights_name, weights)] = bundled_files();
                let config = Config::parse(&folder.join(config_name), config)?;
                let weights = || Weights::bundled(&folder.join(weights_name), weights, precision);
                parameters(&config, (precision, Compute::F32), weights).map(|(_, load, _)| load)
            }
        }
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
        location: Location,
        files: Files,
        options: LoadOptions,
        weights: impl FnOnce(Precision) -> Result<Weights>,
    ) -> Result<Model> {
        let config = Config::parse(&files.folder.join("config.json"), files.config)?;
        let precision = options.precision_of(false);
        let (spec, load, weights) = parameters(&config, (precision, options.compute), || weights(precision))?;
        let hashed = weights.clone();
        let hashes = (Hashing::of(move || Ok(hashed.sha256())), artefact::hash(files.config));
        let model = Model::put_together(location, files.tokenizer, (spec, load), (options, hashes))?;
        Ok(Model { unused: weights.unused(), ..model })
    }

    fn put_together(
        location: Location,
        tokenizer: Tokenizer,
        (spec, mut load): (Spec, Box<Parameters>),
        (options, (weights_sha256, config_sha256)): (LoadOptions, (Hashing, String)),
    ) -> Result<Model> {
        let LoadOptions { device, compute, .. } = options;
        compute.check(device, (&location, options.precision_of(matches!(location, Location::Gguf(_)))))?;
        let on = device.open()?;
        let mut load = |param, shape: &[usize]| load(param, shape)?.kept(param, &on, compute);
        let transformer = Transformer::new(spec, &mut load)?;
        let name = location.name();
        let precision = options.precision_of(matches!(location, Location::Gguf(_)));
        let given = match &location {
            Location::Folder { path, .. } | Location::Gguf(path) => path.to_string_lossy().into_owned(),
            Location::Bundled => name.clone(),
        };
        Ok(Model {
            name,
            given,
            transformer,
            tokenizer,
            location,
            precision,
            device,
            compute,
            unused: vec![],
            weights_sha256: weights_sha256.end()?,
            config_sha256,
        })
    }

    /// The model's spec.
    pub fn spec(&self) -> &Spec {
        &self.transformer.spec
    }
}

/// A hash that is taken while the same weights are read.
struct Hashing(JoinHandle<Result<String>>);

impl Hashing {
    fn of(hash: impl FnOnce() -> Result<String> + Send + 'static) -> Hashing {
        Hashing(std::thread::spawn(hash))
    }

    fn end(self) -> Result<String> {
        self.0.join().map_err(|_| Error::Internal("the weights could not be hashed".into()))?
    }
}

/// The GGUF file that a path means, be it there or not: its own, or that of a folder with nothing else.
fn gguf_at(path: &Path) -> Result<Option<PathBuf>> {
    Ok(match location::at(path)? {
        Some(Location::Gguf(file)) => Some(file),
        Some(_) => None,
        None => is_gguf(path).then(|| path.to_path_buf()),
    })
}

/// A GGUF file's spec, and its parameters one by one.
fn of_gguf(
    file: Arc<GgufFile>,
    (precision, compute): (Precision, Compute),
) -> Result<(Spec, Box<Parameters>)> {
    let (spec, _) = file.spec()?;
    let needed =
        memory::weight_bytes(&spec, (precision, compute), &file.stored_types()) + memory::pass_bytes(&spec);
    memory::check(needed, memory::available_bytes())?;
    let shape_of = spec.clone();
    let load = move |param, shape: &[usize]| file.load(&shape_of, (param, shape), precision);
    Ok((spec, Box::new(load)))
}

/// A config's spec, its parameters one by one, and the weights they come from.
fn parameters(
    config: &Config,
    (precision, compute): (Precision, Compute),
    weights: impl FnOnce() -> Result<Weights>,
) -> Result<(Spec, Box<Parameters>, Arc<Weights>)> {
    let (family, spec) = (config.family()?, config.spec()?);
    let fits = |stored| {
        let needed = memory::weight_bytes(&spec, (precision, compute), &stored) + memory::pass_bytes(&spec);
        memory::check(needed, memory::available_bytes())
    };
    // Before the files are looked at, unless it is they that tell.
    if precision.dtype().is_some() {
        fits(StoredTypes::new())?;
    }
    let weights = Arc::new(weights()?);
    config.is_not_packed(&weights)?;
    if precision.dtype().is_none() {
        fits(weights.stored_types()?)?;
    }
    let spec = as_stored(config, &weights)?;
    let (shape_of, read) = (spec.clone(), weights.clone());
    let load =
        move |param, shape: &[usize]| read.load(param, &source(family, &shape_of, (param, &read)), shape);
    Ok((spec, Box::new(load), weights))
}

/// The spec that a config describes, with the head as the checkpoint has it.
///
/// # Errors
/// What is wrong with config.json, or with the tensors of a head.
pub(super) fn as_stored(config: &Config, weights: &Weights) -> Result<Spec> {
    let (family, spec) = (config.family()?, config.spec()?);
    Ok(Spec { head: head(family, &spec, weights)?, ..spec })
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

/// Where a checkpoint keeps a parameter; a tied embedding may be there as the head alone.
fn source(family: &Family, spec: &Spec, (param, weights): (Param, &Weights)) -> Source {
    let source = named_source(family, spec, (param, weights));
    match spec.head {
        Some(head) if head.tied && param.place == Place::Embed => {
            let untied = Spec { head: Some(Head { tied: false, ..head }), ..spec.clone() };
            let of_head = named_source(family, &untied, (Place::Unembed.weight(), weights));
            let is_there = |source: &Source| source.tensors.iter().all(|tensor| weights.contains(tensor));
            if !is_there(&source) && is_there(&of_head) { of_head } else { source }
        }
        _ => source,
    }
}

/// Where a checkpoint keeps a parameter: under the family's name with its prefix or without, or under the
/// older names of LayerNorm's parameters.
fn named_source(family: &Family, spec: &Spec, (param, weights): (Param, &Weights)) -> Source {
    let mut source = (family.source)(spec, param);
    for tensor in &mut source.tensors {
        let older =
            tensor.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let names = [tensor.clone(), older];
        let prefixed = names.iter().map(|name| format!("{}{name}", family.prefix));
        let names: Vec<String> = prefixed.chain(names.clone()).collect();
        let found = names.iter().find(|name| weights.contains(name));
        // What is nowhere is called as the index calls it.
        if let Some(found) = found.or_else(|| names.iter().find(|name| weights.promises(name))) {
            tensor.clone_from(found);
        }
    }
    source
}
