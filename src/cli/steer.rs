//! `mappa steer`: text with and without a change of the stream, side by side.

use super::chosen::ChosenModel;
use super::stages::probe_folder;
use clap::Args;
use mappa::datasets::{Prompt, TargetKind};
use mappa::hook_point::HookPoint;
use mappa::model::{Both, Capture, Forest, Hook, Model, Sampling, Untouched, generate};
use mappa::probes::{ProbeSet, StoredProbe};
use mappa::steering::{Along, Direction, Dose, Norm, Op, Positions, Steer as SteerHook, Toward, Where};
use mappa::{Error, Result};
use std::path::{Path, PathBuf};

/// Generate with and without a change of the stream, side by side, with the probe's readings.
///
/// Examples:
///   mappa steer --prompt Nairobi --toward lat=35,lon=139 --layer 3
///   mappa steer --prompt "Plutarch is from the age of" --toward year=1500 --layer 3
///   mappa steer --prompt Nairobi --dose "+30 east" --layer 3
///   mappa steer --prompt Nairobi --direction dna.safetensors --dose "2 rms" --layer 3
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Steer {
    #[command(flatten)]
    model: ChosenModel,
    /// The text to continue.
    #[arg(long)]
    prompt: String,
    /// Set the probe's reading: lat=35,lon=139 or year=1850.
    #[arg(long, allow_hyphen_values = true, conflicts_with_all = ["dose", "direction"])]
    toward: Option<Toward>,
    /// Move the probe's reading, or move along --direction: "+30 east", "-100 years", "2 rms".
    #[arg(long, allow_hyphen_values = true)]
    dose: Option<Dose>,
    /// A safetensors file with one vector of d_model values; needs a dose in rms.
    #[arg(long, value_name = "FILE", requires = "dose")]
    direction: Option<PathBuf>,
    /// Move the reading along the probe's pattern (as the stream moves with the target) or its weights
    /// (the least change).
    #[arg(long, default_value = "pattern", value_name = "pattern|weights")]
    along: Along,
    /// The block whose output is changed.
    #[arg(long)]
    layer: usize,
    /// Which tokens are changed: prompt, generated, all or last (of the prompt); never BOS.
    #[arg(long = "at", default_value = "all", value_name = "POSITIONS")]
    positions: Where,
    /// Scale each changed row back to the length it had.
    #[arg(long)]
    keep_norm: bool,
    /// The dataset whose probe reads and steers [default: world_place or historical_figure].
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// How many tokens to generate.
    #[arg(long, default_value_t = 24)]
    tokens: usize,
    /// Sample at this temperature instead of taking the most probable token.
    #[arg(long)]
    temperature: Option<f64>,
    /// Share of probability mass to sample from.
    #[arg(long, default_value_t = 0.95)]
    top_p: f64,
    /// Seeds the sampling.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Steer {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let model = self.model.load(lab)?;
        if self.layer >= model.spec().n_layers {
            return Err(Error::invalid(
                "--layer",
                self.layer,
                format!("a block from 0 to {}", model.spec().n_layers - 1),
            ));
        }
        let probes = self.probes(lab, &model)?;
        let point = HookPoint::ResidPost(self.layer);
        let op = self.op(&model, probes.get(point)?)?;
        let encoded = model.tokenizer.encode(&self.prompt)?;
        let positions = Positions::new(self.positions, encoded.ids.len(), encoded.n_special());
        let norm = if self.keep_norm { Norm::Kept } else { Norm::Free };
        let mut hook = SteerHook::new(point, op, norm, positions);
        let before = self.generate(&model, &encoded.ids, &mut Untouched)?;
        let after = self.generate(&model, &encoded.ids, &mut hook)?;
        if hook.n_changed() == 0 {
            eprintln!("note: no token was changed; --at {:?} chose none", self.positions);
        }
        print_side_by_side(&before, &after);
        let last = HookPoint::ResidPost(model.spec().n_layers - 1);
        println!("\nprobe of {} at the prompt's last token:   unsteered   steered", probes.about.dataset);
        for at in if point == last { vec![point] } else { vec![point, last] } {
            let stored = probes.get(at)?;
            let plain = reading(&model, &encoded.ids, (at, stored), &mut Untouched)?;
            let steered = reading(&model, &encoded.ids, (at, stored), &mut hook)?;
            for (t, name) in probes.about.targets.iter().enumerate() {
                println!("  {at:<28} {name:<10} {:>10.1} {:>10.1}", plain[t], steered[t]);
            }
        }
        Ok(())
    }

    fn kind(&self) -> Option<TargetKind> {
        self.toward.map(Toward::kind).or(self.dose.and_then(Dose::kind))
    }

    fn probes(&self, lab: &Path, model: &Model) -> Result<ProbeSet> {
        let dataset = self.dataset.as_deref().unwrap_or(match self.kind() {
            Some(TargetKind::Year) => "historical_figure",
            _ => "world_place",
        });
        let path = probe_folder(lab, &model.name, dataset, &Prompt::empty().name).join("probes.safetensors");
        if !path.is_file() {
            let make = format!(
                "probes; make them with `mappa probe --model {} --dataset {dataset}`",
                self.model.name
            );
            return Err(Error::bad_file(path, "nothing", make));
        }
        ProbeSet::load(&path)
    }

    fn op(&self, model: &Model, stored: &StoredProbe) -> Result<Op> {
        let rms = stored.stream.resid_rms;
        match (self.toward, self.dose, &self.direction) {
            (Some(toward), ..) => Op::set_along(self.along, stored, &toward.values()),
            (None, Some(Dose::Rms(dose)), Some(file)) => {
                Ok(Op::add(&Direction::load(file, model.spec().d_model)?, dose, rms))
            }
            (None, Some(Dose::Rms(_)), None) => {
                Err(Error::invalid("--dose", "a dose in rms", "a --direction FILE to move along"))
            }
            (None, Some(dose), None) => Op::shift_along(self.along, stored, &dose.deltas()),
            (None, Some(_), Some(_)) => {
                Err(Error::invalid("--dose", "a dose in degrees or years", "a dose in rms with --direction"))
            }
            (None, None, _) => Err(Error::invalid("steering", "no change", "--toward, or --dose")),
        }
    }

    fn generate(&self, model: &Model, ids: &[u32], hook: &mut dyn Hook) -> Result<String> {
        let sampling = match self.temperature {
            Some(temperature) => Sampling::Random { temperature, top_p: self.top_p, seed: self.seed },
            None => Sampling::Greedy,
        };
        let end = model.tokenizer.encode("")?.ids.first().copied();
        let generation = generate(&model.transformer, ids, (self.tokens, end), (sampling, hook))?;
        model.tokenizer.decode(&generation.ids)
    }
}

