//! Analyses of fitted probes: `mappa probe compare`, `mappa probe geometry` and `mappa neurons`.

use super::program::{done, mappa, refused};
use super::root;
use mappa::datasets::bundled;
use mappa::hook_point::HookPoint;
use mappa::probes::{ProbeSet, Split, spearman};
use mappa::results::{
    AblationRow, ComparisonRow, CosineRow, NeuronRow, ParticipationRow, RIDGE, ScoreKey, ScoreRow, load_rows,
};
use ndarray::Axis;
use std::path::Path;
use std::process::Command;

/// Fits probes without baselines, in the folder `PROMPT.alone`.
fn probe(lab: &Path, dataset: &str, more: &[&str]) {
    let args = ["probe", "--no-baselines", "--resamples", "20", "--dataset", dataset];
    done(mappa(lab, &[&args[..], more].concat()));
}

/// The rows of a comparison's CSV file.
fn compared(lab: &Path, sides: [&str; 2], more: &[&str]) -> Vec<ComparisonRow> {
    let file = lab.join("differences.csv");
    let args = ["probe", "compare", sides[0], sides[1], "--csv", file.to_str().unwrap()];
    done(mappa(lab, &[&args[..], more].concat()));
    load_rows(&file).unwrap()
}

fn row<'a>(rows: &'a [ComparisonRow], metric: &str, target: &str) -> &'a ComparisonRow {
    rows.iter().find(|row| (row.metric.as_str(), row.target.as_str()) == (metric, target)).unwrap()
}

/// The test score of a ridge probe, from the file that `mappa probe` saved.
fn saved(lab: &Path, folder: &str, [layer, metric, target]: [&str; 3]) -> f64 {
    let rows: Vec<ScoreRow> = load_rows(&lab.join("probes").join(folder).join("scores.csv")).unwrap();
    ScoreKey::test(RIDGE, metric, target).all(&rows).find(|row| row.layer == layer).unwrap().value
}

#[test]
fn a_comparison_has_the_scores_of_both_sides_and_their_difference() {
    let lab = tempfile::tempdir().unwrap();
    let lab = lab.path();
    let alone = "atlas/us_place/empty.alone";
    probe(lab, "us_place", &[]);
    let rows = compared(lab, [alone, &format!("{alone}@embed")], &[]);
    for (metric, target) in
        [("r2", "latitude"), ("r2", "mean"), ("kendall", "longitude"), ("mean_km", "great-circle")]
    {
        let found = row(&rows, metric, target);
        // One side has saved predictions, the other is predicted again from the activations.
        assert!((found.a - saved(lab, alone, ["5", metric, target])).abs() < 1e-9, "{found:?}");
        assert!((found.b - saved(lab, alone, ["embed", metric, target])).abs() < 1e-9, "{found:?}");
        assert!((found.difference - (found.a - found.b)).abs() < 1e-12);
        assert!(found.low < found.difference && found.difference < found.high, "{found:?}");
    }
    assert!(row(&rows, "r2", "mean").low > 0.0 && row(&rows, "mean_km", "great-circle").high < 0.0);
    let itself = compared(lab, [alone, &format!("{alone}@blocks.5.*")], &[]);
    assert!(itself.len() > 10 && itself.iter().all(|r| (r.difference, r.low, r.high) == (0.0, 0.0, 0.0)));
    let by_state = compared(lab, [alone, &format!("{alone}@embed")], &["--by-group"]);
    let (one, other) = (row(&rows, "r2", "mean"), row(&by_state, "r2", "mean"));
    assert!(one.difference == other.difference && one.low != other.low, "{one:?} {other:?}");
    // Another prompt, and another model.
    probe(lab, "us_place", &["--prompt", "where_us"]);
    let prompts = compared(lab, [alone, "atlas/us_place/where_us.alone"], &[]);
    assert!(row(&prompts, "r2", "mean").b != row(&prompts, "r2", "mean").a);
    let gpt2 = root("tests/fixtures/runs/gpt2");
    probe(lab, "us_place", &["--model", gpt2.to_str().unwrap()]);
    let models = compared(lab, [alone, "gpt2/us_place/empty.alone"], &["--resamples", "50"]);
    assert!(row(&models, "r2", "mean").low > 0.3, "gpt2's weights are random, not trained");
    let printed = done(mappa(lab, &["probe", "compare", alone, "gpt2/us_place/empty.alone"]));
    assert!(printed.contains("blocks.5.hook_resid_post") && printed.contains("  *"), "{printed}");
}

