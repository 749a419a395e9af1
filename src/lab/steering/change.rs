//! A change of the stream: its hook points, its amount, and the hook for a prompt.

use super::super::saved_probes::{ProbeChoice, ProbeFinder, SavedProbes};
use super::latent::{Latent, LoadedLatent};
use super::recommended_layers as recommended;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Capture, Forest, Model};
use crate::progress::Observer;
use crate::steering::{
    Basis, Dose, Norm, Op, RequiredTarget, SteerHook, SteerHooks, TargetReading, TokenChoice, TokenPositions,
    UnitDirection, Vectors,
};
use crate::tokenizer::EncodedPrompt;
use std::path::PathBuf;
use std::rc::Rc;

/// The settings of a change of the stream, as in the flags of `mappa steer`.
#[derive(Debug, Clone)]
pub struct Change {
    /// The values to set the probe's predictions to.
    pub toward: Vec<TargetReading>,
    /// The amounts to move the prediction or the stream by.
    pub dose: Vec<Dose>,
    /// A file of vectors to move along.
    pub direction: Option<PathBuf>,
    /// A latent of a dictionary to add or clamp.
    pub feature: Option<Latent>,
    /// True to remove the stream's component along the direction.
    pub remove: bool,
    /// For a control vector: `direction.k` changes the output of block `k + shift`.
    pub shift: i64,
    /// The direction of the change: the probe's pattern or its weights.
    pub along: Basis,
    /// The blocks whose outputs are changed; by default those that a sweep recommends, otherwise a guess from the
    /// depth.
    pub layer: Vec<usize>,
    /// Other hook points, by name or glob.
    pub hook_points: Option<String>,
    /// The tokens that are changed.
    pub positions: TokenChoice,
    /// True to scale each changed row back to its previous length.
    pub keep_norm: bool,
    /// The selection of probes.
    pub probes: ProbeChoice,
}

impl Default for Change {
    fn default() -> Change {
        Change {
            toward: Vec::new(),
            dose: Vec::new(),
            direction: None,
            feature: None,
            remove: false,
            shift: 0,
            along: Basis::Pattern,
            layer: Vec::new(),
            hook_points: None,
            positions: TokenChoice::All,
            keep_norm: false,
            probes: ProbeChoice::default(),
        }
    }
}

/// The steered prompt, the hook point, and the finder of probes that may define the change.
struct Site<'a> {
    finder: &'a ProbeFinder<'a>,
    prompt: &'a EncodedPrompt,
    point: HookPoint,
}

impl Change {
    /// A change towards a target, as `--toward` writes it: `lat=35,lon=139`, `year=1850`, or an entity's name.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the text is none of these.
    pub fn toward(target: &str) -> Result<Change> {
        Ok(Change { toward: vec![target.parse()?], ..Change::default() })
    }

    /// Returns true if the change is empty.
    pub fn is_none(&self) -> bool {
        self.toward.is_empty() && self.dose.is_empty() && !self.remove
    }

    /// The probes that define the change. If no probe defines it, the selected probes, which then only predict.
    ///
    /// # Errors
    /// Those of [`ProbeFinder::best`].
    pub fn probes(&self, finder: &ProbeFinder, observer: &mut dyn Observer) -> Result<Vec<Rc<SavedProbes>>> {
        let mut all = Vec::new();
        for toward in &self.toward {
            all.push(self.aim(finder, toward, observer)?.0);
        }
        for reads in self.dose.iter().filter_map(Dose::reads) {
            all.push(finder.best(&reads)?);
        }
        if all.is_empty() && self.probes.is_some() {
            // If a file gives the direction, the probes only predict.
            all.extend(finder.first(&RequiredTarget::Anything).ok());
        }
        all.dedup_by(|a, b| a.folder == b.folder);
        Ok(all)
    }

