//! `mappa probe` with other splits, methods and baselines on the bundled model, and its refusals.

use super::program::{self, mappa};
use super::root;
use mappa::artefact::Card;
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Model, Precision};
use mappa::results::{ScoreKey, ScoreRow, load_rows};
use std::path::Path;

fn done(lab: &Path, args: &[&str]) -> String {
    program::done(mappa(lab, args))
}

fn refused(lab: &Path, args: &[&str], parts: &[&str]) {
    program::refused(mappa(lab, args), parts);
}

fn scores(lab: &Path, folder: &str) -> Vec<ScoreRow> {
    load_rows(&lab.join("probes/atlas").join(folder).join("scores.csv")).unwrap()
}

/// A test score by method and layer (empty for methods that need no model), and by metric and target.
#[track_caller]
fn score(rows: &[ScoreRow], [method, layer]: [&str; 2], [metric, target]: [&str; 2]) -> f64 {
    let mut found = ScoreKey::test(method, metric, target).all(rows).filter(|row| row.layer == layer);
    let row = found.next().unwrap_or_else(|| panic!("no {method} {metric} {target} at layer {layer}"));
    assert!(found.next().is_none(), "two rows {method} {metric} {target} at layer {layer}");
    row.value
}

const SMALL: [&str; 4] = ["probe", "--resamples", "20", "--dataset"];
const R2: [&str; 2] = ["r2", "mean"];

#[test]
fn a_held_out_group_is_predicted_from_the_others() {
    let lab = tempfile::tempdir().unwrap();
    let args = ["nyc_place", "--split", "group:borough_name", "--cluster", "borough_name"];
    let printed = done(lab.path(), &[&SMALL[..], &args].concat());
    assert!(printed.contains("nyc_place: 5 folds; of ") && printed.contains("lie within 1 km"), "{printed}");
    assert!(printed.contains("if each fold's layer is chosen without its test rows"), "{printed}");
    assert!(printed.contains("intervals over only 5 groups contain the true score less often"), "{printed}");
    let folder = "nyc_place/empty.split_group_borough_name.cluster_borough_name";
    let rows = scores(lab.path(), folder);
    let nested = score(&rows, ["nested-ridge", ""], R2);
    let best = (0..6).map(|layer| score(&rows, ["ridge", &layer.to_string()], R2)).fold(f64::MIN, f64::max);
    assert!(nested > 0.3 && nested < best + 0.05, "{nested} {best}");
    let held_out = score(&rows, ["ridge", "5"], R2);
    // For a borough without training entities, the oracle predicts the mean of all others, which is far away.
    assert!(held_out > 0.3 && held_out > score(&rows, ["group centroid", ""], R2) + 0.3, "{held_out}");
    for baseline in ["untrained", "shuffled-weights", "shuffled"] {
        assert!(held_out > score(&rows, [baseline, "5"], R2) + 0.2, "{baseline}");
    }
    let card = Card::load(&lab.path().join("probes/atlas").join(folder).join("card.json")).unwrap().unwrap();
    assert_eq!(card.inputs["split"], "group:borough_name");
    assert_eq!((card.notes["n_folds"].as_str(), card.notes["near_is_within"].as_str()), ("5", "1 km"));
    let predictions =
        std::fs::read_to_string(lab.path().join("probes/atlas").join(folder).join("predictions.csv"))
            .unwrap();
    assert!(!predictions.contains(",train,"), "every entity is scored");
    assert!(lab.path().join("figures/atlas/empty.split_group_borough_name.cluster_borough_name").is_dir());
}