#[test]
fn sides_that_cannot_be_compared_are_refused_with_the_reason() {
    let lab = tempfile::tempdir().unwrap();
    let lab = lab.path();
    let alone = "atlas/nyc_place/empty.alone";
    probe(lab, "nyc_place", &[]);
    probe(lab, "us_place", &[]);
    probe(lab, "headline", &[]);
    let compare = |b: &str, parts: &[&str]| refused(mappa(lab, &["probe", "compare", alone, b]), parts);
    compare("atlas/moon/empty", &["atlas/moon/empty", "MODEL/DATASET/PROMPT", "with probes"]);
    compare(&format!("{alone}@blocks.9.hook_resid_post"), &["`blocks.9.hook_resid_post`", "embed", "0 to 5"]);
    compare(&format!("{alone}@blocks.*.hook_resid_post"), &["6 hook points", "a single hook point"]);
    compare("atlas/headline/empty.alone", &["latitude and longitude in degrees in A", "year in years in B"]);
    compare("atlas/us_place/empty.alone", &["latitude of", "in A where B has", "the same test entities"]);
    let few = mappa(lab, &["probe", "compare", alone, alone, "--resamples", "1"]);
    assert!(String::from_utf8(few.stderr).unwrap().contains("1 is not in 2.."));
    std::fs::remove_dir_all(lab.join("activations/atlas/nyc_place")).unwrap();
    compare(&format!("{alone}@embed"), &["activations/atlas/nyc_place/empty", "mappa extract", "nyc_place"]);
}

#[test]
fn activations_in_an_object_store_can_be_analysed() {
    let (lab, remote) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = format!("file://{}", remote.path().display());
    let remotely = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
        command.env("MAPPA_ACTIVATIONS", &address).arg("--lab").arg(lab.path());
        done(command.args(args).output().unwrap())
    };
    remotely(&["probe", "--no-baselines", "--resamples", "20", "--dataset", "nyc_place"]);
    let alone = "atlas/nyc_place/empty.alone";
    let printed = remotely(&["probe", "compare", alone, &format!("{alone}@embed")]);
    assert!(printed.contains("blocks.0.hook_resid_pre"), "{printed}");
    remotely(&["probe", "geometry", "--prompt", "empty.alone"]);
    refused(mappa(lab.path(), &["probe", "geometry", "--prompt", "empty.alone"]), &["mappa extract"]);
}

#[test]
fn geometry_rows_equal_those_computed_from_activations_and_probes() {
    let lab = tempfile::tempdir().unwrap();
    let lab = lab.path();
    probe(lab, "nyc_place", &[]);
    probe(lab, "us_place", &[]);
    let printed = done(mappa(lab, &["probe", "geometry", "--prompt", "empty.alone"]));
    assert!(printed.contains("nyc_place\n") && printed.contains("us_place\n"), "{printed}");
    let folder = |dataset: &str| lab.join("probes/atlas").join(dataset).join("empty.alone");
    let (nyc, us) = (folder("nyc_place"), folder("us_place"));
    let set = |folder: &Path| ProbeSet::load(&folder.join("probes.safetensors")).unwrap();
    let (set_nyc, set_us) = (set(&nyc), set(&us));
    let store = super::store(lab, ["atlas", "nyc_place", "empty"]);
    let rows: Vec<ParticipationRow> = load_rows(&nyc.join("geometry/participation.csv")).unwrap();
    assert_eq!(rows.len(), 7 * 2);
    for row in &rows {
        // The eigenvalues of a covariance sum to its trace, their squares to the sum of its squared entries.
        let x = store.load(row.hook_point.parse().unwrap()).unwrap().mapv(f64::from); // [n_entities, d_model]
        let x = &x - &x.mean_axis(Axis(0)).unwrap();
        let covariance = x.t().dot(&x); // [d_model, d_model]
        let expected = covariance.diag().sum().powi(2) / covariance.mapv(|c| c * c).sum();
        assert!((row.stream / expected - 1.0).abs() < 1e-6, "{row:?}: {expected}");
        assert!(row.d_model == 128 && row.probe >= 1.0 && row.probe < 128.0, "{row:?}");
    }
    let cosine =
        |a: ndarray::ArrayView1<f64>, b: ndarray::ArrayView1<f64>| a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt();
    let place = |target: &str| usize::from(target == "longitude");
    for (file, n, of_b) in
        [("layers", 21 * 2, &set_nyc), ("targets", 7, &set_nyc), ("datasets", 7 * 2 * 2, &set_us)]
    {
        let rows: Vec<CosineRow> = load_rows(&nyc.join(format!("geometry/{file}.csv"))).unwrap();
        assert_eq!(rows.len(), n, "{file}");
        for row in &rows {
            let stored = |set: &ProbeSet, point: &str| set.get(point.parse().unwrap()).unwrap().clone();
            let (a, b) = (stored(&set_nyc, &row.hook_point_a), stored(of_b, &row.hook_point_b));
            let (s, t) = (place(&row.target_a), place(&row.target_b));
            let weights = cosine(a.probe.weights.row(s), b.probe.weights.row(t));
            let pattern = cosine(a.stream.pattern.row(s), b.stream.pattern.row(t));
            assert!((row.weights - weights).abs() < 1e-9 && (row.pattern - pattern).abs() < 1e-9, "{row:?}");
        }
        let is_of_two = rows.iter().all(|row| row.dataset_a != row.dataset_b);
        assert!(is_of_two == (file == "datasets") && rows.iter().all(|row| row.weights.abs() < 0.9999));
    }
    refused(
        mappa(lab, &["probe", "geometry", "--dataset", "art"]),
        &["--dataset", "mappa probe --lab", "--dataset art"],
    );
    refused(mappa(lab, &["probe", "geometry", "--model", "gpt9"]), &["--model", "gpt9", "mappa probe"]);
}

