//! Lenses on disk, in the format of the library `tuned-lens`: `config.json`, and the maps in `params.pt` (read) or
//! `params.safetensors` (read and written).
//!
//! The map of index 0 reads the embedding, the map of index `i` the output of block `i − 1`. Its tensors are `i.weight`, by
//! which the map differs from the identity, and `i.bias`.

use super::lens::{Lens, Translator};
use crate::artefact::{self, json_of};
use crate::error::{Error, Result};
use crate::limits::{CONFIG_BYTES, check_memory, product};
use crate::model::{Spec, tensors_of_file, tensors_of_torch_file};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const CONFIG: &str = "config.json";
const PARAMS: &str = "params.safetensors";
const TORCH_PARAMS: &str = "params.pt";
/// The files of a saved lens.
pub const LENS_FILES: [&str; 2] = [CONFIG, PARAMS];
/// The type of lens that the library writes.
const LENS_TYPE: &str = "linear_tuned_lens";
const EXPECTED: &str = "a lens as `mappa lens fit` or the library tuned-lens saves it: config.json with params.pt or \
                        params.safetensors";

/// The library's config; it ignores other fields, too.
#[derive(Debug, Serialize, Deserialize)]
struct LensConfig {
    base_model_name_or_path: String,
    d_model: usize,
    num_hidden_layers: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default = "linear")]
    lens_type: String,
}

fn yes() -> bool {
    true
}

fn linear() -> String {
    LENS_TYPE.into()
}

impl Lens {
    /// Writes the lens of a model as a folder.
    ///
    /// # Errors
    /// [`Error::Internal`] if a hook point has no map; [`Error::Io`] naming the file.
    pub fn save(&self, folder: &Path, model: &str, spec: &Spec) -> Result<()> {
        let config = LensConfig {
            base_model_name_or_path: model.into(),
            d_model: spec.d_model,
            num_hidden_layers: spec.n_layers,
            bias: true,
            lens_type: linear(),
        };
        let mut tensors: HashMap<String, Tensor> = HashMap::new();
        for (i, point) in Lens::mapped_points(spec).iter().enumerate() {
            let missing = || Error::Internal(format!("no map at {point}"));
            let Translator { change, bias } = self.translators.get(point).ok_or_else(missing)?;
            tensors.insert(format!("{i}.weight"), change.to_device(&Device::Cpu)?);
            tensors.insert(format!("{i}.bias"), bias.to_device(&Device::Cpu)?);
        }
        let fault = |e: &dyn std::fmt::Display| Error::Internal(format!("writing a lens: {e}"));
        let mut text = serde_json::to_vec_pretty(&config).map_err(|e| fault(&e))?;
        text.push(b'\n');
        let bytes = safetensors::serialize(&tensors, None).map_err(|e| fault(&e))?;
        artefact::save_bytes(&folder.join(PARAMS), &bytes)?;
        artefact::save_bytes(&folder.join(CONFIG), &text)
    }

    /// Reads a lens for a model; returns it with the name of the model that it was made for.
    ///
    /// # Errors
    /// [`Error::BadFile`] for another kind of lens, other sizes than the model's, or missing, unknown or misshapen tensors;
    /// [`Error::NonFinite`] naming a tensor with a bad value.
    pub fn load(folder: &Path, name: &str, spec: &Spec, device: &Device) -> Result<(Lens, String)> {
        let path = folder.join(CONFIG);
        if !path.is_file() {
            return Err(Error::bad_file(folder, "no config.json", EXPECTED));
        }
        let config: LensConfig = json_of(&path, &artefact::load_bytes(&path)?, CONFIG_BYTES, EXPECTED)?;
        config.check(&path, spec)?;
        let bytes = product([2, spec.n_layers, spec.d_model, spec.d_model, size_of::<f32>()]);
        check_memory("the lens", bytes, "use a machine with more memory")?;
        let file =
            [PARAMS, TORCH_PARAMS].map(|name| folder.join(name)).into_iter().find(|file| file.is_file());
        let file = file
            .ok_or_else(|| Error::bad_file(folder, "neither params.safetensors nor params.pt", EXPECTED))?;
        let mut tensors = match file.extension().is_some_and(|ending| ending == "pt") {
            true => tensors_of_torch_file(&file, EXPECTED)?,
            false => tensors_of_file(&file, EXPECTED)?,
        };
        let d = spec.d_model;
        let mut translators = BTreeMap::new();
        for (i, point) in Lens::mapped_points(spec).into_iter().enumerate() {
            let mut take = |part: &str, shape: &[usize]| {
                let name = format!("{i}.{part}");
                let tensor = tensors.remove(&name);
                let tensor =
                    tensor.ok_or_else(|| Error::bad_file(&file, format!("no tensor `{name}`"), EXPECTED));
                checked(&file, &name, &tensor?, shape)?.to_device(device).map_err(Error::from)
            };
            let change = take("weight", &[d, d])?;
            let bias = match config.bias {
                true => take("bias", &[d])?,
                false => Tensor::zeros(d, DType::F32, device)?,
            };
            translators.insert(point, Translator { change, bias });
        }
        if let Some(other) = tensors.keys().min() {
            let expected = format!("only weights and biases of the maps 0 to {}", spec.n_layers - 1);
            return Err(Error::bad_file(&file, format!("a tensor `{other}`"), expected));
        }
        Ok((Lens { name: name.into(), translators }, config.base_model_name_or_path))
    }
}

impl LensConfig {
    fn check(&self, path: &Path, spec: &Spec) -> Result<()> {
        if self.lens_type != LENS_TYPE {
            let found = format!("lens_type `{}`", self.lens_type);
            return Err(Error::bad_file(path, found, format!("`{LENS_TYPE}`")));
        }
        if (self.d_model, self.num_hidden_layers) != (spec.d_model, spec.n_layers) {
            let found = format!("a lens for {} blocks of width {}", self.num_hidden_layers, self.d_model);
            let expected = format!("{} blocks of width {}, as this model has", spec.n_layers, spec.d_model);
            return Err(Error::bad_file(path, found, expected));
        }
        Ok(())
    }
}

/// A tensor in f32, of the given shape and with finite values.
fn checked(file: &Path, name: &str, tensor: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if tensor.dims() != shape {
        let found = format!("tensor `{name}` of shape {:?}", tensor.dims());
        return Err(Error::bad_file(file, found, format!("shape {shape:?}")));
    }
    let tensor = tensor.to_dtype(DType::F32)?.contiguous()?;
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(tensor),
        Some(&found) => Err(Error::NonFinite {
            place: format!("{}: tensor `{name}`", file.display()),
            found: found.into(),
            advice: "fit or download the lens again".into(),
        }),
    }
}
