//! The stages of the line as the commands run them: each is done once, saved, and found again.

use super::drawing::save_figure;
use super::settings::Settings;
use mappa::Result;
use mappa::activations::{ActivationStore, Division, Reader, Recording, Unplaced};
use mappa::artefact::Card;
use mappa::artefact::folder_name;
use mappa::datasets::{Dataset, Prompt};
use mappa::figures::{Caption, predictions, r2_by_layer};
use mappa::hook_point::HookPoint;
use mappa::model::{Compute, DeviceChoice, Location, Model, Precision, Transformer};
use mappa::probes::{best_point, test_r2};
use mappa::results::{
    CENTROID, NAMES_ONLY, PREDICTIONS_FILE, PredictionRow, RIDGE, SCORES_FILE, SHUFFLED, SHUFFLED_WEIGHTS,
    ScoreRow, UNTRAINED, load_rows,
};
use std::path::{Path, PathBuf};

/// One model on one dataset with one prompt, in a lab.
pub struct Job<'a> {
    /// The lab's folder.
    pub lab: &'a Path,
    /// The model.
    pub model: &'a Model,
    /// The dataset, without what was left out of it.
    pub dataset: &'a Dataset,
    /// The entities that were left out, since they have no place in their texts.
    pub unplaced: &'a [Unplaced],
    /// The prompt.
    pub prompt: &'a Prompt,
    /// What is recorded of each entity.
    pub recording: Recording,
    /// Seeds intervals, shuffled targets and the untrained model.
    pub seed: u64,
    /// Bootstrap resamples of each interval.
    pub resamples: usize,
    /// How probes are fitted and scored.
    pub settings: &'a Settings,
    /// The dataset and prompt that are learnt from, where they are others than those that are read.
    pub from: Option<&'a Job<'a>>,
}

/// Notes in a card how weights were held and multiplied, where it was not in f32 and on the CPU.
pub fn held_weights(model: &Model, card: Card) -> Card {
    let card = match model.precision {
        Precision::F32 => card,
        other => card.input("weights_dtype", other),
    };
    let card = match model.device {
        DeviceChoice::Cpu => card,
        other => card.input("device", other),
    };
    // Cards of GGUF files that do not say it are of versions that rounded the stream to 8 bits.
    match (model.compute, &model.location) {
        (Compute::F32, Location::Folder { .. } | Location::Bundled) => card,
        (compute, _) => card.input("compute", compute),
    }
}

/// Whether a stage had to be done or was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was done now.
    Now,
    /// Its results were there.
    Before,
}

impl Job<'_> {
    /// The hook points that are extracted and probed.
    pub fn points(&self) -> Vec<HookPoint> {
        HookPoint::stream(self.model.spec().n_layers)
    }

    /// The last folder of the activations' path.
    pub fn folder(&self) -> String {
        self.recording.folder(&self.prompt.name)
    }

    /// The last folder of the paths of results.
    pub fn results(&self) -> String {
        self.settings.folder(&self.folder())
    }

    /// Where the activations lie.
    pub fn activations(&self) -> Result<ActivationStore> {
        activations(self.lab, (&self.model.name, &self.dataset.name, &self.folder()))
    }

    /// Where probes, scores and predictions lie.
    pub fn probe_folder(&self) -> PathBuf {
        probe_folder(self.lab, &self.model.name, &self.dataset.name, &self.results())
    }

    /// What decides the content of activations, but for the size of a pass.
    pub fn card(&self) -> Result<Card> {
        let tokenizer = &self.model.tokenizer;
        let mut card = held_weights(self.model, Card::new());
        if let Some(sha256) = tokenizer.chat_sha256() {
            card = card.input("chat_template_sha256", sha256);
        }
        if let Some(date) = tokenizer.chat_date() {
            card = card.input("chat_date", date);
        }
        if !self.unplaced.is_empty() {
            card = card.input("n_entities_left_out", self.unplaced.len());
        }
        let card = card
            .input("model", &self.model.name)
            .input("weights_sha256", &self.model.weights_sha256)
            .input("config_sha256", &self.model.config_sha256)
            .input("tokenizer_sha256", &tokenizer.sha256)
            .input("bos", tokenizer.beginning()?)
            .input("dataset", &self.dataset.name)
            .input("dataset_sha256", &self.dataset.sha256)
            .input("prompt", self.prompt.template());
        Ok(self.recording.describe(card))
    }

    /// Extracts every layer's stream, unless it lies there already, also of what is learnt from.
    pub fn extract(&self) -> Result<Done> {
        if let Some(from) = self.from {
            from.extract()?;
        }
        self.record(&self.points(), Division::of(&self.model.transformer))
    }

    /// What reads the texts: the model's tokenizer, and a transformer that may be another.
    pub fn reader<'m>(&'m self, transformer: &'m Transformer) -> Reader<'m> {
        Reader { transformer, tokenizer: &self.model.tokenizer }
    }
}

