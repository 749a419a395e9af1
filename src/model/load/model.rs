//! A model with its tokenizer, loaded from a folder, a GGUF file or the binary.

use super::bundled::{self, bundled_files, bundled_weights};
use super::options::LoadOptions;
use super::parameters::{Formats, Parameters, Unread, of_checkpoint, of_gguf};
use crate::artefact::{self, FileState, FolderName};
use crate::error::{Error, Result};
use crate::model::device::DeviceChoice;
use crate::model::families::Config;
use crate::model::forward::Transformer;
use crate::model::gguf::GgufFile;
use crate::model::location::{self, Location, is_gguf};
use crate::model::precision::{Compute, Precision};
use crate::model::spec::Spec;
use crate::model::weights::{Weights, convert};
use crate::tokenizer::Tokenizer;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A loaded model: weights, forward pass and tokenizer.
pub struct Model {
    /// Its name in folders and result rows.
    pub name: FolderName,
    /// The name or path by which it was requested, and by which it can be loaded again.
    pub given: String,
    /// The weights, and the forward pass.
    pub transformer: Transformer,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The location of its files.
    pub location: Location,
    /// The number format of its weights in memory.
    pub precision: Precision,
    /// Its device.
    pub device: DeviceChoice,
    /// The number format of its blocks' products.
    pub compute: Compute,
    /// Tensors of its files that no parameter used, except heads and the buffers that older versions of transformers
    /// saved.
    pub unused: Vec<String>,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// SHA-256 of config.json, or of the config fields that are built from a GGUF file.
    pub config_sha256: String,
    /// The files of the weights, each in the state in which it was read.
    pub(crate) files: OpenedFiles,
}

/// Files, each in the state in which it was opened.
type OpenedFiles = Vec<(PathBuf, FileState)>;

impl Model {
    /// Loads the model at a location.
    ///
    /// # Errors
    /// An error in its files, with file and tensor; too little memory; or an unsupported device or number format.
    pub fn open(location: &Location, options: impl Into<LoadOptions>) -> Result<Model> {
        let options = options.into();
        match location {
            Location::Folder { path, name } => {
                let name = FolderName::new("name of the model", name)?;
                Ok(Model { name, ..Model::load(path, options)? })
            }
            Location::Gguf(path) => Model::load_gguf(path, options),
            Location::Bundled => Model::bundled(options),
        }
    }

    /// Loads a model from a folder in Hugging Face layout, or from a GGUF file, and names it after the folder or file.
    ///
    /// # Errors
    /// An error in its files, with file and tensor; too little memory; or an unsupported device or number format.
    pub fn load(folder: &Path, options: impl Into<LoadOptions>) -> Result<Model> {
        let options = options.into();
        if let Some(file) = gguf_at(folder)? {
            return Model::load_gguf(&file, options);
        }
        let config = artefact::load_bytes(&folder.join("config.json"))?;
        let files = Files { folder, config: &config, tokenizer: Tokenizer::open(folder)? };
        let location = Location::Folder { path: folder.to_path_buf(), name: location::name(folder) };
        Model::load_checkpoint(location, files, options, |precision| Weights::open(folder, precision))
    }

    fn load_gguf(path: &Path, options: LoadOptions) -> Result<Model> {
        let file = GgufFile::open(path)?;
        let tokenizer = file.tokenizer()?;
        let config_sha256 = file.spec()?.1;
        let file = Arc::new(file);
        let formats = Formats { precision: options.precision_of(true), compute: options.compute };
        let unread = of_gguf(file.clone(), formats)?;
        let identity = Identity {
            location: Location::Gguf(path.to_path_buf()),
            tokenizer,
            config_sha256,
            files: file.states(),
            weights_sha256: Hashing::start(move || file.sha256()),
        };
        Model::build(identity, unread, options)
    }

    /// Loads the model inside the binary.
    ///
    /// # Errors
    /// Too little memory, or an unsupported device or number format.
    pub fn bundled(options: impl Into<LoadOptions>) -> Result<Model> {
        let options = options.into();
        let folder = bundled::folder();
        let [(_, config), (_, tokenizer), _] = bundled_files();
        let tokenizer = Tokenizer::parse(&folder.join("tokenizer.json"), tokenizer)?;
        let files = Files { folder: &folder, config, tokenizer };
        Model::load_checkpoint(Location::Bundled, files, options, bundled_weights)
    }

    /// The spec of a model in a folder or a GGUF file, and its parameters one by one.
    ///
    /// # Errors
    /// An error in its files, with file and tensor, or too little memory.
    pub fn parameters(folder: &Path, precision: Precision) -> Result<(Spec, Box<Parameters>)> {
        let formats = Formats { precision, compute: Compute::F32 };
        let Unread { spec, load } = match gguf_at(folder)? {
            Some(file) => of_gguf(Arc::new(GgufFile::open(&file)?), formats)?,
            None => {
                let path = folder.join("config.json");
                let config = Config::parse(&path, &artefact::load_bytes(&path)?)?;
                of_checkpoint(&config, formats, || Weights::open(folder, precision))?.0
            }
        };
        Ok((spec, load))
    }