#[test]
fn probes_transfer_between_datasets_and_prompts() {
    let lab = tempfile::tempdir().unwrap();
    let places =
        ["probe", "--resamples", "20", "--train", "us_place", "--test", "nyc_place", "--no-baselines"];
    let printed = done(lab.path(), &places);
    assert!(printed.contains("have the name of a training entity"), "{printed}");
    let rows = scores(lab.path(), "nyc_place/empty.from_us_place.alone");
    assert!(rows.iter().all(|row| row.method == "ridge" && row.dataset == "nyc_place"));
    assert!(score(&rows, ["ridge", "5"], ["mean_km", "great-circle"]) < 5000.0);
    // The same names with another prompt: the same direction, with an offset.
    let prompts = ["art", "--train-prompt", "empty", "--prompt", "release", "--no-baselines"];
    done(lab.path(), &[&SMALL[..], &prompts].concat());
    let rows = scores(lab.path(), "art/release.from_prompt_empty.alone");
    let same = ["art", "--train-prompt", "empty", "--no-baselines"];
    done(lab.path(), &[&SMALL[..], &same].concat());
    let own = scores(lab.path(), "art/empty.from_prompt_empty.alone");
    done(lab.path(), &[&SMALL[..], &["art", "--no-baselines"]].concat());
    let plain = scores(lab.path(), "art/empty.alone");
    // Transfer from a prompt to itself changes nothing.
    assert_eq!(score(&own, ["ridge", "5"], R2), score(&plain, ["ridge", "5"], R2));
    assert!(score(&rows, ["ridge", "5"], R2) <= score(&plain, ["ridge", "5"], R2));
    let both = ["probe", "--train", "art", "--test", "us_place", "--resamples", "20"];
    refused(lab.path(), &both, &["year of art", "latitude and longitude of us_place"]);
}

#[test]
fn other_methods_and_classes_are_scored_and_printed() {
    let lab = tempfile::tempdir().unwrap();
    let args = [
        "us_place",
        "--method",
        "ols,pca,elastic-net,sphere,logistic,mean-difference",
        "--classes",
        "state_name",
        "--paper-metrics",
        "--alphas",
        "paper",
    ];
    let printed = done(lab.path(), &[&SMALL[..], &args].concat());
    for part in ["other methods at blocks.", "pca-2 ", "accuracy, state_name", "majority", "swap longitude"] {
        assert!(printed.contains(part), "`{part}` is not in: {printed}");
    }
    let folder = "us_place/empty.with_ols+pca+elastic-net+sphere+logistic+mean-difference.classes_state_name.alphas_paper.paper_metrics";
    let rows = scores(lab.path(), folder);
    for method in ["logistic", "mean-difference"] {
        let accuracy = |method: &str, layer: &str| score(&rows, [method, layer], ["accuracy", "state_name"]);
        let own = accuracy(method, "5");
        for (baseline, layer) in [("majority", ""), ("names-only", "")] {
            assert!(own > accuracy(baseline, layer) + 0.1, "{method} {own}, {baseline}");
        }
        for baseline in ["untrained", "shuffled-weights", "shuffled"] {
            assert!(own > accuracy(&format!("{method}/{baseline}"), "5") + 0.2, "{method}, {baseline}");
        }
    }
    assert!(score(&rows, ["ols", "5"], R2) > score(&rows, ["pca-2", "5"], R2));
    assert!(score(&rows, ["sphere", "5"], R2) > 0.5);
    let paper = score(&rows, ["ridge", "5"], ["paper_mean_km", "great-circle"]);
    assert!(paper != score(&rows, ["ridge", "5"], ["mean_km", "great-circle"]));
    let penalty = rows.iter().find(|r| r.method == "ridge" && r.metric == "penalty").unwrap();
    assert!((penalty.low - 10f64.powf(0.8)).abs() < 1e-9 && (penalty.high - 10f64.powf(4.1)).abs() < 1e-6);
}

#[test]
fn merged_parts_of_another_split_equal_one_run() {
    let (whole, apart) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fit = [&SMALL[..], &["nyc_place", "--split", "blocks:0.1:3", "--method", "ols"]].concat();
    done(whole.path(), &fit);
    for globs in ["blocks.{4,5}.*", "embed,blocks.{0,1,2,3}.hook_resid_post"] {
        done(apart.path(), &[&fit[..], &["--hook-points", globs]].concat());
    }
    done(apart.path(), &[&fit[..], &["--merge"]].concat());
    for file in ["scores.csv", "predictions.csv", "probes.safetensors"] {
        let read = |lab: &Path| {
            let folder = "probes/atlas/nyc_place/empty.split_blocks_0.1_3.with_ols";
            std::fs::read(lab.join(folder).join(file)).unwrap()
        };
        assert!(read(whole.path()) == read(apart.path()), "{file} differs");
    }
}

