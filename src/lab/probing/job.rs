//! One model on one dataset with one prompt: the card, the split and the scorer of its probes.

use super::super::extraction::{ExtractionJob, refuse_shared};
use super::settings::ProbingSettings;
use crate::activations::Activations;
use crate::artefact::{Card, FolderName};
use crate::datasets::{Dataset, TargetKind, labels};
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::{
    Baselines, Bootstrap, Leakage, PROBES_FILE, PartialProbes, ProbeSetAbout, Scorer, Split, SplitDataset,
    joined, stacked,
};
use crate::results::{NAMES_ONLY, PREDICTIONS_FILE, SCORES_FILE};
use crate::word_vectors::{NameVectors, WordVectors};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The files of a folder of probes whose hashes are in its card.
pub(super) const PROBE_FILES: [&str; 3] = [PROBES_FILE, PREDICTIONS_FILE, SCORES_FILE];

/// The probes of one model on one dataset with one prompt.
#[derive(Clone, Copy)]
pub struct ProbingJob<'a> {
    /// The activations to score.
    pub extraction: ExtractionJob<'a>,
    /// Settings of fits and scores.
    pub settings: &'a ProbingSettings,
    /// The activations to train on, if they belong to another dataset or prompt.
    pub train: Option<ExtractionJob<'a>>,
    /// The word vectors of the text baselines.
    pub vectors: Option<&'a WordVectors>,
}

/// With fewer groups, an interval contains the true score in only about 90 % of samples
/// (tests/scripts/interval_coverage.py).
const FEW_GROUPS: usize = 12;

/// The inputs that cards of earlier versions lack; their scores are computed again.
const SINCE: [&str; 4] = ["text_baselines", "word_vectors_sha256", "layer_choice", "class_scores"];

/// The entities with their split: of one dataset, or of two joined datasets.
pub struct Divided<'a> {
    /// The entities.
    pub dataset: Cow<'a, Dataset>,
    /// Their split.
    pub split: Split,
}

impl Divided<'_> {
    /// Counts the leaked test entities.
    pub fn leakage(&self, within: Option<f64>) -> Leakage {
        Leakage::of(&self.dataset, &self.split, within)
    }
}

impl<'a> ProbingJob<'a> {
    /// The last folder of the results' path.
    pub fn results(&self) -> FolderName {
        self.settings.folder(&self.extraction.folder())
    }

    /// The folder of probes, scores and predictions.
    pub fn folder(&self) -> PathBuf {
        let ExtractionJob { lab, model, .. } = self.extraction;
        lab.probes(&model.name, &self.extraction.dataset().name, &self.results())
    }

    /// The card with all inputs that determine the scores.
    ///
    /// # Errors
    /// Those of [`ExtractionJob::card`].
    pub fn card(&self) -> Result<Card> {
        let card = self.extraction.card()?.input("hook_points", "embed and every hook_resid_post");
        let mut card = self.settings.record(card);
        if let Some(train) = &self.train {
            card = card
                .input("learnt_from", &train.dataset().name)
                .input("learnt_from_sha256", &train.dataset().sha256)
                .input("learnt_from_prompt", train.prompted.prompt.template());
        }
        if self.settings.baselines() == Baselines::Included {
            let text = self.vectors.map_or(NAMES_ONLY.into(), |of| format!("{NAMES_ONLY}, {}", of.name));
            card = card.input(SINCE[0], text);
            card = self.vectors.iter().fold(card, |card, vectors| card.input(SINCE[1], &vectors.sha256));
        }
        if self.settings.split.has_folds() {
            card = card.input(SINCE[2], "for all folds, and by each fold");
        }
        if self.settings.classes.is_some() {
            card =
                card.input(SINCE[3], "accuracy, AUROC and average precision of two, surplus over the text");
        }
        Ok(card)
    }

    /// The parts: one folder per separately fitted hook point.
    ///
    /// # Errors
    /// Those of [`ProbingJob::card`].
    pub fn parts(&self) -> Result<PartialProbes> {
        Ok(PartialProbes::new(&self.folder(), self.card()?))
    }

    /// Returns true if probes, scores and predictions are complete and unchanged.
    ///
    /// # Errors
    /// Those of [`Card::has_made`].
    pub fn is_done(&self) -> Result<bool> {
        let has_made = self.card()?.has_made_before(&self.folder().join("card.json"), &PROBE_FILES, &SINCE);
        let unrecorded = has_made.map_err(|error| self.extraction.if_dataset_changed(error))?;
        Ok(unrecorded.is_some_and(|inputs| inputs.is_empty()))
    }

