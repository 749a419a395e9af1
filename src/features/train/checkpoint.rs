//! A trainer's checkpoint: all that the next step depends on, in one safetensors file.

use super::init::RowScale;
use super::parameters::{NAMES, Parameters};
use super::row_source::RowSource;
use super::settings::TrainSettings;
use super::trainer::DictionaryTrainer;
use crate::artefact;
use crate::error::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;

/// The name prefixes of the three sets of parameters.
const SETS: [&str; 3] = ["", "first.", "second."];

impl<'a> DictionaryTrainer<'a> {
    /// Saves the state that the next step depends on.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: Vec<(String, Dtype, Vec<u8>)> = Vec::new();
        for (set, params) in SETS.iter().zip([&self.params, &self.adam.first, &self.adam.second]) {
            for (name, values) in NAMES.iter().zip(params.arrays()) {
                tensors.push((format!("{set}{name}"), Dtype::F32, bytes(values)));
            }
        }
        tensors.push(("median".into(), Dtype::F32, bytes(&self.row_scale.median)));
        tensors.push(("scale".into(), Dtype::F32, bytes(&[self.row_scale.factor])));
        let since = self.since.iter().flat_map(|n| n.to_le_bytes()).collect();
        tensors.push(("since".into(), Dtype::U64, since));
        tensors.push(("step".into(), Dtype::U64, (self.adam.step as u64).to_le_bytes().to_vec()));
        let ours = |e: safetensors::SafeTensorError| Error::Internal(e.to_string());
        let mut views = Vec::with_capacity(tensors.len());
        for (name, dtype, data) in &tensors {
            let shape = vec![data.len() / (dtype.bitsize() / 8)];
            views.push((name, TensorView::new(*dtype, shape, data).map_err(ours)?));
        }
        artefact::save_bytes(path, &safetensors::serialize(views, None).map_err(ours)?)
    }

    /// Resumes from a file of [`DictionaryTrainer::save`]; `source` and `settings` must be those of the saved training.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadFile`] if the file is no checkpoint, or its shapes or step do not fit the rows and
    /// settings. Other rows or settings with equal shapes are not detected.
    pub fn resume(
        source: &'a dyn RowSource,
        settings: TrainSettings,
        path: &Path,
    ) -> Result<DictionaryTrainer<'a>> {
        let file = artefact::load_saved(path)?;
        let read = Read { path, tensors: SafeTensors::deserialize(&file).map_err(|e| wrong(path, e))? };
        let median = read.f32s("median", source.width())?;
        let scale = RowScale { factor: read.f32s("scale", 1)?[0], median };
        let mut trainer = DictionaryTrainer::with(source, settings, scale)?;
        for (set, params) in
            SETS.iter().zip([&mut trainer.params, &mut trainer.adam.first, &mut trainer.adam.second])
        {
            read.parameters(set, params)?;
        }
        trainer.since = read.u64s("since", trainer.since.len())?;
        trainer.adam.step = read.u64s("step", 1)?[0] as usize;
        if trainer.adam.step > trainer.steps().1 {
            return Err(wrong(path, format!("step {} of {}", trainer.adam.step, trainer.steps().1)));
        }
        Ok(trainer)
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn wrong(path: &Path, found: impl ToString) -> Error {
    Error::bad_file(path, found, "a checkpoint of this training; move the file away to start again")
}

/// A checkpoint's tensors.
struct Read<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl Read<'_> {
    fn data(&self, name: &str, dtype: Dtype, n: usize) -> Result<&[u8]> {
        let tensor = self.tensors.tensor(name).map_err(|e| wrong(self.path, format!("{name}: {e}")))?;
        if tensor.dtype() != dtype || tensor.shape() != [n] {
            let found = format!("{name} as {:?} of shape {:?}, not [{n}]", tensor.dtype(), tensor.shape());
            return Err(wrong(self.path, found));
        }
        Ok(tensor.data())
    }

    fn f32s(&self, name: &str, n: usize) -> Result<Vec<f32>> {
        let (numbers, _) = self.data(name, Dtype::F32, n)?.as_chunks::<4>();
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn u64s(&self, name: &str, n: usize) -> Result<Vec<u64>> {
        let (numbers, _) = self.data(name, Dtype::U64, n)?.as_chunks::<8>();
        Ok(numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }

    fn parameters(&self, set: &str, params: &mut Parameters) -> Result<()> {
        for (name, values) in NAMES.iter().zip(params.arrays_mut()) {
            *values = self.f32s(&format!("{set}{name}"), values.len())?;
        }
        Ok(())
    }
}
