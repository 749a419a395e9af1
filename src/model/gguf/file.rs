//! An open GGUF model, in one file or several: its spec, its parameters, its tokenizer.

use super::architectures::Architecture;
use super::config::{self, Shapes};
use super::header::{Entry, Header};
use super::kind::Kind;
use super::metadata::Metadata;
use super::tensors::{FREQUENCY_FACTORS, TOKEN_TYPES, source, unused};
use super::{architectures, purpose, split, tokenizer};
use crate::artefact;
use crate::error::{Error, Result};
use crate::model::families::Config;
use crate::model::linear::Weight;
use crate::model::mapped;
use crate::model::memory::{StoredTypes, stored_types};
use crate::model::params::{self, Param, Place, list};
use crate::model::quantised::Blocks;
use crate::model::spec::{Biases, Direction, NormKind, Spec};
use crate::model::weights::{Precision, Rows, Source, check_finite};
use crate::tokenizer::Tokenizer;
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Numbers that are looked at together for one that is none.
const CHECKED_AT_ONCE: usize = 1 << 22;

/// A GGUF model whose headers were read; tensors are read when they are asked for.
pub struct GgufFile {
    /// The files, in order.
    parts: Vec<Part>,
    header: Header,
}

/// One of its files.
struct Part {
    path: PathBuf,
    file: Mutex<File>,
}

impl GgufFile {
    /// Opens a file and, where it is a part of a model, the others, and reads their headers.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::BadFile`] naming a file that is cut short, missing, of another model, or no model.
    pub fn open(path: &Path) -> Result<GgufFile> {
        // A map is let go with its header: its pages would count beside the tensors that are read.
        let header = |path: &PathBuf| Header::parse(path, &mapped::map(path)?);
        let own = header(&path.to_path_buf())?;
        let paths = split::parts(path, &own)?;
        let headers =
            if paths.len() == 1 { vec![own] } else { paths.iter().map(header).collect::<Result<_>>()? };
        let header = split::merge(&paths, headers)?;
        purpose::check(&paths[0], &header)?;
        let open = |path: PathBuf| {
            let file = File::open(&path).map_err(Error::io("open the weights", &path))?;
            Ok(Part { path, file: Mutex::new(file) })
        };
        Ok(GgufFile { parts: paths.into_iter().map(open).collect::<Result<_>>()?, header })
    }

    /// The file, or the first, which has the metadata.
    fn path(&self) -> &Path {
        &self.parts[0].path
    }