#[test]
fn invalid_settings_and_data_are_refused_before_any_fit() {
    let lab = tempfile::tempdir().unwrap();
    let with = |args: &[&str], parts: &[&str]| refused(lab.path(), &[&SMALL[..], args].concat(), parts);
    with(&["art", "--method", "forest"], &["--method", "forest", "ridge, ols, pca"]);
    with(&["art", "--method", "logistic"], &["--classes COLUMN"]);
    with(&["art", "--alphas", "none"], &["--alphas", "none", "paper-70b"]);
    with(&["art", "--method", "sphere"], &["sphere", "year", "places"]);
    with(&["art", "--split", "group:moon"], &["moon", "entity_type", "century"]);
    let odd = mappa(lab.path(), &[&SMALL[..], &["art", "--split", "half"]].concat());
    assert!(String::from_utf8(odd.stderr).unwrap().contains("group:COLUMN"));
    let file = lab.path().join("years.csv");
    let write = |year: &dyn Fn(usize) -> String| {
        let rows: String =
            (0..40).map(|i| format!("Plutarch {i},{},same,{}\n", year(i), i % 4 == 0)).collect();
        std::fs::write(&file, format!("name,year,kind,is_test\n{rows}")).unwrap();
    };
    let path = file.to_str().unwrap();
    write(&|i| if i == 7 { "NaN".into() } else { i.to_string() });
    with(&[path], &["years.csv: row 8", "NaN", "number"]);
    write(&|_| "1900".into());
    with(&[path], &["year of years", "1900 for all 30", "differ"]);
    write(&|i| i.to_string());
    with(&[path, "--split", "group:kind"], &["group:kind on years", "`same`", "two groups"]);
    with(&[path, "--method", "logistic", "--classes", "kind"], &["--classes kind", "one class, `same`"]);
    assert!(!lab.path().join("activations").exists(), "refused before anything is extracted");
    std::fs::write(&file, "name,year,is_test\na,1,False\nb,2,True\nc,3,True\nd,4,True\ne,5,True\nf,6,True\n")
        .unwrap();
    with(&[path], &["split of years", "1 training and 5 test", "at least 10"]);
}

#[test]
fn a_model_with_shuffled_weights_is_the_same_at_every_depth() {
    let load = |name: &str| Model::load(&root("tests/fixtures/runs").join(name), Precision::F32).unwrap();
    for model in [load("gpt2"), load("pythia"), Model::bundled(Precision::F32).unwrap()] {
        let name = &model.name;
        let n_layers = model.spec().n_layers;
        let points = HookPoint::stream(n_layers);
        let streams = |layer: usize, seed: u64| {
            let shuffled = model.shuffled_up_to(layer, seed).unwrap();
            let points = &points[..layer + 2];
            let (forest, _) = shuffled.forest(&[vec![0, 3, 9, 1], vec![0, 3, 7]]).unwrap();
            let mut capture = Capture::all(points);
            shuffled.forward(&forest, None, &mut capture).unwrap();
            points
                .iter()
                .map(|point| capture.get(*point).unwrap().to_vec2::<f32>().unwrap())
                .collect::<Vec<_>>()
        };
        let whole = streams(n_layers - 1, 5);
        assert_eq!(streams(0, 5), whole[..2], "{name}: cut off after the first block");
        assert_ne!(streams(0, 6), whole[..2], "{name}: the seed decides");
        let (forest, _): (Forest, _) = model.transformer.forest(&[vec![0, 3, 9, 1], vec![0, 3, 7]]).unwrap();
        let mut capture = Capture::all(&points);
        model.transformer.forward(&forest, None, &mut capture).unwrap();
        let own = capture.get(points[1]).unwrap().to_vec2::<f32>().unwrap();
        assert_ne!(own, whole[1], "{name}: the weights are in another order");
    }
}

#[test]
fn the_figure_of_all_datasets_keeps_those_that_were_probed_before() {
    let lab = tempfile::tempdir().unwrap();
    let figure =
        || std::fs::read_to_string(lab.path().join("figures/atlas/empty.alone/r2_by_layer.svg")).unwrap();
    let one = |dataset: &str| done(lab.path(), &[&SMALL[..], &[dataset, "--no-baselines"]].concat());
    one("art");
    assert!(figure().contains("Artworks"));
    one("nyc_place");
    let both = figure();
    let place = |title: &str| both.find(title).unwrap_or_else(|| panic!("no {title}"));
    assert!(place("New York places") < place("Artworks"));
    one("art");
    assert_eq!(figure(), both, "the order does not depend on the command");
}
