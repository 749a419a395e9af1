//! A checkpoint's files: safetensors or PyTorch's older pickles, one or several, each tensor by name.

use super::mapped;
use super::memory::{StoredTypes, stored_types};
use crate::artefact;
use crate::error::{Error, Result};
use candle_core::pickle::PthTensors;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use safetensors::SafeTensors;
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
    /// The directory of a pickle; safetensors carry their own.
    pickle: Option<PthTensors>,
}

/// The files of one checkpoint.
pub(super) struct Checkpoint {
    files: Vec<File>,
    /// Tensor name to the file that holds it.
    at: HashMap<String, usize>,
}

/// The names a checkpoint may have in a Hugging Face folder, best first: one file, and an index of shards.
const NAMES: [(&str, &str); 2] = [
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
];

impl Checkpoint {
    /// The checkpoint in a Hugging Face folder.
    ///
    /// # Errors
    /// [`Error::BadFile`] if there is none, a shard is missing, or a file is truncated.
    pub fn open(folder: &Path) -> Result<Checkpoint> {
        for (single, index) in NAMES {
            let (single, index) = (folder.join(single), folder.join(index));
            if single.is_file() {
                return Checkpoint::of(vec![File::open(single)?]);
            }
            if index.is_file() {
                let files = shards(&index)?.into_iter().map(File::open).collect::<Result<_>>()?;
                return Checkpoint::of(files)?.complete(&index);
            }
        }
        let expected =
            "model.safetensors, or model.safetensors.index.json with its shards, or pytorch_model.bin";
        Err(Error::bad_file(folder, "no weights", expected))
    }

    /// Safetensors that lie in the binary; `path` names them in errors.
    pub fn bundled(path: &Path, bytes: &'static [u8]) -> Result<Checkpoint> {
        let file = File { path: path.to_path_buf(), bytes: Bytes::Bundled(bytes), pickle: None };
        Checkpoint::of(vec![file])
    }

    fn of(files: Vec<File>) -> Result<Checkpoint> {
        let mut at = HashMap::new();
        for (i, file) in files.iter().enumerate() {
            at.extend(file.names()?.into_iter().map(|name| (name, i)));
        }
        Ok(Checkpoint { files, at })
    }

    /// Whether every tensor that the index promises is in the shards.
    fn complete(self, index: &Path) -> Result<Checkpoint> {
        match weight_map(index)?.into_iter().find(|(tensor, _)| !self.has(tensor)) {
            Some((tensor, shard)) => Err(Error::MissingTensor { path: index.with_file_name(shard), tensor }),
            None => Ok(self),
        }
    }

    /// Where the weights lie, for errors.
    pub fn path(&self) -> &Path {
        &self.files[0].path
    }

    /// SHA-256 over the files, in order.
    pub fn sha256(&self) -> String {
        let hashes: Vec<String> = self.files.par_iter().map(|file| artefact::hash(&file.bytes)).collect();
        if let [one] = &hashes[..] { one.clone() } else { artefact::hash(hashes.join("\n").as_bytes()) }
    }

    /// The types of its matrices.
    ///
    /// # Errors
    /// [`Error::BadFile`] if a file cannot be read.
    pub fn stored_types(&self) -> Result<StoredTypes> {
        let all = self.at.iter().map(|(name, file)| self.files[*file].stored(name));
        let all = all.collect::<Result<Vec<Option<(String, u64)>>>>()?;
        Ok(stored_types(all.into_iter().flatten()))
    }

