//! `mappa steer inspect`: shows a file of vectors, layer by layer.

use super::super::model_flags::ModelFlags;
use super::super::observer::TerminalObserver;
use super::super::output;
use clap::Args;
use mappa::Result;
use mappa::hook_point::HookPoint;
use mappa::lab::{Lab, ProbeChoice, ProbeFinder, SavedProbes};
use mappa::model::Model;
use mappa::shown::shown;
use mappa::steering::{UnitDirection, Vectors, raised_and_lowered};
use std::path::PathBuf;
use std::rc::Rc;

/// Show a file of vectors: length, cosine with the probes, and the tokens it raises and lowers.
///
/// The cosines are with the probes' patterns; the tokens come from the logit lens: the vector alone, through the final
/// norm and the unembedding.
///
/// Example: mappa steer inspect steering/japan.safetensors
#[derive(Args)]
pub(super) struct Inspect {
    /// A file of vectors (safetensors or GGUF).
    file: PathBuf,
    #[command(flatten)]
    model: ModelFlags,
    /// For control vectors: take direction.k of the file as the vector of block k + SHIFT.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    shift: i64,
    /// Number of tokens shown.
    #[arg(long, default_value_t = 6)]
    tokens: usize,
}

impl Inspect {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        output::only_prints();
        let model = self.model.open(lab, &mut TerminalObserver::default())?;
        let vectors = Vectors::load(&self.file, self.shift)?;
        let choice = ProbeChoice::default();
        let mut probes = ProbeFinder::new(lab, &model, &choice).all()?.to_vec();
        probes.dedup_by(|a, b| a.set.about.dataset == b.set.about.dataset);
        probes.retain(|saved| saved.check_fits(&model).is_ok());
        let mut points: Vec<HookPoint> = vectors.points().collect();
        if points.is_empty() {
            points = (0..model.spec().n_layers).map(HookPoint::ResidPost).collect();
        }
        for point in points {
            let vector = vectors.get(model.spec(), point)?;
            let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            say!("{point}: length {length:.3}{}", rms_share(&probes, point, length));
            for (name, cosine) in cosines(&probes, point, vector)? {
                let name = shown(&name);
                say!("    cosine with the pattern of {name:<32} {cosine:>6.2}");
            }
            if model.transformer.generates() && vector.len() == model.spec().d_model {
                self.print_tokens(&model, vector)?;
            }
        }
        Ok(())
    }

    fn print_tokens(&self, model: &Model, vector: &[f64]) -> Result<()> {
        let (raised, lowered) = raised_and_lowered(&model.transformer, vector, self.tokens)?;
        for (word, ids) in [("raises", raised), ("lowers", lowered)] {
            let tokens = ids.iter().map(|id| Ok(format!("{:?}", model.tokenizer.spell(&[*id])?)));
            say!("    {word} {}", tokens.collect::<Result<Vec<_>>>()?.join(" "));
        }
        Ok(())
    }
}

/// The length relative to the RMS norm of the layer's stream; empty if no probe has this norm.
fn rms_share(probes: &[Rc<SavedProbes>], point: HookPoint, length: f64) -> String {
    let rms = probes.iter().find_map(|saved| Some(saved.set.get(point).ok()?.stream.resid_rms));
    rms.map_or(String::new(), |rms| format!(" ({:.3} rms)", length / rms))
}

fn cosines(probes: &[Rc<SavedProbes>], point: HookPoint, vector: &[f64]) -> Result<Vec<(String, f64)>> {
    let mut all = Vec::new();
    let unit = UnitDirection::of(vector)?;
    for set in probes.iter().map(|saved| &saved.set) {
        let Ok(stored) = set.get(point) else { continue };
        for (target, pattern) in set.about.targets.iter().zip(stored.stream.pattern.rows()) {
            let pattern = UnitDirection::of(&pattern.to_vec())?;
            let cosine = unit.unit().iter().zip(pattern.unit()).map(|(a, b)| a * b).sum();
            all.push((format!("{} {target}", set.about.dataset), cosine));
        }
    }
    Ok(all)
}
