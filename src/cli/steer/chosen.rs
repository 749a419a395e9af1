//! The flags that say what is changed, where and how far.

use super::super::probed::{ChosenProbes, Probed};
use super::feature::Feature;
use super::layer;
use clap::Args;
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Framed, Model};
use mappa::steering::{
    Basis, Dose, Norm, Op, RequiredTarget, SteerHook, SteerHooks, TargetReading, TokenChoice, TokenPositions,
    UnitDirection, Vectors,
};
use mappa::{Error, Result};
use std::path::{Path, PathBuf};

/// What is changed, where and how far.
#[derive(Args, Clone)]
pub struct Change {
    /// Set the probe's reading: lat=35,lon=139, year=1850, another target with its value (length_km=3000), or where or
    /// when an entity of the dataset is (Tokyo); several, given several times.
    #[arg(long, allow_hyphen_values = true, conflicts_with_all = ["dose", "direction", "remove", "feature"])]
    pub toward: Vec<TargetReading>,
    /// Move the probe's reading, or move along --direction: "+30 east", "10 north, 30 east", "-100 years",
    /// "1000 km" of a target in km, "2 rms" (in lengths of the layer's stream), "1.5x" (the file's vector as it is). For --feature: "clamp 3x"
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
    pub along: Basis,
    /// The blocks whose outputs are changed; several with commas [default: those that a sweep found best, else a
    /// guess: five up to a third of the depth].
    #[arg(long, value_delimiter = ',', value_name = "LAYERS")]
    pub layer: Vec<usize>,
    /// Other places than a block's output, by name or glob: blocks.3.hook_mlp_out; for --direction and --feature.
    #[arg(long, value_name = "NAMES|GLOBS", conflicts_with = "layer")]
    pub hook_points: Option<String>,
    /// Which tokens are changed: prompt, generated, all, last (of the prompt), bos, entity (what stands in a
    /// template's place), or span:"a phrase"; several with commas.
    #[arg(long = "at", default_value = "all", value_name = "POSITIONS")]
    pub positions: TokenChoice,
    /// Scale each changed row back to the length it had.
    #[arg(long)]
    pub keep_norm: bool,
    #[command(flatten)]
    pub from: ChosenProbes,
}

impl Change {
    /// The probes that give the change its meaning; where none does, those that were asked for to look on.
    pub fn probes(&self, lab: &Path, model: &Model) -> Result<Vec<Probed>> {
        let mut all = Vec::new();
        for toward in &self.toward {
            all.push(self.aim(lab, model, toward)?.0);
        }
        for reads in self.dose.iter().filter_map(Dose::reads) {
            all.push(self.from.newest(lab, model, &reads)?);
        }
        if all.is_empty() && self.from.is_said() {
            // Along a file's direction, the probes only look on.
            all.extend(self.from.newest(lab, model, &RequiredTarget::Anything).ok());
        }
        all.dedup_by(|a, b| a.folder == b.folder);
        Ok(all)
    }

    /// The probes that a target is set with, and the values that they shall read.
    fn aim(&self, lab: &Path, model: &Model, toward: &TargetReading) -> Result<(Probed, Vec<f64>)> {
        if !matches!(toward, TargetReading::Entity(_)) {
            return Ok((self.from.newest(lab, model, &toward.reads())?, toward.values(None)?));
        }
        // The first dataset that has the entity.
        let mut refused = None;
        for probed in self.from.all(lab, model)? {
            let Ok(dataset) = self.from.dataset(lab, &probed) else { continue };
            match toward.values(Some(&dataset)) {
                Ok(values) => return Ok((probed.fitting(model)?, values)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) => Err(error),
            None => Ok((self.from.newest(lab, model, &RequiredTarget::Anything)?, toward.values(None)?)),
        }
    }

    /// The same change at blocks that are recommended, where neither blocks nor other places are said.
    pub fn settled(&self, lab: &Path, model: &Model) -> Result<Change> {
        if !self.layer.is_empty() || self.hook_points.is_some() || self.feature.is_some() {
            return Ok(self.clone());
        }
        if let Some(file) = &self.direction
            && let [only] = Vectors::load(file, self.shift)?.points().collect::<Vec<_>>()[..]
        {
            return Ok(Change { hook_points: Some(only.to_string()), ..self.clone() });
        }
        if self.direction.is_some() {
            return Ok(Change { layer: vec![layer::of_direction(model)], ..self.clone() });
        }
        let used = self.probes(lab, model)?.into_iter().next();
        match used.or_else(|| self.from.newest(lab, model, &RequiredTarget::Anything).ok()) {
            Some(probed) => Ok(Change { layer: layer::recommended(lab, model, &probed)?, ..self.clone() }),
            None => Ok(self.clone()),
        }
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
    pub fn steers(&self, lab: &Path, model: &Model, prompt: &Framed) -> Result<SteerHooks> {
        let mut steers = Vec::new();
        let norm = if self.keep_norm { Norm::Kept } else { Norm::Free };
        let mut steer = |point, op| {
            let positions = TokenPositions::new(&self.positions, prompt)?;
            steers.push(SteerHook::new(model.spec(), point, op, positions)?.with_norm(norm));
            Ok::<(), Error>(())
        };
        match &self.feature {
            Some(feature) => {
                let dictionary = feature.dictionary(model, self.said_point(model)?)?;
                let point = dictionary.hook_point;
                let dataset = self.from.dataset_name().unwrap_or_else(|| "world_place".into());
                let pressed = feature.pressed(dictionary, (lab, model, &dataset));
                for dose in &self.dose {
                    steer(point, pressed.op(dose, || self.rms(lab, (model, prompt), point))?)?;
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
        Ok(SteerHooks(steers))
    }

    /// What is done at a hook point.
    fn ops(&self, lab: &Path, (model, prompt): (&Model, &Framed), point: HookPoint) -> Result<Vec<Op>> {
        let mut ops = Vec::new();
        for toward in &self.toward {
            let (probed, values) = self.aim(lab, model, toward)?;
            ops.push(Op::set_along(self.along, probed.set.get(point)?, &values)?);
        }
        let vectors = match &self.direction {
            Some(file) => Some(Vectors::load(file, self.shift)?),
            None => None,
        };
        let vector = vectors.as_ref().map(|vectors| vectors.get(model.spec(), point)).transpose()?;
        if let (Some(vector), true) = (vector, self.remove) {
            return Ok(vec![Op::Remove(UnitDirection::of(vector)?)]);
        }
        for dose in &self.dose {
            ops.push(match (dose, vector) {
                (Dose::Rms(dose), Some(vector)) => {
                    Op::add(&UnitDirection::of(vector)?, *dose, self.rms(lab, (model, prompt), point)?)
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
                    return Err(Error::invalid(
                        "--dose",
                        "a dose in the unit of a probe, such as degrees",
                        expected,
                    ));
                }
                (dose, None) => {
                    let probed =
                        self.from.newest(lab, model, &dose.reads().unwrap_or(RequiredTarget::Anything))?;
                    Op::shift_along(self.along, probed.set.get(point)?, &dose.deltas())?
                }
            });
        }
        Ok(ops)
    }

    /// The RMS norm of what passes at a hook point: over a probe's entities, else over the prompt's own tokens.
    fn rms(&self, lab: &Path, (model, prompt): (&Model, &Framed), point: HookPoint) -> Result<f64> {
        if let Ok(probed) = self.from.newest(lab, model, &RequiredTarget::Anything)
            && let Ok(stored) = probed.set.get(point)
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
