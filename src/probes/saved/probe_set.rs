//! The probes of all hook points of one dataset, model and prompt, saved as one safetensors file.
use crate::artefact;
use crate::datasets::{Quantity, TargetKind};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::probes::probe::Probe;
use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The name of a probe set's file.
pub const PROBES_FILE: &str = "probes.safetensors";

/// The only metadata key: the order of several keys would differ from run to run, and with it the file's bytes.
const ABOUT: &str = "mappa";
/// The tensors of each probe.
const TENSORS: [&str; 6] = ["weights", "bias", "penalty", "mean", "pattern", "resid_rms"];

/// The moments of the stream that a probe was fitted to; needed for steering.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamMoments {
    /// The mean activation of the training rows, `[d_model]`.
    pub mean: Array1<f64>,
    /// The mean change of the stream when one prediction rises by one unit and the others do not change,
    /// `[n_targets, d_model]`.
    pub pattern: Array2<f64>,
    /// The root of the mean squared Euclidean norm of the training rows.
    pub resid_rms: f64,
}

/// A probe with the moments of its stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProbe {
    /// The probe.
    pub probe: Probe,
    /// The stream's moments over the training rows.
    pub stream: StreamMoments,
}

/// The common properties of the probes of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSetAbout {
    /// The dataset's name.
    pub dataset: String,
    /// The model's name.
    pub model: String,
    /// The prompt's name.
    pub prompt: String,
    /// The names of the targets, in the order of the weights' rows.
    pub targets: Vec<String>,
    /// The unit of a quantity; empty for places, years and plain numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

impl ProbeSetAbout {
    /// The kind of the targets.
    ///
    /// # Errors
    /// [`Error::Invalid`] for targets that are neither a place nor one number.
    pub fn kind(&self) -> Result<TargetKind> {
        match &self.targets.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["latitude", "longitude"] => Ok(TargetKind::Place),
            ["year"] => Ok(TargetKind::Year),
            [name] => Ok(TargetKind::Quantity(Quantity { name: name.to_string(), unit: self.unit.clone() })),
            other => {
                let expected = "latitude and longitude, or one number";
                Err(Error::invalid("targets of probes", other.join(", "), expected))
            }
        }
    }
}

/// The probes of all hook points of one dataset, model and prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeSet {
    /// The common properties of the probes.
    pub about: ProbeSetAbout,
    probes: BTreeMap<HookPoint, StoredProbe>,
}

impl ProbeSet {
    /// A set without probes.
    pub fn new(about: ProbeSetAbout) -> ProbeSet {
        ProbeSet { about, probes: BTreeMap::new() }
    }

    /// Adds the probe of a hook point; replaces its previous probe.
    pub fn insert(&mut self, point: HookPoint, probe: StoredProbe) {
        self.probes.insert(point, probe);
    }

    /// The probe of a hook point.
    ///
    /// # Errors
    /// [`Error::Invalid`] listing the hook points with a probe.
    pub fn get(&self, point: HookPoint) -> Result<&StoredProbe> {
        self.probes.get(&point).ok_or_else(|| {
            let known: Vec<String> = self.points().map(|p| p.to_string()).collect();
            Error::invalid("hook point of a probe", point, format!("one of {}", known.join(", ")))
        })
    }

