//! The flags that say what is changed, where and how far.

use super::super::stages::probe_folder;
use super::feature::Feature;
use clap::Args;
use mappa::datasets::{Prompt, TargetKind, name_of};
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Framed, Model};
use mappa::probes::ProbeSet;
use mappa::steering::{Along, Direction, Dose, Norm, Op, Positions, Steer, Steers, Toward, Vectors, Where};
use mappa::{Error, Result};
use std::path::{Path, PathBuf};

/// What is changed, where and how far.
#[derive(Args, Clone)]
pub struct Change {
    /// Set the probe's reading: lat=35,lon=139 or year=1850; both, given twice.
    #[arg(long, allow_hyphen_values = true, conflicts_with_all = ["dose", "direction", "remove", "feature"])]
    pub toward: Vec<Toward>,
    /// Move the probe's reading, or move along --direction: "+30 east", "10 north, 30 east", "-100 years",
    /// "2 rms" (in lengths of the layer's stream), "1.5x" (the file's vector as it is). For --feature: "clamp 3x"
    /// holds the unit at three times its greatest activation on the dataset's entities, "3x" adds so much;
    /// "clamp 40 activation" and "40 activation" say the activation itself.
    #[arg(long, allow_hyphen_values = true)]
    pub dose: Vec<Dose>,
    /// A file of vectors (safetensors, or a GGUF control vector); needs a dose in rms or x.
    #[arg(long, value_name = "FILE")]
    pub direction: Option<PathBuf>,
    /// A unit of a sparse dictionary: a SAELens folder or a Gemma Scope .npz, a colon, its number. It is pressed
    /// where the dictionary reads; an .npz needs that place said, by --layer or --hook-points.
    #[arg(long, value_name = "DICT:UNIT", conflicts_with = "direction")]
    pub feature: Option<Feature>,
    /// Take out of the stream what lies along --direction.
    #[arg(long, requires = "direction", conflicts_with = "dose")]
    pub remove: bool,
    /// For control vectors: how many blocks later the vectors belong than their file says.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true, requires = "direction")]
    pub shift: i64,
    /// Move the reading along the probe's pattern (as the stream moves with the target) or its weights
    /// (the least change).
    #[arg(long, default_value = "pattern", value_name = "pattern|weights")]
    pub along: Along,
    /// The blocks whose outputs are changed; several with commas.
    #[arg(long, value_delimiter = ',', value_name = "LAYERS")]
    pub layer: Vec<usize>,
    /// Other places than a block's output, by name or glob: blocks.3.hook_mlp_out; for --direction and --feature.
    #[arg(long, value_name = "NAMES|GLOBS", conflicts_with = "layer")]
    pub hook_points: Option<String>,
    /// Which tokens are changed: prompt, generated, all, last (of the prompt), bos, or span:"a phrase"; several
    /// with commas.
    #[arg(long = "at", default_value = "all", value_name = "POSITIONS")]
    pub positions: Where,
    /// Scale each changed row back to the length it had.
    #[arg(long)]
    pub keep_norm: bool,
    /// The dataset whose probe reads and steers, and on whose entities a unit's greatest activation is 1x
    /// [default: world_place or historical_figure].
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
}

impl Change {
    /// The kinds of probes that are needed; places where nothing says.
    pub fn kinds(&self) -> Vec<TargetKind> {
        let toward = self.toward.iter().map(|toward| toward.kind());
        let mut kinds: Vec<TargetKind> =
            toward.chain(self.dose.iter().filter_map(|dose| dose.kind())).collect();
        kinds.dedup();
        kinds
    }

    /// The probes of a kind.
    pub fn probes(&self, lab: &Path, model: &Model, kind: Option<&TargetKind>) -> Result<ProbeSet> {
        let dataset = self.dataset.as_deref().unwrap_or(match kind {
            Some(TargetKind::Year) => "historical_figure",
            _ => "world_place",
        });
        load_probes(lab, model, dataset)
    }

    /// Where the stream is changed.
    pub fn points(&self, model: &Model) -> Result<Vec<HookPoint>> {
        match &self.feature {
            Some(feature) => Ok(vec![feature.dictionary(model, self.said_point(model)?)?.hook_point]),
            None => self.said_points(model),
        }
    }

    /// The one place that --layer or --hook-points say, if they say any.
    fn said_point(&self, model: &Model) -> Result<Option<HookPoint>> {
        if self.layer.is_empty() && self.hook_points.is_none() {
            return Ok(None);
        }
        match self.said_points(model)?[..] {
            [point] => Ok(Some(point)),
            ref more => Err(Error::invalid("places of a dictionary", more.len(), "one")),
        }
    }

    fn said_points(&self, model: &Model) -> Result<Vec<HookPoint>> {
        let spec = model.spec();
        if let Some(globs) = &self.hook_points {
            let mut present = HookPoint::all(spec.n_layers);
            present.retain(|point| spec.width_at(*point).is_some());
            return HookPoint::choose(globs, &present);
        }
        if self.layer.is_empty() {
            let expected = format!("--layer with blocks from 0 to {}, or --hook-points", spec.n_layers - 1);
            return Err(Error::invalid("place to steer at", "none", expected));
        }
        if let Some(layer) = self.layer.iter().find(|layer| **layer >= spec.n_layers) {
            let expected = format!("a block from 0 to {}", spec.n_layers - 1);
            return Err(Error::invalid("--layer", layer, expected));
        }
        Ok(self.layer.iter().map(|layer| HookPoint::ResidPost(*layer)).collect())
    }

