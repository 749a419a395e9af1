//! The files of a checkpoint: safetensors or PyTorch's older pickles, one or several, each tensor by name.

use super::memory::{StoredTypes, stored_types};
use super::mmap;
use super::torch_file::TorchFile;
use crate::artefact::{self, FileState};
use crate::error::{Error, Result};
use crate::limits::product;
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, TensorView};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::path::{Path, PathBuf};

enum Bytes {
    Mapped(memmap2::Mmap),
    Bundled(&'static [u8]),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Bundled(bytes) => bytes,
        }
    }
}

struct File {
    path: PathBuf,
    bytes: Bytes,
    /// The state in which it was opened; `None` inside the binary.
    state: Option<FileState>,
    contents: Contents,
}

/// The table of contents of a file, parsed once.
enum Contents {
    /// Names, types and places of tensors, and the first byte of their data.
    Safetensors {
        metadata: Metadata,
        data_from: usize,
    },
    Torch(TorchFile),
}

/// The files of one checkpoint.
pub(super) struct Checkpoint {
    files: Vec<File>,
    /// The file of each tensor, by name.
    at: HashMap<String, usize>,
    /// Tensors that the index names and no file contains, each with the shard that should contain it.
    promised: BTreeMap<String, PathBuf>,
    /// The index file.
    index: PathBuf,
}

/// The names of a checkpoint in a Hugging Face folder, in order of preference: one file, and an index of shards.
const NAMES: [(&str, &str); 2] = [
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
];

/// True if a folder has a checkpoint under one of these names.
pub(crate) fn has_weights(folder: &Path) -> bool {
    NAMES.iter().any(|(single, index)| folder.join(single).is_file() || folder.join(index).is_file())
}

impl Checkpoint {
    /// The checkpoint in a Hugging Face folder.
    ///
    /// # Errors
    /// [`Error::BadFile`] if there is no checkpoint, all shards are missing, or a file is truncated. A missing shard
    /// is an error only when one of its tensors is loaded.
    pub(super) fn open(folder: &Path) -> Result<Checkpoint> {
        for (single, index) in NAMES {
            let (single, index) = (folder.join(single), folder.join(index));
            if single.is_file() {
                return Ok(Checkpoint::of(vec![File::open(single)?]));
            }
            if index.is_file() {
                let files = shards(&index)?.into_iter().map(File::open).collect::<Result<_>>()?;
                return Checkpoint::of(files).with_promises(&index);
            }
        }
        let expected =
            "model.safetensors, or model.safetensors.index.json with its shards, or pytorch_model.bin";
        Err(Error::bad_file(folder, "no weights", expected))
    }

    /// Safetensors inside the binary; `path` names them in errors.
    pub(super) fn bundled(path: &Path, bytes: &'static [u8]) -> Result<Checkpoint> {
        let contents = safetensors(path, bytes)?;
        Ok(Checkpoint::of(vec![File {
            path: path.to_path_buf(),
            bytes: Bytes::Bundled(bytes),
            contents,
            state: None,
        }]))
    }

    fn of(files: Vec<File>) -> Checkpoint {
        let mut at = HashMap::new();
        for (i, file) in files.iter().enumerate() {
            at.extend(file.names().into_iter().map(|name| (name, i)));
        }
        Checkpoint { files, at, promised: BTreeMap::new(), index: PathBuf::new() }
    }

    /// Adds the tensors that only the index names; such a tensor is an error only when it is loaded.
    fn with_promises(self, index: &Path) -> Result<Checkpoint> {
        let promised = weight_map(index)?.into_iter().filter(|(tensor, _)| !self.at.contains_key(tensor));
        let promised = promised.map(|(tensor, shard)| (tensor, index.with_file_name(shard))).collect();
        Ok(Checkpoint { promised, index: index.to_path_buf(), ..self })
    }

