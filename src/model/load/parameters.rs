//! A model's spec with a source of its parameters, from a GGUF file or a checkpoint.

use super::tensor_names::{TensorNames, spec_of_checkpoint};
use crate::error::Result;
use crate::model::families::Config;
use crate::model::gguf::GgufFile;
use crate::model::kernels::Weight;
use crate::model::precision::{Compute, Precision};
use crate::model::spec::Spec;
use crate::model::weights::memory::{self, StoredTypes};
use crate::model::weights::{Param, Weights};
use std::sync::Arc;

/// A source of a model's parameters: from a name and a shape it returns the values.
pub type Parameters = dyn FnMut(Param, &[usize]) -> Result<Weight>;

/// The number formats of a model.
#[derive(Clone, Copy)]
pub(super) struct Formats {
    pub(super) precision: Precision,
    pub(super) compute: Compute,
}

impl Formats {
    /// Refuses a model that does not fit into the free memory.
    fn check_memory(self, spec: &Spec, stored: &StoredTypes) -> Result<()> {
        let weights = memory::weight_bytes(spec, self.precision, self.compute, stored);
        let others = memory::pass_bytes(spec).saturating_add(memory::table_bytes(spec));
        memory::check(weights.saturating_add(others))
    }
}

/// A model before its weights are read.
pub(super) struct Unread {
    pub(super) spec: Spec,
    pub(super) load: Box<Parameters>,
}

/// A GGUF file's spec and parameters.
pub(super) fn of_gguf(file: Arc<GgufFile>, formats: Formats) -> Result<Unread> {
    let (spec, _) = file.spec()?;
    formats.check_memory(&spec, &file.stored_types())?;
    let shape_of = spec.clone();
    let load = move |param, shape: &[usize]| file.load(&shape_of, param, shape, formats.precision);
    Ok(Unread { spec, load: Box::new(load) })
}

/// A config's spec and parameters, and the weights from which they come.
pub(super) fn of_checkpoint(
    config: &Config,
    formats: Formats,
    weights: impl FnOnce() -> Result<Weights>,
) -> Result<(Unread, Arc<Weights>)> {
    let (family, spec) = (config.family()?, config.spec()?);
    // Checked before the files are opened, unless the size depends on their types.
    if formats.precision.dtype().is_some() {
        formats.check_memory(&spec, &StoredTypes::new())?;
    }
    let weights = Arc::new(weights()?);
    config.is_not_packed(&weights)?;
    if formats.precision.dtype().is_none() {
        formats.check_memory(&spec, &weights.stored_types()?)?;
    }
    let spec = spec_of_checkpoint(config, &weights)?;
    let (shape_of, read) = (spec.clone(), weights.clone());
    let load = move |param, shape: &[usize]| {
        let source = TensorNames { family, spec: &shape_of, weights: &read }.of(param);
        read.load(param, &source, shape)
    };
    Ok((Unread { spec, load: Box::new(load) }, weights))
}
