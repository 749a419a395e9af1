//! Result tables and small text curves on standard output.

use super::terminal::print_lines;
use mappa::hook_point::HookPoint;
use mappa::lab::{BestLayer, ProbeReport};
use mappa::probes::{ClassVerdict, TextVerdict, test_r2};
use mappa::results::{
    ACCURACY, AUROC, AVERAGE_PRECISION, CENTROID, CIRCULAR_R2, K_SPARSE, MAJORITY, MEAN, NAMES_ONLY, NESTED,
    R2, RIDGE, SHUFFLED, SHUFFLED_WEIGHTS, ScoreKey, ScoreRow, TEST, UNTRAINED, WORD_VECTORS,
};
use mappa::shown::shown;

/// Formats a whole number in groups of three digits.
pub(super) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let group = |(at, digit): (usize, char)| {
        let is_begin = at > 0 && (digits.len() - at).is_multiple_of(3);
        is_begin.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

/// Prints rows under their heads; each column is as wide as its widest cell.
///
/// Heads and cells are shown as [`shown`] gives them.
pub(super) fn print_columns(heads: &[&str], rows: &[Vec<String>]) {
    let shown = |cell: &str| shown(cell).into_owned();
    let heads: Vec<String> = heads.iter().map(|head| shown(head)).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let print = |cells: &[String]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say!("{}", padded.join("  ").trim_end());
    };
    print(&heads);
    rows.iter().for_each(|row| print(row));
}

/// Prints one line per dataset: the best layer, its score, its baselines, its error in km or the target's unit.
pub(super) fn print_scores(datasets: &[(String, &ProbeReport)]) {
    say!();
    let wide = widest(datasets);
    say!(
        "{:<wide$} {:>5}  {:>6} {:<16} {:>10} {:>7} {:>9} {:>8} {:>8} {:>6}  {:<14} {:>6}",
        "dataset",
        "layer",
        "R²",
        "95 % interval",
        "names-only",
        "vectors",
        "untrained",
        "weights",
        "labels",
        "embed",
        "error (mean)",
        "oracle"
    );
    for (dataset, report) in datasets {
        let (rows, BestLayer { point, r2: best, low, high }) = (&report.scores, report.best);
        let r2 = |method, point| test_r2(rows, method, point);
        let value = |row: Option<&ScoreRow>| row.map_or("–".to_string(), |r| two_decimals(r.value));
        say!(
            "{:<wide$} {:>5}  {:>6.3} {:<16} {:>10} {:>7} {:>9} {:>8} {:>8} {:>6}  {:<14} {:>6}",
            dataset,
            point.label(),
            best,
            format!("{low:.3} to {high:.3}"),
            value(r2(NAMES_ONLY, None)),
            value(r2(WORD_VECTORS, None)),
            value(r2(UNTRAINED, Some(point))),
            value(r2(SHUFFLED_WEIGHTS, Some(point))),
            value(r2(SHUFFLED, Some(point))),
            value(r2(RIDGE, Some(HookPoint::ResidPre(0)))),
            error(rows, point),
            value(r2(CENTROID, None)),
        );
    }
    print_nested(datasets);
    print_warnings(datasets);
    say!();
    print_lines(
        "The layer is chosen by leave-one-out error on the training rows (with folds, on all rows); scores are on the \
         test rows.\n\
         vectors: a ridge on static word vectors of the names; without numbers, `--vectors FILE` adds them.\n\
         weights, labels: the same probe on the model with shuffled weights, and on shuffled targets.\n\
         oracle: the mean of the entity's true group (country, occupation, …), unknown to a probe; a bound, \
         not a baseline.",
    );
    print_verdicts(datasets);
}

/// Prints the scores of layers that were chosen anew in each fold.
fn print_nested(datasets: &[(String, &ProbeReport)]) {
    for (dataset, report) in datasets {
        if let Some(ScoreRow { value, low, high, .. }) = test_r2(&report.scores, NESTED, None) {
            say!(
                "{dataset}: R² {value:.3} (95 % {low:.3} to {high:.3}) if each fold's layer is chosen without its test \
                 rows."
            );
        }
    }
}