    fn metadata(&self) -> Metadata<'_> {
        Metadata::new(self.path(), &self.header.metadata)
    }

    /// SHA-256 of the file; of several, over those of each, in order.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sha256(&self) -> Result<String> {
        let hashes = self.parts.iter().map(|part| artefact::hash_file(&part.path));
        let hashes = hashes.collect::<Result<Vec<String>>>()?;
        Ok(if let [one] = &hashes[..] { one.clone() } else { artefact::hash(hashes.join("\n").as_bytes()) })
    }

    /// The file's tokenizer, read as the tokenizer.json of a Hugging Face folder and what stands beside it.
    ///
    /// # Errors
    /// What is missing or not known, by key.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let metadata = self.metadata();
        let tokenizer = Tokenizer::parse(self.path(), &tokenizer::json(&metadata)?)?;
        Ok(tokenizer.with_files(tokenizer::files(&metadata)?))
    }

    /// The spec, and the SHA-256 of the metadata that it follows from.
    ///
    /// # Errors
    /// What is missing or not honoured, by key, or by tensor if one would be left out.
    pub fn spec(&self) -> Result<(Spec, String)> {
        let metadata = self.metadata();
        let architecture = architectures::of(&metadata)?;
        let has_in_block = |name: &str| self.has(&format!("blk.0.{name}.weight"));
        let shapes = Shapes {
            d_vocab: self.entry("token_embd.weight")?.shape[0],
            tied: !self.has("output.weight"),
            frequency_factors: self.frequency_factors()?,
            mlp_norm: has_in_block("ffn_norm"),
            second_attn_norm: has_in_block("attn_norm_2"),
            qk_norm: has_in_block("attn_q_norm"),
        };
        let fields = config::fields(&metadata, architecture, shapes)?;
        let sha256 = artefact::hash(serde_json::Value::Object(fields.clone()).to_string().as_bytes());
        let spec = self.as_stored(architecture, Config::of(self.path(), fields).spec()?);
        let sources = list(&spec).into_iter().map(|(param, _)| source(&spec, param, &self.header));
        let used: BTreeSet<String> = sources.flat_map(|source| source.tensors).collect();
        if let Some(tensor) = unused(&self.header, &used) {
            let found = format!("tensor `{tensor}`, which is no part of a {}", architecture.model_type);
            let expected = "the tensors of its architecture only; what it holds would change numbers";
            return Err(Error::bad_file(self.path(), found, expected));
        }
        Ok((spec, sha256))
    }

    /// The family's spec, changed to how this format stores the same model.
    fn as_stored(&self, architecture: &Architecture, mut spec: Spec) -> Spec {
        let has_bias = |names: [&str; 2]| names.iter().any(|name| self.has(&format!("blk.0.{name}.bias")));
        spec.biases = Biases {
            qkv: has_bias(["attn_q", "attn_qkv"]),
            attn_out: has_bias(["attn_output"; 2]),
            mlp: has_bias(["ffn_down"; 2]),
        };
        if architecture.norms_hold_one {
            spec.norm = NormKind::RmsNorm;
            if let Some(norm) = &mut spec.attention.qk_norm {
                norm.kind = NormKind::RmsNorm;
            }
        }
        if spec.attention.direction == Direction::Bidirectional {
            // llama.cpp keeps of an encoder what stands before its head.
            spec.head = None;
            let types = self.header.tensors.get(TOKEN_TYPES);
            spec.embedding.n_token_types = types.map(|entry| entry.shape[0]);
        }
        spec
    }

    /// The types in which matrices are stored.
    pub fn stored_types(&self) -> StoredTypes {
        let matrices = self.header.tensors.values().filter(|entry| entry.shape.len() > 1);
        stored_types(matrices.map(|entry| (entry.kind.to_string(), entry.bytes.len() as u64)))
    }

    fn has(&self, tensor: &str) -> bool {
        self.header.tensors.contains_key(tensor)
    }

    fn entry(&self, tensor: &str) -> Result<&Entry> {
        let missing = || Error::MissingTensor { path: self.path().to_path_buf(), tensor: tensor.to_string() };
        self.header.tensors.get(tensor).ok_or_else(missing)
    }

    /// The divisors of the rotary frequencies, where the file has them.
    fn frequency_factors(&self) -> Result<Option<Vec<f64>>> {
        let Some(name) = FREQUENCY_FACTORS.into_iter().find(|name| self.has(name)) else { return Ok(None) };
        let entry = self.entry(name)?;
        let factors = self.part(entry, 0..entry.rows())?.dense()?.flatten_all()?.to_vec1::<f32>()?;
        if let Some(bad) = factors.iter().find(|x| !(x.is_finite() && **x > 0.0)) {
            let found = format!("tensor `{name}` with {bad}");
            return Err(Error::bad_file(self.holding(entry), found, "numbers above 0; fetch the file again"));
        }
        Ok(Some(factors.into_iter().map(f64::from).collect()))
    }

    /// The file that a tensor lies in.
    fn holding(&self, entry: &Entry) -> &Path {
        &self.parts[entry.part].path
    }

    /// Bytes of a file.
    fn read(&self, part: &Part, range: Range<usize>) -> Result<Vec<u8>> {
        let mut bytes = vec![0; range.len()];
        let mut file = part.file.lock().map_err(|_| Error::Internal("a reader of the file failed".into()))?;
        let read = file.seek(SeekFrom::Start(range.start as u64)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(Error::io("read the weights", &part.path))?;
        Ok(bytes)
    }

    /// Rows of a tensor as they are stored; a vector is one row.
    fn part(&self, entry: &Entry, rows: Range<usize>) -> Result<Weight> {
        let size = entry.bytes.len() / entry.rows();
        let from = entry.bytes.start;
        let range = from + rows.start * size..from + rows.end * size;
        let bytes = self.read(&self.parts[entry.part], range)?;
        let (width, n) = (entry.shape[entry.shape.len() - 1], rows.len());
        let ty = match entry.kind {
            Kind::Quantised(ty) => ty,
            Kind::Dense(dtype) => {
                let shape = if entry.shape.len() == 1 { vec![width] } else { vec![n, width] };
                return Ok(Weight::Dense(Tensor::from_raw_buffer(&bytes, dtype, &shape, &Device::Cpu)?));
            }
        };
        Ok(Weight::Quantised(Blocks::new(bytes, ty, [n, width])?))
    }

    /// A parameter: matrices as `precision` asks, norms and biases in f32.
    ///
    /// # Shapes
    /// `shape`, which the spec asks for; matrices are `[out, in]`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::BadFile`] or [`Error::NonFinite`] naming the tensor.
    pub fn load(
        &self,
        spec: &Spec,
        (param, shape): (Param, &[usize]),
        precision: Precision,
    ) -> Result<Weight> {
        let weight = self.stored(spec, (param, shape), precision)?;
        match param.place {
            Place::Block(_, params::Part::Query | params::Part::Key)
                if architectures::of(&self.metadata())?.pairs_lie_together =>
            {
                weight.with_rows(&halves_apart(shape[0], spec.d_head))
            }
            _ => Ok(weight),
        }
    }

    /// The same with its rows in the file's order.
    fn stored(&self, spec: &Spec, (param, shape): (Param, &[usize]), precision: Precision) -> Result<Weight> {
        let Source { tensors, cut } = source(spec, param, &self.header);
        let name = tensors.concat();
        let entry = self.entry(&name)?;
        let (from, n_stored) = match cut.rows {
            Rows::All => (0, shape[0]),
            Rows::Of { of, from, .. } => (from, of),
        };
        let stored = [&[n_stored], &shape[1..]].concat();
        if entry.shape != stored {
            let found = format!("tensor `{name}` of shape {:?}", entry.shape);
            let expected = format!("{stored:?}, as its metadata asks");
            return Err(Error::bad_file(self.holding(entry), found, expected));
        }
        let path = self.holding(entry);
        if shape.len() == 1 {
            let values = self.part(entry, 0..1)?.dense()?.flatten_all()?;
            let values = values.narrow(0, from, shape[0])?.contiguous()?;
            check_finite(path, (param, &name), &values)?;
            return Ok(Weight::Dense(values));
        }
        // Norms of each head are a matrix, and stay in f32 as other norms do.
        let dtype = if param.place.is_norm() { Some(DType::F32) } else { precision.dtype() };
        let weight = match (self.part(entry, from..from + shape[0])?, dtype) {
            (Weight::Quantised(blocks), None) => {
                check_blocks(path, (param, &name), &blocks)?;
                return Ok(Weight::Quantised(blocks));
            }
            (weight, Some(dtype)) => weight.dense()?.to_dtype(dtype)?,
            (weight, None) => weight.into_stored()?,
        };
        check_finite(path, (param, &name), &weight)?;
        Ok(Weight::Dense(weight))
    }
}

