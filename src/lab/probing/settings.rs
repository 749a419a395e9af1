//! Settings of probing: methods, split, penalties, baselines, intervals.

use super::super::written::written;
use super::baseline_model::BaselineModel;
use crate::artefact::{Card, FolderName};
use crate::datasets::labels;
use crate::datasets::{Dataset, name_of};
use crate::error::{Error, Result};
use crate::limits::{RESAMPLES, check_memory, number_words, product};
use crate::probes::{
    BASELINES, Baselines, CLASSIFIERS, Classes, Method, Metrics, PenaltyGrid, Scorer, SplitPlan,
};
use crate::word_vectors::{WordVectors, needed_words};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Settings of probing: fitting, scoring, and comparison with baselines.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ProbingSettings {
    /// Methods in addition to the ridge probe, by name.
    #[serde(alias = "method")]
    pub methods: Vec<String>,
    /// A column whose classes are predicted in addition.
    pub classes: Option<String>,
    /// The rule that chooses the test entities.
    #[serde(deserialize_with = "written")]
    pub split: SplitPlan,
    /// Another dataset to train on, by name or file.
    pub train: Option<String>,
    /// Another prompt to train on.
    pub train_prompt: Option<String>,
    /// A column whose groups the bootstrap resamples as a whole.
    pub cluster: Option<String>,
    /// The grid of penalties λ, in the format of `--alphas`.
    pub alphas: Option<String>,
    /// A file of static word vectors for the text baselines; `none` for no word vectors.
    pub vectors: Option<String>,
    /// True to skip the baselines.
    pub no_baselines: bool,
    /// True to add the distances of the paper's reference code.
    pub paper_metrics: bool,
    /// A test entity within this distance of a training entity is reported as leaked.
    pub leak_within: Option<f64>,
    /// The seed of intervals, shuffled targets, the untrained and the shuffled model, and methods with random draws.
    pub seed: u64,
    /// The number of bootstrap resamples of each interval.
    pub resamples: usize,
}

/// The value of `vectors` for no word vectors.
const NO_VECTORS: &str = "none";

