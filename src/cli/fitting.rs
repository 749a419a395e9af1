//! The probes of a job: every hook point in one run, or some of them a run, and merged.

use super::blank::Blank;
use super::recording::say_locked;
use super::stages::{Done, Job};
use super::terminal;
use mappa::Result;
use mappa::activations::{Activations, Lock};
use mappa::artefact::Card;
use mappa::datasets::{Dataset, TargetKind};
use mappa::hook_point::HookPoint;
use mappa::probes::{
    Baselines, Bootstrap, Edge, Leakage, Near, PROBES_FILE, PartialProbe, PartialProbes, ProbeSet,
    ProbeSetAbout, ScoredProbe, Scorer, Split, SplitDataset, SplitPlan, best_point, joined, stacked,
};
use mappa::results::{PREDICTIONS_FILE, PredictionRow, RIDGE, SCORES_FILE, ScoreRow, TEST, save_rows};
use std::borrow::Cow;
use std::path::Path;

/// What is learnt from and what is scored, of one dataset or of two.
pub struct Divided<'a> {
    dataset: Cow<'a, Dataset>,
    split: Split,
}

impl Divided<'_> {
    /// What of the test entities stands in the training entities already.
    fn leakage(&self, within: Option<f64>) -> Leakage {
        Leakage::of(&self.dataset, &self.split, within)
    }
}

