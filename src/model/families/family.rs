//! The entry of one family.

use super::config::Config;
use crate::error::Result;
use crate::model::spec::Spec;
use crate::model::weights::{Param, TensorSource};

/// A family: the conversion of its config to a spec, and its checkpoint's tensor names.
pub struct Family {
    /// The `model_type` in config.json.
    pub model_type: &'static str,
    /// The spec that a config describes.
    pub spec: fn(&Config) -> Result<Spec>,
    /// The tensors of a parameter in the checkpoint.
    pub source: fn(&Spec, Param) -> TensorSource,
    /// A prefix of all tensor names except the head's; some checkpoints of the family lack it.
    pub prefix: &'static str,
}