    /// The hook points with a probe, in order of the forward pass.
    pub fn points(&self) -> impl Iterator<Item = HookPoint> + '_ {
        let mut points: Vec<HookPoint> = self.probes.keys().copied().collect();
        points.sort_by_key(|point| (point.layer(), *point));
        points.into_iter()
    }

    /// The row index of a target in weights and patterns.
    ///
    /// # Errors
    /// [`Error::Invalid`] listing the targets.
    pub fn target(&self, name: &str) -> Result<usize> {
        self.about.targets.iter().position(|target| target == name).ok_or_else(|| {
            Error::invalid("target", name, format!("one of {}", self.about.targets.join(", ")))
        })
    }

    /// Writes the set atomically.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let fault = |e: &dyn std::fmt::Display| Error::Internal(format!("writing probes: {e}"));
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> =
            self.probes.iter().flat_map(|(point, probe)| tensors_of(*point, probe)).collect();
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F64, shape.clone(), bytes)?)))
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| fault(&e))?;
        let about = serde_json::to_string(&self.about).map_err(|e| fault(&e))?;
        let about = HashMap::from([(ABOUT.to_string(), about)]);
        artefact::save_bytes(path, &safetensors::serialize(views, Some(about)).map_err(|e| fault(&e))?)
    }

    /// Loads a set.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::BadFile`], [`Error::MissingTensor`] or [`Error::NonFinite`], naming the
    /// file and the tensor.
    pub fn load(path: &Path) -> Result<ProbeSet> {
        let bytes = artefact::load_saved(path)?;
        let expected = "probes.safetensors as `mappa probe` writes it; run it again";
        let bad = |found: &dyn std::fmt::Display| Error::bad_file(path, found, expected);
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(&e))?;
        let about = header.metadata().as_ref().and_then(|m| m.get(ABOUT));
        let about = about.ok_or_else(|| bad(&format!("no metadata `{ABOUT}`")))?;
        let about: ProbeSetAbout = serde_json::from_str(about).map_err(|e| bad(&e))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| bad(&e))?;
        let file = ProbeFile { path, tensors };
        let mut set = ProbeSet::new(about);
        for name in file.tensors.names() {
            let part = TENSORS.iter().find_map(|part| name.strip_suffix(part)?.strip_suffix('.'));
            let point = part.ok_or_else(|| bad(&format!("tensor `{name}`")))?;
            let point: HookPoint = point.parse().map_err(|e| bad(&format!("tensor `{name}`: {e}")))?;
            if !set.probes.contains_key(&point) {
                let probe = file.probe(point, set.about.targets.len())?;
                set.insert(point, probe);
            }
        }
        Ok(set)
    }
}

/// The name, shape and little-endian bytes of a probe's tensors, in the order of [`TENSORS`].
fn tensors_of(point: HookPoint, stored: &StoredProbe) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let StoredProbe { probe, stream } = stored;
    let (penalty, rms) = (Array1::from_elem(1, probe.penalty), Array1::from_elem(1, stream.resid_rms));
    let tensors = [
        probe.weights.view().into_dyn(),
        probe.bias.view().into_dyn(),
        penalty.view().into_dyn(),
        stream.mean.view().into_dyn(),
        stream.pattern.view().into_dyn(),
        rms.view().into_dyn(),
    ];
    TENSORS
        .iter()
        .zip(tensors)
        .map(|(part, values)| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (format!("{point}.{part}"), values.shape().to_vec(), bytes)
        })
        .collect()
}