    /// The parameters of this model one by one, read again from its files, after a check that they fit into memory.
    ///
    /// # Errors
    /// An error in its files, with file and tensor, or too little memory; [`Error::BadFile`] for a file that was
    /// exchanged or changed since this model was loaded.
    pub(crate) fn read_again(&self) -> Result<Box<Parameters>> {
        // The stored values are converted to f32 in any case.
        let precision = match self.precision {
            Precision::AsStored => Precision::F32,
            other => other,
        };
        match &self.location {
            Location::Folder { path, .. } | Location::Gguf(path) => {
                let (_, load) = Model::parameters(path, precision)?;
                self.files.iter().try_for_each(|(path, state)| {
                    state.without_place().check(path, FileState::at(path)?.without_place())
                })?;
                Ok(load)
            }
            Location::Bundled => {
                let [(config_name, config), ..] = bundled_files();
                let config = Config::parse(&bundled::folder().join(config_name), config)?;
                let formats = Formats { precision, compute: Compute::F32 };
                Ok(of_checkpoint(&config, formats, || bundled_weights(precision))?.0.load)
            }
        }
    }

    /// The weights and the forward pass of a model in a folder or a GGUF file, without its tokenizer.
    ///
    /// # Errors
    /// An error in its files, with file and tensor, or too little memory.
    pub fn load_transformer(folder: &Path, precision: Precision) -> Result<Transformer> {
        let (spec, mut load) = Model::parameters(folder, precision)?;
        Transformer::new(spec, &mut *load)
    }

    fn load_checkpoint(
        location: Location,
        files: Files,
        options: LoadOptions,
        weights: impl FnOnce(Precision) -> Result<Weights>,
    ) -> Result<Model> {
        let config = Config::parse(&files.folder.join("config.json"), files.config)?;
        let precision = options.precision_of(false);
        let formats = Formats { precision, compute: options.compute };
        let (unread, weights) = of_checkpoint(&config, formats, || weights(precision))?;
        let hashed = weights.clone();
        let identity = Identity {
            location,
            tokenizer: files.tokenizer,
            config_sha256: artefact::hash(files.config),
            files: weights.states(),
            weights_sha256: Hashing::start(move || Ok(hashed.sha256())),
        };
        let model = Model::build(identity, unread, options)?;
        Ok(Model { unused: weights.unused(), ..model })
    }

    fn build(identity: Identity, unread: Unread, options: LoadOptions) -> Result<Model> {
        let Identity { location, tokenizer, config_sha256, weights_sha256, files } = identity;
        let LoadOptions { device, compute, .. } = options;
        options.check(&location)?;
        let opened = device.open()?;
        let Unread { spec, mut load } = unread;
        let mut load = |param, shape: &[usize]| convert(load(param, shape)?, param, &opened, compute);
        let transformer = Transformer::new(spec, &mut load)?;
        let name = FolderName::new("name of the model", &location.name())?;
        let given = match &location {
            Location::Folder { path, .. } | Location::Gguf(path) => path.to_string_lossy().into_owned(),
            Location::Bundled => name.to_string(),
        };
        let weights_sha256 = weights_sha256.finish()?;
        // The hash and the values were read at different moments.
        files.iter().try_for_each(|(path, state)| state.check(path, FileState::at(path)?))?;
        Ok(Model {
            name,
            given,
            transformer,
            tokenizer,
            precision: options.precision_of(matches!(location, Location::Gguf(_))),
            location,
            device,
            compute,
            unused: vec![],
            weights_sha256,
            config_sha256,
            files,
        })
    }

    /// The model's spec.
    pub fn spec(&self) -> &Spec {
        &self.transformer.spec
    }
}

/// The small files of a model.
struct Files<'a> {
    folder: &'a Path,
    config: &'a [u8],
    tokenizer: Tokenizer,
}

/// A model's location, its tokenizer and its hashes.
struct Identity {
    location: Location,
    tokenizer: Tokenizer,
    config_sha256: String,
    weights_sha256: Hashing,
    files: OpenedFiles,
}

/// A hash that is computed while the same weights are loaded.
struct Hashing(JoinHandle<Result<String>>);

impl Hashing {
    fn start(hash: impl FnOnce() -> Result<String> + Send + 'static) -> Hashing {
        Hashing(std::thread::spawn(hash))
    }

    fn finish(self) -> Result<String> {
        self.0.join().map_err(|_| Error::Internal("the weights could not be hashed".into()))?
    }
}

/// The GGUF file at a path, or in a folder without other weights; a path with the extension .gguf counts even if the
/// file is missing, so that the error names it.
fn gguf_at(path: &Path) -> Result<Option<PathBuf>> {
    Ok(match location::at(path)? {
        Some(Location::Gguf(file)) => Some(file),
        Some(_) => None,
        None => is_gguf(path).then(|| path.to_path_buf()),
    })
}