impl Job<'_> {
    fn probe_card(&self) -> Result<Card> {
        let split = match &self.settings.split {
            SplitPlan::Dataset => "is_test column".to_string(),
            other => other.to_string(),
        };
        let baselines = match self.settings.baselines() {
            Baselines::Included => {
                "names-only, group centroid, embed, untrained, shuffled weights, shuffled labels"
            }
            Baselines::Omitted => "none",
        };
        let mut card = self
            .card()?
            .input("hook_points", "embed and every hook_resid_post")
            .input("seed", self.seed)
            .input("resamples", self.resamples)
            .input("baselines", baselines)
            .input("split", split);
        let settings = self.settings;
        for (name, value) in
            [("classes", &settings.classes), ("clusters", &settings.cluster), ("penalties", &settings.alphas)]
        {
            card = value.iter().fold(card, |card, value| card.input(name, value));
        }
        if !settings.methods.is_empty() {
            card = card.input("methods", settings.methods.join(", "));
        }
        if settings.paper_metrics {
            card = card.input("paper_metrics", "distances that take longitude for latitude, as well");
        }
        if let Some(from) = self.from {
            card = card
                .input("learnt_from", &from.dataset.name)
                .input("learnt_from_sha256", &from.dataset.sha256)
                .input("learnt_from_prompt", from.prompt.template());
        }
        Ok(card)
    }

    /// The parts that are fitted apart.
    pub fn parts(&self) -> Result<PartialProbes> {
        Ok(PartialProbes::new(&self.probe_folder(), self.probe_card()?))
    }

    fn is_probed(&self) -> Result<bool> {
        self.probe_card()?.is_done(&self.probe_folder().join("card.json"))
    }

    /// Fits and scores probes and baselines at every layer, unless their scores lie there already.
    pub fn probe(&self) -> Result<Done> {
        self.alone(|| {
            let (divided, mut parts) = (self.divided()?, Vec::new());
            let scorer = self.scorer(&divided)?;
            self.fit(&scorer, &self.points(), &mut |part| {
                parts.push(part);
                Ok(())
            })?;
            self.finish((&scorer, &divided), parts)
        })
    }

    /// Puts all parts into the files that one run would write, byte for byte, unless they lie there already;
    /// the parts stay where they are.
    pub fn merge_probes(&self) -> Result<Done> {
        self.alone(|| {
            let divided = self.divided()?;
            self.finish((&self.scorer(&divided)?, &divided), self.parts()?.load(&self.points())?)
        })
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
        let divided = self.divided()?;
        self.fit(&self.scorer(&divided)?, &left, &mut |part| parts.save(&part, &self.about()))?;
        Ok(Done::Now)
    }

    /// The entities as the settings divide them; those of two datasets or prompts one after the other.
    fn divided(&self) -> Result<Divided<'_>> {
        let split = self.settings.split.divide(self.dataset)?;
        let Some(from) = self.from else {
            return Ok(Divided { dataset: Cow::Borrowed(self.dataset), split });
        };
        let train = SplitDataset { dataset: from.dataset, split: &self.settings.split.divide(from.dataset)? };
        let both = joined(train, SplitDataset { dataset: self.dataset, split: &split })?;
        Ok(Divided { dataset: Cow::Owned(both.dataset), split: both.split })
    }

    fn scorer<'d>(&self, divided: &'d Divided) -> Result<Scorer<'d>> {
        let split = divided.split.clone();
        let mut scorer = Scorer::new(split, &divided.dataset, &self.model.name, &self.prompt.name)?;
        scorer.bootstrap = Bootstrap { n_resamples: self.resamples, seed: self.seed };
        self.settings.set_up(scorer, (self.from.map(|from| from.dataset), self.dataset))
    }

    /// The activations of all entities, those that are learnt from first where they are others.
    fn stacked(&self, point: HookPoint) -> Result<Activations> {
        let read = self.activations()?.load(point)?;
        match self.from {
            None => Ok(read),
            Some(from) => stacked(from.activations()?.load(point)?, &read),
        }
    }

    /// Fits and scores hook points one by one, and the same on models that know nothing.
    fn fit(
        &self,
        scorer: &Scorer,
        points: &[HookPoint],
        done: &mut dyn FnMut(PartialProbe) -> Result<()>,
    ) -> Result<()> {
        let title = format!("{}: probes", self.dataset.name);
        let blanks: &[Blank] = if scorer.baselines == Baselines::Included { &Blank::ALL } else { &[] };
        // No more layers of a model that knows nothing are held than fit into memory.
        for some in points.chunks(self.layers_at_once()) {
            let mut beside = vec![Vec::new(); some.len()];
            for blank in blanks {
                let arrays = self.blank(*blank, some)?;
                let title = format!("{title} of {}", blank.name().replace('_', " "));
                let bar = terminal::bar(&title, some.len() as u64);
                for (rows, point) in beside.iter_mut().zip(some) {
                    rows.extend(scorer.other_model(blank.name(), *point, arrays[point].view())?.rows);
                    bar.inc(1);
                }
                bar.finish_and_clear();
            }
            let bar = terminal::bar(&title, some.len() as u64);
            for (&point, beside) in some.iter().zip(beside) {
                let scored = scorer.fit_and_score(point, self.stacked(point)?.view())?;
                bar.inc(1);
                bar.suspend(|| say_edge(point, &scored));
                let probe = scored.stored();
                done(PartialProbe { point, probe, rows: [scored.rows, beside].concat() })?;
            }
            bar.finish_and_clear();
        }
        Ok(())
    }

    /// Adds the baselines that read no model and the readings at the best layer, and writes all; the card last.
    fn finish(&self, (scorer, divided): (&Scorer, &Divided), parts: Vec<PartialProbe>) -> Result<()> {
        let folder = self.probe_folder();
        let mut set = ProbeSet::new(self.about());
        let mut rows = Vec::new();
        for part in parts {
            set.insert(part.point, part.probe);
            rows.extend(part.rows);
        }
        let predictions = self.predictions(scorer, &set, &rows)?;
        if scorer.baselines == Baselines::Included {
            rows.extend(scorer.baselines_without_model()?);
        }
        set.save(&folder.join(PROBES_FILE))?;
        save_rows(&folder.join(PREDICTIONS_FILE), &predictions)?;
        save_rows(&folder.join(SCORES_FILE), &rows)?;
        let leakage = divided.leakage(self.settings.leak_within);
        let card = self
            .probe_card()?
            .note("n_folds", divided.split.folds.len())
            .note("n_test", leakage.n_test)
            .note("n_test_with_name_of_train", leakage.n_same_name);
        let card = match leakage.near {
            Some(Near { n, within, unit }) => card
                .note("n_test_near_train", n)
                .note("near_is_within", format!("{within} {unit}").trim_end()),
            None => card,
        };
        card.save(&folder.join("card.json"))
    }

    /// What is to be known before scores are read: folds, and test entities that the training ones give away.
    pub fn audit(&self) -> Result<String> {
        let divided = self.divided()?;
        let folds = match divided.split.folds.len() {
            1 => String::new(),
            n => format!("{n} folds; "),
        };
        Ok(format!("{folds}{}", divided.leakage(self.settings.leak_within)))
    }

    /// The readings at the layer to draw, which is chosen without a look at the test rows.
    fn predictions(&self, scorer: &Scorer, set: &ProbeSet, rows: &[ScoreRow]) -> Result<Vec<PredictionRow>> {
        let point = best_point(rows)?;
        let readings = scorer.predictions(&set.get(point)?.probe, self.stacked(point)?.view())?;
        let mut rows = scorer.prediction_rows(point, readings.view());
        if self.from.is_some() {
            // What was learnt from belongs to another dataset or prompt.
            rows.retain(|row| row.split == TEST);
        }
        Ok(rows)
    }

    fn about(&self) -> ProbeSetAbout {
        ProbeSetAbout {
            dataset: self.dataset.name.clone(),
            model: self.model.name.clone(),
            prompt: self.prompt.name.clone(),
            targets: self.dataset.kind.names().iter().map(|t| t.to_string()).collect(),
            unit: match &self.dataset.kind {
                TargetKind::Quantity(quantity) => quantity.unit.clone(),
                _ => String::new(),
            },
        }
    }
}

/// Says where the search for the penalty ended at the end of its grid.
fn say_edge(point: HookPoint, scored: &ScoredProbe) {
    let penalty = scored.rows.iter().find(|row| row.method == RIDGE && row.metric == "penalty");
    let Some(row) = penalty.filter(|_| scored.edge != Edge::Inside || scored.n_grown > 0) else { return };
    let grown = match scored.n_grown {
        0 => String::new(),
        n => format!(", {n} decades more than at first"),
    };
    let edge = match scored.edge {
        Edge::Inside => "",
        Edge::Lowest => ", the lowest: less shrinkage might do better",
        Edge::Highest => ", the highest: there may be nothing of the target here",
    };
    eprintln!("{point}: λ {:.1e}{edge}; tried {:.1e} to {:.1e}{grown}", row.value, row.low, row.high);
}

/// Keeps other processes out of a folder; says so where that cannot be done.
fn lock(folder: &Path) -> Result<Lock> {
    let lock = Lock::take(folder)?;
    say_locked(lock.is_held());
    Ok(lock)
}
