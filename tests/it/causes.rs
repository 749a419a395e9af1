//! `mappa cause` on the bundled model: rows, reuse, resumption, refusals.

use super::program::{done, mappa, refused};
use super::root;
use mappa::causal::Subspace;
use mappa::results::{
    AngleRow, DAS, DAS_ARBITRARY, DAS_ELSEWHERE, DAS_UNTRAINED, InterchangeRow, NOTHING, PATTERN, PROBE,
    RANDOM, STREAM, SubspaceAblationRow, load_rows,
};
use std::path::Path;

/// A quick test on two layers, with the probes of the repository.
fn run(lab: &Path, more: &[&str]) -> std::process::Output {
    let probes = root("probes/atlas/world_place/empty");
    let args =
        ["cause", "--prompt", "{} is in", "--answers", "country", "--probes", probes.to_str().unwrap()];
    let quick = ["--pairs", "40", "--epochs", "2", "--random", "2", "--resamples", "50", "--called", "quick"];
    mappa(lab, &[&args[..], &quick, more].concat())
}

fn rows(lab: &Path) -> Vec<InterchangeRow> {
    load_rows(&lab.join("causal/atlas/world_place/quick/interchange.csv")).unwrap()
}

#[test]
fn every_exchange_has_a_row_and_finished_layers_are_reused() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path();
    let said = done(run(lab, &["--layers", "1,4"]));
    for words in
        ["answers: ", "whole stream", "DAS, rank 2", "controls of layer", "next: mappa cause", "figure: "]
    {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
    let all = rows(lab);
    let of = |layer: usize, name: &str| -> Vec<&InterchangeRow> {
        all.iter().filter(|row| row.layer == layer && row.exchanged == name).collect()
    };
    for layer in [1, 4] {
        for (name, n) in [(NOTHING, 1), (STREAM, 1), (DAS, 1), (PROBE, 1), (PATTERN, 1), (RANDOM, 2)] {
            assert_eq!(of(layer, name).len(), n, "{name} at layer {layer}");
        }
    }
    for control in [DAS_ARBITRARY, DAS_ELSEWHERE, DAS_UNTRAINED] {
        assert_eq!(all.iter().filter(|row| row.exchanged == control).count(), 1, "{control}");
    }
    for row in &all {
        assert!(row.low <= row.accuracy + 1e-9 && row.accuracy <= row.high + 1e-9, "{row:?}");
        assert!(row.n_pairs > 10 && row.n_groups > 5 && (row.chance - 1.0 / 6.0).abs() < 1e-9, "{row:?}");
    }
    // The whole stream after block 1 carries the country; exchanging nothing keeps the model's own answers.
    let share = |layer, name| of(layer, name)[0].accuracy;
    assert!(share(1, STREAM) > share(1, NOTHING) + 0.2, "{} {}", share(1, STREAM), share(1, NOTHING));
    assert_eq!(share(1, NOTHING), share(4, NOTHING));
    let test = lab.join("causal/atlas/world_place/quick");
    let angles: Vec<AngleRow> = load_rows(&test.join("angles.csv")).unwrap();
    assert_eq!(angles.len(), 2 * 3 * 2);
    assert!(angles.iter().all(|row| (0.0..=90.0).contains(&row.degrees) && row.random_low < row.random_high));
    let ablations: Vec<SubspaceAblationRow> = load_rows(&test.join("subspace_ablations.csv")).unwrap();
    assert_eq!(ablations.len(), 1 + 2 * (3 + 2));
    assert!(ablations.iter().all(|row| row.entity_loss.is_finite() && row.control_loss.is_finite()));
    assert_eq!(Subspace::load(&test.join("layers/1.safetensors")).unwrap().rank(), 2);
    assert!(test.join("used_by_layer.svg").is_file() && test.join("used_by_layer.png").is_file());
    // The second run computes nothing and prints the same; a missing layer alone is made again, with the same rows.
    assert_eq!(done(run(lab, &["--layers", "1,4"])), said);
    let file = test.join("layers/4.csv");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(done(run(lab, &["--layers", "1,4"])), said);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    std::fs::write(&file, "changed\n").unwrap();
    refused(run(lab, &["--layers", "1,4"]), &["4.csv"]);
    refused(run(lab, &["--layers", "1,4", "--seed", "1"]), &["made with seed 0, now 1", "--called NAME"]);
}

#[test]
fn settings_that_do_not_suit_are_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path();
    for (more, parts) in [
        (&["--layers", "6"][..], &["--layers", "0 to 5"][..]),
        (&["--layers", "1,1"], &["--layers", "twice"]),
        (&["--rank", "65"], &["--rank", "64"]),
        (&["--chat"], &["chat"]),
        (&["--at", "latitude=0"], &["--answers", "two words"]),
    ] {
        refused(run(lab, more), parts);
    }
    let probes = root("probes/atlas/world_place/empty");
    let with = |answers: &str, more: &[&str]| {
        let args =
            ["cause", "--prompt", "{} is in", "--probes", probes.to_str().unwrap(), "--answers", answers];
        mappa(lab, &[&args[..], more].concat())
    };
    refused(with("moon", &[]), &["moon", "continent"]);
    refused(with("north|south", &[]), &["--at", "latitude=0"]);
    refused(with("north|south", &["--at", "3"]), &["--at", "latitude, longitude"]);
    refused(with("a|", &[]), &["--answers"]);
    refused(with("name", &[]), &["answers", "at least two"]);
    assert!(!lab.join("causal").exists());
}
