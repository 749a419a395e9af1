//! `mappa cause`: tests the use of parts of the stream at an entity for the answer of the model.

use super::model_flags::ModelFlags;
use super::observer::TerminalObserver;
use super::prompt_flags::{PromptFlags, flags_of};
use super::saved_probe_flags::ProbeFlags;
use super::table::print_columns;
use super::within::within;
use clap::Args;
use mappa::Result;
use mappa::artefact::FolderName;
use mappa::lab::suggest::{command, flag, of_model, path};
use mappa::lab::{AnswerChoice, CauseReport, CauseSettings, Lab, Threshold, cause};
use mappa::limits::{ANY, CHOICES, EPOCHS, PAIRS, RANDOM, RESAMPLES, VECTOR_WIDTH};
use mappa::model::Model;
use mappa::results::{
    AngleRow, DAS, InterchangeRow, MEAN, NOTHING, PATTERN, PROBE, R2, RANDOM as RANDOM_PART, RIDGE,
    RIDGE_AND_TEXT, STREAM, SURPLUS, ScoreKey, SubspaceAblationRow,
};
use mappa::shown::shown;

/// Test which part of the stream at an entity is used for the model's answer, at every layer.
///
/// The prompt ends where the answer begins ("{} is in the country of"), and the model chooses among a few answers. In
/// pairs of entities with different answers, a part of the stream at the base's last token is exchanged for the
/// source's: the whole stream, the subspace of the saved probe, that of its pattern, random subspaces, and the
/// subspace of the same rank whose exchange changes most answers, found by gradient on other entities (distributed
/// alignment search, DAS). The share of pairs that then get the source's answer says whether the part is used. At the
/// layer where the search succeeds best: controls (arbitrary answers, another layer, an untrained model), and ablations.
/// Rows are saved in causal/MODEL/DATASET/NAME/; finished layers are reused. Needs probes of `mappa probe`.
///
/// Examples:
///   mappa cause --dataset world_place --prompt "{} is in" --answers country
///   mappa cause --dataset world_place --prompt "{} is in" --answers country --layers 0,1,2 --pairs 60 --rank 4
///   mappa cause --dataset historical_figure --prompt "{} was of the" --answers "bronze|steam" --at 1500
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Cause {
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    from: ProbeFlags,
    #[command(flatten)]
    texts: PromptFlags,
    /// The answers: the values of a column such as country, age or century, or two words such as "before|after".
    #[arg(long, value_name = "COLUMN|WORDS")]
    answers: AnswerChoice,
    /// The value below which the first of two words is the answer: 1800, or TARGET=VALUE such as latitude=0.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    at: Option<Threshold>,
    /// Number of values of the column that are answers, those with the most test entities first.
    #[arg(long, default_value_t = 6, value_parser = within(CHOICES))]
    choices: usize,
    /// The blocks after which the stream is exchanged, separated by commas [default: every block].
    #[arg(long, value_delimiter = ',', value_parser = within(ANY))]
    layers: Vec<usize>,
    /// Number of training pairs; the test has at most as many.
    #[arg(long, default_value_t = 200, value_parser = within(PAIRS))]
    pairs: usize,
    /// Number of dimensions of the searched and the random subspaces [default: that of the probe].
    #[arg(long, value_parser = within(VECTOR_WIDTH))]
    rank: Option<usize>,
    /// Passes over the training pairs in a search.
    #[arg(long, default_value_t = 5, value_parser = within(EPOCHS))]
    epochs: usize,
    /// Number of random subspaces.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=RANDOM.most))]
    random: u64,
    /// Seed of pairs, searches, random subspaces and resamples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of bootstrap resamples of the intervals.
    #[arg(long, default_value_t = 500, value_parser = within(RESAMPLES))]
    resamples: usize,
    /// Leave out test pairs of which the model answers one question wrongly without an exchange.
    #[arg(long)]
    correct_only: bool,
    /// Name of the test's folder [default: the prompt and the answers].
    #[arg(long = "called", value_name = "NAME", value_parser = |name: &str| FolderName::new("--called", name))]
    called: Option<FolderName>,
}

