//! Properties of scores: a planted target is predicted, a random one is not, test targets do not influence a fit.

use super::*;
use crate::datasets::{Dataset, bundled, parse};
use crate::probes::baselines::{GroupCentroid, NamesOnly};
use crate::probes::fixture::noise;
use crate::probes::metrics::Bootstrap;
use crate::probes::splits::{Split, SplitPlan};
use crate::results::{CENTROID, NAMES_ONLY, UNTRAINED};
use std::path::Path;

const POINT: HookPoint = HookPoint::ResidPost(1);

fn places() -> Dataset {
    let bytes: String = noise([300, 2], 5)
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

/// Random activations with the targets planted along two directions.
fn planted(dataset: &Dataset) -> Array2<f32> {
    let n = dataset.entities.len();
    let targets = Array2::from_shape_fn((n, 2), |(i, t)| dataset.targets()[t][i] / 100.0);
    (targets.dot(&noise([2, 12], 6)) + noise([n, 12], 7) * 0.02 + 1.0).mapv(|v| v as f32)
}

fn scorer(dataset: &Dataset) -> Scorer<'_> {
    let scorer = Scorer::with_dataset_split(dataset, "small", "empty").unwrap();
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
fn a_planted_place_is_predicted_and_shuffled_targets_are_not() {
    let dataset = places();
    let scored = scorer(&dataset).fit_and_score(POINT, planted(&dataset).view()).unwrap();
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
    // Eighteen scores each for test, shuffled, train and leave-one-out; three of selectivity; one penalty.
    assert_eq!(scored.rows.len(), 4 * 18 + 3 + 1);
    for target in ["latitude", "longitude", "mean"] {
        let chance = row(&scored.rows, [SHUFFLED, "test", "r2", target]).value;
        let own = row(&scored.rows, [RIDGE, "test", "r2", target]).value;
        let selectivity = row(&scored.rows, [RIDGE, "test", "selectivity", target]);
        assert!((selectivity.value - (own - chance)).abs() < 1e-12);
        assert!(selectivity.low < selectivity.value && selectivity.value < selectivity.high);
    }
    let penalty = row(&scored.rows, [RIDGE, "train", "penalty", "mean"]);
    assert_eq!(penalty.value, scored.probe.penalty);
    assert!(penalty.low <= penalty.value && penalty.value <= penalty.high);
}

#[test]
fn latitude_and_longitude_keep_their_order() {
    let dataset = places();
    let scored = scorer(&dataset).fit_and_score(POINT, planted(&dataset).view()).unwrap();
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
fn test_targets_do_not_influence_the_fit() {
    let dataset = places();
    let mut changed = dataset.clone();
    let other = dataset.entities[1].target;
    changed.entities.iter_mut().filter(|e| e.is_test).for_each(|e| e.target = other);
    let activations = planted(&dataset);
    let fit = |dataset| scorer(dataset).fit_and_score(POINT, activations.view()).unwrap().stored();
    assert_eq!(fit(&dataset), fit(&changed));
    assert_eq!(
        scorer(&dataset).baseline(&GroupCentroid).unwrap().predictions,
        scorer(&changed).baseline(&GroupCentroid).unwrap().predictions
    );
}

#[test]
fn scores_are_reproducible() {
    let dataset = places();
    let score = || scorer(&dataset).fit_and_score(POINT, planted(&dataset).view()).unwrap().rows;
    assert_eq!(score(), score());
}

#[test]
fn baselines_name_no_layer() {
    let dataset = bundled("us_place").unwrap();
    let scorer = scorer(&dataset);
    for (baseline, method) in [
        (scorer.baseline(&NamesOnly).unwrap(), NAMES_ONLY),
        (scorer.baseline(&GroupCentroid).unwrap(), CENTROID),
    ] {
        let found = row(&baseline.rows, [method, "test", "r2", "mean"]);
        assert!(found.value > 0.0 && found.value < 1.0, "{found:?}");
        assert_eq!((found.hook_point.as_str(), found.layer.as_str(), found.model.as_str()), ("", "", ""));
        assert_eq!(baseline.predictions.dim(), (dataset.entities.len(), 2));
    }
    let centroid =
        row(&scorer.baseline(&GroupCentroid).unwrap().rows, [CENTROID, "test", "r2", "mean"]).value;
    assert!(centroid > 0.8, "{centroid}");
    let chance = noise([dataset.entities.len(), 16], 8).mapv(|v| v as f32);
    let untrained = scorer.other_model(UNTRAINED, POINT, chance.view()).unwrap();
    assert!(row(&untrained.rows, [UNTRAINED, "test", "r2", "mean"]).value < 0.1);
    // R², Pearson, Spearman, Kendall and the error of two targets and their mean; three scores of places.
    assert_eq!(untrained.rows.len(), 18);
}

#[test]
fn years_are_scored_by_their_mean_error() {
    let dataset = bundled("historical_figure").unwrap();
    let years = &dataset.targets()[0];
    let activations =
        Array2::from_shape_fn((years.len(), 3), |(i, c)| (years[i] as f32 / 1000.0) * (c as f32 + 1.0));
    let scored = scorer(&dataset).fit_and_score(POINT, activations.view()).unwrap();
    assert!(row(&scored.rows, [RIDGE, "test", "mae_years", "year"]).value < 1.0);
    assert!(row(&scored.rows, [RIDGE, "test", "r2", "year"]).value > 0.999);
}

#[test]
fn bad_activations_are_refused_naming_the_entity() {
    let dataset = places();
    let mut activations = planted(&dataset);
    let short = activations.slice(ndarray::s![..7, ..]).to_owned();
    let error = scorer(&dataset).fit_and_score(POINT, short.view()).unwrap_err().to_string();
    assert!(error.contains("found 7") && error.contains("300"), "{error}");
    activations[[8, 3]] = f32::INFINITY;
    let error = scorer(&dataset).fit_and_score(POINT, activations.view()).unwrap_err().to_string();
    for part in ["blocks.1.hook_resid_post", "column 4", "row 9", "`place 8`", "inf"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// A split with one fold for each country.
fn by_country(dataset: &Dataset) -> Split {
    "group:country".parse::<SplitPlan>().unwrap().divide(dataset).unwrap()
}

#[test]
fn with_several_folds_no_entity_is_predicted_by_a_probe_trained_on_it() {
    let dataset = places();
    let activations = planted(&dataset);
    let mut scorer = Scorer::new(by_country(&dataset), &dataset, "small", "empty").unwrap();
    scorer.bootstrap.n_resamples = 50;
    let scored = scorer.fit_and_score(POINT, activations.view()).unwrap();
    let official = Scorer::with_dataset_split(&dataset, "small", "empty").unwrap();
    for fold in &scorer.split.folds {
        let alone = Scorer { split: Split { folds: vec![fold.clone()] }, ..official.clone() };
        let alone = alone.fit_and_score(POINT, activations.view()).unwrap();
        for &entity in &fold.test {
            // Equal up to rounding: the moments of all rows are computed once.
            let apart = &scored.predictions.row(entity) - &alone.predictions.row(entity);
            assert!(apart.iter().all(|e| e.abs() < 1e-8), "entity {entity}: {apart}");
        }
    }
    assert_eq!(scorer.predictions(&scored.probe, activations.view()).unwrap(), scored.predictions);
    // The saved probe is trained on all entities; the planted directions hold for held-out countries.
    let everyone: Vec<usize> = (0..300).collect();
    assert_eq!(scorer.split.saved_train(), everyone);
    assert!(row(&scored.rows, [RIDGE, "test", "r2", "mean"]).value > 0.9);
    assert!(row(&scored.rows, [RIDGE, "leave-one-out", "r2", "mean"]).value > 0.98);
    let rows = scorer.prediction_rows(POINT, scored.predictions.view());
    assert!(rows.len() == 600 && rows.iter().all(|row| row.split == "test"));
    // The oracle has no training entities of a held-out country.
    let centroid =
        row(&scorer.baseline(&GroupCentroid).unwrap().rows, [CENTROID, "test", "r2", "mean"]).value;
    assert!(centroid < 0.01, "{centroid}");
    assert!(row(&scorer.baseline(&NamesOnly).unwrap().rows, [NAMES_ONLY, "test", "r2", "mean"]).value < 0.1);
}

#[test]
fn a_stream_that_contains_only_the_country_fails_on_held_out_countries() {
    // Activations that contain the country but no other information about the place.
    let dataset = places();
    let is_east = |i: usize| f32::from(u8::from(dataset.group(&dataset.entities[i]) == "east"));
    let activations = Array2::from_shape_fn((300, 2), |(i, c)| is_east(i) * (c as f32 + 1.0));
    let r2 = |split: Split| {
        let scorer = Scorer::new(split, &dataset, "small", "empty").unwrap();
        row(
            &scorer.fit_and_score(POINT, activations.view()).unwrap().rows,
            [RIDGE, "test", "r2", "longitude"],
        )
        .value
    };
    assert!(r2(Split::of_dataset(&dataset).unwrap()) > 0.6);
    assert!(r2(by_country(&dataset)) < 0.05);
}

#[test]
fn resampling_whole_groups_widens_the_interval() {
    let dataset = places();
    let activations = planted(&dataset);
    let width = |clusters: Option<Vec<usize>>| {
        let scored =
            Scorer { clusters, ..scorer(&dataset) }.fit_and_score(POINT, activations.view()).unwrap();
        let row = row(&scored.rows, [RIDGE, "test", "mean_km", "great-circle"]).clone();
        row.high - row.low
    };
    let alone: Vec<usize> = (0..300).collect();
    assert_eq!(width(None), width(Some(alone)));
    // Ten groups by longitude, because the error grows with it.
    let mut order: Vec<usize> = (0..300).collect();
    order.sort_by(|&a, &b| dataset.targets()[1][a].total_cmp(&dataset.targets()[1][b]));
    let mut groups = vec![0; 300];
    order.iter().enumerate().for_each(|(rank, &entity)| groups[entity] = rank / 30);
    assert!(width(Some(groups)) > width(None));
}

#[test]
fn other_methods_and_classes_are_scored_with_their_own_baselines() {
    let dataset = places();
    let activations = planted(&dataset);
    let mut scorer = scorer(&dataset);
    scorer.bootstrap.n_resamples = 20;
    let suits = |regressor: &&dyn crate::probes::Regressor| regressor.check(&dataset.kind, None).is_ok();
    scorer.regressors = crate::probes::REGRESSORS.into_iter().filter(suits).map(Into::into).collect();
    scorer.classifiers = crate::probes::CLASSIFIERS.to_vec();
    scorer.classes = Some(crate::probes::Classes::of(&dataset, "country").unwrap());
    let rows = scorer.fit_and_score(POINT, activations.view()).unwrap().rows;
    for method in ["ols", "pca-12", "elastic-net", "mlp", "sphere", "rank", "circle", "k-sparse-8"] {
        let shuffled = format!("{method}/shuffled");
        // The planted targets are linear in degrees, so they are curved in space, and `sphere` predicts them less well.
        let least = if method == "sphere" { 0.3 } else { 0.9 };
        assert!(row(&rows, [method, "test", "r2", "latitude"]).value > least, "{method}");
        assert!(row(&rows, [method, "test", "selectivity", "mean"]).value > 0.5, "{method}");
        assert!(row(&rows, [&shuffled, "test", "r2", "mean"]).value < 0.1, "{method}");
    }
    for target in ["latitude", "longitude"] {
        let used = row(&rows, ["elastic-net", "train", "dimensions_used", target]).value;
        assert!((1.0..=12.0).contains(&used) && used.fract() == 0.0, "{used}");
        let penalty = row(&rows, ["elastic-net", "train", "penalty", target]);
        assert!(penalty.low <= penalty.value && penalty.value < penalty.high, "{penalty:?}");
    }
    for method in ["logistic", "mean-difference"] {
        assert!(row(&rows, [method, "test", "accuracy", "country"]).value > 0.9, "{method}");
        let shuffled = format!("{method}/shuffled");
        assert!(row(&rows, [&shuffled, "test", "balanced_accuracy", "country"]).value < 0.75, "{method}");
    }
    // Two classes, east and west; both planted.
    for (method, metric, least) in [
        ("logistic", "auroc", 0.99),
        ("mean-difference", "auroc", 0.97),
        ("logistic", "average_precision", 0.99),
    ] {
        let own = row(&rows, [method, "test", metric, "country"]);
        assert!(own.value > least && own.low <= own.value && own.value <= own.high, "{own:?}");
    }
    let chance = noise([300, 12], 8).mapv(|v| v as f32);
    let rows = scorer.other_model("shuffled-weights", POINT, chance.view()).unwrap().rows;
    assert!(row(&rows, ["shuffled-weights", "test", "r2", "mean"]).value < 0.1);
    assert!(row(&rows, ["ols/shuffled-weights", "test", "r2", "mean"]).value < 0.1);
    assert!(row(&rows, ["logistic/shuffled-weights", "test", "accuracy", "country"]).value < 0.75);
    let auroc = row(&rows, ["logistic/shuffled-weights", "test", "auroc", "country"]);
    assert!((auroc.value - 0.5).abs() < 0.2 && auroc.low < 0.5 && auroc.high > 0.5, "{auroc:?}");
    scorer.baselines = Baselines::Omitted;
    let rows = scorer.fit_and_score(POINT, activations.view()).unwrap().rows;
    assert!(rows.iter().all(|row| !row.method.contains("shuffled") && row.metric != "selectivity"));
}

#[test]
fn a_target_that_is_constant_or_not_a_number_is_refused() {
    let mut dataset = places();
    let lat = crate::datasets::Lat::new(10.0).unwrap();
    for entity in dataset.entities.iter_mut().filter(|entity| !entity.is_test) {
        if let crate::datasets::Target::Place { lat: of, .. } = &mut entity.target {
            *of = lat;
        }
    }
    let error = Scorer::with_dataset_split(&dataset, "small", "empty").unwrap_err().to_string();
    for part in ["latitude of places", "10 for all 225", "differ"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let mut years = bundled("art").unwrap();
    years.entities[6].target = crate::datasets::Target::Year(f64::NAN);
    let error = Scorer::with_dataset_split(&years, "small", "empty").unwrap_err().to_string();
    for part in ["art row 7", &years.entities[6].name, "year", "NaN"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
