//! An open GGUF model, in one file or several: its spec, its parameters and its tokenizer.

use super::architectures::Architecture;
use super::config::{self, Shapes};
use super::header::{Entry, Header};
use super::metadata::Metadata;
use super::tensor_type::GgmlType;
use super::tensors::{FREQUENCY_FACTORS, TOKEN_TYPES, source, unused};
use super::{architectures, purpose, split, tokenizer};
use crate::artefact::{self, FileState};
use crate::error::{Error, Result};
use crate::model::families::Config;
use crate::model::kernels::{QuantisedMatrix, Weight};
use crate::model::precision::Precision;
use crate::model::spec::{AttentionDirection, Biases, NormKind, Spec};
use crate::model::weights::memory::{StoredTypes, stored_types};
use crate::model::weights::{
    BlockPart, Origin, Param, Place, SliceRows, TensorSource, check_finite, list, mmap,
};
use crate::tokenizer::Tokenizer;
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Maximum number of values that are unpacked and checked at a time.
const CHECK_CHUNK: usize = 1 << 22;

/// An open GGUF model: its headers are in memory, its tensors are read on demand.
pub(crate) struct GgufFile {
    /// The files, in order.
    parts: Vec<PartFile>,
    header: Header,
}

/// One file of a model.
struct PartFile {
    path: PathBuf,
    file: Mutex<File>,
    state: FileState,
}

impl PartFile {
    /// Opens a file and reads its header.
    fn open(path: &Path) -> Result<(PartFile, Header)> {
        let file = artefact::open_regular(path)?;
        let state = FileState::of(&file, path)?;
        // The memory map is released once the header is read; otherwise its pages would count as used memory, in
        // addition to the tensors.
        let header = Header::parse(path, &mmap::map_open(&file, path)?)?;
        Ok((PartFile { path: path.to_path_buf(), file: Mutex::new(file), state }, header))
    }
}

impl GgufFile {
    /// Opens a file and, if it is a part of a model, the other parts, and reads their headers.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::BadFile`] with the name of a file that is truncated, missing, of another model, or
    /// not a model.
    pub(crate) fn open(path: &Path) -> Result<GgufFile> {
        let own = PartFile::open(path)?;
        let paths = split::parts(path, &own.1)?;
        let opened = match &paths[..] {
            [_] => vec![own],
            several => several.iter().map(|path| PartFile::open(path)).collect::<Result<_>>()?,
        };
        let (parts, headers): (Vec<PartFile>, Vec<Header>) = opened.into_iter().unzip();
        let header = split::merge(&paths, headers)?;
        purpose::check(&paths[0], &header)?;
        Ok(GgufFile { parts, header })
    }

    /// The files, each in the state in which it was opened.
    pub(crate) fn states(&self) -> Vec<(PathBuf, FileState)> {
        self.parts.iter().map(|part| (part.path.clone(), part.state)).collect()
    }

    /// The path of the file; of several files, the path of the first, which has the metadata.
    fn path(&self) -> &Path {
        &self.parts[0].path
    }