/// The name of a file without its ending.
fn stem_of(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

impl Default for ProbingSettings {
    fn default() -> ProbingSettings {
        ProbingSettings {
            methods: Vec::new(),
            classes: None,
            split: SplitPlan::default(),
            train: None,
            train_prompt: None,
            cluster: None,
            alphas: None,
            vectors: None,
            no_baselines: false,
            paper_metrics: false,
            leak_within: None,
            seed: 0,
            resamples: 500,
        }
    }
}

impl ProbingSettings {
    /// The keys of these settings in an experiment.
    pub const KEYS: [&str; 13] = [
        "methods",
        "classes",
        "split",
        "train",
        "train_prompt",
        "cluster",
        "alphas",
        "vectors",
        "no_baselines",
        "paper_metrics",
        "leak_within",
        "seed",
        "resamples",
    ];

    /// The name of a results folder: the prompt's name, followed by each setting that is not the default, except `seed`,
    /// `resamples` and `leak_within`.
    pub fn folder(&self, prompt: &FolderName) -> FolderName {
        let mut words = String::new();
        let mut add = |part: String| {
            let plain = |c: char| if c.is_alphanumeric() || "-+_.".contains(c) { c } else { '_' };
            words += &format!(".{}", part.chars().map(plain).collect::<String>());
        };
        if self.split != SplitPlan::default() {
            add(format!("split_{}", self.split));
        }
        self.train.iter().for_each(|train| add(format!("from_{}", name_of(train))));
        self.train_prompt.iter().for_each(|prompt| add(format!("from_prompt_{prompt}")));
        if !self.methods.is_empty() {
            add(format!("with_{}", self.methods.join("+")));
        }
        self.classes.iter().for_each(|column| add(format!("classes_{column}")));
        self.alphas.iter().for_each(|alphas| add(format!("alphas_{alphas}")));
        self.cluster.iter().for_each(|column| add(format!("cluster_{column}")));
        self.vectors.iter().for_each(|file| add(format!("vectors_{}", stem_of(file))));
        if self.no_baselines {
            add("alone".into());
        }
        if self.paper_metrics {
            add("paper_metrics".into());
        }
        prompt.with(&words)
    }

    /// Adds the settings that determine the scores to a card, except the choice of training data.
    pub fn record(&self, card: Card) -> Card {
        let split = match &self.split {
            SplitPlan::Dataset => "is_test column".to_string(),
            other => other.to_string(),
        };
        let baselines = match self.baselines() {
            Baselines::Included => baseline_names(),
            Baselines::Omitted => "none".into(),
        };
        let mut card = card
            .input("seed", self.seed)
            .input("resamples", self.resamples)
            .input("baselines", baselines)
            .input("split", split);
        for (name, value) in
            [("classes", &self.classes), ("clusters", &self.cluster), ("penalties", &self.alphas)]
        {
            card = value.iter().fold(card, |card, value| card.input(name, value));
        }
        if !self.methods.is_empty() {
            card = card.input("methods", self.methods.join(", "));
        }
        if self.paper_metrics {
            card = card.input("paper_metrics", "distances that take longitude for latitude, as well");
        }
        card
    }

    /// The word vectors of names: from the file, otherwise the bundled ones if they are complete for these names.
    ///
    /// # Errors
    /// As [`WordVectors::load`].
    pub fn word_vectors<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Option<WordVectors>> {
        let names: Vec<&str> = names.into_iter().collect();
        let needed = || needed_words(names.iter().copied());
        let found = match self.vectors.as_deref() {
            _ if self.no_baselines => None,
            Some(NO_VECTORS) => None,
            Some(file) => Some(WordVectors::load(Path::new(file), &needed())?),
            None => WordVectors::bundled(&needed())?,
        };
        if let Some(vectors) = &found {
            let bytes = product([names.len(), 3, vectors.width, size_of::<f32>()]);
            check_memory("the word vectors of all names", bytes, "use narrower vectors")?;
        }
        Ok(found)
    }

    /// The choice of baselines, from `no_baselines`.
    pub fn baselines(&self) -> Baselines {
        if self.no_baselines { Baselines::Omitted } else { Baselines::Included }
    }

    /// Checks that the settings are consistent, before anything is computed.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the flag.
    pub fn check(&self) -> Result<()> {
        RESAMPLES.check("--resamples", self.resamples as u64)?;
        let methods = self.methods()?;
        let names_classes = |method: &Method| matches!(method, Method::Classifier(_));
        match (&self.classes, methods.iter().any(names_classes)) {
            (None, true) => Err(Error::invalid(
                "--method",
                self.methods.join(", "),
                "--classes COLUMN as well, to name the classes to predict",
            )),
            (Some(column), false) => Err(Error::invalid(
                "--classes",
                column,
                format!(
                    "--method {} as well, to predict the classes",
                    CLASSIFIERS.map(|c| c.name()).join(" or ")
                ),
            )),
            _ if self.no_baselines && self.vectors.is_some() => Err(Error::invalid(
                "--vectors",
                self.vectors.as_deref().unwrap_or_default(),
                "baselines, which --no-baselines omits",
            )),
            _ if self.leak_within.is_some_and(|within| !within.is_finite() || within < 0.0) => {
                let found = self.leak_within.unwrap_or_default();
                Err(Error::invalid("--leak-within", number_words(found), "a distance of 0 or more"))
            }
            _ => self.grid().map(drop),
        }
    }

    /// Checks that a dataset can be split according to the settings, and has the columns named there.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the column or the split.
    pub fn check_on(&self, dataset: &Dataset) -> Result<()> {
        self.split.divide(dataset)?;
        let mut columns = self.classes.iter().chain(&self.cluster);
        columns.try_for_each(|column| labels(dataset, column).map(drop))
    }

    fn methods(&self) -> Result<Vec<Method>> {
        self.methods.iter().map(|name| Method::find(name.trim())).collect()
    }

    fn grid(&self) -> Result<PenaltyGrid> {
        self.alphas.as_deref().map_or(Ok(PenaltyGrid::default()), str::parse)
    }

    /// Applies the settings to a scorer; `train` is the training dataset, if it is a separate one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a dataset lacks a column, or if the column of `--cluster` has fewer than two groups among the
    /// test entities.
    pub fn apply<'a>(
        &self,
        scorer: Scorer<'a>,
        train: Option<&Dataset>,
        tested: &Dataset,
    ) -> Result<Scorer<'a>> {
        let both = |column: &str| -> Result<Vec<String>> {
            let mut all = train.map_or(Ok(Vec::new()), |train| labels(train, column))?;
            all.extend(labels(tested, column)?);
            Ok(all)
        };
        let mut scorer = Scorer {
            grid: self.grid()?,
            metrics: if self.paper_metrics { Metrics::WithPaper } else { Metrics::Usual },
            baselines: self.baselines(),
            ..scorer
        };
        if let Some(column) = &self.classes {
            scorer.classes = Some(Classes::by_labels(column, &both(column)?)?);
        }
        if let Some(column) = &self.cluster {
            // The bootstrap resamples only test entities, which follow those of a separate training dataset.
            let n_before = train.map_or(0, |train| train.entities.len());
            let of = labels(tested, column)?;
            let drawn: BTreeSet<&str> =
                scorer.split.test().iter().map(|&entity| of[entity - n_before].as_str()).collect();
            if drawn.len() < 2 {
                let one = drawn.first().copied().unwrap_or_default();
                let found = format!("one group among the test entities, `{one}`");
                let expected = "at least two groups; choose another column";
                return Err(Error::invalid(format!("--cluster {column}"), found, expected));
            }
            let groups = Classes::by_labels(column, &of)?.of;
            scorer.clusters = Some(vec![0; n_before].into_iter().chain(groups).collect());
        }
        for method in self.methods()? {
            match method {
                Method::Ridge => {}
                Method::Regressor(chosen) => {
                    chosen.check(&scorer.dataset.kind)?;
                    if let (Some(_), Some(_)) = (scorer.circle(), chosen.circle(&scorer.dataset.kind)) {
                        let methods = self.methods.join(", ");
                        return Err(Error::invalid("--method", methods, "one circle, of one period"));
                    }
                    scorer.regressors.push(chosen);
                }
                Method::Classifier(classifier) => scorer.classifiers.push(classifier),
            }
        }
        Ok(scorer)
    }
}