    /// The path of the first file, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.files[0].path
    }

    /// SHA-256 of the file; for several files, SHA-256 of the list of their hashes.
    pub(super) fn sha256(&self) -> String {
        let hashes: Vec<String> = self.files.par_iter().map(|file| artefact::hash(&file.bytes)).collect();
        if let [one] = &hashes[..] { one.clone() } else { artefact::hash(hashes.join("\n").as_bytes()) }
    }

    /// The files, each in the state in which it was opened.
    pub(super) fn states(&self) -> Vec<(PathBuf, FileState)> {
        let all = self.files.iter();
        all.filter_map(|file| Some((file.path.clone(), file.state?))).collect()
    }

    /// The number formats of its matrices.
    ///
    /// # Errors
    /// [`Error::BadFile`] if a file cannot be read.
    pub(super) fn stored_types(&self) -> Result<StoredTypes> {
        let all = self.at.iter().map(|(name, file)| self.files[*file].stored(name));
        let all = all.collect::<Result<Vec<Option<(String, u64)>>>>()?;
        Ok(stored_types(all.into_iter().flatten()))
    }

    /// True if a file has a tensor of this name, or if a missing shard should have it.
    pub(super) fn has(&self, tensor: &str) -> bool {
        self.at.contains_key(tensor) || self.promised.get(tensor).is_some_and(|shard| !shard.is_file())
    }

    /// True if the index names a tensor that no file contains.
    pub(super) fn promises(&self, tensor: &str) -> bool {
        self.promised.contains_key(tensor)
    }

    /// The names of all tensors in the files, in order.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.at.keys().map(String::as_str).collect()
    }

    fn missing(&self, tensor: &str) -> Error {
        match self.promised.get(tensor) {
            Some(shard) if !shard.is_file() => {
                let shard = shard.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let found = format!("tensor `{tensor}` in the shard `{shard}`, which does not exist");
                Error::bad_file(&self.index, found, "the shard in the same folder; download or copy it again")
            }
            Some(shard) => Error::MissingTensor { path: shard.clone(), tensor: tensor.to_string() },
            None => Error::MissingTensor { path: self.path().to_path_buf(), tensor: tensor.to_string() },
        }
    }

    /// A tensor in its stored type, and its file, after a check of its shape.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorShape`], or [`Error::BadFile`] if the tensor cannot be read.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<(&Path, Tensor)> {
        let file = &self.files[*self.at.get(name).ok_or_else(|| self.missing(name))?];
        let found = file.shape(name)?;
        if found != shape {
            return Err(Error::TensorShape {
                path: file.path.clone(),
                tensor: name.to_string(),
                found,
                expected: shape.to_vec(),
            });
        }
        Ok((&file.path, file.tensor(name)?))
    }
}

impl File {
    fn open(path: PathBuf) -> Result<File> {
        let file = artefact::open_regular(&path)?;
        let state = FileState::of(&file, &path)?;
        let bytes = Bytes::Mapped(mmap::map_open(&file, &path)?);
        let is_pickle = path.extension().is_some_and(|e| e == "bin");
        let contents =
            if is_pickle { Contents::Torch(TorchFile::open(&path)?) } else { safetensors(&path, &bytes)? };
        let file = File { path, bytes, contents, state: Some(state) };
        file.is_unchanged().map(|()| file)
    }

    /// Refuses a file that was replaced or changed since it was opened.
    fn is_unchanged(&self) -> Result<()> {
        self.state.map_or(Ok(()), |state| state.check(&self.path, FileState::at(&self.path)?))
    }

    fn names(&self) -> Vec<String> {
        match &self.contents {
            Contents::Torch(torch) => torch.names().cloned().collect(),
            Contents::Safetensors { metadata, .. } => metadata.tensors().into_keys().collect(),
        }
    }

    fn missing(&self, name: &str) -> Error {
        self.unread(name)
            .unwrap_or_else(|| Error::MissingTensor { path: self.path.clone(), tensor: name.to_string() })
    }

    /// The error for a tensor that is in the file, but cannot be read.
    fn unread(&self, name: &str) -> Option<Error> {
        match &self.contents {
            Contents::Torch(torch) => torch.unread(name),
            Contents::Safetensors { .. } => None,
        }
    }

    fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let shape = match &self.contents {
            Contents::Torch(torch) => torch.info(name).map(|info| info.layout.dims().to_vec()),
            Contents::Safetensors { metadata, .. } => metadata.info(name).map(|info| info.shape.clone()),
        };
        shape.ok_or_else(|| self.missing(name))
    }

    /// The type and the bytes of a matrix of weights; `None` for another tensor.
    fn stored(&self, name: &str) -> Result<Option<(String, u64)>> {
        if self.unread(name).is_some() {
            return Ok(None);
        }
        let shape = self.shape(name)?;
        let format = match &self.contents {
            Contents::Torch(torch) => {
                torch.info(name).map(|info| (info.dtype.as_str().to_string(), info.dtype.size_in_bytes() * 8))
            }
            Contents::Safetensors { metadata, .. } => {
                metadata.info(name).map(|info| (info.dtype.to_string().to_lowercase(), info.dtype.bitsize()))
            }
        };
        let (dtype, bits) = format.ok_or_else(|| self.missing(name))?;
        // Older checkpoints contain masks and positions as well, as integers or booleans.
        let is_weights = shape.len() > 1 && (dtype.starts_with('f') || dtype.starts_with("bf"));
        Ok(is_weights.then(|| (dtype, product(shape).saturating_mul(bits as u64) / 8)))
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        let unread = |e: candle_core::Error| {
            let expected = "f32, f16 or bf16; save it again with `save_pretrained(folder)` of transformers";
            Error::bad_file(&self.path, format!("tensor `{name}` that cannot be read ({e})"), expected)
        };
        let read = || match &self.contents {
            Contents::Torch(torch) => torch.get(name),
            Contents::Safetensors { metadata, data_from } => {
                let Some(info) = metadata.info(name) else { return Ok(None) };
                let (first, end) = info.data_offsets;
                // The offsets were checked against the length when the file was opened.
                let data = self.bytes.get(data_from + first..data_from + end).unwrap_or_default();
                let view = TensorView::new(info.dtype, info.shape.clone(), data);
                view.map_err(candle_core::Error::wrap)?.load(&Device::Cpu).map(Some)
            }
        };
        let read = artefact::caught(read).unwrap_or_else(|panic| Err(candle_core::Error::Msg(panic)));
        // A file of torch is opened again for each tensor.
        if matches!(self.contents, Contents::Torch(_)) {
            self.is_unchanged()?;
        }
        read.map_err(unread)?.ok_or_else(|| self.missing(name))
    }
}

/// The table of contents of safetensors, checked against the length of the file.
fn safetensors(path: &Path, bytes: &[u8]) -> Result<Contents> {
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| {
        let found = format!("{} bytes that are not a complete safetensors file ({e})", bytes.len());
        Error::bad_file(path, found, "a complete file; download or copy it again")
    })?;
    // The header's length is stored before it, in eight bytes.
    Ok(Contents::Safetensors { metadata, data_from: 8 + header })
}

/// The shard of each tensor, as listed by an index.
fn weight_map(index: &Path) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let parsed: Index = serde_json::from_str(&artefact::load_text(index)?)
        .map_err(|e| Error::bad_file(index, e, "an index with a `weight_map`"))?;
    for name in parsed.weight_map.values() {
        let expected = "shards in the same folder as the index";
        artefact::path_below("shard", name).map_err(|e| Error::bad_file(index, e, expected))?;
    }
    Ok(parsed.weight_map)
}

/// The shards of an index that exist.
fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let names: BTreeSet<String> = weight_map(index)?.into_values().collect();
    if names.is_empty() {
        return Err(Error::bad_file(index, "an empty `weight_map`", "the name of a file for each tensor"));
    }
    let shards = names.iter().map(|name| index.with_file_name(name));
    let shards: Vec<PathBuf> = shards.filter(|shard| shard.is_file()).collect();
    match names.first() {
        Some(missing) if shards.is_empty() => {
            let found = format!("the shard `{missing}`, which does not exist");
            Err(Error::bad_file(index, found, "every shard in the same folder; download or copy them again"))
        }
        _ => Ok(shards),
    }
}
