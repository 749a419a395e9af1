//! Safetensors files as parameters: found by the family's names, checked, cut and turned to f32.

use super::mapped;
use super::params::Param;
use crate::artefact;
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// Where a parameter lies in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The checkpoint's tensor.
    pub tensor: String,
    /// How it is stored.
    pub cut: Cut,
}

/// How a parameter is stored in its tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Whether matrices are stored `[in, out]` (GPT-2's `Conv1D`).
    pub transposed: bool,
    /// Which of the output rows are the parameter's.
    pub rows: Rows,
}

/// Which output rows of a tensor are the parameter's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All.
    All,
    /// Part `index` of `of` equal parts, one after the other (GPT-2's `c_attn`).
    Part {
        /// Which part.
        index: usize,
        /// How many there are.
        of: usize,
    },
    /// Part `index` of `of` within each of `heads` heads (GPT-NeoX's `query_key_value`).
    PartOfHead {
        /// Which part.
        index: usize,
        /// How many there are.
        of: usize,
        /// The number of heads.
        heads: usize,
    },
}

impl Source {
    /// A tensor that is the parameter as it stands.
    pub fn whole(tensor: String) -> Source {
        Source { tensor, cut: Cut { transposed: false, rows: Rows::All } }
    }
}

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

/// The weights of one checkpoint: one safetensors file or several.
pub struct Weights {
    files: Vec<(PathBuf, Bytes)>,
    /// Tensor name to the file that holds it.
    at: HashMap<String, usize>,
}

impl Weights {
    /// The weights in a Hugging Face folder: `model.safetensors`, or the shards its index names.
    ///
    /// # Errors
    /// [`Error::BadFile`] if there are none, or a file is truncated.
    pub fn open(folder: &Path) -> Result<Weights> {
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let paths = if single.is_file() {
            vec![single]
        } else if index.is_file() {
            shards(&index)?
        } else {
            return Err(Error::bad_file(
                folder,
                "no weights",
                "model.safetensors, or model.safetensors.index.json with its shards",
            ));
        };
        let files = paths.into_iter().map(|path| Ok((path.clone(), Bytes::Mapped(mapped::map(&path)?))));
        Weights::of(files.collect::<Result<_>>()?)
    }

    /// Weights that lie in the binary; `path` names them in errors.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn bundled(path: &Path, bytes: &'static [u8]) -> Result<Weights> {
        Weights::of(vec![(path.to_path_buf(), Bytes::Bundled(bytes))])
    }

    fn of(files: Vec<(PathBuf, Bytes)>) -> Result<Weights> {
        let mut at = HashMap::new();
        for (i, (path, bytes)) in files.iter().enumerate() {
            let names = parse(path, bytes)?;
            at.extend(names.names().into_iter().map(|name| (name.to_string(), i)));
        }
        Ok(Weights { files, at })
    }

    /// SHA-256 over the files, in order.
    pub fn sha256(&self) -> String {
        let hashes: Vec<String> = self.files.iter().map(|(_, bytes)| artefact::hash(bytes)).collect();
        if let [one] = &hashes[..] { one.clone() } else { artefact::hash(hashes.join("\n").as_bytes()) }
    }

    /// Whether the checkpoint has a tensor of this name.
    pub fn contains(&self, tensor: &str) -> bool {
        self.at.contains_key(tensor)
    }

    /// A parameter in f32.
    ///
    /// # Shapes
    /// `shape`, which the spec asks for; matrices are `[out, in]`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorShape`], or [`Error::NonFinite`] naming the tensor.
    pub fn load(&self, param: Param, source: &Source, shape: &[usize]) -> Result<Tensor> {
        let file = *self.at.get(&source.tensor).ok_or_else(|| Error::MissingTensor {
            path: self.files[0].0.clone(),
            tensor: source.tensor.clone(),
        })?;
        let (path, bytes) = &self.files[file];
        let view = parse(path, bytes)?
            .tensor(&source.tensor)
            .map_err(|e| Error::bad_file(path, e, "readable safetensors"))?;
        let stored = stored_shape(shape, source.cut);
        if view.shape() != stored {
            return Err(Error::TensorShape {
                path: path.clone(),
                tensor: source.tensor.clone(),
                found: view.shape().to_vec(),
                expected: stored,
            });
        }
        let tensor = candle_core::safetensors::Load::load(&view, &Device::Cpu)?.to_dtype(DType::F32)?;
        let tensor = cut(tensor, source.cut)?;
        check_finite(path, param, &source.tensor, &tensor)?;
        Ok(tensor)
    }
}

fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let parsed: Index = serde_json::from_slice(&artefact::load_bytes(index)?)
        .map_err(|e| Error::bad_file(index, e, "an index with a `weight_map`"))?;
    let names: std::collections::BTreeSet<String> = parsed.weight_map.into_values().collect();
    if names.is_empty() {
        return Err(Error::bad_file(index, "an empty `weight_map`", "the name of a file for each tensor"));
    }
    if let Some(missing) = names.iter().find(|name| !index.with_file_name(name).is_file()) {
        let found = format!("the name of `{missing}`, which is not there");
        return Err(Error::bad_file(index, found, "every shard beside it; download or copy them again"));
    }
    Ok(names.into_iter().map(|name| index.with_file_name(name)).collect())
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes).map_err(|e| {
        let found = format!("{} bytes that are not whole safetensors ({e})", bytes.len());
        Error::bad_file(path, found, "a complete file; download or copy it again")
    })
}

/// The shape a tensor has in the file when the parameter's is `shape`.
fn stored_shape(shape: &[usize], cut: Cut) -> Vec<usize> {
    let mut stored = shape.to_vec();
    if let Rows::Part { of, .. } | Rows::PartOfHead { of, .. } = cut.rows {
        stored[0] *= of;
    }
    if cut.transposed && stored.len() == 2 {
        stored.reverse();
    }
    stored
}

fn cut(tensor: Tensor, cut: Cut) -> Result<Tensor> {
    let tensor = if cut.transposed && tensor.rank() == 2 { tensor.t()? } else { tensor };
    let rows = tensor.dim(0)?;
    let tensor = match cut.rows {
        Rows::All => tensor,
        Rows::Part { index, of } => tensor.narrow(0, index * (rows / of), rows / of)?,
        Rows::PartOfHead { index, of, heads } => {
            let d_head = rows / of / heads;
            let mut split = vec![heads, of, d_head];
            split.extend(&tensor.dims()[1..]);
            let mut joined = vec![heads * d_head];
            joined.extend(&tensor.dims()[1..]);
            // [heads * of * d_head, in] -> [heads, of, d_head, in] -> [heads, d_head, in] -> [heads * d_head, in]
            tensor.contiguous()?.reshape(split)?.narrow(1, index, 1)?.contiguous()?.reshape(joined)?
        }
    };
    Ok(tensor.contiguous()?)
}

fn check_finite(path: &Path, param: Param, name: &str, tensor: &Tensor) -> Result<()> {
    // A sum of absolute values is finite only if each value is (f32 weights do not reach its limit).
    let sum = tensor.abs()?.sum_all()?.to_scalar::<f32>()?;
    if sum.is_finite() {
        return Ok(());
    }
    Err(Error::NonFinite {
        place: format!("{}: tensor `{name}` ({param})", path.display()),
        found: f64::from(sum),
        advice: "a value in it is infinite or not a number; fetch the weights again".into(),
    })
}
