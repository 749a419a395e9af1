//! The flags that say how probes are fitted and scored: readers, split, penalties, baselines.

use clap::Args;
use clap::builder::RangedU64ValueParser;
use mappa::datasets::Dataset;
use mappa::probes::{Baselines, Classes, Method, Metrics, PenaltyGrid, Scorer, SplitPlan, labels};
use mappa::{Error, Result};
use std::collections::BTreeSet;

/// Takes a number of resamples: of fewer than two there is no interval.
pub fn at_least_two() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(2..)
}

/// How probes are fitted and scored.
#[derive(Args, Debug, Clone, Default)]
pub struct Settings {
    /// Readers beside the ridge probe, with commas between several: ols, pca, elastic-net, mlp, sphere (places), rank;
    /// with --classes: logistic, mean-difference. docs/probes.md says what each is.
    #[arg(long = "method", value_name = "NAMES", value_delimiter = ',')]
    pub methods: Vec<String>,
    /// Read the classes of a column as well, such as country; century and decade follow from years.
    #[arg(long, value_name = "COLUMN")]
    pub classes: Option<String>,
    /// What is held out: is_test (the dataset's own column), random[:SEED] (a fifth), group:COLUMN[:FOLDS]
    /// (each group in turn, such as group:country or group:century), blocks:DEGREES[:FOLDS] (parts of the map).
    #[arg(long, default_value_t, value_name = "PLAN")]
    pub split: SplitPlan,
    /// Learn from this dataset's training entities, and read the test entities of the other.
    #[arg(long, value_name = "NAME|FILE")]
    pub train: Option<String>,
    /// Learn from activations under this prompt, and read those under the other.
    #[arg(long, value_name = "NAME|TEMPLATE")]
    pub train_prompt: Option<String>,
    /// Draw intervals over whole groups of a column rather than over entities, such as country.
    #[arg(long, value_name = "COLUMN")]
    pub cluster: Option<String>,
    /// Penalties λ to try, as they are: numbers with commas between them, or the paper's (paper, paper-13b,
    /// paper-70b) [default: half decades of the mean eigenvalue, growing while the best is at an end].
    #[arg(long, value_name = "NUMBERS|paper")]
    pub alphas: Option<String>,
    /// Leave out the baselines: names only, group centroid, untrained and shuffled model, shuffled labels.
    #[arg(long)]
    pub no_baselines: bool,
    /// Add the distances as the paper's reference code computes them, which takes longitude for latitude.
    #[arg(long)]
    pub paper_metrics: bool,
    /// How near to a training entity a test entity is reported as leaked: km, or the target's unit
    /// [default: 1 km; a day where years have parts; equal numbers of another kind are no leak].
    #[arg(long, value_name = "KM|YEARS|UNITS")]
    pub leak_within: Option<f64>,
}

impl Settings {
    /// What is added to the name of a results folder: every choice that is not the usual one.
    pub fn folder(&self, prompt: &str) -> String {
        let mut name = prompt.to_string();
        let mut add = |part: String| {
            let plain = |c: char| if c.is_alphanumeric() || "-+_.".contains(c) { c } else { '_' };
            name += &format!(".{}", part.chars().map(plain).collect::<String>());
        };
        if self.split != SplitPlan::default() {
            add(format!("split_{}", self.split));
        }
        self.train.iter().for_each(|train| add(format!("from_{}", stem(train))));
        self.train_prompt.iter().for_each(|prompt| add(format!("from_prompt_{prompt}")));
        if !self.methods.is_empty() {
            add(format!("with_{}", self.methods.join("+")));
        }
        self.classes.iter().for_each(|column| add(format!("classes_{column}")));
        self.alphas.iter().for_each(|alphas| add(format!("alphas_{alphas}")));
        self.cluster.iter().for_each(|column| add(format!("cluster_{column}")));
        if self.no_baselines {
            add("alone".into());
        }
        if self.paper_metrics {
            add("paper_metrics".into());
        }
        name
    }

    /// Whether baselines are wanted.
    pub fn baselines(&self) -> Baselines {
        if self.no_baselines { Baselines::Omitted } else { Baselines::Included }
    }

