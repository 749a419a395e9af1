//! The flags of probing: readers, split, penalties, baselines, intervals.

use clap::Args;
use clap::builder::RangedU64ValueParser;
use mappa::lab::ProbingSettings;
use mappa::probes::{CLASSIFIERS, REGRESSORS, SplitPlan};

/// Takes a number of resamples: of fewer than two there is no interval.
pub(super) fn at_least_two() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(2..)
}

/// Lists the methods with their descriptions.
fn methods_help() -> String {
    let regressors = REGRESSORS.map(|method| format!("{} ({})", method.name(), method.about())).join(", ");
    let classifiers = CLASSIFIERS.map(|method| format!("{} ({})", method.name(), method.about())).join(", ");
    format!(
        "Methods in addition to the ridge probe, separated by commas: {regressors}; with --classes: {classifiers}"
    )
}

/// Fitting and scoring of probes.
#[derive(Args)]
pub(super) struct ProbingFlags {
    #[arg(long = "method", value_name = "NAMES", value_delimiter = ',', help = methods_help())]
    methods: Vec<String>,
    /// Predict the classes of a column as well, such as country; century and decade follow from years.
    #[arg(long, value_name = "COLUMN")]
    classes: Option<String>,
    /// Entities that are held out: is_test (the dataset's own column), random[:SEED] (a fifth), group:COLUMN[:FOLDS]
    /// (each group in turn, such as group:country or group:century), blocks:DEGREES[:FOLDS] (parts of the map).
    #[arg(long, default_value_t, value_name = "PLAN")]
    split: SplitPlan,
    /// Train on this dataset's training entities, and test on the test entities of the other.
    #[arg(long, value_name = "NAME|FILE")]
    train: Option<String>,
    /// Train on activations under this prompt, and test on those under the other.
    #[arg(long, value_name = "NAME|TEMPLATE")]
    train_prompt: Option<String>,
    /// Draw intervals over whole groups of a column rather than over entities, such as country.
    #[arg(long, value_name = "COLUMN")]
    cluster: Option<String>,
    /// Penalties λ to try, as they are: numbers with commas between them, or the paper's (paper, paper-13b,
    /// paper-70b) [default: half decades of the mean eigenvalue, growing while the best is at an end].
    #[arg(long, value_name = "NUMBERS|paper")]
    alphas: Option<String>,
    /// Leave out the baselines: names only, group centroid, untrained and shuffled model, shuffled labels.
    #[arg(long)]
    no_baselines: bool,
    /// Add the distances as the paper's reference code computes them, which takes longitude for latitude.
    #[arg(long)]
    paper_metrics: bool,
    /// Distance to a training entity within which a test entity is reported as leaked: km, or the target's unit
    /// [default: 1 km; a day where years have parts; equal numbers of another kind are no leak].
    #[arg(long, value_name = "KM|YEARS|UNITS")]
    leak_within: Option<f64>,
    /// Seeds intervals, shuffled targets, the untrained and the shuffled model, and methods that draw.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Bootstrap resamples of each interval.
    #[arg(long, default_value_t = 500, value_parser = at_least_two())]
    resamples: usize,
}

impl ProbingFlags {
    /// The settings.
    pub(super) fn settings(&self) -> ProbingSettings {
        ProbingSettings {
            methods: self.methods.clone(),
            classes: self.classes.clone(),
            split: self.split.clone(),
            train: self.train.clone(),
            train_prompt: self.train_prompt.clone(),
            cluster: self.cluster.clone(),
            alphas: self.alphas.clone(),
            no_baselines: self.no_baselines,
            paper_metrics: self.paper_metrics,
            leak_within: self.leak_within,
            seed: self.seed,
            resamples: self.resamples,
        }
    }
}
