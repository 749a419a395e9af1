//! What `mappa run` shall do, as a TOML file says it.

use super::importing::Source;
use super::settings::Settings;
use super::texts::Texts;
use mappa::artefact;
use mappa::datasets::Names;
use mappa::model::{Bos, ChatDate};
use mappa::probes::SplitPlan;
use mappa::steering::{Basis, LayerSet, TokenChoice};
use mappa::{Error, Result};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The experiment inside the binary.
const BUNDLED: &str = include_str!("../../probes/atlas.toml");

/// One experiment: a model, datasets, a prompt, and sweeps.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// A model's name or folder.
    pub model: String,
    /// Names of datasets, or files.
    pub datasets: Vec<String>,
    /// A template, or the name of one of the paper's prompts, which all the datasets must have.
    #[serde(default)]
    pub prompt: String,
    /// Several prompts for some of the datasets, in place of the one for all.
    #[serde(default)]
    pub prompts: BTreeMap<String, Vec<String>>,
    /// Whose datasets are brought into the lab first: `paper`.
    pub pull: Option<Source>,
    /// How names are written: `as-written` or `paper`.
    #[serde(default)]
    pub names: Names,
    /// Whether BOS begins each text: `as-model`, `always` or `never`.
    #[serde(default)]
    pub bos: Bos,
    /// Whether each text is the user's turn of a chat.
    #[serde(default)]
    pub chat: bool,
    /// The date that a chat template is told if it asks.
    pub chat_date: Option<ChatDate>,
    /// Whether entities without a place in their texts are left out.
    #[serde(default)]
    pub skip_unplaced: bool,
    /// Seeds intervals, shuffled targets and the untrained model.
    #[serde(default)]
    pub seed: u64,
    /// Bootstrap resamples of each interval.
    #[serde(default = "resamples")]
    pub resamples: usize,
    /// What is held out, as `--split` of `mappa probe`.
    #[serde(default, deserialize_with = "written")]
    pub split: SplitPlan,
    /// Readers beside the ridge probe, as `--method`.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The penalties to try, as `--alphas`.
    pub alphas: Option<String>,
    /// The column whose groups are drawn as a whole, as `--cluster`.
    pub cluster: Option<String>,
    /// Whether baselines are left out.
    #[serde(default)]
    pub no_baselines: bool,
    /// Whether the distances of the paper's reference code are added.
    #[serde(default)]
    pub paper_metrics: bool,
    /// Dose–response sweeps at the end.
    #[serde(default, rename = "sweep")]
    pub sweeps: Vec<SweepPlan>,
}

/// One dose–response sweep, as an experiment or the flags of `mappa steer sweep` have it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepPlan {
    /// What its folder is called; by default the kind.
    pub called: Option<String>,
    /// `place` or `year`.
    pub kind: String,
    /// The dataset whose probe steers; it must be among the experiment's.
    pub dataset: String,
    /// `latitude`, `longitude` or `year`.
    pub target: String,
    /// How far, in the target's unit; in rms for a direction of a file.
    pub doses: Vec<f64>,
    /// The texts that are continued.
    pub prompts: Vec<String>,
    /// The text around each of them.
    #[serde(default = "bare")]
    pub template: String,
    /// The block whose output is moved; by default a middle one.
    pub layer: Option<usize>,
    /// In place of one block: several, one after the other; together with `+` between them.
    #[serde(default, deserialize_with = "each")]
    pub layers: Vec<LayerSet>,
    /// Along the probe's pattern, its weights, or both.
    #[serde(default = "pattern", deserialize_with = "each")]
    pub along: Vec<Basis>,
    /// A file of vectors in place of the probe's direction.
    pub direction: Option<PathBuf>,
    /// Which tokens are changed.
    #[serde(default = "all", deserialize_with = "written")]
    pub at: TokenChoice,
    /// How many random directions stand beside.
    #[serde(default = "three")]
    pub random: u64,
    /// How many tokens are generated.
    #[serde(default = "sixteen")]
    pub tokens: usize,
    /// Whose probability is followed: `country=Japan`, `age=Roman`.
    pub names: Option<String>,
    /// What the answer is read by: `country`, `age`.
    pub read: Option<String>,
}

impl SweepPlan {
    /// What its folder is called.
    pub fn name(&self) -> &str {
        self.called.as_ref().unwrap_or(&self.kind)
    }

    /// The texts that are continued, each with what stands around it.
    pub fn texts(&self) -> Vec<String> {
        self.prompts.iter().map(|prompt| self.template.replace("{}", prompt)).collect()
    }

    /// The place in each text of the prompt that the template was given.
    pub fn parts(&self) -> Vec<Range<usize>> {
        let begin = self.template.find("{}").unwrap_or(0);
        self.prompts.iter().map(|prompt| begin..begin + prompt.len()).collect()
    }
}

fn bare() -> String {
    "{}".into()
}

fn pattern() -> Vec<Basis> {
    vec![Basis::Pattern]
}

fn all() -> TokenChoice {
    TokenChoice::All
}

fn three() -> u64 {
    3
}

fn sixteen() -> usize {
    16
}

/// A value as flags write it.
fn written<'de, D: Deserializer<'de>, T: FromStr<Err = Error>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

/// Several such values.
fn each<'de, D: Deserializer<'de>, T: FromStr<Err = Error>>(from: D) -> Result<Vec<T>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    words.iter().map(|word| word.parse().map_err(serde::de::Error::custom)).collect()
}