    fn metadata(&self) -> Metadata<'_> {
        Metadata::new(self.path(), &self.header.metadata)
    }

    /// SHA-256 of the file; for several files, SHA-256 of the list of their hashes.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::BadFile`] if a file was exchanged or changed since it was opened.
    pub(crate) fn sha256(&self) -> Result<String> {
        let hashes = self.parts.iter().map(|part| part.state.hash(&part.path));
        let hashes = hashes.collect::<Result<Vec<String>>>()?;
        Ok(if let [one] = &hashes[..] { one.clone() } else { artefact::hash(hashes.join("\n").as_bytes()) })
    }

    /// The model's tokenizer, converted to the tokenizer.json and the settings files of a Hugging Face folder.
    ///
    /// # Errors
    /// A value that is missing, of the wrong type or unknown; the error names the key.
    pub(crate) fn tokenizer(&self) -> Result<Tokenizer> {
        let metadata = self.metadata();
        let tokenizer = Tokenizer::parse(self.path(), &tokenizer::json(&metadata)?)?;
        Ok(tokenizer.with_files(tokenizer::files(&metadata)?))
    }

    /// The spec, and the SHA-256 of the config fields that were converted from the metadata.
    ///
    /// # Errors
    /// A missing or unsupported value, with its key; or a tensor that the architecture does not use, with its name.
    pub(crate) fn spec(&self) -> Result<(Spec, String)> {
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
            let found = format!("tensor `{tensor}`, which a {} model does not have", architecture.model_type);
            let expected = "only tensors of its architecture, since another tensor may change numbers";
            return Err(Error::bad_file(self.path(), found, expected));
        }
        Ok((spec, sha256))
    }

    /// The family's spec with the changes of this format: the biases in the file, norms that are stored with their 1,
    /// and encoders without a head.
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
        if spec.attention.direction == AttentionDirection::Bidirectional {
            // llama.cpp stores an encoder without its head.
            spec.head = None;
            let types = self.header.tensors.get(TOKEN_TYPES);
            spec.embedding.n_token_types = types.map(|entry| entry.shape[0]);
        }
        spec
    }

    /// The number formats of the stored matrices.
    pub(crate) fn stored_types(&self) -> StoredTypes {
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

    /// The divisors of the rotary frequencies, if the file has them.
    fn frequency_factors(&self) -> Result<Option<Vec<f64>>> {
        let Some(name) = FREQUENCY_FACTORS.into_iter().find(|name| self.has(name)) else { return Ok(None) };
        let entry = self.entry(name)?;
        let factors = self.rows(entry, 0..entry.rows())?.dense()?.flatten_all()?.to_vec1::<f32>()?;
        if let Some(bad) = factors.iter().find(|x| !(x.is_finite() && **x > 0.0)) {
            let found = format!("tensor `{name}` with {bad}");
            return Err(Error::bad_file(self.path_of(entry), found, "numbers above 0; fetch the file again"));
        }
        Ok(Some(factors.into_iter().map(f64::from).collect()))
    }

    /// The path of a tensor's file.
    fn path_of(&self, entry: &Entry) -> &Path {
        &self.parts[entry.part].path
    }

    /// Reads a range of bytes of a file.
    fn read(&self, part: &PartFile, range: Range<usize>) -> Result<Vec<u8>> {
        let mut bytes = vec![0; range.len()];
        let mut file = part.file.lock().map_err(|_| Error::Internal("a reader of the file failed".into()))?;
        let read = file.seek(SeekFrom::Start(range.start as u64)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(Error::io("read the weights", &part.path))?;
        part.state.check(&part.path, FileState::of(&file, &part.path)?)?;
        Ok(bytes)
    }

    /// Rows of a tensor in its stored type; a vector is one row.
    fn rows(&self, entry: &Entry, rows: Range<usize>) -> Result<Weight> {
        let size = entry.bytes.len() / entry.rows();
        let from = entry.bytes.start;
        let range = from + rows.start * size..from + rows.end * size;
        let bytes = self.read(&self.parts[entry.part], range)?;
        let (width, n) = (entry.shape[entry.shape.len() - 1], rows.len());
        let ty = match entry.kind {
            GgmlType::Quantised(ty) => ty,
            GgmlType::Dense(dtype) => {
                let shape = if entry.shape.len() == 1 { vec![width] } else { vec![n, width] };
                return Ok(Weight::Dense(Tensor::from_raw_buffer(&bytes, dtype, &shape, &Device::Cpu)?));
            }
        };
        Ok(Weight::Quantised(QuantisedMatrix::new(bytes, ty, [n, width])?))
    }

    /// A parameter: matrices in the format of `precision`, norms and biases in f32.
    ///
    /// # Shapes
    /// `shape`, which the spec requires; matrices are `[out, in]`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::BadFile`] or [`Error::NonFinite`] with the tensor's name.
    pub(crate) fn load(
        &self,
        spec: &Spec,
        param: Param,
        shape: &[usize],
        precision: Precision,
    ) -> Result<Weight> {
        let weight = self.stored(spec, param, shape, precision)?;
        match param.place {
            Place::Block(_, BlockPart::Query | BlockPart::Key)
                if architectures::of(&self.metadata())?.pairs_are_adjacent =>
            {
                weight.with_rows(&deinterleave(shape[0], spec.d_head))
            }
            _ => Ok(weight),
        }
    }

    /// As [`GgufFile::load`], with the rows in the file's order.
    fn stored(&self, spec: &Spec, param: Param, shape: &[usize], precision: Precision) -> Result<Weight> {
        let TensorSource { tensors, slice } = source(spec, param, &self.header);
        let name = tensors.concat();
        let entry = self.entry(&name)?;
        let (from, n_stored) = match slice.rows {
            SliceRows::All => (0, shape[0]),
            SliceRows::Of { of, from, .. } => (from, of),
        };
        let stored = [&[n_stored], &shape[1..]].concat();
        if entry.shape != stored {
            let found = format!("tensor `{name}` of shape {:?}", entry.shape);
            let expected = format!("{stored:?}, as the file's metadata states");
            return Err(Error::bad_file(self.path_of(entry), found, expected));
        }
        let origin = Origin { path: self.path_of(entry), param, tensor: &name };
        if shape.len() == 1 {
            let values = self.rows(entry, 0..1)?.dense()?.flatten_all()?;
            let values = values.narrow(0, from, shape[0])?.contiguous()?;
            check_finite(origin, &values)?;
            return Ok(Weight::Dense(values));
        }
        // A norm for each head is a matrix, but is loaded in f32 like other norms.
        let dtype = if param.place.is_norm() { Some(DType::F32) } else { precision.dtype() };
        let weight = match (self.rows(entry, from..from + shape[0])?, dtype) {
            (Weight::Quantised(blocks), None) => {
                check_blocks(origin, &blocks)?;
                return Ok(Weight::Quantised(blocks));
            }
            (weight, Some(dtype)) => weight.dense()?.to_dtype(dtype)?,
            (weight, None) => weight.into_stored()?,
        };
        check_finite(origin, &weight)?;
        Ok(Weight::Dense(weight))
    }
}

/// Refuses blocks with a non-finite value; checked in chunks, so that a large matrix needs little memory.
fn check_blocks(origin: Origin, blocks: &QuantisedMatrix) -> Result<()> {
    let [rows, width] = blocks.dims();
    let step = (CHECK_CHUNK / width).max(1);
    for from in (0..rows).step_by(step) {
        let n = step.min(rows - from);
        let mut values = vec![0f32; n * width];
        blocks.unpack(from..from + n, &mut values);
        check_finite(origin, &Tensor::from_vec(values, (n, width), &Device::Cpu)?)?;
    }
    Ok(())
}

/// For each row of a family's queries or keys, its row in a file that interleaves the two halves of each head.
fn deinterleave(n_rows: usize, d_head: usize) -> Vec<usize> {
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
    fn a_file_that_changes_after_it_was_opened_gives_neither_values_nor_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        let original = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gguf/gpt2.gguf");
        std::fs::copy(original, &path).unwrap();
        let file = GgufFile::open(&path).unwrap();
        let (spec, _) = file.spec().unwrap();
        let load = || {
            let shape = [spec.d_vocab, spec.d_model];
            file.load(&spec, Place::Embed.weight(), &shape, Precision::F32)?
                .dense()?
                .flatten_all()?
                .to_vec1::<f32>()
                .map_err(Error::from)
        };
        let (values, sha256) = (load().unwrap(), file.sha256().unwrap());
        assert_eq!(sha256, artefact::hash(&std::fs::read(&path).unwrap()));
        // The open file is still the first one, so its values stay; the path now names another file.
        let other = folder.path().join("other");
        std::fs::copy(original, &other).unwrap();
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(load().unwrap(), values);
        assert!(file.sha256().unwrap_err().to_string().contains("exchanged"));
        File::options().append(true).open(folder.path().join("moved")).unwrap().set_len(9).unwrap();
        let refusal = load().unwrap_err().to_string();
        assert!(refusal.contains("m.gguf"), "{refusal}");
    }

    #[test]
    fn interleaved_halves_are_separated() {
        // As llama.cpp's converter reorders two heads of four rows: [head, half, pair] to [head, pair, half].
        let stored = [0, 2, 1, 3, 4, 6, 5, 7];
        let back: Vec<usize> = deinterleave(8, 4).into_iter().map(|at| stored[at]).collect();
        assert_eq!(back, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
