//! Dictionaries in the files of other projects: SAELens folders, and Gemma Scope's `params.npz`.
//!
//! - `saelens`: `cfg.json` and `sae_weights.safetensors`, read and written
//! - `gemma_scope`: one `.npz`, read

mod gemma_scope;
mod saelens;

use super::dictionary::Dictionary;
use crate::artefact;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use candle_core::{DType, Tensor};
use ndarray::{Array1, Array2};
pub use saelens::FILES as DICTIONARY_FILES;
use std::path::Path;

impl Dictionary {
    /// Reads a SAELens folder or a Gemma Scope `.npz`.
    ///
    /// `hook_point` is needed if the file does not name the hook point of its rows, and must not contradict it.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::BadFile`], [`Error::MissingTensor`], [`Error::NonFinite`] or
    /// [`Error::UnsupportedConfig`], naming the file and the field or tensor; [`Error::Invalid`] without a hook
    /// point.
    pub fn load(path: &Path, hook_point: Option<HookPoint>) -> Result<Dictionary> {
        let npz = path.join("params.npz");
        let dictionary = match path.extension().is_some_and(|ending| ending == "npz") {
            true => {
                artefact::open_regular(path)?;
                gemma_scope::load(path, hook_point)?
            }
            false if npz.is_file() => gemma_scope::load(&npz, hook_point)?,
            false => saelens::load(path, hook_point)?,
        };
        let refused = |e| Error::bad_file(path, e, "a dictionary with arrays of matching shapes");
        dictionary.check().map_err(refused)?;
        Ok(dictionary)
    }

    /// Writes a SAELens folder, each file completely or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; [`Error::Invalid`] if the shapes of its arrays do not agree.
    pub fn save(&self, folder: &Path) -> Result<()> {
        self.check()?;
        saelens::save(self, folder)
    }
}

/// The hook point named by the file, or else by the user.
fn place(path: &Path, named: Option<&str>, given: Option<HookPoint>) -> Result<HookPoint> {
    match (named, given) {
        (Some(name), None) => name.parse().map_err(|e| Error::bad_file(path, e, "the name of a hook point")),
        (Some(name), Some(point)) if name == point.to_string() => Ok(point),
        (Some(name), Some(point)) => {
            let found = format!("a dictionary of {name}");
            Err(Error::bad_file(path, found, format!("one of {point}, the requested hook point")))
        }
        (None, Some(point)) => Ok(point),
        (None, None) => {
            let expected = "--hook-point with the hook point of its rows, such as blocks.12.hook_resid_post";
            Err(Error::invalid(format!("hook point of {}", path.display()), "none", expected))
        }
    }
}

/// Tensors of one file, by name.
struct Tensors<'a> {
    path: &'a Path,
    get: &'a dyn Fn(&str) -> Result<Option<Tensor>>,
}

impl Tensors<'_> {
    /// A tensor's values in f32, and its shape.
    fn values(&self, name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
        let missing = || Error::MissingTensor { path: self.path.to_path_buf(), tensor: name.to_string() };
        let tensor = (self.get)(name)?.ok_or_else(missing)?;
        let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        match values.iter().find(|value| !value.is_finite()) {
            None => Ok((values, tensor.dims().to_vec())),
            Some(found) => Err(Error::NonFinite {
                place: format!("{}: tensor `{name}`", self.path.display()),
                found: f64::from(*found),
                advice: "download the file again".into(),
            }),
        }
    }

    fn wrong_shape(&self, name: &str, found: &[usize], expected: &str) -> Error {
        Error::bad_file(self.path, format!("tensor `{name}` of shape {found:?}"), expected)
    }

    fn vector(&self, name: &str, n: usize) -> Result<Array1<f32>> {
        let (values, shape) = self.values(name)?;
        match shape == [n] {
            true => Ok(Array1::from_vec(values)),
            false => Err(self.wrong_shape(name, &shape, &format!("[{n}]"))),
        }
    }

    /// A matrix of `n` rows and `m` columns; `None` allows any number.
    fn matrix(&self, name: &str, n: Option<usize>, m: Option<usize>) -> Result<Array2<f32>> {
        let (values, shape) = self.values(name)?;
        let words = |n: Option<usize>| n.map_or("any".to_string(), |n| n.to_string());
        match shape[..] {
            [rows, columns] if n.is_none_or(|n| n == rows) && m.is_none_or(|m| m == columns) => {
                let fault = |e: ndarray::ShapeError| Error::Internal(e.to_string());
                Array2::from_shape_vec((rows, columns), values).map_err(fault)
            }
            _ => Err(self.wrong_shape(name, &shape, &format!("[{}, {}]", words(n), words(m)))),
        }
    }
}