impl Cause {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let settings = self.settings();
        let model = settings.prompting.set_up(self.model.open(lab, observer)?, observer)?;
        let report = cause(lab, &model, &settings, observer)?;
        print_question(&report, self.correct_only);
        print_layers(&report);
        print_controls(&report);
        print_angles(&report);
        print_ablations(&report.ablations);
        say!();
        say!("exchanges, angles, ablations: {}", report.folder.display());
        for file in &report.figures {
            say!("figure: {}", file.display());
        }
        if let Some(verdict) = &report.verdict {
            say!("{}", shown(&verdict.to_string()));
        }
        say!("next: {}", self.next(lab, &model, &report));
        Ok(())
    }

    fn settings(&self) -> CauseSettings {
        CauseSettings {
            called: self.called.clone(),
            probes: self.from.settings(),
            prompting: self.texts.settings(),
            answers: self.answers.clone(),
            at: self.at.clone(),
            choices: self.choices,
            layers: self.layers.clone(),
            pairs: self.pairs,
            rank: self.rank,
            epochs: self.epochs,
            random: self.random,
            seed: self.seed,
            resamples: self.resamples,
            correct_only: self.correct_only,
        }
    }

    /// The same test at the reported layer with twice the dimensions.
    fn next(&self, lab: &Lab, model: &Model, report: &CauseReport) -> String {
        let row = report.interchange.iter().find(|row| row.exchanged == DAS);
        let rank = 2 * row.map_or(1, |row| row.rank);
        let dataset = row.map_or("", |row| &row.dataset);
        let from = self.from.settings();
        let mut rest = flag("dataset", from.dataset.as_deref().unwrap_or(dataset));
        if let Some(probes) = &from.probes {
            rest += &format!(" --probes {}", path(probes));
        }
        rest += &flags_of(&self.texts.settings());
        rest += &flag("answers", &self.answers.to_string());
        if let Some(at) = &self.at {
            rest += &flag("at", &at.to_string());
        }
        rest += &format!(" --layers {} --rank {rank} --called rank-{rank}", report.layer);
        command(lab, &of_model(model), "cause", &rest)
    }
}

/// A share in percent, with its interval.
fn share(row: &InterchangeRow) -> String {
    format!("{:.0} % ({:.0}–{:.0})", 100.0 * row.accuracy, 100.0 * row.low, 100.0 * row.high)
}

fn print_question(report: &CauseReport, is_filtered: bool) {
    let CauseReport { words, own, n_pairs: [n, n_right], interchange, .. } = report;
    let Some(row) = interchange.first() else { return };
    say!("answers: {} (chance {:.0} %)", shown(&words.join(", ")), 100.0 * row.chance);
    say!(
        "the model itself: {} of {} test entities correct ({:.0} %); both right in {n_right} of {n} pairs{}",
        own.n_right,
        own.n,
        100.0 * own.n_right as f64 / own.n.max(1) as f64,
        if is_filtered { ", the only ones used" } else { "" }
    );
    if row.n_groups < 12 {
        say!("only {} groups of test entities: intervals are too narrow", row.n_groups);
    }
    say!();
}