/// The names of all baselines, for the card: saved probes with other baselines are not reused.
fn baseline_names() -> String {
    let without_model = BASELINES.iter().map(|baseline| baseline.name().to_string());
    let models = BaselineModel::ALL.iter().map(|model| model.name().replace('-', " "));
    let names = without_model.chain(["embed".into()]).chain(models).chain(["shuffled labels".into()]);
    names.collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_settings_have_different_folders() {
        let usual = ProbingSettings::default();
        assert_eq!(usual.folder(&FolderName::of_text("empty")), "empty");
        let settings = ProbingSettings {
            split: "group:country".parse().unwrap(),
            train: Some("some/us_place.csv".into()),
            methods: vec!["ols".into(), "mlp".into()],
            alphas: Some("0.1,10".into()),
            no_baselines: true,
            ..usual.clone()
        };
        let folder = "empty.split_group_country.from_us_place.with_ols+mlp.alphas_0.1_10.alone";
        assert_eq!(settings.folder(&FolderName::of_text("empty")), folder);
        let odd = ProbingSettings { train_prompt: Some("Where is {}?".into()), ..usual };
        assert_eq!(odd.folder(&FolderName::of_text("empty")), "empty.from_prompt_Where_is____");
    }

    #[test]
    fn methods_that_do_not_match_classes_are_refused() {
        let with = |methods: &[&str], classes: Option<&str>| {
            let methods = methods.iter().map(|m| m.to_string()).collect();
            ProbingSettings { methods, classes: classes.map(String::from), ..ProbingSettings::default() }
                .check()
        };
        assert!(with(&["ols", "ridge"], None).is_ok() && with(&["logistic", "pca"], Some("country")).is_ok());
        assert!(with(&["logistic"], None).unwrap_err().to_string().contains("--classes COLUMN"));
        assert!(with(&["ols"], Some("country")).unwrap_err().to_string().contains("logistic"));
        assert!(with(&["forest"], None).unwrap_err().to_string().contains("forest"));
        let odd = ProbingSettings { leak_within: Some(-1.0), ..ProbingSettings::default() };
        assert!(odd.check().unwrap_err().to_string().contains("--leak-within"));
        let odd = ProbingSettings { alphas: Some("x".into()), ..ProbingSettings::default() };
        assert!(odd.check().unwrap_err().to_string().contains("--alphas"));
    }

    #[test]
    fn cards_of_earlier_versions_name_the_same_baselines() {
        let earlier = "names-only, group centroid, embed, untrained, shuffled weights, shuffled labels";
        assert_eq!(baseline_names(), earlier);
    }
}