    /// The names of all tensors, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.at.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, tensor: &str) -> bool {
        self.at.contains_key(tensor)
    }

    /// A tensor as it is stored, once its shape is known to be `shape`, and the file it is in.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] or [`Error::TensorShape`].
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<(&Path, Tensor)> {
        let missing = || Error::MissingTensor { path: self.path().to_path_buf(), tensor: name.to_string() };
        let file = &self.files[*self.at.get(name).ok_or_else(missing)?];
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
        let bytes = Bytes::Mapped(mapped::map(&path)?);
        let pickle = (path.extension().is_some_and(|e| e == "bin")).then(|| directory(&path)).transpose()?;
        Ok(File { path, bytes, pickle })
    }

    fn safetensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|e| {
            let found = format!("{} bytes that are not whole safetensors ({e})", self.bytes.len());
            Error::bad_file(&self.path, found, "a complete file; download or copy it again")
        })
    }

    fn names(&self) -> Result<Vec<String>> {
        Ok(match &self.pickle {
            Some(pickle) => pickle.tensor_infos().keys().cloned().collect(),
            None => self.safetensors()?.names().into_iter().map(str::to_string).collect(),
        })
    }

    fn shape(&self, name: &str) -> Result<Vec<usize>> {
        Ok(match &self.pickle {
            Some(pickle) => pickle.tensor_infos()[name].layout.dims().to_vec(),
            None => self.view(name)?.shape().to_vec(),
        })
    }

    /// The type of a matrix of weights, and its bytes; nothing for another tensor.
    fn stored(&self, name: &str) -> Result<Option<(String, u64)>> {
        let shape = self.shape(name)?;
        let (dtype, bits) = match &self.pickle {
            Some(pickle) => {
                let dtype = pickle.tensor_infos()[name].dtype;
                (dtype.as_str().to_string(), dtype.size_in_bytes() * 8)
            }
            None => {
                let dtype = self.view(name)?.dtype();
                (dtype.to_string().to_lowercase(), dtype.bitsize())
            }
        };
        // Older checkpoints keep masks and positions as well, in whole numbers or flags.
        let holds_weights = shape.len() > 1 && (dtype.starts_with('f') || dtype.starts_with("bf"));
        Ok(holds_weights.then(|| (dtype, (shape.iter().product::<usize>() * bits / 8) as u64)))
    }

    fn view(&self, name: &str) -> Result<safetensors::tensor::TensorView<'_>> {
        let unreadable =
            |e| Error::bad_file(&self.path, format!("tensor `{name}`: {e}"), "readable safetensors");
        self.safetensors()?.tensor(name).map_err(unreadable)
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        let unread = |e: candle_core::Error| {
            let expected = "f32, f16 or bf16; save it again with `save_pretrained(folder)` of transformers";
            Error::bad_file(&self.path, format!("tensor `{name}` that cannot be read ({e})"), expected)
        };
        let tensor = match &self.pickle {
            Some(pickle) => pickle.get(name).map_err(unread)?,
            None => {
                Some(candle_core::safetensors::Load::load(&self.view(name)?, &Device::Cpu).map_err(unread)?)
            }
        };
        let missing = || Error::MissingTensor { path: self.path.clone(), tensor: name.to_string() };
        tensor.ok_or_else(missing)
    }
}

/// The directory of a pickle of today's zip format.
fn directory(path: &Path) -> Result<PthTensors> {
    PthTensors::new(path, None).map_err(|e| {
        let expected = "a complete pytorch_model.bin as torch 1.6 or newer writes it; \
                        download it again, or save it with `save_pretrained(folder)` of transformers";
        Error::bad_file(path, format!("a file that is no PyTorch checkpoint ({e})"), expected)
    })
}

/// Tensor name to shard, as an index lists them.
fn weight_map(index: &Path) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let parsed: Index = serde_json::from_slice(&artefact::load_bytes(index)?)
        .map_err(|e| Error::bad_file(index, e, "an index with a `weight_map`"))?;
    Ok(parsed.weight_map)
}

fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let names: BTreeSet<String> = weight_map(index)?.into_values().collect();
    if names.is_empty() {
        return Err(Error::bad_file(index, "an empty `weight_map`", "the name of a file for each tensor"));
    }
    if let Some(missing) = names.iter().find(|name| !index.with_file_name(name).is_file()) {
        let found = format!("the name of `{missing}`, which is not there");
        return Err(Error::bad_file(index, found, "every shard beside it; download or copy them again"));
    }
    Ok(names.into_iter().map(|name| index.with_file_name(name)).collect())
}
