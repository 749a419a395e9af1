//! `mappa probe strata`: the surplus over the text in parts of the test entities.

use super::model_flags::ModelFlags;
use super::observer::TerminalObserver;
use super::probing_flags::ProbingFlags;
use super::prompt_flags::PromptFlags;
use super::table::{print_columns, print_scores};
use super::token_flags::TokenFlags;
use clap::Args;
use mappa::Result;
use mappa::lab::{
    Canvas, Done, Lab, ProbeRequest, StrataReport, StrataSettings, draw_strata, find_dataset, strata,
};
use mappa::probes::{LEAST_ENTITIES, StrataFinding};
use mappa::results::{ALL, MEAN, StratumRow};

/// Show where the surplus over the text lies: among rare or frequent names, by tokens, script or group.
///
/// Divides the test entities into strata, and scores in each the text alone and the text with the activations, by the
/// same fits as `mappa probe`; fits missing probes first. The contributions of the strata add up to the surplus.
/// Writes strata/strata.csv in the folder of the probes. docs/probes.md explains the numbers.
///
/// The properties are rank (of the rarest word of the name in the word vectors' file, whose words are sorted by
/// frequency), tokens (of the name), script (of its letters), and the columns of the dataset.
///
/// Examples:
///   mappa probe strata --dataset world_place
///   mappa probe strata --dataset world_place --by rank,continent --hook-point blocks.2.hook_resid_post
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct StrataFlags {
    #[command(flatten)]
    model: ModelFlags,
    /// A dataset's name, or a CSV, TSV, JSON or Parquet file.
    #[arg(long, visible_alias = "test", value_name = "NAME|FILE")]
    dataset: String,
    /// The properties, separated by commas: rank, tokens, script, or columns [default: these three and the dataset's
    /// group columns].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    by: Vec<String>,
    /// The hook point, by name [default: the one with the best leave-one-out R² on training entities].
    #[arg(long, value_name = "NAME")]
    hook_point: Option<String>,
    #[command(flatten)]
    texts: PromptFlags,
    #[command(flatten)]
    tokens: TokenFlags,
    #[command(flatten)]
    probing: ProbingFlags,
}

impl StrataFlags {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let extraction = self.tokens.settings(self.texts.settings(), None);
        let request = ProbeRequest { extraction, probing: self.probing.settings() };
        request.probing.check()?;
        let dataset = find_dataset(lab, &self.dataset, observer)?;
        let model = self.model.open(lab, observer)?;
        let model = request.extraction.prompting.set_up(model, observer)?;
        let prepared = request.prepare(lab, &model, dataset, observer)?;
        let job = prepared.job(lab, &model, &request.probing);
        let settings = StrataSettings { by: self.by.clone(), hook_point: self.hook_point.clone() };
        let report = strata(&job, &settings, observer)?;
        print(&report);
        let mut canvas = Canvas::new(lab.figures(&report.probes.model, &report.figures()), observer);
        let files = draw_strata(&report.probes.dataset, &report.rows, &mut canvas)?;
        say!("strata: {}", report.folder.display());
        files.iter().for_each(|file| say!("figure: {}", file.display()));
        Ok(())
    }
}

fn print(report: &StrataReport) {
    if report.done == Done::Before {
        say!("found, scored before");
    }
    print_scores(&[(report.probes.dataset.to_string(), &report.probes)]);
    let Some(text) = StrataFinding::strongest_text(&report.rows) else { return };
    let of = |by: &str| -> Vec<&StratumRow> {
        report.rows.iter().filter(|row| row.by == by && row.text == text && row.target == MEAN).collect()
    };
    let whole = of(ALL);
    say!();
    say!("Where does the surplus over `{text}` lie at {}?", report.point);
    for by in &report.by {
        say!();
        let (rows, first) = (of(by), whole.first());
        let cells: Vec<Vec<String>> = rows.iter().chain(first).map(|row| cells(row)).collect();
        let property = match (by.as_str(), &report.vectors) {
            ("rank", Some(vectors)) => format!("rank of the rarest word in {vectors}"),
            ("tokens", _) => "tokens of the name".into(),
            ("script", _) => "script of the letters".into(),
            (column, _) => column.to_string(),
        };
        let heads = [
            "entities",
            "share",
            "R² text",
            "R² both",
            "surplus",
            "95 % interval",
            "contribution",
            "95 % interval",
        ];
        print_columns(&[&[property.as_str()], &heads[..]].concat(), &cells);
        for row in rows.iter().filter(|row| !row.merged.is_empty()) {
            say!("{}: {}", row.stratum, shortened(&row.merged));
        }
        for row in rows.iter().filter(|row| row.surplus_low.is_nan()) {
            say!(
                "{}: {} entities or groups to resample are too few for an interval",
                row.stratum,
                row.n_units
            );
        }
        for row in rows.iter().filter(|row| row.n_test < LEAST_ENTITIES) {
            say!("{}: only {} test entities", row.stratum, row.n_test);
        }
    }
    say!();
    for by in &report.by {
        StrataFinding::of(by, &report.rows).iter().for_each(|finding| say!("{finding}"));
    }
    say!();
    say!(
        "share: of the squared differences from the mean of all test entities, about which each R² is computed."
    );
    say!("The contributions of a table's rows add up to the surplus of all.");
    say!();
}

fn cells(row: &StratumRow) -> Vec<String> {
    // A score that rounds to 0 has no sign.
    let score = |value: f64| format!("{value:.3}").replace("-0.000", "0.000");
    let interval = |low: f64, high: f64| match low.is_nan() {
        true => "–".to_string(),
        false => format!("{} to {}", score(low), score(high)),
    };
    vec![
        row.stratum.clone(),
        row.n_test.to_string(),
        format!("{:.0} %", 100.0 * row.share),
        score(row.r2_text),
        score(row.r2_both),
        score(row.surplus),
        interval(row.surplus_low, row.surplus_high),
        score(row.contribution),
        interval(row.contribution_low, row.contribution_high),
    ]
}

/// A list of merged strata; a long one is in the CSV file.
fn shortened(merged: &str) -> String {
    const SHOWN: usize = 8;
    let names: Vec<&str> = merged.split("; ").collect();
    match names.len() {
        n if n > SHOWN => {
            format!("{} and {} more, listed in strata.csv", names[..SHOWN].join(", "), n - SHOWN)
        }
        _ => names.join(", "),
    }
}
