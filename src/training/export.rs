//! The trained model as a Hugging Face folder, which transformers can also load.

use super::byte_pair::BOUNDARY;
use super::trainer::ModelTrainer;
use crate::artefact::save_bytes;
use crate::error::{Error, Result};
use crate::model::families::llama;
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

/// The files that [`export`] writes.
pub const MODEL_FILES: [&str; 4] =
    ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];

/// Writes config.json, tokenizer.json, tokenizer_config.json and model.safetensors (f16).
///
/// # Errors
/// [`Error::NonFinite`] if a weight does not fit f16; [`Error::Io`] naming the file.
pub fn export(trainer: &ModelTrainer, tokenizer_json: &[u8], folder: &Path) -> Result<()> {
    let spec = trainer.spec();
    let mut data = BTreeMap::new();
    for (param, values) in trainer.parameters()? {
        let name = llama::tensor_name(spec, param);
        let half = values.to_dtype(DType::F16)?;
        let largest = half.to_dtype(DType::F32)?.abs()?.max_all()?.to_scalar::<f32>()?;
        if !largest.is_finite() {
            return Err(Error::NonFinite {
                place: format!("tensor `{name}`"),
                found: f64::from(largest),
                advice: "it overflows f16; train with a lower rate".into(),
            });
        }
        data.insert(name, (half.dims().to_vec(), bytes(&half)?));
    }
    let views = data
        .iter()
        .map(|(name, (shape, bytes))| Ok((name, TensorView::new(Dtype::F16, shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| Error::Internal(e.to_string()))?;
    let metadata = [("format".to_string(), "pt".to_string())].into();
    let file = safetensors::serialize(views, Some(metadata)).map_err(|e| Error::Internal(e.to_string()))?;
    save_bytes(&folder.join("model.safetensors"), &file)?;
    save_bytes(&folder.join("tokenizer.json"), tokenizer_json)?;
    save_json(&folder.join("config.json"), &llama::WrittenConfig::of(spec))?;
    let tokenizer_config = serde_json::json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOUNDARY,
        "eos_token": BOUNDARY,
        "model_max_length": spec.n_context,
    });
    save_json(&folder.join("tokenizer_config.json"), &tokenizer_config)
}

fn bytes(half: &Tensor) -> Result<Vec<u8>> {
    let values = half.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<half::f16>()?;
    Ok(values.iter().flat_map(|x| x.to_le_bytes()).collect())
}

fn save_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| Error::Internal(e.to_string()))?;
    text.push('\n');
    save_bytes(path, text.as_bytes())
}