fn resamples() -> usize {
    500
}

impl Experiment {
    /// The bundled experiment.
    pub fn bundled() -> Result<Experiment> {
        Experiment::parse(Path::new("probes/atlas.toml"), BUNDLED)
    }

    /// Reads an experiment file.
    pub fn load(path: &Path) -> Result<Experiment> {
        Experiment::parse(path, &artefact::load_text(path)?)
    }

    /// The prompts of a dataset, given as the experiment names it.
    pub fn prompts_of(&self, dataset: &str) -> Vec<String> {
        self.prompts.get(dataset).cloned().unwrap_or_else(|| vec![self.prompt.clone()])
    }

    /// What the model reads of each entity under a prompt.
    pub fn texts(&self, prompt: &str) -> Texts {
        Texts {
            prompt: prompt.to_string(),
            called: None,
            names: self.names,
            bos: self.bos,
            chat: self.chat,
            chat_date: self.chat_date,
            skip_unplaced: self.skip_unplaced,
        }
    }

    /// How probes are fitted and scored.
    pub fn settings(&self) -> Settings {
        Settings {
            split: self.split.clone(),
            methods: self.methods.clone(),
            alphas: self.alphas.clone(),
            cluster: self.cluster.clone(),
            no_baselines: self.no_baselines,
            paper_metrics: self.paper_metrics,
            ..Settings::default()
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Experiment> {
        let experiment: Experiment = toml::from_str(text).map_err(|e| {
            Error::bad_file(path, e.to_string().trim(), "an experiment such as probes/atlas.toml")
        })?;
        if experiment.resamples < 2 {
            let found = format!("resamples = {}", experiment.resamples);
            return Err(Error::bad_file(path, found, "2 or more: of fewer there is no interval"));
        }
        for (dataset, prompts) in &experiment.prompts {
            if prompts.is_empty() || !experiment.datasets.contains(dataset) {
                let found = format!("{} prompts for `{dataset}`", prompts.len());
                return Err(Error::bad_file(
                    path,
                    found,
                    "prompts for the experiment's own datasets, one or more",
                ));
            }
        }
        for sweep in &experiment.sweeps {
            let fault = |e: Error| Error::bad_file(path, e, "a sweep with another `called`");
            artefact::folder_name("sweep", sweep.name()).map_err(fault)?;
            if !experiment.datasets.contains(&sweep.dataset) {
                let found = format!("a sweep on `{}`, which is not among its datasets", sweep.dataset);
                return Err(Error::bad_file(path, found, "sweeps on the experiment's own datasets"));
            }
        }
        Ok(experiment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mappa::datasets::{PAPER_FILES, bundled, paper_prompts};

    #[test]
    fn the_bundled_experiment_is_whole_and_a_misspelt_field_is_refused() {
        let bundled = Experiment::bundled().unwrap();
        assert_eq!(bundled.datasets.len(), 6);
        assert_eq!(bundled.sweeps.len(), 2);
        let error =
            Experiment::parse(Path::new("x.toml"), "model = 'a'\ndatasets = []\nsead = 1\n").unwrap_err();
        assert!(error.to_string().contains("sead"), "{error}");
        for prompts in ["b = ['empty']", "a = []"] {
            let text = format!("model = 'm'\ndatasets = ['a']\n[prompts]\n{prompts}\n");
            let error = Experiment::parse(Path::new("x.toml"), &text).unwrap_err().to_string();
            assert!(error.contains("own datasets"), "{error}");
        }
        let with = |line: &str| {
            Experiment::parse(Path::new("x.toml"), &format!("model = 'a'\ndatasets = []\n{line}\n"))
        };
        assert_eq!(with("split = 'group:country'").unwrap().settings().split.to_string(), "group:country");
        assert!(with("split = 'half'").unwrap_err().to_string().contains("group:COLUMN"));
        assert!(with("resamples = 1").unwrap_err().to_string().contains("resamples = 1; expected 2"));
    }

    #[test]
    fn the_papers_experiment_asks_what_the_paper_asks() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("probes/paper.toml");
        let paper = Experiment::load(&file).unwrap();
        let known: Vec<&str> = PAPER_FILES.iter().map(|file| file.name).collect();
        assert_eq!(paper.datasets, known);
        assert_eq!((paper.pull, paper.names, paper.bos), (Some(Source::Paper), Names::Paper, Bos::Always));
        assert_eq!(paper.prompts.len(), known.len());
        paper.settings().check().unwrap();
        assert_eq!((paper.settings().alphas.as_deref(), paper.paper_metrics), (Some("paper"), true));
        let mut asked = Vec::new();
        for name in known {
            let dataset = bundled(name).unwrap();
            let prompts = paper.prompts_of(name);
            assert_eq!(prompts[0], "empty", "{name}");
            for prompt in prompts {
                let found = paper_prompts().iter().find(|known| known.name == prompt);
                let found = found.unwrap_or_else(|| panic!("{name}: `{prompt}` is none of the paper's"));
                // A prompt of another dataset, or one that cannot be filled, is refused here.
                let texts = paper.texts(&prompt).prompt(&dataset).unwrap();
                assert_eq!(texts.texts(&dataset).map(|_| ()).map_err(|e| e.to_string()), Ok(()), "{prompt}");
                asked.push(found.name);
            }
        }
        let unasked: Vec<_> = paper_prompts().iter().filter(|p| !asked.contains(&p.name)).collect();
        assert!(unasked.is_empty(), "{unasked:?}");
    }
}