/// Prints one line per layer.
fn print_layers(report: &CauseReport) {
    let of_layer = |layer: usize, name: &str| {
        report
            .interchange
            .iter()
            .filter(move |row| row.layer == layer && row.exchanged == name)
            .collect::<Vec<_>>()
    };
    let mut layers: Vec<usize> =
        report.interchange.iter().filter(|row| row.exchanged == NOTHING).map(|row| row.layer).collect();
    layers.dedup();
    let score = |layer: usize, key: ScoreKey| {
        let label = layer.to_string();
        let row =
            key.all(&report.scores).find(|row| row.layer == label && row.hook_point.ends_with("resid_post"));
        row.map_or("–".to_string(), |row| format!("{:.3}", row.value))
    };
    let cells = |layer: &usize| {
        let one = |name: &str| of_layer(*layer, name).first().map_or("–".to_string(), |row| share(row));
        let random = of_layer(*layer, RANDOM_PART);
        let mean = random.iter().map(|row| row.accuracy).sum::<f64>() / random.len().max(1) as f64;
        vec![
            layer.to_string(),
            score(*layer, ScoreKey::test(RIDGE, R2, MEAN)),
            score(*layer, ScoreKey::test(RIDGE_AND_TEXT, SURPLUS, MEAN)),
            one(STREAM),
            one(DAS),
            one(PROBE),
            one(PATTERN),
            format!("{:.0} %", 100.0 * mean),
            of_layer(*layer, NOTHING)
                .first()
                .map_or("–".into(), |row| format!("{:.0} %", 100.0 * row.accuracy)),
        ]
    };
    let rank = of_layer(report.layer, DAS).first().map_or(0, |row| row.rank);
    let das = format!("DAS, rank {rank}");
    let heads = ["layer", "R²", "surplus", "whole stream", &das, "probe", "pattern", "random", "none"];
    print_columns(&heads, &layers.iter().map(cells).collect::<Vec<_>>());
    let row = of_layer(report.layer, NOTHING);
    if let Some(row) = row.first() {
        say!(
            "share of {} test pairs ({} groups) that get the source's answer after the exchange; 95 % intervals",
            row.n_pairs,
            row.n_groups
        );
    }
}

/// Prints the controls of the reported layer.
fn print_controls(report: &CauseReport) {
    let usual = [NOTHING, STREAM, DAS, PROBE, PATTERN, RANDOM_PART];
    let controls = report.interchange.iter().filter(|row| !usual.contains(&row.exchanged.as_str()));
    say!();
    say!("controls of layer {}, where the search succeeded best on training pairs:", report.layer);
    let cells = |row: &InterchangeRow| vec![row.exchanged.clone(), row.layer.to_string(), share(row)];
    print_columns(&["exchanged", "layer", "source's answer"], &controls.map(cells).collect::<Vec<_>>());
}

/// Prints the principal angles at the reported layer.
fn print_angles(report: &CauseReport) {
    let of_layer = report.angles.iter().filter(|row| row.layer == report.layer);
    let cells = |row: &AngleRow| {
        vec![
            format!("{} and {}", row.first, row.second),
            row.number.to_string(),
            format!("{:.1}°", row.degrees),
            format!("{:.1}° ({:.1}–{:.1})", row.random_mean, row.random_low, row.random_high),
        ]
    };
    say!();
    print_columns(
        &["subspaces", "angle", "degrees", "random subspaces"],
        &of_layer.map(cells).collect::<Vec<_>>(),
    );
}

/// Prints answers and losses during ablations.
fn print_ablations(rows: &[SubspaceAblationRow]) {
    let Some(plain) = rows.first() else { return };
    let cells = |row: &SubspaceAblationRow| {
        let name = match row.seed {
            0 => row.subspace.clone(),
            seed => format!("{} {seed}", row.subspace),
        };
        vec![
            name,
            row.fill.clone(),
            format!("{:.0} %", 100.0 * row.accuracy),
            format!("{:+.3}", row.entity_loss - plain.entity_loss),
            format!("{:+.3}", row.control_loss - plain.control_loss),
        ]
    };
    say!();
    say!(
        "without a subspace at every token after layer {}: {:.0} % correct answers with all of it",
        plain.layer,
        100.0 * plain.accuracy
    );
    let heads = ["ablated", "by", "correct", "change of the loss on entities", "on control sentences"];
    print_columns(&heads, &rows[1..].iter().map(cells).collect::<Vec<_>>());
}