    /// Refuses what cannot be, before anything is computed.
    pub fn check(&self) -> Result<()> {
        let methods = self.methods()?;
        let names_classes = |method: &Method| matches!(method, Method::Classifier(_));
        match (&self.classes, methods.iter().any(names_classes)) {
            (None, true) => Err(Error::invalid(
                "--method",
                self.methods.join(", "),
                "--classes COLUMN beside it, which says what classes are read",
            )),
            (Some(column), false) => Err(Error::invalid(
                "--classes",
                column,
                "--method logistic or mean-difference beside it, which read classes",
            )),
            _ if self.leak_within.is_some_and(|within| !within.is_finite() || within < 0.0) => {
                let found = self.leak_within.unwrap_or_default();
                Err(Error::invalid("--leak-within", found, "a distance that is not negative"))
            }
            _ => self.grid().map(drop),
        }
    }

    fn methods(&self) -> Result<Vec<Method>> {
        self.methods.iter().map(|name| Method::find(name.trim())).collect()
    }

    fn grid(&self) -> Result<PenaltyGrid> {
        self.alphas.as_deref().map_or(Ok(PenaltyGrid::default()), str::parse)
    }

    /// A scorer with these settings; `learnt` is the dataset that is learnt from, where it is another.
    pub fn set_up<'a>(
        &self,
        scorer: Scorer<'a>,
        (learnt, read): (Option<&Dataset>, &Dataset),
    ) -> Result<Scorer<'a>> {
        let both = |column: &str| -> Result<Vec<String>> {
            let mut all = learnt.map_or(Ok(Vec::new()), |learnt| labels(learnt, column))?;
            all.extend(labels(read, column)?);
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
            // Nothing is drawn of what is only learnt from.
            let n_before = learnt.map_or(0, |learnt| learnt.entities.len());
            let of = labels(read, column)?;
            let drawn: BTreeSet<&str> =
                scorer.split.test().iter().map(|&entity| of[entity - n_before].as_str()).collect();
            if drawn.len() < 2 {
                let one = drawn.first().copied().unwrap_or_default();
                let found = format!("one group among the test entities, `{one}`");
                let expected = "two groups or more to draw from; choose another column";
                return Err(Error::invalid(format!("--cluster {column}"), found, expected));
            }
            let groups = Classes::by_labels(column, &of)?.of;
            scorer.clusters = Some(vec![0; n_before].into_iter().chain(groups).collect());
        }
        for method in self.methods()? {
            match method {
                Method::Ridge => {}
                Method::Regressor(regressor) => scorer.regressors.push(regressor),
                Method::Classifier(classifier) => scorer.classifiers.push(classifier),
            }
        }
        Ok(scorer)
    }
}

/// A dataset's name, or the name of its file without folder and ending.
fn stem(dataset: &str) -> String {
    mappa::datasets::name_of(dataset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_that_differ_have_folders_that_differ() {
        let usual = Settings::default();
        assert_eq!(usual.folder("empty"), "empty");
        let settings = Settings {
            split: "group:country".parse().unwrap(),
            train: Some("some/us_place.csv".into()),
            methods: vec!["ols".into(), "mlp".into()],
            alphas: Some("0.1,10".into()),
            no_baselines: true,
            ..usual.clone()
        };
        let folder = "empty.split_group_country.from_us_place.with_ols+mlp.alphas_0.1_10.alone";
        assert_eq!(settings.folder("empty"), folder);
        let odd = Settings { train_prompt: Some("Where is {}?".into()), ..usual };
        assert_eq!(odd.folder("empty"), "empty.from_prompt_Where_is____");
    }

    #[test]
    fn methods_and_classes_that_do_not_fit_are_refused() {
        let with = |methods: &[&str], classes: Option<&str>| {
            let methods = methods.iter().map(|m| m.to_string()).collect();
            Settings { methods, classes: classes.map(String::from), ..Settings::default() }.check()
        };
        assert!(with(&["ols", "ridge"], None).is_ok() && with(&["logistic", "pca"], Some("country")).is_ok());
        assert!(with(&["logistic"], None).unwrap_err().to_string().contains("--classes COLUMN"));
        assert!(with(&["ols"], Some("country")).unwrap_err().to_string().contains("logistic"));
        assert!(with(&["forest"], None).unwrap_err().to_string().contains("forest"));
        let odd = Settings { leak_within: Some(-1.0), ..Settings::default() };
        assert!(odd.check().unwrap_err().to_string().contains("--leak-within"));
        let odd = Settings { alphas: Some("x".into()), ..Settings::default() };
        assert!(odd.check().unwrap_err().to_string().contains("--alphas"));
    }
}