/// An opened file of probes.
struct ProbeFile<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl ProbeFile<'_> {
    /// The probe of a hook point.
    fn probe(&self, point: HookPoint, n_targets: usize) -> Result<StoredProbe> {
        let name = |part: &str| format!("{point}.{part}");
        let mean = Array1::from_vec(self.values(&name("mean"), &[None])?);
        let d_model = mean.len();
        let wide = |part: &str| -> Result<Array2<f64>> {
            let values = self.values(&name(part), &[Some(n_targets), Some(d_model)])?;
            Array2::from_shape_vec((n_targets, d_model), values).map_err(|e| Error::Internal(e.to_string()))
        };
        let single = |part: &str| Ok::<f64, Error>(self.values(&name(part), &[Some(1)])?[0]);
        let bias = Array1::from_vec(self.values(&name("bias"), &[Some(n_targets)])?);
        let probe = Probe { weights: wide("weights")?, bias, penalty: single("penalty")? };
        let stream = StreamMoments { pattern: wide("pattern")?, resid_rms: single("resid_rms")?, mean };
        Ok(StoredProbe { probe, stream })
    }

    /// A tensor's values; `shape` gives the expected size of each dimension, or `None` for any size.
    fn values(&self, name: &str, shape: &[Option<usize>]) -> Result<Vec<f64>> {
        let missing = |_| Error::MissingTensor { path: self.path.to_path_buf(), tensor: name.to_string() };
        let tensor = self.tensors.tensor(name).map_err(missing)?;
        let fits = tensor.shape().len() == shape.len()
            && tensor.shape().iter().zip(shape).all(|(found, wanted)| wanted.is_none_or(|w| w == *found));
        if tensor.dtype() != Dtype::F64 || !fits {
            let found = format!("tensor `{name}`: {:?} of shape {:?}", tensor.dtype(), tensor.shape());
            let wanted: Vec<String> =
                shape.iter().map(|n| n.map_or("any".to_string(), |n| n.to_string())).collect();
            return Err(Error::bad_file(self.path, found, format!("F64 of shape [{}]", wanted.join(", "))));
        }
        let (numbers, _) = tensor.data().as_chunks::<8>();
        let values: Vec<f64> = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        match values.iter().find(|value| !value.is_finite()) {
            None => Ok(values),
            Some(&found) => Err(Error::NonFinite {
                place: format!("{}: tensor `{name}`", self.path.display()),
                found,
                advice: "fit the probes again".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::noise;

    fn example() -> ProbeSet {
        let about = ProbeSetAbout {
            dataset: "world_place".into(),
            model: "small".into(),
            prompt: "empty".into(),
            targets: vec!["latitude".into(), "longitude".into()],
            unit: String::new(),
        };
        let mut set = ProbeSet::new(about);
        for (seed, point) in HookPoint::stream(3).into_iter().enumerate() {
            let weights = noise([2, 5], seed as u64);
            let probe = Probe { bias: weights.column(0).to_owned(), penalty: 0.1 + 0.2, weights };
            let pattern = noise([2, 5], 9);
            let stream = StreamMoments { mean: pattern.row(1).to_owned(), resid_rms: 12.5, pattern };
            set.insert(point, StoredProbe { probe, stream });
        }
        set
    }

    #[test]
    fn a_saved_set_loads_unchanged_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let (path, again) = (folder.path().join(PROBES_FILE), folder.path().join("again"));
        let set = example();
        set.save(&path).unwrap();
        let loaded = ProbeSet::load(&path).unwrap();
        assert_eq!(loaded, set);
        loaded.save(&again).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
        assert_eq!(loaded.points().collect::<Vec<_>>(), HookPoint::stream(3));
        assert_eq!(loaded.target("longitude").unwrap(), 1);
    }

    #[test]
    fn a_truncated_file_is_refused_naming_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PROBES_FILE);
        example().save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 7, 100, bytes.len() - 8] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = ProbeSet::load(&path).unwrap_err().to_string();
            assert!(error.contains("probes.safetensors"), "{error}");
        }
    }

    #[test]
    fn a_bad_tensor_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PROBES_FILE);
        let point = HookPoint::ResidPost(1);
        let refuse = |change: &dyn Fn(&mut StoredProbe)| {
            let mut set = example();
            change(set.probes.get_mut(&point).unwrap());
            set.save(&path).unwrap();
            ProbeSet::load(&path).unwrap_err().to_string()
        };
        let error = refuse(&|stored| stored.probe.weights = noise([2, 4], 1));
        assert!(error.contains("`blocks.1.hook_resid_post.weights`") && error.contains("[2, 4]"), "{error}");
        let error = refuse(&|stored| stored.probe.bias[1] = f64::NAN);
        assert!(error.contains("`blocks.1.hook_resid_post.bias`") && error.contains("NaN"), "{error}");
        let error = example().get(HookPoint::ResidPost(7)).unwrap_err().to_string();
        assert!(error.contains("blocks.0.hook_resid_pre"), "{error}");
    }
}
