//! The flags of tokens and hook points.

use clap::Args;
use mappa::activations::{Pooling, StoredDtype, TokenScope};
use mappa::lab::{ExtractionSettings, Prompting};

/// Tokens, pooling, and data type.
#[derive(Args)]
pub(super) struct TokenFlags {
    /// Pooling of the tokens: last, first, mean, max, or every (one row per token).
    #[arg(long, default_value = "last", value_name = "TOKENS")]
    read: Pooling,
    /// The tokens to pool: of the entity, or of the whole text; BOS and other special tokens are excluded.
    #[arg(long, default_value = "entity", value_name = "entity|text")]
    over: TokenScope,
    /// Data type of the stored numbers: f32, f16 or bf16. A value too large for it is an error.
    #[arg(long, default_value = "f32", value_name = "DTYPE")]
    store: StoredDtype,
}

/// Hook points to record.
#[derive(Args)]
pub(super) struct PointFlags {
    /// Hook points by name or glob, separated by commas [default: embed and every blocks.*.hook_resid_post].
    ///
    /// `mappa models inspect` lists the model's hook points.
    #[arg(long = "hook-points", value_name = "NAMES|GLOBS")]
    globs: Vec<String>,
}

impl PointFlags {
    /// The settings of an extraction of these hook points.
    pub(super) fn settings(&self) -> ExtractionSettings {
        ExtractionSettings { hook_points: self.globs.clone(), ..ExtractionSettings::default() }
    }
}

impl TokenFlags {
    /// The settings of an extraction with these tokens and texts.
    pub(super) fn settings(&self, prompting: Prompting, points: Option<&PointFlags>) -> ExtractionSettings {
        let hook_points = points.map_or(Vec::new(), |points| points.globs.clone());
        ExtractionSettings { prompting, read: self.read, over: self.over, store: self.store, hook_points }
    }
}

/// The flags of tokens that are not the default, as text.
pub(super) fn flags_of(settings: &ExtractionSettings) -> String {
    let usual = ExtractionSettings::default();
    let mut flags = String::new();
    for (name, value, usual) in [
        ("read", settings.read.to_string(), usual.read.to_string()),
        ("over", settings.over.to_string(), usual.over.to_string()),
        ("store", settings.store.to_string(), usual.store.to_string()),
    ] {
        if value != usual {
            flags += &format!(" --{name} {value}");
        }
    }
    flags
}