/// A score with two decimals; a score that rounds to 0 has no sign.
fn two_decimals(score: f64) -> String {
    let text = format!("{score:.2}");
    if text == "-0.00" { "0.00".into() } else { text }
}

/// Prints a verdict for each dataset, with its numbers.
fn print_verdicts(datasets: &[(String, &ProbeReport)]) {
    let scores: Vec<(&[ScoreRow], HookPoint)> =
        datasets.iter().map(|(_, report)| (&report.scores[..], report.best.point)).collect();
    let verdicts = TextVerdict::of_several(&scores);
    if verdicts.iter().any(Option::is_some) {
        say!();
        say!("Does the model know more than its text?");
        for ((dataset, _), verdict) in datasets.iter().zip(verdicts) {
            verdict.iter().for_each(|verdict| say!("{dataset}: {verdict}"));
        }
    }
    let columns: Vec<Option<String>> =
        datasets.iter().map(|(_, report)| report.classes().map(String::from)).collect();
    let verdicts = ClassVerdict::of_several(&scores, &columns);
    for (((dataset, _), column), verdict) in datasets.iter().zip(columns).zip(verdicts) {
        let column = column.unwrap_or_default();
        verdict.iter().for_each(|verdict| say!("{dataset}, {column}: {verdict}"));
    }
}

/// The heads of the table of other methods.
const HEADS_OF_OTHERS: [&str; 10] = [
    "method",
    "score",
    "value",
    "95 % interval",
    "names-only",
    "majority",
    "vectors",
    "untrained",
    "weights",
    "labels",
];

/// Prints the other methods at the ridge probe's best layer, each with its own baselines.
pub(super) fn print_others(datasets: &[(String, &ProbeReport)]) {
    for (dataset, report) in datasets {
        let (rows, point) = (&report.scores, report.best.point.to_string());
        let is_shown = |r: &&ScoreRow| {
            let is_of_classes = [ACCURACY, AUROC, AVERAGE_PRECISION].contains(&r.metric.as_str());
            let is_of_angle = r.metric == CIRCULAR_R2 && !r.method.starts_with(K_SPARSE);
            let is_main = (r.metric == R2 && r.target == MEAN) || is_of_classes || is_of_angle;
            is_main && r.split == TEST && r.hook_point == point && !r.method.contains('/')
        };
        let is_baseline = |r: &&ScoreRow| {
            // The line of the probe itself has no circular R².
            let method = if r.metric == CIRCULAR_R2 && r.method == RIDGE { "" } else { r.method.as_str() };
            // The activations with a text are in the verdict.
            [RIDGE, UNTRAINED, SHUFFLED, SHUFFLED_WEIGHTS].contains(&method) || method.starts_with("ridge+")
        };
        let others = rows.iter().filter(is_shown).filter(|r| !is_baseline(r));
        let baseline = |row: &ScoreRow, method: &str, point: Option<HookPoint>| {
            let found = ScoreKey::test(method, &row.metric, &row.target).at(rows, point);
            found.map_or("–".to_string(), |r| format!("{:.2}", r.value))
        };
        let line = |row: &ScoreRow| {
            let of_method = |name: &str| {
                let method = if row.method == RIDGE { name.into() } else { format!("{}/{name}", row.method) };
                baseline(row, &method, Some(report.best.point))
            };
            let what = match row.metric.as_str() {
                R2 => "R²".into(),
                AUROC => format!("AUROC, {}", row.target),
                CIRCULAR_R2 => format!("circular R², {}", row.target),
                metric => format!("{}, {}", metric.replace('_', " "), row.target),
            };
            let without_model = |method: &str| baseline(row, method, None);
            vec![
                row.method.clone(),
                what,
                format!("{:.3}", row.value),
                format!("{:.3} to {:.3}", row.low, row.high),
                without_model(NAMES_ONLY),
                without_model(MAJORITY),
                without_model(WORD_VECTORS),
                of_method(UNTRAINED),
                of_method(SHUFFLED_WEIGHTS),
                of_method(SHUFFLED),
            ]
        };
        let lines: Vec<Vec<String>> = others.map(line).collect();
        if !lines.is_empty() {
            say!();
            say!("{dataset}, other methods at {point}:");
            print_columns(&HEADS_OF_OTHERS, &lines);
        }
    }
}

