//! The flags of probing: methods, split, penalties, baselines, intervals.

use super::within::within;
use clap::Args;
use mappa::lab::ProbingSettings;
use mappa::limits::RESAMPLES;
use mappa::probes::{CLASSIFIERS, REGRESSORS, SplitPlan};

/// Lists the methods with their descriptions.
fn methods_help() -> String {
    let regressors = REGRESSORS.map(|method| format!("{} ({})", method.name(), method.about())).join(", ");
    let classifiers = CLASSIFIERS.map(|method| format!("{} ({})", method.name(), method.about())).join(", ");
    format!(
        "Methods in addition to the ridge probe, separated by commas: {regressors}; with --classes: {classifiers}"
    )
}

/// The fits and scores of probes.
#[derive(Args)]
pub(super) struct ProbingFlags {
    /// Methods in addition to the ridge probe, separated by commas.
    #[arg(long = "method", value_name = "NAMES", value_delimiter = ',', long_help = methods_help())]
    methods: Vec<String>,
    /// Also predict the classes of a column, such as country; years also have the columns century and decade.
    #[arg(long, value_name = "COLUMN")]
    classes: Option<String>,
    /// The test entities: is_test, random[:SEED], group:COLUMN[:FOLDS] or blocks:DEGREES[:FOLDS].
    ///
    /// is_test is the dataset's own column; random is a fifth of the entities; group holds out each group in turn, such
    /// as group:country or group:century; blocks holds out blocks of the map.
    #[arg(long, default_value_t, value_name = "PLAN")]
    split: SplitPlan,
    /// Train on this dataset's training entities, and test on the test entities of --dataset.
    #[arg(long, value_name = "NAME|FILE")]
    train: Option<String>,
    /// Train on activations with this prompt, and test on activations with --prompt.
    #[arg(long, value_name = "NAME|TEMPLATE")]
    train_prompt: Option<String>,
    /// Resample whole groups of a column, such as country, instead of single entities.
    #[arg(long, value_name = "COLUMN")]
    cluster: Option<String>,
    /// Penalties λ to try: numbers separated by commas, or the paper's grids (paper, paper-13b, paper-70b).
    ///
    /// By default, they are powers of ten, two per decade, times the mean eigenvalue; the grid grows while the best
    /// penalty is at an edge.
    #[arg(long, value_name = "NUMBERS|paper")]
    alphas: Option<String>,
    /// Static word vectors for the text baselines, or none [default: GloVe for the bundled datasets, none for others].
    ///
    /// The file may be GloVe or word2vec text, word2vec binary, or fastText .vec; also in gzip or zip.
    #[arg(long, value_name = "FILE")]
    vectors: Option<String>,
    /// Skip the baselines and the oracle.
    ///
    /// The baselines are: names only, word vectors, the untrained and the shuffled model, and shuffled targets. The
    /// oracle is the mean of the true group.
    #[arg(long)]
    no_baselines: bool,
    /// Add the distances of the paper's reference code, which swaps longitude and latitude.
    #[arg(long)]
    paper_metrics: bool,
    /// Report test entities within this distance of a training entity as leaked: in km, or the target's unit.
    ///
    /// The default is 1 km for places, and one day for years with fractions; other numbers have none.
    #[arg(long, value_name = "KM|YEARS|UNITS")]
    leak_within: Option<f64>,
    /// Seed of intervals, shuffled targets, the untrained and the shuffled model, and methods with random draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of bootstrap resamples of each interval.
    #[arg(long, default_value_t = 500, value_parser = within(RESAMPLES))]
    resamples: usize,
}

impl ProbingFlags {
    /// The flags as settings of the lab.
    pub(super) fn settings(&self) -> ProbingSettings {
        ProbingSettings {
            methods: self.methods.clone(),
            classes: self.classes.clone(),
            split: self.split.clone(),
            train: self.train.clone(),
            train_prompt: self.train_prompt.clone(),
            cluster: self.cluster.clone(),
            alphas: self.alphas.clone(),
            vectors: self.vectors.clone(),
            no_baselines: self.no_baselines,
            paper_metrics: self.paper_metrics,
            leak_within: self.leak_within,
            seed: self.seed,
            resamples: self.resamples,
        }
    }
}
