//! The files of the bundled model.

use crate::error::Result;
use crate::model::location::BUNDLED_MODEL;
use crate::model::precision::Precision;
use crate::model::weights::Weights;
use std::path::{Path, PathBuf};

/// The bundled model's files by name: config, tokenizer, weights.
pub fn bundled_files() -> [(&'static str, &'static [u8]); 3] {
    [
        ("config.json", include_bytes!("../../../models/atlas/config.json")),
        ("tokenizer.json", include_bytes!("../../../models/atlas/tokenizer.json")),
        ("model.safetensors", include_bytes!("../../../models/atlas/model.safetensors")),
    ]
}

/// The folder that errors name for the bundled model.
pub(super) fn folder() -> PathBuf {
    Path::new("models").join(BUNDLED_MODEL)
}

/// The bundled model's weights.
///
/// # Errors
/// Those of [`Weights::bundled`].
pub(crate) fn bundled_weights(precision: Precision) -> Result<Weights> {
    let [_, _, (name, weights)] = bundled_files();
    Weights::bundled(&folder().join(name), weights, precision)
}