fn reading(
    model: &Model,
    ids: &[u32],
    (at, stored): (HookPoint, &StoredProbe),
    hook: &mut dyn Hook,
) -> Result<Vec<f64>> {
    let mut capture = Capture::nodes(&[at], &[ids.len() as u32 - 1])?;
    model.transformer.forward(&Forest::of_text(ids)?, None, &mut Both(hook, &mut capture))?;
    Ok(stored.probe.read_row(&capture.get(at)?.squeeze(0)?.to_vec1::<f32>()?))
}

/// Two columns, each wrapped at its width.
fn print_side_by_side(before: &str, after: &str) {
    const WIDTH: usize = 44;
    println!("{:<WIDTH$}   steered", "unsteered");
    println!("{}   {}", "─".repeat(WIDTH), "─".repeat(WIDTH));
    let (left, right) = (wrap(before.trim(), WIDTH), wrap(after.trim(), WIDTH));
    for i in 0..left.len().max(right.len()) {
        let line = |column: &[String]| column.get(i).cloned().unwrap_or_default();
        println!("{:<WIDTH$}   {}", line(&left), line(&right));
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_string());
        } else {
            let gap = if lines[last].is_empty() { "" } else { " " };
            lines[last] += &format!("{gap}{word}");
        }
    }
    lines
}