const NEURONS: [&str; 9] =
    ["neurons", "--dataset", "headline", "--top", "10", "--seeds", "2", "--resamples", "20"];

#[test]
fn neurons_correlate_by_spearman_and_their_ablation_costs_more_than_that_of_random_ones() {
    let lab = tempfile::tempdir().unwrap();
    let lab = lab.path();
    let printed = done(mappa(lab, &NEURONS));
    for part in
        ["of 2304 neurons correlate with it", "rank correlation", "random 1", "of the loss on entities"]
    {
        assert!(printed.contains(part), "`{part}` is not in: {printed}");
    }
    for (first_by, n) in [("correlation ", 8), ("input ", 3), ("output ", 3)] {
        // Excludes the table of ablations, which has fewer columns.
        let is_unit = |line: &&str| line.starts_with(first_by) && line.split_whitespace().count() == 7;
        let listed = printed.lines().filter(is_unit);
        assert_eq!(listed.count(), n, "{first_by}: {printed}");
    }
    let folder = lab.join("probes/atlas/headline/empty/neurons");
    let units: Vec<NeuronRow> = load_rows(&folder.join("units.csv")).unwrap();
    assert_eq!(units.len(), 6 * 384);
    let dataset = bundled("headline").unwrap();
    let train = Split::of_dataset(&dataset).unwrap().folds[0].train.clone();
    let year: Vec<f64> = train.iter().map(|&i| dataset.targets()[0][i]).collect();
    let store = super::store(lab, ["atlas", "headline", "empty"]);
    let all = store.load(HookPoint::MlpPost(3)).unwrap();
    for unit in units.iter().filter(|row| row.layer == 3).step_by(50) {
        let values: Vec<f64> = train.iter().map(|&i| f64::from(all[[i, unit.unit]])).collect();
        assert!((unit.rho - spearman(&values, &year)).abs() < 1e-9, "{unit:?}");
    }
    // Adjusted p-values are at least as large as the p-values, in the same order.
    let mut by_p: Vec<&NeuronRow> = units.iter().collect();
    by_p.sort_by(|a, b| a.p.total_cmp(&b.p));
    assert!(by_p.iter().all(|row| row.q >= row.p && row.q <= 1.0));
    assert!(by_p.windows(2).all(|two| two[0].q <= two[1].q));
    assert!(by_p.iter().all(|row| row.input_cosine.abs() <= 1.0 && row.output_cosine.abs() <= 1.0));
    let rows: Vec<AblationRow> = load_rows(&folder.join("ablations.csv")).unwrap();
    let of = |units: &str| -> Vec<&AblationRow> { rows.iter().filter(|row| row.units == units).collect() };
    let plain = of("none")[0];
    let r2 = saved(lab, "atlas/headline/empty", ["5", "r2", "year"]);
    assert!((plain.r2 - r2).abs() < 1e-3 && plain.hook_point == "blocks.5.hook_resid_post", "{}", plain.r2);
    assert!(
        of("random").len() == 2 && rows.iter().all(|row| row.k == if row.units == "none" { 0 } else { 10 })
    );
    let worst = of("random").iter().map(|row| plain.r2 - row.r2).fold(f64::MIN, f64::max);
    let lost = plain.r2 - of("correlated")[0].r2;
    assert!(
        lost > 0.02 && lost > worst + 0.02,
        "{lost} without the correlated neurons, {worst} without random ones"
    );
    assert!(of("input").len() == 1 && of("output").len() == 1);
    assert!(rows.iter().all(|row| row.entity_loss > 0.0 && row.control_loss > 0.0));
    assert!(lab.join("figures/atlas/empty/headline_neurons.svg").is_file());
    let bytes = std::fs::read(folder.join("units.csv")).unwrap();
    assert_eq!(done(mappa(lab, &NEURONS)), printed, "the second run prints the same");
    assert!(bytes == std::fs::read(folder.join("units.csv")).unwrap());
}

#[test]
fn more_than_half_of_the_neurons_are_refused() {
    let lab = tempfile::tempdir().unwrap();
    let args = ["neurons", "--dataset", "headline", "--top", "193"];
    refused(mappa(lab.path(), &args), &["--top", "193", "at most 192", "384"]);
    assert!(!lab.path().join("activations").exists(), "before anything is computed");
}

#[test]
fn the_help_has_examples() {
    let lab = tempfile::tempdir().unwrap();
    for (command, examples) in [
        (&["probe", "compare"][..], 2),
        (&["probe", "geometry"], 2),
        (&["neurons"], 2),
        (&["probe"], 5),
        (&["datasets", "pull"], 1),
        (&["datasets", "import"], 3),
    ] {
        let help = done(mappa(lab.path(), &[command, &["--help"]].concat()));
        let line = format!("mappa {} ", command.join(" "));
        let shown = help.lines().filter(|l| !l.starts_with("Usage") && l.contains(&line)).count();
        assert!(shown >= examples, "{command:?}: {shown} examples in {help}");
    }
}
