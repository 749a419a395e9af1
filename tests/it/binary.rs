//! The binary: the bundled experiment from start to end, a second run that reuses it, and refusals with exit codes.

use super::program::{mappa, refused};
use std::path::Path;
use std::process::Output;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The test R² of a method at a hook point, from the text of a scores file.
fn score(csv: &str, method: &str, point: &str) -> f64 {
    let wanted = format!(",{method},test,r2,mean,");
    let row = csv.lines().find(|line| line.contains(&wanted) && (point.is_empty() || line.contains(point)));
    row.unwrap().split(&wanted).nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
}

#[test]
fn the_bundled_experiment_runs_is_reused_and_beats_its_baselines() {
    let lab = tempfile::tempdir().unwrap();
    let first = mappa(lab.path(), &[]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    for dataset in ["world_place", "us_place", "nyc_place", "historical_figure", "art", "headline"] {
        assert!(stdout(&first).contains(dataset));
        let folder = lab.path().join("probes/atlas").join(dataset).join("empty");
        let csv = std::fs::read_to_string(folder.join("scores.csv")).unwrap();
        let best = score(&csv, "ridge", "blocks.5.hook_resid_post");
        for baseline in ["names-only", "untrained", "shuffled"] {
            assert!(best > score(&csv, baseline, "") + 0.2, "{dataset}: {best} against {baseline}");
        }
        assert!(best > score(&csv, "ridge", "blocks.0.hook_resid_pre") + 0.2, "{dataset}: embed");
        assert!(lab.path().join("activations/atlas").join(dataset).join("empty/spans.csv").is_file());
    }
    for file in ["r2_by_layer.svg", "r2_by_layer.png", "dose_response.svg", "world_place.png", "headline.svg"]
    {
        let path = lab.path().join("figures/atlas/empty").join(file);
        assert!(std::fs::metadata(&path).unwrap().len() > 1000, "{}", path.display());
    }
    let scores = std::fs::read(lab.path().join("probes/atlas/art/empty/scores.csv")).unwrap();
    let second = mappa(lab.path(), &["run"]);
    assert!(stdout(&second).contains("All stages were done before"), "{}", stdout(&second));
    assert_eq!(scores, std::fs::read(lab.path().join("probes/atlas/art/empty/scores.csv")).unwrap());
    steering_is_shown_side_by_side(lab.path());
    another_dataset_under_the_same_name_is_refused(lab.path());
}

fn steering_is_shown_side_by_side(lab: &Path) {
    let plain = mappa(lab, &["steer", "--prompt", "Nairobi", "--dose", "0 east", "--layer", "3"]);
    assert!(stdout(&plain).contains("unsteered") && stdout(&plain).contains("longitude"));
    let args = ["steer", "--prompt", "Nairobi", "--toward", "lat=35,lon=139", "--layer", "3"];
    let output = stdout(&mappa(lab, &args));
    let line =
        output.lines().find(|l| l.contains("blocks.3") && l.contains("longitude")).unwrap().to_string();
    let steered: f64 = line.split_whitespace().last().unwrap().parse().unwrap();
    assert!((steered - 139.0).abs() < 0.1, "{output}");
    refused(
        mappa(lab, &["steer", "--prompt", "Nairobi", "--dose", "0 east", "--layer", "9"]),
        &["--layer", "0 to 5"],
    );
    let unitless = mappa(lab, &["steer", "--prompt", "Nairobi", "--dose", "30", "--layer", "3"]);
    assert!(String::from_utf8_lossy(&unitless.stderr).contains("unit"));
}

fn another_dataset_under_the_same_name_is_refused(lab: &Path) {
    std::fs::create_dir_all(lab.join("datasets")).unwrap();
    std::fs::write(lab.join("datasets/art.csv"), "title,release_date\nA,2000-01-01\nB,2001-01-01\n").unwrap();
    refused(mappa(lab, &["extract", "--dataset", "art"]), &["dataset_sha256", "card.json", "another lab"]);
}

#[test]
fn the_error_for_a_missing_model_dataset_or_experiment_lists_those_available() {
    let lab = tempfile::tempdir().unwrap();
    refused(
        mappa(lab.path(), &["extract", "--model", "gpt9", "--dataset", "art"]),
        &["gpt9", "config.json", "atlas"],
    );
    refused(mappa(lab.path(), &["extract", "--dataset", "moon_place"]), &["moon_place", "world_place"]);
    refused(mappa(lab.path(), &["run", "nowhere.toml"]), &["nowhere.toml"]);
    refused(
        mappa(lab.path(), &["steer", "--prompt", "x", "--dose", "1 east", "--layer", "1"]),
        &["mappa probe"],
    );
    refused(mappa(lab.path(), &["figure"]), &["mappa run"]);
}

#[test]
fn a_bad_row_is_named_and_ends_with_code_one() {
    let lab = tempfile::tempdir().unwrap();
    let file = lab.path().join("places.csv");
    std::fs::write(&file, "name,latitude,longitude\nOslo,59.9,10.7\nNowhere,91,0\n").unwrap();
    let output = mappa(lab.path(), &["extract", "--dataset", file.to_str().unwrap()]);
    refused(&output, &["places.csv: row 2", "91", "-90 to 90"]);
}

/// A lab with a small experiment of one dataset and one short sweep.
fn small_experiment(lab: &Path) -> std::path::PathBuf {
    let path = lab.join("small.toml");
    let text = r#"
model = "atlas"
datasets = ["nyc_place"]
resamples = 20

[[sweep]]
kind = "place"
dataset = "nyc_place"
target = "latitude"
doses = [-1.0, 0.0, 1.0]
prompts = ["The Bronx"]
"#;
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs the small experiment with a model and returns the printed text.
fn run_with(model: &Path) -> String {
    let lab = tempfile::tempdir().unwrap();
    let experiment = small_experiment(lab.path());
    let output =
        mappa(lab.path(), &["run", experiment.to_str().unwrap(), "--model", model.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stdout(&output) + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_gpt2_and_a_pythia_from_transformers_run_to_the_end() {
    for model in ["gpt2", "pythia"] {
        let printed = run_with(&super::root("tests/fixtures/runs").join(model));
        for part in ["nyc_place", "Steering \"The Bronx\"", "figures", "no direction to steer", model] {
            assert!(printed.contains(part), "{model}: `{part}` is not in: {printed}");
        }
    }
}

#[test]
fn families_are_shown_with_their_measured_errors_and_a_model_is_inspected() {
    let lab = tempfile::tempdir().unwrap();
    let families = stdout(&mappa(lab.path(), &["models", "families"]));
    for part in ["gemma3_text", "5.23.0", "ALiBi", "bidirectional", "soft-cap", "5e-5"] {
        assert!(families.contains(part), "`{part}` is not in: {families}");
    }
    let folder = super::root("tests/fixtures/runs/pythia");
    let pythia =
        stdout(&mappa(lab.path(), &["models", "inspect", folder.to_str().unwrap(), "--dtype", "bf16"]));
    for part in [
        "gpt_neox",
        "14,208",
        "rotary on 2 of 8",
        "in bf16",
        "blocks.{l}.hook_resid_post",
        "300 in the tokenizer",
    ] {
        assert!(pythia.contains(part), "`{part}` is not in: {pythia}");
    }
    let odd = mappa(lab.path(), &["models", "inspect", "atlas", "--dtype", "int3"]);
    assert!(String::from_utf8(odd.stderr).unwrap().contains("f32, f16, bf16 or auto"));
}