/// Prints a warning if the names-only baseline is better than the probe, and explains an R² below zero.
fn print_warnings(datasets: &[(String, &ProbeReport)]) {
    for (dataset, report) in datasets {
        let (rows, BestLayer { point, r2: probe, .. }) = (&report.scores, report.best);
        let names = test_r2(rows, NAMES_ONLY, None).map(|row| row.value);
        if let Some(names) = names.filter(|names| *names >= probe) {
            say!("{dataset}: the names-only baseline ({names:.2}) is better than the probe ({probe:.2}).");
        }
        if probe < 0.0 {
            let r = ScoreKey::test(RIDGE, "pearson", MEAN).at(rows, Some(point)).map(|r| r.value);
            let order = r.map_or(String::new(), |r| format!(" Correlation with the truth: {r:.2}."));
            say!(
                "{dataset}: an R² below 0 is worse than always predicting the mean of the test rows. A probe \
                 keeps the mean and the spread of its training set, so on other data it may be far off \
                 even if the order is right.{order}"
            );
        }
    }
}

fn error(rows: &[ScoreRow], point: HookPoint) -> String {
    if let Some(km) = ScoreKey::test(RIDGE, "mean_km", "great-circle").at(rows, Some(point)) {
        return if km.value < 100.0 { format!("{:.1} km", km.value) } else { format!("{:.0} km", km.value) };
    }
    let name = point.to_string();
    let is_mae = |r: &&ScoreRow| {
        r.method == RIDGE && r.split == TEST && r.hook_point == name && r.metric.starts_with("mae")
    };
    let unit = |r: &ScoreRow| r.metric.strip_prefix("mae_").unwrap_or_default().replace('_', " ");
    rows.iter()
        .find(is_mae)
        .map_or("–".into(), |r| format!("{} {}", of_any_size(r.value), unit(r)).trim_end().into())
}

/// A number with one decimal; a very small or very large one with its power of ten.
fn of_any_size(number: f64) -> String {
    match number.abs() {
        size if size == 0.0 || (0.05..1e9).contains(&size) => format!("{number:.1}"),
        _ => format!("{number:.1e}"),
    }
}

/// The width of the column of datasets.
fn widest(datasets: &[(String, &ProbeReport)]) -> usize {
    datasets.iter().map(|(dataset, _)| dataset.chars().count()).max().unwrap_or(0).max(18)
}

/// Prints each dataset's test R² from `embed` to the last layer as a row of blocks.
pub(super) fn print_curves(datasets: &[(String, &ProbeReport)]) {
    let curves =
        || datasets.iter().flat_map(|(_, one)| [RIDGE, UNTRAINED].map(|method| curve(&one.scores, method)));
    let most = curves().flatten().fold(0.0, f64::max);
    // Rounded up to a twentieth, so that similar curves of two runs have the same scale.
    let top = ((most * 20.0).ceil() / 20.0).clamp(0.05, 1.0);
    say!();
    say!("Test R² from embed to the last layer (each block from 0 to {top:.2}), probe and untrained:");
    let wide = widest(datasets);
    for (dataset, report) in datasets {
        let [probe, untrained] = [RIDGE, UNTRAINED].map(|method| blocks(&curve(&report.scores, method), top));
        say!("{dataset:<wide$} {probe}   {untrained}");
    }
}

/// The test R² of a method at each hook point.
fn curve(rows: &[ScoreRow], method: &str) -> Vec<f64> {
    ScoreKey::test_r2(method).all(rows).map(|r| r.value).collect()
}

fn blocks(curve: &[f64], top: f64) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    curve.iter().map(|r2| BLOCKS[(((r2 / top).clamp(0.0, 1.0) * 8.0) as usize).min(7)]).collect()
}