    /// The probes of a target, and the values that they should predict after the change.
    fn aim(
        &self,
        finder: &ProbeFinder,
        toward: &TargetReading,
        observer: &mut dyn Observer,
    ) -> Result<(Rc<SavedProbes>, Vec<f64>)> {
        if !matches!(toward, TargetReading::Entity(_)) {
            return Ok((finder.best(&toward.reads())?, toward.values(None)?));
        }
        // Takes the first dataset that contains the entity.
        let mut refused = None;
        for saved in finder.usable()? {
            let Ok(dataset) = finder.dataset(saved, observer) else { continue };
            match toward.values(Some(&dataset)) {
                Ok(values) => {
                    saved.check_fits(finder.model())?;
                    return Ok((saved.clone(), values));
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) => Err(error),
            None => Ok((finder.best(&RequiredTarget::Anything)?, toward.values(None)?)),
        }
    }

    /// Chooses the hook points of a change that names no blocks, no hook points and no latent: the hook point of a file
    /// with one vector, a guessed block for other files, or the recommended blocks if there is no file.
    ///
    /// # Errors
    /// Those of the probes and of the sweeps.
    pub fn settled(&self, finder: &ProbeFinder, observer: &mut dyn Observer) -> Result<Change> {
        if self.feature.is_none() {
            // An error is ignored here: the code that uses the probes loads them again, and reports it.
            let used = self.probes(finder, observer).unwrap_or_default();
            used.iter().for_each(|saved| saved.note_changes(finder, observer));
        }
        if !self.layer.is_empty() || self.hook_points.is_some() || self.feature.is_some() {
            return Ok(self.clone());
        }
        if let Some(file) = &self.direction
            && let [only] = Vectors::load(file, self.shift)?.points().collect::<Vec<_>>()[..]
        {
            return Ok(Change { hook_points: Some(only.to_string()), ..self.clone() });
        }
        if self.direction.is_some() {
            return Ok(Change {
                layer: vec![recommended::of_direction(finder.model(), observer)],
                ..self.clone()
            });
        }
        let used = self.probes(finder, observer)?.into_iter().next();
        match used.or_else(|| finder.first(&RequiredTarget::Anything).ok()) {
            Some(probed) => Ok(Change {
                layer: recommended::recommended(finder.lab(), finder.model(), &probed, observer)?,
                ..self.clone()
            }),
            None => Ok(self.clone()),
        }
    }

    /// The hook points at which the stream is changed.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the flag.
    pub fn points(&self, model: &Model, observer: &mut dyn Observer) -> Result<Vec<HookPoint>> {
        match &self.feature {
            Some(feature) => {
                Ok(vec![feature.dictionary(model, self.named_point(model)?, observer)?.hook_point])
            }
            None => self.named_points(model),
        }
    }

    /// The single hook point of `--layer` or `--hook-points`, if one of these flags is set.
    fn named_point(&self, model: &Model) -> Result<Option<HookPoint>> {
        if self.layer.is_empty() && self.hook_points.is_none() {
            return Ok(None);
        }
        match self.named_points(model)?[..] {
            [point] => Ok(Some(point)),
            ref more => Err(Error::invalid("hook points of a dictionary", more.len(), "one")),
        }
    }

    fn named_points(&self, model: &Model) -> Result<Vec<HookPoint>> {
        let spec = model.spec();
        if let Some(globs) = &self.hook_points {
            return HookPoint::choose(globs, &spec.hook_points());
        }
        if self.layer.is_empty() {
            let expected = format!("--layer with blocks from 0 to {}, or --hook-points", spec.n_layers - 1);
            return Err(Error::invalid("hook point to steer at", "none", expected));
        }
        if let Some(layer) = self.layer.iter().find(|layer| **layer >= spec.n_layers) {
            let expected = format!("a block from 0 to {}", spec.n_layers - 1);
            return Err(Error::invalid("--layer", layer, expected));
        }
        Ok(self.layer.iter().map(|layer| HookPoint::ResidPost(*layer)).collect())
    }

    /// The hook for a prompt.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the change is empty, or the unit of a dose does not suit it.
    pub fn steers(
        &self,
        finder: &ProbeFinder,
        prompt: &EncodedPrompt,
        observer: &mut dyn Observer,
    ) -> Result<SteerHooks> {
        let (model, mut hooks) = (finder.model(), Vec::new());
        let norm = if self.keep_norm { Norm::Kept } else { Norm::Free };
        let mut add = |point, op| {
            let positions = TokenPositions::new(&self.positions, prompt)?;
            hooks.push(SteerHook::new(model.spec(), point, op, positions)?.with_norm(norm));
            Ok::<(), Error>(())
        };
        match &self.feature {
            Some(feature) => {
                let dictionary = feature.dictionary(model, self.named_point(model)?, observer)?;
                let site = Site { finder, prompt, point: dictionary.hook_point };
                let dataset = &self.probes.dataset_name().unwrap_or_else(|| "world_place".into());
                let (lab, index) = (finder.lab(), feature.index());
                let latent = LoadedLatent { lab, model, dataset, dictionary, index };
                for dose in &self.dose {
                    add(site.point, latent.op(dose, || site.rms())?)?;
                }
            }
            None => {
                for point in self.named_points(model)? {
                    let site = Site { finder, prompt, point };
                    self.ops(&site, observer)?.into_iter().try_for_each(|op| add(point, op))?;
                }
            }
        }
        if hooks.is_empty() {
            return Err(Error::invalid(
                "steering",
                "no change",
                "--toward, --dose, --feature with --dose, or --direction with --remove",
            ));
        }
        Ok(SteerHooks(hooks))
    }

    /// The operations at a hook point.
    fn ops(&self, site: &Site, observer: &mut dyn Observer) -> Result<Vec<Op>> {
        let Site { finder, point, .. } = *site;
        let mut ops = Vec::new();
        for toward in &self.toward {
            let (probed, values) = self.aim(finder, toward, observer)?;
            ops.push(Op::set_along(self.along, probed.set.get(point)?, &values)?);
        }
        let vectors = match &self.direction {
            Some(file) => Some(Vectors::load(file, self.shift)?),
            None => None,
        };
        let vector = vectors.as_ref().map(|vectors| vectors.get(finder.model().spec(), point)).transpose()?;
        if let (Some(vector), true) = (vector, self.remove) {
            return Ok(vec![Op::Remove(UnitDirection::of(vector)?)]);
        }
        for dose in &self.dose {
            ops.push(match (dose, vector) {
                (Dose::Rms(dose), Some(vector)) => Op::add(&UnitDirection::of(vector)?, *dose, site.rms()?),
                (Dose::Times(times), Some(vector)) => Op::Add(vector.iter().map(|x| x * times).collect()),
                (Dose::Activation(_) | Dose::Clamp(_), _) => {
                    let expected = "--feature DICT:LATENT as well, to clamp or add";
                    return Err(Error::invalid("--dose", "a dose of a dictionary's latent", expected));
                }
                (Dose::Rms(_) | Dose::Times(_), None) => {
                    let expected = "--direction FILE as well, to move along, or --feature DICT:LATENT";
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
                    let probed = finder.best(&dose.reads().unwrap_or(RequiredTarget::Anything))?;
                    Op::shift_along(self.along, probed.set.get(point)?, &dose.deltas())?
                }
            });
        }
        Ok(ops)
    }
}

impl Site<'_> {
    /// The RMS norm of the stream: over the training entities of a probe, otherwise over the prompt's own tokens.
    fn rms(&self) -> Result<f64> {
        let Site { finder, prompt, point } = *self;
        if let Ok(probed) = finder.first(&RequiredTarget::Anything)
            && let Ok(stored) = probed.set.get(point)
        {
            return Ok(stored.stream.resid_rms);
        }
        let nodes: Vec<u32> = (prompt.encoded.n_special() as u32..prompt.encoded.ids.len() as u32).collect();
        let mut capture = Capture::nodes(&[point], &nodes)?;
        finder.model().transformer.forward(&Forest::of_text(&prompt.encoded.ids)?, None, &mut capture)?;
        let values = capture.get(point)?.flatten_all()?.to_vec1::<f32>()?;
        let squares: f64 = values.iter().map(|x| f64::from(*x).powi(2)).sum();
        Ok((squares / nodes.len().max(1) as f64).sqrt())
    }
}
