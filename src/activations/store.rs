//! Activations in a lab: `activations/<model>/<dataset>/<prompt>/`, one safetensors file a hook point.

use super::extract::Extraction;
use super::span::SpanRow;
use crate::artefact::{self, Card};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use ndarray::Array2;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Name of the one tensor in each file.
const TENSOR: &str = "activations";

/// The folder of one model, dataset and prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivationStore {
    /// Where the files lie.
    pub folder: PathBuf,
}

/// The stream of all entities at one hook point, `[n_entities, width]`, in dataset order.
pub type Activations = Array2<f32>;

impl ActivationStore {
    /// The folder in a lab.
    pub fn new(lab: &Path, model: &str, dataset: &str, prompt: &str) -> ActivationStore {
        ActivationStore { folder: lab.join("activations").join(model).join(dataset).join(prompt) }
    }

    fn card_path(&self) -> PathBuf {
        self.folder.join("card.json")
    }

    fn path(&self, point: HookPoint) -> PathBuf {
        self.folder.join(format!("{point}.safetensors"))
    }

    /// Whether these hook points were extracted from the same inputs.
    ///
    /// # Errors
    /// [`Error::CardMismatch`] if the folder holds work made from other inputs.
    pub fn is_done(&self, card: &Card, points: &[HookPoint]) -> Result<bool> {
        Ok(card.is_done(&self.card_path())? && points.iter().all(|p| self.path(*p).is_file()))
    }

    /// Writes arrays and spans, and the card last: it says that all is there.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, extraction: &Extraction, card: Card) -> Result<()> {
        for (point, array) in &extraction.arrays {
            artefact::save_bytes(&self.path(*point), &serialize(array)?)?;
        }
        save_spans(&self.folder.join("spans.csv"), &extraction.spans)?;
        card.note("n_entities", extraction.spans.len())
            .note("n_tokens", extraction.n_tokens)
            .note("n_tokens_computed", extraction.n_computed)
            .note("n_entities_with_unknown_tokens", extraction.n_unknown)
            .save(&self.card_path())
    }

    /// Reads the array of one hook point.
    ///
    /// # Errors
    /// [`Error::Io`] if it was not extracted; [`Error::BadFile`] if the file is not whole.
    pub fn load(&self, point: HookPoint) -> Result<Activations> {
        let path = self.path(point);
        let bytes = artefact::load_bytes(&path)?;
        let wrong = |found: String| {
            Error::bad_file(&path, found, "activations as mappa extract writes them; extract again")
        };
        let file = SafeTensors::deserialize(&bytes).map_err(|e| wrong(e.to_string()))?;
        let view = file.tensor(TENSOR).map_err(|e| wrong(e.to_string()))?;
        let (Dtype::F32, [n, width]) = (view.dtype(), view.shape()) else {
            return Err(wrong(format!("{:?} of shape {:?}", view.dtype(), view.shape())));
        };
        let values = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Array2::from_shape_vec((*n, *width), values).map_err(|e| wrong(e.to_string()))
    }
}

fn serialize(array: &Array2<f32>) -> Result<Vec<u8>> {
    let bytes: Vec<u8> = array.iter().flat_map(|x| x.to_le_bytes()).collect();
    let fault = |e: safetensors::SafeTensorError| Error::Internal(e.to_string());
    let view = TensorView::new(Dtype::F32, array.shape().to_vec(), &bytes).map_err(fault)?;
    let metadata = HashMap::from([("made_by".to_string(), "mappa".to_string())]);
    safetensors::serialize([(TENSOR, view)], Some(metadata)).map_err(fault)
}

fn save_spans(path: &Path, spans: &[SpanRow]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in spans {
        writer.serialize(row).map_err(|e| Error::Internal(e.to_string()))?;
    }
    artefact::save_bytes(path, &writer.into_inner().map_err(|e| Error::Internal(e.to_string()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_was_saved_comes_back_and_a_truncated_file_is_refused() {
        let lab = tempfile::tempdir().unwrap();
        let store = ActivationStore::new(lab.path(), "m", "d", "empty");
        let point = HookPoint::ResidPost(1);
        let array = Array2::from_shape_fn((5, 3), |(i, j)| i as f32 - 0.1 * j as f32);
        let extraction = Extraction {
            arrays: BTreeMap::from([(point, array.clone())]),
            spans: vec![],
            n_tokens: 9,
            n_computed: 7,
            n_unknown: 0,
        };
        let card = Card::new().input("prompt", "{}");
        assert!(!store.is_done(&card, &[point]).unwrap());
        store.save(&extraction, card.clone()).unwrap();
        assert!(store.is_done(&card, &[point]).unwrap());
        assert!(!store.is_done(&card, &[point, HookPoint::ResidPost(0)]).unwrap());
        assert_eq!(store.load(point).unwrap(), array);
        let path = store.path(point);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        assert!(store.load(point).unwrap_err().to_string().contains("hook_resid_post.safetensors"));
    }
}
