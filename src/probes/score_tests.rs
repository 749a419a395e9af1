//! What scores must satisfy: a planted target is read, chance is not, training stays in training.

use super::super::fixture::noise;
use super::*;
use crate::datasets::{bundled, parse};
use std::path::Path;

const POINT: HookPoint = HookPoint::ResidPost(1);

fn places() -> Dataset {
    let bytes: String = noise((300, 2), 5)
        .rows()
        .into_iter()
        .enumerate()
        .map(|(i, p)| {
            format!(
                "place {i},{},{},{},{}\n",
                p[0] * 120.0,
                p[1] * 300.0,
                if p[1] < 0.0 { "west" } else { "east" },
                i % 4 == 0
            )
        })
        .collect();
    parse(Path::new("places.csv"), format!("name,latitude,longitude,country,is_test\n{bytes}").as_bytes())
        .unwrap()
}

/// Activations that hold the targets along two directions, beside noise.
fn planted(dataset: &Dataset) -> Array2<f32> {
    let n = dataset.entities.len();
    let targets = Array2::from_shape_fn((n, 2), |(i, t)| dataset.targets()[t][i] / 100.0);
    (targets.dot(&noise((2, 12), 6)) + noise((n, 12), 7) * 0.02 + 1.0).mapv(|v| v as f32)
}

fn scorer(dataset: &Dataset) -> Scorer<'_> {
    let scorer = Scorer::official(dataset, "small", "empty").unwrap();
    Scorer { bootstrap: Bootstrap { n_resamples: 100, seed: 3 }, ..scorer }
}

#[track_caller]
fn row<'a>(rows: &'a [ScoreRow], key: [&str; 4]) -> &'a ScoreRow {
    let [method, split, metric, target] = key;
    let is =
        |r: &&ScoreRow| r.method == method && r.split == split && r.metric == metric && r.target == target;
    let mut found = rows.iter().filter(is);
    let row = found.next().unwrap_or_else(|| panic!("no row {key:?}"));
    assert!(found.next().is_none(), "two rows {key:?}");
    row
}

#[test]
fn a_planted_place_is_read_and_shuffled_targets_are_not() {
    let dataset = places();
    let scored = scorer(&dataset).layer(POINT, planted(&dataset).view()).unwrap();
    for target in ["latitude", "longitude", "mean"] {
        for split in ["test", "train", "leave-one-out"] {
            assert!(row(&scored.rows, [RIDGE, split, "r2", target]).value > 0.98, "{target} {split}");
            assert!(row(&scored.rows, [RIDGE, split, "spearman", target]).value > 0.98);
        }
        let shuffled = row(&scored.rows, [SHUFFLED, "test", "r2", target]);
        assert!(shuffled.value.abs() < 0.15, "{shuffled:?}");
    }
    let km = row(&scored.rows, [RIDGE, "test", "mean_km", "great-circle"]);
    assert!(km.value > 0.0 && km.value < 700.0 && km.low < km.value && km.value < km.high, "{km:?}");
    let train = row(&scored.rows, [RIDGE, "train", "r2", "mean"]);
    assert_eq!((train.low, train.high), (train.value, train.value));
    assert_eq!((train.hook_point.as_str(), train.layer.as_str()), ("blocks.1.hook_resid_post", "1"));
    assert_eq!(scored.rows.len(), 3 * 8 + 3);
}

#[test]
fn latitude_and_longitude_keep_their_order() {
    let dataset = places();
    let scored = scorer(&dataset).layer(POINT, planted(&dataset).view()).unwrap();
    let rows = scorer(&dataset).prediction_rows(POINT, scored.predictions.view());
    assert_eq!(rows.len(), 600);
    for pair in rows.chunks(2) {
        assert_eq!((pair[0].target.as_str(), pair[1].target.as_str()), ("latitude", "longitude"));
        assert_eq!(
            pair[0].split,
            if pair[0].name[6..].parse::<usize>().unwrap() % 4 == 0 { "test" } else { "train" }
        );
        assert!((pair[0].truth - pair[0].prediction).abs() < 15.0);
        assert!((pair[1].truth - pair[1].prediction).abs() < 30.0);
    }
}

#[test]
fn test_targets_have_no_part_in_the_fit() {
    let dataset = places();
    let mut changed = dataset.clone();
    let other = dataset.entities[1].target;
    changed.entities.iter_mut().filter(|e| e.is_test).for_each(|e| e.target = other);
    let activations = planted(&dataset);
    let fit = |dataset| scorer(dataset).layer(POINT, activations.view()).unwrap().stored();
    assert_eq!(fit(&dataset), fit(&changed));
    assert_eq!(
        scorer(&dataset).centroid().unwrap().predictions,
        scorer(&changed).centroid().unwrap().predictions
    );
}

#[test]
fn scores_come_out_the_same_again() {
    let dataset = places();
    let score = || scorer(&dataset).layer(POINT, planted(&dataset).view()).unwrap().rows;
    assert_eq!(score(), score());
}

#[test]
fn baselines_name_no_layer() {
    let dataset = bundled("us_place").unwrap();
    let scorer = scorer(&dataset);
    for (baseline, method) in
        [(scorer.names_only().unwrap(), NAMES_ONLY), (scorer.centroid().unwrap(), CENTROID)]
    {
        let found = row(&baseline.rows, [method, "test", "r2", "mean"]);
        assert!(found.value > 0.0 && found.value < 1.0, "{found:?}");
        assert_eq!((found.hook_point.as_str(), found.layer.as_str(), found.model.as_str()), ("", "", ""));
        assert_eq!(baseline.predictions.dim(), (dataset.entities.len(), 2));
    }
    let centroid = row(&scorer.centroid().unwrap().rows, [CENTROID, "test", "r2", "mean"]).value;
    assert!(centroid > 0.8, "{centroid}");
    let chance = noise((dataset.entities.len(), 16), 8).mapv(|v| v as f32);
    let untrained = scorer.untrained(POINT, chance.view()).unwrap();
    assert!(row(&untrained.rows, [UNTRAINED, "test", "r2", "mean"]).value < 0.1);
    assert_eq!(untrained.rows.len(), 3);
}

#[test]
fn years_are_scored_by_their_mean_error() {
    let dataset = bundled("historical_figure").unwrap();
    let years = &dataset.targets()[0];
    let activations =
        Array2::from_shape_fn((years.len(), 3), |(i, c)| (years[i] as f32 / 1000.0) * (c as f32 + 1.0));
    let scored = scorer(&dataset).layer(POINT, activations.view()).unwrap();
    assert!(row(&scored.rows, [RIDGE, "test", "mae_years", "year"]).value < 1.0);
    assert!(row(&scored.rows, [RIDGE, "test", "r2", "year"]).value > 0.999);
}

#[test]
fn bad_activations_are_refused_by_entity() {
    let dataset = places();
    let mut activations = planted(&dataset);
    let short = activations.slice(ndarray::s![..7, ..]).to_owned();
    let error = scorer(&dataset).layer(POINT, short.view()).unwrap_err().to_string();
    assert!(error.contains("found 7") && error.contains("300"), "{error}");
    activations[[8, 3]] = f32::INFINITY;
    let error = scorer(&dataset).layer(POINT, activations.view()).unwrap_err().to_string();
    for part in ["blocks.1.hook_resid_post", "column 4", "row 9", "`place 8`", "inf"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
