//! Vectors in the stream by hook point, with their lengths, in files of `mappa steer extract` and of other programs.

use crate::artefact;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::limits::LAYERS;
use crate::model::{ControlVector, Spec, load_control_vector, save_control_vector, tensors_of_file};
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Vectors by hook point; a file may also have a single vector for all hook points.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vectors {
    at: BTreeMap<HookPoint, Vec<f64>>,
    anywhere: Option<Vec<f64>>,
}

/// The expected content of a file of vectors, for errors.
const EXPECTED: &str = "a safetensors file with one vector, or one per hook point (blocks.3.hook_resid_post), \
                        or a GGUF control vector";

impl Vectors {
    /// Vectors by hook point.
    pub fn new(at: BTreeMap<HookPoint, Vec<f64>>) -> Vectors {
        Vectors { at, anywhere: None }
    }

    /// Reads a GGUF control vector if the file's name ends in `.gguf`, otherwise a safetensors file.
    ///
    /// `direction.k` of a control vector belongs to the output of block `k + shift`.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a tensor that is not a vector; [`Error::NonFinite`] naming the vector;
    /// [`Error::Invalid`] for a shift to a block below 0.
    pub fn load(path: &Path, shift: i64) -> Result<Vectors> {
        let vectors = match path.extension().is_some_and(|ending| ending == "gguf") {
            true => Vectors::of_blocks(load_control_vector(path)?, shift)?,
            false => Vectors::of_tensors(path)?,
        };
        for (name, vector) in vectors.named() {
            if let Some(found) = vector.iter().copied().find(|value| !value.is_finite()) {
                let place = format!("{}: vector `{name}`", path.display());
                return Err(Error::NonFinite { place, found, advice: "create the file again".into() });
            }
        }
        Ok(vectors)
    }

    fn of_blocks(blocks: ControlVector, shift: i64) -> Result<Vectors> {
        let moved = |(block, vector): (usize, Vec<f32>)| {
            let to = i128::try_from(block).unwrap_or(i128::MAX).saturating_add(shift.into());
            let to = usize::try_from(to).ok().filter(|to| LAYERS.most > *to as u64);
            let to = to.ok_or_else(|| {
                Error::invalid(
                    "--shift",
                    shift,
                    format!("a shift that moves direction.{block} to a block from 0 to {}", LAYERS.most - 1),
                )
            })?;
            Ok((HookPoint::ResidPost(to), vector.into_iter().map(f64::from).collect()))
        };
        Ok(Vectors::new(blocks.into_iter().map(moved).collect::<Result<_>>()?))
    }

    fn of_tensors(path: &Path) -> Result<Vectors> {
        let bad = |found: String| Error::bad_file(path, found, EXPECTED);
        let tensors = tensors_of_file(path, EXPECTED)?;
        let is_one = tensors.len() == 1;
        let mut vectors = Vectors::default();
        for (name, tensor) in tensors {
            if tensor.dims().iter().filter(|n| **n > 1).count() > 1 {
                return Err(bad(format!("tensor `{name}` of shape {:?}", tensor.dims())));
            }
            let values = tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
            match name.parse::<HookPoint>() {
                Ok(point) => _ = vectors.at.insert(point, values),
                Err(_) if is_one => vectors.anywhere = Some(values),
                Err(_) => return Err(bad(format!("tensor `{name}` among several"))),
            }
        }
        if is_one || !vectors.at.is_empty() { Ok(vectors) } else { Err(bad("no tensors".into())) }
    }