/// The variable that names an object store for activations, in place of the lab's folder.
pub const ACTIVATIONS: &str = "MAPPA_ACTIVATIONS";

/// Where the activations of a model, dataset and prompt lie: in the lab, or where the environment says.
pub fn activations(lab: &Path, (model, dataset, prompt): (&str, &str, &str)) -> Result<ActivationStore> {
    for (what, name) in [("model", model), ("dataset", dataset), ("prompt", prompt)] {
        folder_name(what, name)?;
    }
    let store = ActivationStore::new(lab, model, dataset, prompt);
    match std::env::var(ACTIVATIONS) {
        Ok(address) if !address.is_empty() => store.kept_at(&address),
        _ => Ok(store),
    }
}

/// Where probes, scores and predictions of a model, dataset and prompt lie.
pub fn probe_folder(lab: &Path, model: &str, dataset: &str, prompt: &str) -> PathBuf {
    lab.join("probes").join(model).join(dataset).join(prompt)
}

/// Draws R² against layer for all datasets, and each dataset's predictions; gives the files.
pub fn draw(lab: &Path, model: &str, prompt: &str, datasets: &[String]) -> Result<Vec<PathBuf>> {
    for (what, name) in [("--model", model), ("--prompt", prompt)] {
        folder_name(what, name)?;
    }
    let folder = lab.join("figures").join(model).join(prompt);
    let mut files = Vec::new();
    let mut all = Vec::new();
    for dataset in datasets {
        folder_name("--dataset", dataset)?;
        let from = probe_folder(lab, model, dataset, prompt);
        let scores: Vec<ScoreRow> = load_rows(&from.join(SCORES_FILE))?;
        let rows: Vec<PredictionRow> = load_rows(&from.join(PREDICTIONS_FILE))?;
        let point = best_point(&scores)?;
        let r2 = test_r2(&scores, RIDGE, Some(point));
        let title = format!("{dataset}, {model}, {point}");
        let subtitle = r2.map_or(String::new(), |r| {
            format!("test R² {:.3} (95 % {:.3} to {:.3})", r.value, r.low, r.high)
        });
        let caption = Caption { title: &title, subtitle: &subtitle, baselines: &baselines(&scores, point) };
        files.extend(save_figure((&folder, dataset), |format| predictions(&rows, &caption, format))?);
        all.extend(scores);
    }
    files.extend(save_figure((&folder, "r2_by_layer"), |format| r2_by_layer(&all, format))?);
    Ok(files)
}

/// The baselines of the R² at a hook point, in words; empty where none were scored.
fn baselines(scores: &[ScoreRow], point: HookPoint) -> String {
    let embed = Some(HookPoint::ResidPre(0)).filter(|_| scores.iter().any(|row| row.method == UNTRAINED));
    let all = [
        ("names only", NAMES_ONLY, None),
        ("untrained", UNTRAINED, Some(point)),
        ("shuffled weights", SHUFFLED_WEIGHTS, Some(point)),
        ("embed", RIDGE, embed),
        ("shuffled labels", SHUFFLED, Some(point)),
        ("oracle: the group's mean", CENTROID, None),
    ];
    let words = all.into_iter().filter_map(|(name, method, point)| {
        let score = test_r2(scores, method, point)?;
        Some(format!("{name} {:.2}", score.value).replace('-', "−"))
    });
    words.collect::<Vec<String>>().join(", ")
}
