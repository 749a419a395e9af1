//! The flags of a change of the stream: its direction, amount and hook points.

use super::super::saved_probe_flags::ProbeFlags;
use clap::Args;
use mappa::lab::{Change, Latent};
use mappa::steering::{Basis, Dose, TargetReading, TokenChoice};
use std::path::PathBuf;

/// The change: its direction, amount and hook points.
#[derive(Args)]
pub(super) struct ChangeFlags {
    /// Set the probe's prediction: lat=35,lon=139, year=1850, or the place or time of an entity, such as Tokyo.
    ///
    /// Any other probed target can be set in the same way, such as length_km=3000. Entities are those of the dataset.
    /// Repeat the flag for several values.
    #[arg(long, allow_hyphen_values = true, conflicts_with_all = ["dose", "direction", "remove", "feature"])]
    toward: Vec<TargetReading>,
    /// Move the probe's prediction, or move along --direction: "+30 east", "-100 years", "2 rms", "1.5x", "clamp 3x".
    ///
    /// For a probe: "10 north, 30 east", "1000 km" (for a target in km). "2 rms" is twice the RMS norm of the layer's
    /// stream, and "1.5x" is 1.5 times the file's vector. For --feature: "clamp 3x" holds the latent at three times its
    /// greatest activation on the dataset's entities, and "3x" adds this amount; "clamp 40 activation" and
    /// "40 activation" give the activation itself.
    #[arg(long, allow_hyphen_values = true)]
    dose: Vec<Dose>,
    /// A file of vectors (safetensors, or a GGUF control vector); needs --dose in rms or x, or --remove.
    #[arg(long, value_name = "FILE")]
    direction: Option<PathBuf>,
    /// A latent of a sparse dictionary: a SAELens folder or a Gemma Scope .npz, a colon, and the latent's number.
    ///
    /// It is added or clamped at the dictionary's hook point; for an .npz, name the hook point with --layer or
    /// --hook-points.
    #[arg(long, value_name = "DICT:LATENT", conflicts_with = "direction")]
    feature: Option<Latent>,
    /// Remove the stream's component along --direction.
    #[arg(long, requires = "direction", conflicts_with = "dose")]
    remove: bool,
    /// For control vectors: change the output of block k + SHIFT with direction.k of the file.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true, requires = "direction")]
    shift: i64,
    /// Move the prediction along the probe's pattern or its weights.
    ///
    /// The pattern is the mean change of the stream with the target; the weights are the smallest change of the stream
    /// that moves the prediction.
    #[arg(long, default_value = "pattern", value_name = "pattern|weights")]
    along: Basis,
    /// The blocks whose outputs are changed, separated by commas [default: the best blocks of a sweep, or a guess].
    ///
    /// The guess is up to five blocks in the first third of the depth. With --direction, the default is the only hook
    /// point in its file, otherwise the block at a third of the depth.
    #[arg(long, value_delimiter = ',', value_name = "LAYERS")]
    layer: Vec<usize>,
    /// Hook points other than the blocks' outputs, by name or glob: blocks.3.hook_mlp_out; for --direction and --feature.
    #[arg(long, value_name = "NAMES|GLOBS", conflicts_with = "layer")]
    hook_points: Option<String>,
    /// The tokens to change: prompt, generated, all, last, bos, entity, or span:"a phrase"; separated by commas.
    ///
    /// last is the prompt's last token; entity is the text that replaces {} in a template.
    #[arg(long = "at", default_value = "all", value_name = "POSITIONS")]
    positions: TokenChoice,
    /// Scale each changed row back to its previous length.
    #[arg(long)]
    keep_norm: bool,
    #[command(flatten)]
    from: ProbeFlags,
}

impl ChangeFlags {
    /// The flags as settings of the lab.
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