    /// The hook for a prompt.
    pub fn steers(&self, lab: &Path, model: &Model, prompt: &Framed) -> Result<Steers> {
        let mut steers = Vec::new();
        let norm = if self.keep_norm { Norm::Kept } else { Norm::Free };
        let mut steer = |point, op| {
            let positions = Positions::new(&self.positions, prompt)?;
            steers.push(Steer::new(model.spec(), (point, op), norm, positions)?);
            Ok::<(), Error>(())
        };
        match &self.feature {
            Some(feature) => {
                let dictionary = feature.dictionary(model, self.said_point(model)?)?;
                let point = dictionary.hook_point;
                let dataset = self.dataset.as_deref().unwrap_or("world_place");
                let pressed = feature.pressed(dictionary, (lab, model, dataset));
                for dose in &self.dose {
                    steer(point, pressed.op(*dose, || self.rms(lab, (model, prompt), point))?)?;
                }
            }
            None => {
                for point in self.said_points(model)? {
                    self.ops(lab, (model, prompt), point)?.into_iter().try_for_each(|op| steer(point, op))?;
                }
            }
        }
        if steers.is_empty() {
            return Err(Error::invalid(
                "steering",
                "no change",
                "--toward, --dose, --feature with --dose, or --direction with --remove",
            ));
        }
        Ok(Steers(steers))
    }

    /// What is done at a hook point.
    fn ops(&self, lab: &Path, (model, prompt): (&Model, &Framed), point: HookPoint) -> Result<Vec<Op>> {
        let mut ops = Vec::new();
        for toward in &self.toward {
            let probes = self.probes(lab, model, Some(&toward.kind()))?;
            ops.push(Op::set_along(self.along, probes.get(point)?, &toward.values())?);
        }
        let vectors = match &self.direction {
            Some(file) => Some(Vectors::load(file, self.shift)?),
            None => None,
        };
        let vector = vectors.as_ref().map(|vectors| vectors.get(model.spec(), point)).transpose()?;
        if let (Some(vector), true) = (vector, self.remove) {
            return Ok(vec![Op::Remove(Direction::of(vector)?)]);
        }
        for dose in &self.dose {
            ops.push(match (*dose, vector) {
                (Dose::Rms(dose), Some(vector)) => {
                    Op::add(&Direction::of(vector)?, dose, self.rms(lab, (model, prompt), point)?)
                }
                (Dose::Times(times), Some(vector)) => Op::Add(vector.iter().map(|x| x * times).collect()),
                (Dose::Activation(_) | Dose::Clamp(_), _) => {
                    let expected = "a --feature DICT:UNIT to press";
                    return Err(Error::invalid("--dose", "a dose of a dictionary's unit", expected));
                }
                (Dose::Rms(_) | Dose::Times(_), None) => {
                    let expected = "a --direction FILE to move along, or a --feature DICT:UNIT";
                    return Err(Error::invalid("--dose", "a dose in rms or x", expected));
                }
                (_, Some(_)) => {
                    let expected = "a dose in rms or x with --direction";
                    return Err(Error::invalid("--dose", "a dose in degrees or years", expected));
                }
                (dose, None) => {
                    let probes = self.probes(lab, model, dose.kind().as_ref())?;
                    Op::shift_along(self.along, probes.get(point)?, &dose.deltas())?
                }
            });
        }
        Ok(ops)
    }

    /// The RMS norm of what passes at a hook point: over a probe's entities, else over the prompt's own tokens.
    fn rms(&self, lab: &Path, (model, prompt): (&Model, &Framed), point: HookPoint) -> Result<f64> {
        if let Ok(probes) = self.probes(lab, model, None)
            && let Ok(stored) = probes.get(point)
        {
            return Ok(stored.stream.resid_rms);
        }
        let nodes: Vec<u32> = (prompt.encoded.n_special() as u32..prompt.encoded.ids.len() as u32).collect();
        let mut capture = Capture::nodes(&[point], &nodes)?;
        model.transformer.forward(&Forest::of_text(&prompt.encoded.ids)?, None, &mut capture)?;
        let values = capture.get(point)?.flatten_all()?.to_vec1::<f32>()?;
        let squares: f64 = values.iter().map(|x| f64::from(*x).powi(2)).sum();
        Ok((squares / nodes.len().max(1) as f64).sqrt())
    }
}

/// The probes of a dataset in the lab, of this model.
pub fn load_probes(lab: &Path, model: &Model, dataset: &str) -> Result<ProbeSet> {
    let path =
        probe_folder(lab, &model.name, &name_of(dataset), &Prompt::empty().name).join("probes.safetensors");
    if !path.is_file() {
        let make = format!("probes; make them with `mappa probe --model {} --dataset {dataset}`", model.name);
        return Err(Error::bad_file(path, "nothing", make));
    }
    let probes = ProbeSet::load(&path)?;
    if probes.about.model != model.name {
        let found = format!("probes of the model `{}`", probes.about.model);
        return Err(Error::bad_file(path, found, format!("probes of `{}`, which is steered", model.name)));
    }
    for point in probes.points() {
        let (found, width) = (probes.get(point)?.probe.d_model(), model.spec().width_at(point));
        if width != Some(found) {
            let found = format!("a probe of {found} weights at {point}");
            let expected =
                width.map_or("no such place in this model".into(), |width| format!("{width} weights"));
            return Err(Error::bad_file(path, found, format!("{expected}; make the probes anew")));
        }
    }
    Ok(probes)
}
