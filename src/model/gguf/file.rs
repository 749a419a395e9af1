//! An open GGUF file: its spec, its parameters, its tokenizer.

use super::config::{self, Architecture, Shapes};
use super::header::{Entry, Header};
use super::metadata::Metadata;
use super::tensors::{FREQUENCY_FACTORS, source, unused};
use super::tokenizer;
use crate::artefact;
use crate::error::{Error, Result};
use crate::model::families::Config;
use crate::model::linear::Weight;
use crate::model::mapped;
use crate::model::params::{Param, list};
use crate::model::rotary::RotaryLayout;
use crate::model::spec::{Biases, NormKind, Position, Spec};
use crate::model::tokenizer::Tokenizer;
use crate::model::weights::{Precision, Rows, Source, check_finite};
use candle_core::quantized::{QStorage, QTensor};
use candle_core::{Device, Tensor};
use memmap2::Mmap;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Numbers that are looked at together for one that is none.
const CHECKED_AT_ONCE: usize = 1 << 22;

/// A GGUF file whose header was read.
pub struct GgufFile {
    path: PathBuf,
    bytes: Mmap,
    header: Header,
}

impl GgufFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::BadFile`].
    pub fn open(path: &Path) -> Result<GgufFile> {
        let bytes = mapped::map(path)?;
        let header = Header::parse(path, &bytes)?;
        Ok(GgufFile { path: path.to_path_buf(), bytes, header })
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> String {
        artefact::hash(&self.bytes)
    }

    /// The file's tokenizer, read as the tokenizer.json of a Hugging Face folder and what stands beside it.
    ///
    /// # Errors
    /// What is missing or not known, by key.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let metadata = Metadata::new(&self.path, &self.header.metadata);
        let tokenizer = Tokenizer::parse(&self.path, &tokenizer::json(&metadata)?)?;
        Ok(tokenizer.with_files(tokenizer::files(&metadata)?))
    }

    /// The spec, and the SHA-256 of the metadata that it follows from.
    ///
    /// # Errors
    /// What is missing or not honoured, by key, or by tensor if one would be left out.
    pub fn spec(&self) -> Result<(Spec, String)> {
        let metadata = Metadata::new(&self.path, &self.header.metadata);
        let architecture = config::architecture(&metadata)?;
        let shapes = Shapes {
            d_vocab: self.entry("token_embd.weight")?.shape[0],
            tied: !self.has("output.weight"),
            frequency_factors: self.frequency_factors()?,
        };
        let fields = config::fields(&metadata, architecture, shapes)?;
        let sha256 = artefact::hash(serde_json::Value::Object(fields.clone()).to_string().as_bytes());
        let spec = self.as_stored(architecture, Config::of(&self.path, fields).spec()?);
        let sources = list(&spec).into_iter().map(|(param, _)| source(&spec, param, &self.header));
        let used: BTreeSet<String> = sources.flat_map(|source| source.tensors).collect();
        if let Some(tensor) = unused(&self.header, &used) {
            let found = format!("tensor `{tensor}`, which is no part of a {}", architecture.model_type);
            let expected = "the tensors of its architecture only; what it holds would change numbers";
            return Err(Error::bad_file(&self.path, found, expected));
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
        if architecture.rotates_neighbours {
            for layer in &mut spec.layers {
                if let Position::Rotary(rotary) = &mut layer.position {
                    rotary.layout = RotaryLayout::Interleaved;
                }
            }
        }
        spec
    }

    /// Bytes that the weights take in memory: quantised tensors as they are, others as asked for.
    pub fn weight_bytes(&self, precision: Precision) -> u64 {
        let bytes = |entry: &Entry| {
            let n = entry.shape.iter().product::<usize>() as u64;
            let size = |stored| n * precision.dtype(stored).size_in_bytes() as u64;
            entry.kind.dense().map_or(entry.bytes.len() as u64, size)
        };
        self.header.tensors.values().map(bytes).sum()
    }

    fn has(&self, tensor: &str) -> bool {
        self.header.tensors.contains_key(tensor)
    }

    fn entry(&self, tensor: &str) -> Result<&Entry> {
        let missing = || Error::MissingTensor { path: self.path.clone(), tensor: tensor.to_string() };
        self.header.tensors.get(tensor).ok_or_else(missing)
    }

    /// The divisors of the rotary frequencies, where the file has them.
    fn frequency_factors(&self) -> Result<Option<Vec<f64>>> {
        let Some(name) = FREQUENCY_FACTORS.into_iter().find(|name| self.has(name)) else { return Ok(None) };
        let entry = self.entry(name)?;
        let factors = self.part(entry, 0..entry.rows())?.dense()?.flatten_all()?.to_vec1::<f32>()?;
        if let Some(bad) = factors.iter().find(|x| !(x.is_finite() && **x > 0.0)) {
            let found = format!("tensor `{name}` with {bad}");
            return Err(Error::bad_file(&self.path, found, "numbers above 0; fetch the file again"));
        }
        Ok(Some(factors.into_iter().map(f64::from).collect()))
    }

    /// Rows of a tensor as they are stored; a vector is one row.
    fn part(&self, entry: &Entry, rows: Range<usize>) -> Result<Weight> {
        let size = entry.bytes.len() / entry.rows();
        let from = entry.bytes.start;
        let bytes = &self.bytes[from + rows.start * size..from + rows.end * size];
        let shape = match &entry.shape[..] {
            [width] => vec![*width],
            shape => [&[rows.len()], &shape[1..]].concat(),
        };
        if let Some(dtype) = entry.kind.dense() {
            return Ok(Weight::Dense(Tensor::from_raw_buffer(bytes, dtype, &shape, &Device::Cpu)?));
        }
        let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, entry.kind.0)?;
        Ok(Weight::Quantised(Arc::new(QTensor::new(storage, shape)?)))
    }

    /// A parameter: quantised matrices as they are, others as `precision` asks, norms and biases in f32.
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
            return Err(Error::bad_file(&self.path, found, format!("{stored:?}, as its metadata asks")));
        }
        if shape.len() == 1 {
            let values = self.part(entry, 0..1)?.dense()?.narrow(0, from, shape[0])?.contiguous()?;
            check_finite(&self.path, (param, &name), &values)?;
            return Ok(Weight::Dense(values));
        }
        let rows = from..from + shape[0];
        self.check_rows((param, &name), entry, rows.clone())?;
        Ok(match self.part(entry, rows)? {
            Weight::Dense(tensor) => Weight::Dense(tensor.to_dtype(precision.dtype(tensor.dtype()))?),
            blocks if entry.kind.multiplies(entry.shape[1]) => blocks,
            blocks => Weight::Dense(blocks.dense()?),
        })
    }

    /// Whether every number of these rows is one; a part at a time, so that a large matrix needs little room.
    fn check_rows(&self, what: (Param, &str), entry: &Entry, rows: Range<usize>) -> Result<()> {
        let step = (CHECKED_AT_ONCE / entry.shape[1]).max(1);
        for from in rows.clone().step_by(step) {
            let values = self.part(entry, from..(from + step).min(rows.end))?.dense()?;
            check_finite(&self.path, what, &values)?;
        }
        Ok(())
    }
}