    /// Divides the entities according to the settings; two datasets or prompts are joined, the training one first.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if the split does not suit the dataset.
    pub fn divided(&self) -> Result<Divided<'a>> {
        let (tested, plan) = (self.extraction.dataset(), &self.settings.split);
        let split = plan.divide(tested)?;
        let Some(train) = &self.train else {
            return Ok(Divided { dataset: Cow::Borrowed(tested), split });
        };
        let (dataset, of_train) = (train.dataset(), plan.divide(train.dataset())?);
        let train = SplitDataset { dataset, split: &of_train };
        let both = joined(train, SplitDataset { dataset: tested, split: &split })?;
        Ok(Divided { dataset: Cow::Owned(both.dataset), split: both.split })
    }

    /// Checks that the settings suit the data, and that the folder of the probes belongs to them, before anything is
    /// computed.
    ///
    /// # Errors
    /// Those of [`ProbingJob::divided`] and [`ProbingJob::scorer`]; [`crate::Error::CardMismatch`].
    pub fn check(&self) -> Result<()> {
        // Looking up the vectors of all names takes long, and their file was checked when it was read.
        let job = ProbingJob { vectors: None, ..*self };
        job.scorer(&job.divided()?)?;
        let extractions = || self.train.into_iter().chain([self.extraction]);
        refuse_shared(extractions())?;
        extractions().try_for_each(|extraction| extraction.check_card())?;
        let path = self.folder().join("card.json");
        let Some(found) = Card::load(&path)? else { return Ok(()) };
        let differs = self.card()?.unrecorded_in(&found, &path, &SINCE);
        differs.map(drop).map_err(|error| self.extraction.if_dataset_changed(error))
    }

    /// The scorer of these entities with these settings.
    ///
    /// # Errors
    /// Those of [`ProbingSettings::apply`].
    pub fn scorer<'d>(&self, divided: &'d Divided) -> Result<Scorer<'d>> {
        let ExtractionJob { model, prompted, .. } = self.extraction;
        let prompt = &prompted.prompt.name;
        let mut scorer = Scorer::new(divided.split.clone(), &divided.dataset, &model.name, prompt)?;
        scorer.bootstrap = Bootstrap { n_resamples: self.settings.resamples, seed: self.settings.seed };
        let train = self.train.map(|train| train.dataset());
        scorer.vectors = self.vectors.map(|vectors| {
            let names = divided.dataset.entities.iter().map(|entity| entity.name.as_str());
            NameVectors::of(vectors, &names.collect::<Vec<_>>())
        });
        self.settings.apply(scorer, train, self.extraction.dataset())
    }

    /// The activations of all entities; those of a separate training dataset come first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn activations(&self, point: HookPoint) -> Result<Activations> {
        let tested = self.extraction.activations()?.load(point)?;
        match self.train {
            None => Ok(tested),
            Some(train) => stacked(train.activations()?.load(point)?, &tested),
        }
    }

    /// A description of the probes, saved with them.
    pub fn about(&self) -> ProbeSetAbout {
        let ExtractionJob { model, prompted, .. } = self.extraction;
        let kind = &prompted.dataset.kind;
        ProbeSetAbout {
            dataset: prompted.dataset.name.to_string(),
            model: model.name.to_string(),
            prompt: prompted.prompt.name.to_string(),
            targets: kind.names().iter().map(|t| t.to_string()).collect(),
            unit: match kind {
                TargetKind::Quantity(quantity) => quantity.unit.clone(),
                _ => String::new(),
            },
        }
    }

    /// A sentence about the folds and the leaked test entities.
    ///
    /// # Errors
    /// Those of [`ProbingJob::divided`].
    pub fn audit(&self) -> Result<String> {
        let divided = self.divided()?;
        let folds = match divided.split.folds.len() {
            1 => String::new(),
            n => format!("{n} folds; "),
        };
        let leakage = divided.leakage(self.settings.leak_within);
        Ok(format!("{folds}{leakage}{}", self.interval_words(&divided)?))
    }

    /// A note on the intervals: those over entities say nothing about new groups, and those over few groups are too
    /// narrow.
    fn interval_words(&self, divided: &Divided) -> Result<String> {
        let dataset = self.extraction.dataset();
        match (&self.settings.cluster, dataset.group_columns.first()) {
            (Some(column), _) => {
                // A separate training dataset, which may lack the column, comes first.
                let n_before = divided.dataset.entities.len() - dataset.entities.len();
                let of = labels(dataset, column)?;
                let test = divided.split.test();
                let n = test.iter().map(|&entity| &of[entity - n_before]).collect::<BTreeSet<_>>().len();
                Ok(if n < FEW_GROUPS {
                    format!("; intervals over only {n} groups contain the true score less often than 95 %")
                } else {
                    String::new()
                })
            }
            (None, Some(column)) => {
                Ok(format!("; intervals hold for new entities; for a new {column}, use --cluster {column}"))
            }
            (None, None) => Ok(String::new()),
        }
    }
}
