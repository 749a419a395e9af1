//! The bundled model: transformers loads it and computes the same (fixture: tests/fixtures/models/make_atlas.py), and
//! the README's tables of its probes.

use super::root;
use candle_core::{Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Model, Precision};
use mappa::results::{
    CENTROID, NAMES_ONLY, RIDGE, SHUFFLED, SHUFFLED_WEIGHTS, ScoreRow, UNTRAINED, WORD_VECTORS, load_rows,
};

/// Relative to the reference's largest value. Measured: at most 9.8e-7.
const TOLERANCE: f32 = 5e-5;

fn relative(ours: &Tensor, theirs: &Tensor) -> f32 {
    let largest = |t: Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    largest((ours - theirs).unwrap()) / largest(theirs.clone())
}

#[test]
fn tokens_hidden_states_and_logits_equal_transformers() {
    let model = Model::bundled(Precision::F32).unwrap();
    let path = root("tests/fixtures/models/atlas_expected.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let points = HookPoint::stream(model.spec().n_layers);
    let mut worst = 0f32;
    for i in 0..4 {
        let text = String::from_utf8(tensors[&format!("{i}.text")].to_vec1::<u8>().unwrap()).unwrap();
        let ids: Vec<i64> = tensors[&format!("{i}.ids")].to_vec1().unwrap();
        let encoded = model.tokenizer.encode(&text).unwrap();
        assert_eq!(encoded.ids, ids.iter().map(|id| *id as u32).collect::<Vec<_>>(), "{text}");
        let mut capture = Capture::all(&points);
        let last =
            model.transformer.forward(&Forest::of_text(&encoded.ids).unwrap(), None, &mut capture).unwrap();
        let hidden = &tensors[&format!("{i}.hidden_states")];
        for (l, point) in points.iter().enumerate() {
            let theirs = match l == points.len() - 1 {
                true => tensors[&format!("{i}.before_final_norm")].clone(),
                false => hidden.get(l).unwrap(),
            };
            worst = worst.max(relative(capture.get(*point).unwrap(), &theirs));
        }
        let logits = model.transformer.logits(&last).unwrap();
        worst = worst.max(relative(&logits, &tensors[&format!("{i}.logits")]));
    }
    println!("atlas: largest relative error {worst:.1e}");
    assert!(worst < TOLERANCE, "{worst:e}");
}

#[test]
fn names_split_into_several_tokens_and_the_weights_are_small() {
    let model = Model::bundled(Precision::F32).unwrap();
    let parameters = mappa::model::count(model.spec());
    assert!((1_000_000..=4_000_000).contains(&parameters), "{parameters}");
    let bytes = std::fs::metadata(root("models/atlas/model.safetensors")).unwrap().len();
    assert!(bytes <= 8_000_000, "{bytes}");
    for name in mappa::datasets::BUNDLED {
        let dataset = mappa::datasets::bundled(name).unwrap();
        let lengths: Vec<usize> =
            dataset.entities.iter().map(|e| model.tokenizer.encode(&e.name).unwrap().ids.len() - 1).collect();
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        assert!(mean > 3.0, "{name}: {mean} tokens a name");
        let single = lengths.iter().filter(|n| **n == 1).count();
        assert!(single * 20 < lengths.len(), "{name}: {single} names are one token");
    }
}

/// A test score of the bundled run, R² over all targets unless stated otherwise.
fn score<'a>(rows: &'a [ScoreRow], (method, layer, metric): (&str, &str, &str)) -> &'a ScoreRow {
    let is = |r: &&ScoreRow| {
        (r.method.as_str(), r.layer.as_str(), r.split.as_str()) == (method, layer, "test")
            && (r.metric == metric && (metric != "r2" || r.target == "mean"))
    };
    rows.iter().find(is).unwrap_or_else(|| panic!("no {metric} of {method} at layer `{layer}`"))
}

/// A dataset's line in README's tables, built from a file of scores.
fn line_of(title: &str, scores: &str, error: &str) -> String {
    let rows: Vec<ScoreRow> = load_rows(&root(scores)).unwrap();
    let is_choice = |r: &&ScoreRow| {
        (r.method.as_str(), r.split.as_str(), r.metric.as_str(), r.target.as_str())
            == (RIDGE, "leave-one-out", "r2", "mean")
    };
    let best = rows.iter().filter(is_choice).max_by(|a, b| a.value.total_cmp(&b.value)).unwrap();
    let layer = best.layer.as_str();
    let two = |value: f64| format!("{value:.2}").replace("-0.00", "0.00");
    let probe = score(&rows, (RIDGE, layer, "r2"));
    let interval = format!("**{}** ({} to {})", two(probe.value), two(probe.low), two(probe.high));
    let beside = [
        (NAMES_ONLY, ""),
        (WORD_VECTORS, ""),
        (UNTRAINED, layer),
        (SHUFFLED_WEIGHTS, layer),
        (RIDGE, "embed"),
        (SHUFFLED, layer),
    ];
    // SmolLM2's scores have no word vectors, and its table no column for them.
    let is_scored = |method: &str| rows.iter().any(|row| row.method == method);
    let scored = beside.into_iter().filter(|(method, _)| is_scored(method));
    let beside = scored.map(|(method, layer)| two(score(&rows, (method, layer, "r2")).value));
    let beside = beside.collect::<Vec<String>>().join(" | ");
    let oracle = two(score(&rows, (CENTROID, "", "r2")).value);
    let error = match score(&rows, (RIDGE, layer, error)).value {
        km if error == "mean_km" && km >= 100.0 => format!("{km:.0} km"),
        km if error == "mean_km" => format!("{km:.1} km"),
        years => format!("{years:.1} years"),
    };
    format!("| {title} | {layer} | {interval} | {beside} | {error} | {oracle} |")
}

#[test]
fn the_readmes_tables_equal_the_saved_scores_baselines_and_intervals() {
    let readme = std::fs::read_to_string(root("README.md")).unwrap();
    for (title, name, error) in [
        ("World places", "atlas/world_place/empty", "mean_km"),
        ("US places", "atlas/us_place/empty", "mean_km"),
        ("New York places", "atlas/nyc_place/empty", "mean_km"),
        ("Historical figures", "atlas/historical_figure/empty", "mae_years"),
        ("Artworks", "atlas/art/empty", "mae_years"),
        ("Headlines", "atlas/headline/empty", "mae_years"),
        ("World places (39,585)", "smollm2/world_place", "mean_km"),
        ("US places (29,997)", "smollm2/us_place", "mean_km"),
        ("New York places (19,838)", "smollm2/nyc_place", "mean_km"),
    ] {
        let line = line_of(title, &format!("probes/{name}/scores.csv"), error);
        assert!(readme.lines().any(|found| found == line), "README.md lacks: {line}");
    }
}
