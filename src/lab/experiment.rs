//! An experiment: all settings of `mappa run`, as a TOML file gives them.

use super::datasets::DatasetSource;
use super::extraction::ExtractionSettings;
use super::models::ModelSettings;
use super::probing::ProbingSettings;
use super::prompting::Prompting;
use super::sweeps::SweepSettings;
use super::toml_file;
use crate::artefact;
use crate::error::{Error, Result};
use crate::limits::{ANY, RANDOM, RESAMPLES};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::Path;

/// The text of the bundled experiment.
const BUNDLED: &str = include_str!("../../probes/atlas.toml");

/// The keys of an experiment, without those of probing and of sweeps.
const OWN_KEYS: [&str; 18] = [
    "model",
    "model_name",
    "dtype",
    "device",
    "compute",
    "datasets",
    "prompt",
    "prompts",
    "pull",
    "names",
    "bos",
    "chat",
    "chat_date",
    "skip_unplaced",
    "read",
    "over",
    "store",
    "hook_points",
];

/// Alternative names of keys, as the flags spell them.
const ALIASES: [&str; 2] = ["dataset", "method"];

/// One experiment: a model, datasets, prompts, probes, and sweeps.
#[derive(Debug, Clone, Deserialize)]
pub struct Experiment {
    /// The model.
    #[serde(flatten)]
    pub model: ModelSettings,
    /// The datasets, by name or file.
    #[serde(alias = "dataset", deserialize_with = "one_or_several")]
    pub datasets: Vec<String>,
    /// Prompts for single datasets, which replace the common prompt.
    #[serde(default)]
    pub prompts: BTreeMap<String, Vec<String>>,
    /// A source of datasets to download first: `paper`.
    pub pull: Option<DatasetSource>,
    /// Settings of the extraction: texts, tokens, data type, hook points.
    #[serde(flatten)]
    pub extraction: ExtractionSettings,
    /// Settings of the probes' fits and scores.
    #[serde(flatten)]
    pub probing: ProbingSettings,
    /// Dose–response sweeps, run last.
    #[serde(default, rename = "sweep")]
    pub sweeps: Vec<SweepSettings>,
}

/// Reads one name, or a list of names.
fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Names::deserialize(from)? {
        Names::One(name) => vec![name],
        Names::Several(names) => names,
    })
}