    /// Writes a safetensors file with one tensor per hook point, in f32.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = HashMap::new();
        for (name, vector) in self.named() {
            let values: Vec<f32> = vector.iter().map(|x| *x as f32).collect();
            tensors.insert(name, Tensor::from_vec(values, vector.len(), &Device::Cpu)?);
        }
        save_tensors(path, &tensors)
    }

    /// Writes a GGUF control vector of the blocks' outputs from block 1 on; returns the hook points that the format
    /// cannot store.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the format can store none of the vectors; [`Error::Io`] naming the file.
    pub fn export(&self, path: &Path, spec: &Spec) -> Result<Vec<HookPoint>> {
        let mut blocks = ControlVector::new();
        let mut left_out = Vec::new();
        for (point, vector) in &self.at {
            match point {
                HookPoint::ResidPost(block @ 1..) => {
                    blocks.insert(*block, vector.iter().map(|x| *x as f32).collect());
                }
                other => left_out.push(*other),
            }
        }
        let architecture = match spec.family {
            "gpt_neox" => "gptneox",
            "phi" => "phi2",
            family => family,
        };
        save_control_vector(path, &blocks, architecture)?;
        Ok(left_out)
    }

    /// The vector at a hook point of a model.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, or its width is not that of the model.
    pub fn get(&self, spec: &Spec, point: HookPoint) -> Result<&[f64]> {
        let vector = self.at.get(&point).or(self.anywhere.as_ref()).ok_or_else(|| {
            let known: Vec<String> = self.at.keys().map(HookPoint::to_string).collect();
            Error::invalid("vector for a hook point", point, format!("one of {}", known.join(", ")))
        })?;
        match spec.width_at(point) {
            Some(width) if width == vector.len() => Ok(vector),
            Some(width) => {
                let expected = format!("{width}, the width of {point} in this model");
                Err(Error::invalid("vector", format!("{} values", vector.len()), expected))
            }
            None => Err(Error::invalid("hook point of a vector", point, "a hook point of this model")),
        }
    }

    /// The hook points that have a vector of their own.
    pub fn points(&self) -> impl Iterator<Item = HookPoint> + '_ {
        self.at.keys().copied()
    }

    fn named(&self) -> impl Iterator<Item = (String, &Vec<f64>)> {
        let anywhere = self.anywhere.iter().map(|vector| ("direction".to_string(), vector));
        self.at.iter().map(|(point, vector)| (point.to_string(), vector)).chain(anywhere)
    }
}

/// Writes tensors as a safetensors file, completely or not at all, in a folder that is created if it is missing.
pub(super) fn save_tensors(path: &Path, tensors: &HashMap<String, Tensor>) -> Result<()> {
    let bytes = safetensors::serialize(tensors, None).map_err(|e| Error::Internal(e.to_string()))?;
    artefact::save_bytes(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sizes;

    fn spec() -> Spec {
        Spec::llama(Sizes { d_model: 4, n_layers: 3, n_heads: 2, d_mlp: 6, d_vocab: 9, n_context: 8 })
    }

    fn vectors() -> Vectors {
        let at = (0..3).map(|l| (HookPoint::ResidPost(l), vec![l as f64, 1.5, -2.0, 0.25]));
        Vectors::new(at.chain([(HookPoint::MlpPost(1), vec![1.0; 6])]).collect())
    }

    #[test]
    fn vectors_are_read_back_from_both_formats() {
        let folder = tempfile::tempdir().unwrap();
        let (path, exported) = (folder.path().join("v.safetensors"), folder.path().join("v.gguf"));
        vectors().save(&path).unwrap();
        assert_eq!(Vectors::load(&path, 0).unwrap(), vectors());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let left_out = vectors().export(&exported, &spec()).unwrap();
        assert_eq!(left_out, [HookPoint::MlpPost(1), HookPoint::ResidPost(0)]);
        let read = Vectors::load(&exported, 0).unwrap();
        assert_eq!(read.get(&spec(), HookPoint::ResidPost(2)).unwrap(), [2.0, 1.5, -2.0, 0.25]);
        let shifted = Vectors::load(&exported, -1).unwrap();
        assert_eq!(shifted.points().collect::<Vec<_>>(), [0, 1].map(HookPoint::ResidPost));
        assert_eq!(shifted.get(&spec(), HookPoint::ResidPost(0)).unwrap()[0], 1.0);
        assert!(Vectors::load(&exported, -2).unwrap_err().to_string().contains("--shift"));
    }

    #[test]
    fn vectors_of_other_widths_and_values_are_refused() {
        let vectors = vectors();
        let refused = |point| vectors.get(&spec(), point).unwrap_err().to_string();
        assert!(refused(HookPoint::AttnOut(0)).contains("blocks.1.hook_resid_post"));
        let other =
            Spec::llama(Sizes { d_model: 6, n_layers: 3, n_heads: 2, d_mlp: 6, d_vocab: 9, n_context: 8 });
        let error = vectors.get(&other, HookPoint::ResidPost(1)).unwrap_err().to_string();
        assert!(error.contains("4 values") && error.contains('6'), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.safetensors");
        Vectors::new(BTreeMap::from([(HookPoint::ResidPost(1), vec![1.0, f64::NAN])])).save(&path).unwrap();
        let error = Vectors::load(&path, 0).unwrap_err().to_string();
        assert!(error.contains("blocks.1.hook_resid_post") && error.contains("NaN"), "{error}");
    }
}
