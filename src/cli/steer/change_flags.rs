//! The flags of a change, its hook points and its amount.

use super::super::probe_flags::ProbeFlags;
use clap::Args;
use mappa::lab::{Change, Latent};
use mappa::steering::{Basis, Dose, TargetReading, TokenChoice};
use std::path::PathBuf;

/// The change, its hook points and its amount.
#[derive(Args)]
pub(super) struct ChangeFlags {
    /// Set the probe's reading: lat=35,lon=139, year=1850, another target with its value (length_km=3000), or where or
    /// when an entity of the dataset is (Tokyo); several, given several times.
    #[arg(long, allow_hyphen_values = true, conflicts_with_all = ["dose", "direction", "remove", "feature"])]
    toward: Vec<TargetReading>,
    /// Move the probe's reading, or move along --direction: "+30 east", "10 north, 30 east", "-100 years",
    /// "1000 km" of a target in km, "2 rms" (in lengths of the layer's stream), "1.5x" (the file's vector as it is). For --feature: "clamp 3x"
    /// holds the latent at three times its greatest activation on the dataset's entities, "3x" adds so much;
    /// "clamp 40 activation" and "40 activation" say the activation itself.
    #[arg(long, allow_hyphen_values = true)]
    dose: Vec<Dose>,
    /// A file of vectors (safetensors, or a GGUF control vector); needs a dose in rms or x.
    #[arg(long, value_name = "FILE")]
    direction: Option<PathBuf>,
    /// A latent of a sparse dictionary: a SAELens folder or a Gemma Scope .npz, a colon, its number. It is added or
    /// clamped at the dictionary's hook point; an .npz needs that named, by --layer or --hook-points.
    #[arg(long, value_name = "DICT:LATENT", conflicts_with = "direction")]
    feature: Option<Latent>,
    /// Take out of the stream what lies along --direction.
    #[arg(long, requires = "direction", conflicts_with = "dose")]
    remove: bool,
    /// For control vectors: how many blocks later the vectors belong than their file says.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true, requires = "direction")]
    shift: i64,
    /// Move the reading along the probe's pattern (as the stream moves with the target) or its weights
    /// (the least change).
    #[arg(long, default_value = "pattern", value_name = "pattern|weights")]
    along: Basis,
    /// The blocks whose outputs are changed; several with commas [default: those that a sweep found best, else a
    /// guess: five up to a third of the depth].
    #[arg(long, value_delimiter = ',', value_name = "LAYERS")]
    layer: Vec<usize>,
    /// Other places than a block's output, by name or glob: blocks.3.hook_mlp_out; for --direction and --feature.
    #[arg(long, value_name = "NAMES|GLOBS", conflicts_with = "layer")]
    hook_points: Option<String>,
    /// Tokens that are changed: prompt, generated, all, last (of the prompt), bos, entity (what stands in a
    /// template's place), or span:"a phrase"; several with commas.
    #[arg(long = "at", default_value = "all", value_name = "POSITIONS")]
    positions: TokenChoice,
    /// Scale each changed row back to the length it had.
    #[arg(long)]
    keep_norm: bool,
    #[command(flatten)]
    from: ProbeFlags,
}

impl ChangeFlags {
    /// The change.
    pub(super) fn settings(&self) -> Change {
        Change {
            toward: self.toward.clone(),
            dose: self.dose.clone(),
            direction: self.direction.clone(),
            feature: self.feature.clone(),
            remove: self.remove,
            shift: self.shift,
            along: self.along,
            layer: self.layer.clone(),
            hook_points: self.hook_points.clone(),
            positions: self.positions.clone(),
            keep_norm: self.keep_norm,
            probes: self.from.settings(),
        }
    }
}