impl Experiment {
    /// The keys of an experiment.
    pub fn keys() -> Vec<&'static str> {
        [&OWN_KEYS[..], &ProbingSettings::KEYS, &["sweep"]].concat()
    }

    /// The bundled experiment.
    ///
    /// # Errors
    /// As [`Experiment::parse`].
    pub fn bundled() -> Result<Experiment> {
        Experiment::parse(Path::new("probes/atlas.toml"), BUNDLED)
    }

    /// Reads an experiment file.
    ///
    /// # Errors
    /// As [`Experiment::parse`].
    pub fn load(path: &Path) -> Result<Experiment> {
        Experiment::parse(path, &artefact::load_text(path)?)
    }

    /// The prompts of a dataset: its own, otherwise the common prompt; `dataset` is its name in the experiment.
    pub fn prompts_of(&self, dataset: &str) -> Vec<String> {
        let prompt = &self.extraction.prompting.prompt;
        self.prompts.get(dataset).cloned().unwrap_or_else(|| vec![prompt.clone()])
    }

    /// The prompting settings with the given prompt.
    pub fn prompting(&self, prompt: &str) -> Prompting {
        Prompting { prompt: prompt.into(), ..self.extraction.prompting.clone() }
    }

    /// Parses the text of an experiment file; errors name `path`.
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the key.
    pub fn parse(path: &Path, text: &str) -> Result<Experiment> {
        let expected = "an experiment such as probes/atlas.toml";
        let table: toml::Table = toml_file::parse(path, text, expected)?;
        let keys = Experiment::keys();
        let is_known = |key: &&String| keys.contains(&key.as_str()) || ALIASES.contains(&key.as_str());
        if let Some(key) = table.keys().find(|key| !is_known(key)) {
            let expected = format!("one of {}", keys.join(", "));
            return Err(Error::bad_file(path, format!("unknown field `{key}`"), expected));
        }
        let experiment: Experiment = toml_file::parse(path, text, expected)?;
        let mut counts = vec![("resamples", RESAMPLES, experiment.probing.resamples as u64)];
        for sweep in &experiment.sweeps {
            counts.push(("random", RANDOM, sweep.random));
            counts.push(("tokens", ANY, sweep.tokens as u64));
        }
        if let Some((key, limit, number)) = counts.into_iter().find(|(_, limit, n)| limit.size(*n).is_none())
        {
            return Err(Error::bad_file(path, format!("{key} = {number}"), limit));
        }
        for (dataset, prompts) in &experiment.prompts {
            if prompts.is_empty() || !experiment.datasets.contains(dataset) {
                let found = format!("{} prompts for `{dataset}`", prompts.len());
                return Err(Error::bad_file(
                    path,
                    found,
                    "at least one prompt, for one of the experiment's own datasets",
                ));
            }
        }
        for sweep in &experiment.sweeps {
            let fault = |e: Error| {
                Error::bad_file(path, e, "a `called` for this sweep that is valid as a folder name")
            };
            sweep.folder().map_err(fault)?;
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
    use crate::datasets::{Names, PAPER_FILES, bundled, paper_prompts};
    use crate::tokenizer::Bos;

    #[test]
    fn the_bundled_experiment_is_complete_and_a_misspelt_field_is_refused() {
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
        assert_eq!(with("split = 'group:country'").unwrap().probing.split.to_string(), "group:country");
        assert!(with("split = 'half'").unwrap_err().to_string().contains("group:COLUMN"));
        assert!(
            with("resamples = 1")
                .unwrap_err()
                .to_string()
                .contains("resamples = 1; expected a whole number from 2")
        );
    }

    #[test]
    fn the_experiment_of_the_docs_is_one() {
        let docs = include_str!("../../docs/experiments.md");
        let text = docs.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let experiment = Experiment::parse(Path::new("docs/experiments.md"), text).unwrap();
        assert_eq!(experiment.sweeps.len(), 1);
        experiment.probing.check().unwrap();
    }

    #[test]
    fn every_key_is_read() {
        let parse = |text: &str| Experiment::parse(Path::new("x.toml"), text);
        for key in Experiment::keys().iter().chain(&ALIASES) {
            let base = ["model = 'a'", "datasets = []"];
            let others = base.iter().filter(|line| !line.starts_with(&format!("{key} ")));
            let others: Vec<&str> =
                others.filter(|line| *key != "dataset" || !line.starts_with("datasets")).copied().collect();
            let text = format!("{}\n{key} = {{ x = 1 }}\n", others.join("\n"));
            assert!(parse(&text).is_err(), "`{key}` is ignored");
        }
        let all = "model = 'm'\ndatasets = 'a'\nclasses = 'country'\nmethod = ['logistic']\nread = 'mean'\n\
                   train = 'b'\ntrain_prompt = 'where_is'\nleak_within = 5\ndtype = 'f16'\nchat_date = '2025-01-31'\n";
        let experiment = parse(all).unwrap();
        assert_eq!(experiment.datasets, ["a"]);
        assert_eq!(experiment.probing.methods, ["logistic"]);
        assert_eq!(experiment.probing.classes.as_deref(), Some("country"));
        assert_eq!(experiment.probing.leak_within, Some(5.0));
        assert_eq!(experiment.extraction.read, crate::activations::Pooling::Mean);
        assert_eq!(experiment.model.dtype, Some(crate::model::Precision::F16));
        experiment.probing.check().unwrap();
    }

    #[test]
    fn the_papers_experiment_uses_the_papers_prompts() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("probes/paper.toml");
        let paper = Experiment::load(&file).unwrap();
        let known: Vec<&str> = PAPER_FILES.iter().map(|file| file.name).collect();
        assert_eq!(paper.datasets, known);
        assert_eq!(
            (paper.pull, paper.extraction.prompting.names, paper.extraction.prompting.bos),
            (Some(DatasetSource::Paper), Names::Paper, Bos::Always)
        );
        assert_eq!(paper.prompts.len(), known.len());
        paper.probing.check().unwrap();
        assert_eq!((paper.probing.alphas.as_deref(), paper.probing.paper_metrics), (Some("paper"), true));
        let mut asked = Vec::new();
        for name in known {
            let dataset = bundled(name).unwrap();
            let prompts = paper.prompts_of(name);
            assert_eq!(prompts[0], "empty", "{name}");
            for prompt in prompts {
                let found = paper_prompts().iter().find(|known| known.name == prompt);
                let found = found.unwrap_or_else(|| panic!("{name}: `{prompt}` is not in the paper"));
                // Fails for a prompt of another dataset and for one with missing columns.
                let texts = paper.prompting(&prompt).prompt(&dataset).unwrap();
                assert_eq!(texts.texts(&dataset).map(|_| ()).map_err(|e| e.to_string()), Ok(()), "{prompt}");
                asked.push(found.name);
            }
        }
        let unasked: Vec<_> = paper_prompts().iter().filter(|p| !asked.contains(&p.name)).collect();
        assert!(unasked.is_empty(), "{unasked:?}");
    }
}