/// Refuses blocks with a number that is none; a part at a time, so that a large matrix needs little room.
fn check_blocks(path: &Path, what: (Param, &str), blocks: &Blocks) -> Result<()> {
    let [rows, width] = blocks.dims();
    let step = (CHECKED_AT_ONCE / width).max(1);
    for from in (0..rows).step_by(step) {
        let n = step.min(rows - from);
        let mut values = vec![0f32; n * width];
        blocks.unpack(from..from + n, &mut values);
        check_finite(path, what, &Tensor::from_vec(values, (n, width), &Device::Cpu)?)?;
    }
    Ok(())
}

/// For each row of a family's queries or keys, its place in a file that lays the two halves of a head one row between each
/// other.
fn halves_apart(n_rows: usize, d_head: usize) -> Vec<usize> {
    let half = d_head / 2;
    let row = |at: usize| {
        let (head, within) = (at / d_head, at % d_head);
        head * d_head + 2 * (within % half) + within / half
    };
    (0..n_rows).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_that_lie_between_each_other_come_apart_again() {
        // As llama.cpp's converter reorders two heads of four rows: [head, half, pair] to [head, pair, half].
        let stored = [0, 2, 1, 3, 4, 6, 5, 7];
        let back: Vec<usize> = halves_apart(8, 4).into_iter().map(|at| stored[at]).collect();
        assert_eq!(back, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
