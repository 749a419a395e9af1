//! The probes of a job: every hook point in one run, or some of them a run, and merged.

use super::recording::say_locked;
use super::stages::{Done, Job, best_point};
use super::terminal;
use mappa::Result;
use mappa::activations::{Activations, Division, Lock, Work};
use mappa::artefact::Card;
use mappa::hook_point::HookPoint;
use mappa::model::untrained_up_to;
use mappa::probes::{Bootstrap, Part, Parts, ProbeSet, ProbeSetAbout, Scorer};
use mappa::results::{PredictionRow, ScoreRow, save_rows};
use std::collections::BTreeMap;
use std::path::Path;

impl Job<'_> {
    fn probe_card(&self) -> Result<Card> {
        Ok(self
            .card()?
            .input("hook_points", "embed and every hook_resid_post")
            .input("seed", self.seed)
            .input("resamples", self.resamples)
            .input("split", "is_test column"))
    }

    /// The parts that are fitted apart.
    pub fn parts(&self) -> Result<Parts> {
        Ok(Parts::new(&self.probe_folder(), self.probe_card()?))
    }

    fn is_probed(&self) -> Result<bool> {
        self.probe_card()?.is_done(&self.probe_folder().join("card.json"))
    }

    /// Fits and scores probes and baselines at every layer, unless their scores lie there already.
    pub fn probe(&self) -> Result<Done> {
        self.alone(|| {
            let (scorer, mut parts) = (self.scorer()?, Vec::new());
            self.fit(&scorer, &self.points(), &mut |part| {
                parts.push(part);
                Ok(())
            })?;
            self.finish(&scorer, parts)
        })
    }

    /// Puts all parts into the files that one run would write, byte for byte, unless they lie there already;
    /// the parts stay where they are.
    pub fn merge_probes(&self) -> Result<Done> {
        self.alone(|| self.finish(&self.scorer()?, self.parts()?.load(&self.points())?))
    }

    /// Fills the probe folder while no other process does, unless it is filled already.
    fn alone(&self, fill: impl FnOnce() -> Result<()>) -> Result<Done> {
        if self.is_probed()? {
            return Ok(Done::Before);
        }
        let _lock = lock(&self.probe_folder())?;
        // Whoever had the lock before may have filled it.
        if self.is_probed()? {
            return Ok(Done::Before);
        }
        fill()?;
        Ok(Done::Now)
    }

    /// Fits and scores some of the hook points and writes each as a part, unless it lies there already.
    ///
    /// What a part holds does not depend on which others are fitted with it.
    pub fn probe_apart(&self, points: &[HookPoint]) -> Result<Done> {
        if self.is_probed()? {
            return Ok(Done::Before);
        }
        let parts = self.parts()?;
        let (mut left, mut locks) = (Vec::new(), Vec::new());
        for &point in points {
            if !parts.is_done(point)? {
                locks.push(lock(&parts.folder(point))?);
                if !parts.is_done(point)? {
                    left.push(point);
                }
            }
        }
        if left.is_empty() {
            return Ok(Done::Before);
        }
        self.fit(&self.scorer()?, &left, &mut |part| parts.save(&part, &self.about()))?;
        Ok(Done::Now)
    }

    fn scorer(&self) -> Result<Scorer<'_>> {
        let mut scorer = Scorer::official(self.dataset, &self.model.name, &self.prompt.name)?;
        scorer.bootstrap = Bootstrap { n_resamples: self.resamples, seed: self.seed };
        Ok(scorer)
    }

    /// Fits and scores hook points one by one, and their untrained baselines.
    fn fit(
        &self,
        scorer: &Scorer,
        points: &[HookPoint],
        done: &mut dyn FnMut(Part) -> Result<()>,
    ) -> Result<()> {
        let title = format!("{}: probes", self.dataset.name);
        let bar = terminal::bar(&title, 2 * points.len() as u64);
        let blank = self.untrained(points)?;
        for &point in points {
            let scored = scorer.layer(point, self.activations().load(point)?.view())?;
            bar.inc(1);
            let untrained = scorer.untrained(point, blank[&point].view())?;
            bar.inc(1);
            let probe = scored.stored();
            done(Part { point, probe, rows: [scored.rows, untrained.rows].concat() })?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// The activations of a model of the same shape that learned nothing, as deep as they are needed.
    fn untrained(&self, points: &[HookPoint]) -> Result<BTreeMap<HookPoint, Activations>> {
        let last = points.iter().map(|point| point.layer()).max().unwrap_or(0);
        let blank = untrained_up_to(last, self.model.spec(), self.seed)?;
        let (text, division) = ((self.dataset, self.prompt), Division::of(self.model.spec()));
        let work = Work::new(self.reader(&blank), text, self.recording, division)?;
        Ok(work.extract(points, &mut |_| ())?.arrays)
    }

    /// Adds the baselines that read no model and the readings at the best layer, and writes all; the card last.
    fn finish(&self, scorer: &Scorer, parts: Vec<Part>) -> Result<()> {
        let folder = self.probe_folder();
        let mut set = ProbeSet::new(self.about());
        let mut rows = Vec::new();
        for part in parts {
            set.insert(part.point, part.probe);
            rows.extend(part.rows);
        }
        let predictions = self.predictions(scorer, &set, &rows)?;
        rows.extend(scorer.names_only()?.rows);
        rows.extend(scorer.centroid()?.rows);
        set.save(&folder.join("probes.safetensors"))?;
        save_rows(&folder.join("predictions.csv"), &predictions)?;
        save_rows(&folder.join("scores.csv"), &rows)?;
        self.probe_card()?.save(&folder.join("card.json"))
    }

    /// The readings at the layer to draw, which is chosen without a look at the test rows.
    fn predictions(&self, scorer: &Scorer, set: &ProbeSet, rows: &[ScoreRow]) -> Result<Vec<PredictionRow>> {
        let point = best_point(rows)?;
        let readings = set.get(point)?.probe.readings(self.activations().load(point)?.view());
        Ok(scorer.prediction_rows(point, readings.view()))
    }

    fn about(&self) -> ProbeSetAbout {
        ProbeSetAbout {
            dataset: self.dataset.name.clone(),
            model: self.model.name.clone(),
            prompt: self.prompt.name.clone(),
            targets: self.dataset.kind.names().iter().map(|t| t.to_string()).collect(),
        }
    }
}

/// Keeps other processes out of a folder; says so where that cannot be done.
fn lock(folder: &Path) -> Result<Lock> {
    let lock = Lock::take(folder)?;
    say_locked(lock.is_held());
    Ok(lock)
}
