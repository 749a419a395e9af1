//! Made-up rows similar to a run's, for the tests.

use crate::results::{
    CENTROID, DAS, InterchangeRow, LensScoreRow, NAMES_ONLY, NOTHING, NeuronRow, PATTERN, PROBE,
    PredictionRow, RANDOM, RIDGE, RIDGE_AND_TEXT, SHUFFLED, SHUFFLED_WEIGHTS, STREAM, ScoreRow, StratumRow,
    SweepRow, TEXT, UNTRAINED,
};

pub(super) const DATASETS: [(&str, f64); 6] = [
    ("world_place", 0.86),
    ("us_place", 0.8),
    ("nyc_place", 0.34),
    ("historical_figure", 0.76),
    ("art", 0.85),
    ("headline", 0.62),
];

/// Reproducible noise: about normal, with standard deviation 1.
fn noise(seed: usize) -> f64 {
    let part = |k: f64| (((seed as f64 + k) * 12.9898).sin() * 43758.5453).rem_euclid(1.0);
    (part(0.1) + part(0.37) + part(0.71) + part(1.13) - 2.0) * 1.7
}

/// A test R² with an interval of this half width.
pub(super) fn score(dataset: &str, method: &str, layer: &str, [value, half]: [f64; 2]) -> ScoreRow {
    let hook_point = match layer {
        "" => String::new(),
        "embed" => "blocks.0.hook_resid_pre".into(),
        layer => format!("blocks.{layer}.hook_resid_post"),
    };
    ScoreRow {
        dataset: dataset.into(),
        model: "sample".into(),
        prompt: "name".into(),
        hook_point,
        layer: layer.into(),
        method: method.into(),
        split: "test".into(),
        metric: "r2".into(),
        target: "mean".into(),
        value,
        low: value - half,
        high: value + half,
    }
}

/// Six datasets at `n_layers` layers and the embedding.
pub(super) fn scores(n_layers: usize) -> Vec<ScoreRow> {
    let mut rows = Vec::new();
    for (d, (dataset, top)) in DATASETS.into_iter().enumerate() {
        for depth in 0..=n_layers {
            let layer = if depth == 0 { "embed".to_string() } else { (depth - 1).to_string() };
            let share = depth as f64 / n_layers as f64;
            let jitter = 0.015 * noise(31 * d + depth);
            let probe = top * (1.0 - 0.75 * (-3.0 * share).exp()) + jitter;
            rows.push(score(dataset, RIDGE, &layer, [probe, 0.03 + 0.02 * (d % 3) as f64]));
            rows.push(score(dataset, RIDGE_AND_TEXT, &layer, [probe.max(0.6 * top) + 0.03, 0.03]));
            rows.push(score(dataset, UNTRAINED, &layer, [0.2 * top + jitter, 0.03]));
            rows.push(score(dataset, SHUFFLED_WEIGHTS, &layer, [0.12 * top - jitter, 0.03]));
            let shuffled = if d == 2 { -0.3 * share } else { -0.03 };
            rows.push(score(dataset, SHUFFLED, &layer, [shuffled + jitter, 0.02]));
        }
        rows.push(score(dataset, NAMES_ONLY, "", [0.55 * top, 0.02]));
        rows.push(score(dataset, TEXT, "", [0.6 * top, 0.02]));
        rows.push(score(dataset, CENTROID, "", [(top + 0.1).min(0.96), 0.01]));
    }
    rows
}

fn prediction(target: &str, i: usize, [truth, prediction]: [f64; 2]) -> PredictionRow {
    PredictionRow {
        dataset: if target == "year" { "historical_figure" } else { "world_place" }.into(),
        name: format!("Entity {}", i % 190),
        group: CITIES[i * i % CITIES.len()].0.into(),
        split: if i.is_multiple_of(5) { "test" } else { "train" }.into(),
        hook_point: "blocks.5.hook_resid_post".into(),
        target: target.into(),
        truth,
        prediction,
    }
}

const CITIES: [(&str, f64, f64); 11] = [
    ("United States", 39.0, -95.0),
    ("France", 47.0, 2.5),
    ("India", 22.0, 79.0),
    ("Brazil", -12.0, -50.0),
    ("China", 34.0, 108.0),
    ("Nigeria", 9.0, 8.0),
    ("Australia", -28.0, 140.0),
    ("Democratic Republic of the Congo", -3.0, 23.0),
    ("Japan", 36.0, 138.0),
    ("Russia & \"others\" <east>", 58.0, 90.0),
    ("Chile", -34.0, -71.0),
];

/// Places of eleven countries, a fifth of them test rows.
pub(super) fn places(n: usize) -> Vec<PredictionRow> {
    let mut rows = Vec::new();
    for i in 0..n {
        let (_, lat, lon) = CITIES[i * i % CITIES.len()];
        let (lat, lon) = (lat + 5.0 * noise(i), lon + 8.0 * noise(i + 5000));
        let read = |truth: f64, seed: usize| [truth, 0.85 * truth + 7.0 * noise(i + seed)];
        rows.push(prediction("latitude", i, read(lat, 20_000)));
        rows.push(prediction("longitude", i, read(lon, 30_000)));
    }
    rows
}

/// People's years, a fifth of them test rows.
pub(super) fn years(n: usize) -> Vec<PredictionRow> {
    let year = |i: usize| 1990.0 - 900.0 * noise(i).abs().powi(2);
    (0..n)
        .map(|i| prediction("year", i, [year(i), 0.8 * year(i) + 340.0 + 120.0 * noise(i + 9000)]))
        .collect()
}

/// The MLP neurons of `n_blocks` blocks and their correlations with latitude and longitude, which grow from block to block.
pub(super) fn units(n_blocks: usize, width: usize) -> Vec<NeuronRow> {
    let mut rows = Vec::new();
    for (t, target) in ["latitude", "longitude"].into_iter().enumerate() {
        for (layer, unit) in (0..n_blocks * width).map(|i| (i / width, i % width)) {
            let share = (layer + 1) as f64 / n_blocks as f64;
            let rho = (0.25 * share * noise(unit + width * layer + 77_000 * t)).clamp(-0.99, 0.99);
            rows.push(NeuronRow {
                dataset: "world_place".into(),
                model: "sample".into(),
                prompt: "name".into(),
                hook_point: format!("blocks.{layer}.mlp.hook_post"),
                layer,
                unit,
                target: target.into(),
                rho,
                p: 0.0,
                q: if rho.abs() > 0.1 { 1e-4 } else { 0.5 },
                input_cosine: 0.1,
                output_cosine: -0.1,
            });
        }
    }
    rows
}

/// Strata of several properties; the later ones have a larger surplus.
pub(super) fn strata(properties: &[&str], n: usize) -> Vec<StratumRow> {
    let row = |by: &str, at: usize| {
        let (text, gain) = (0.3 + 0.2 * noise(at), 0.3 * at as f64 / n as f64 - 0.05);
        StratumRow {
            dataset: "world_place".into(),
            model: "sample".into(),
            prompt: "name".into(),
            hook_point: "blocks.3.hook_resid_post".into(),
            layer: "3".into(),
            text: "text".into(),
            by: by.into(),
            stratum: format!("{by} of number {at}, or none"),
            merged: String::new(),
            n_test: 40 + at,
            n_units: 40 + at,
            target: "mean".into(),
            share: 1.0 / n as f64,
            r2_text: text,
            r2_text_low: text - 0.1,
            r2_text_high: text + 0.1,
            r2_both: text + gain,
            r2_both_low: text + gain - 0.1,
            r2_both_high: text + gain + 0.1,
            surplus: gain,
            surplus_low: gain - 0.05,
            surplus_high: gain + 0.05,
            contribution: gain / n as f64,
            contribution_low: (gain - 0.05) / n as f64,
            contribution_high: (gain + 0.05) / n as f64,
            against_rest: 0.0,
            against_rest_low: -0.1,
            against_rest_high: 0.1,
        }
    };
    properties.iter().flat_map(|by| (0..n).map(|at| row(by, at))).collect()
}

/// A sweep of eight layer sets whose texts name places; some texts name nothing.
pub(super) fn texts() -> Vec<SweepRow> {
    let mut rows: Vec<SweepRow> = sweep().into_iter().filter(|row| row.target == "longitude").collect();
    for (i, row) in rows.iter_mut().enumerate() {
        let by =
            if row.direction == "probe" { 0.8 * row.dose } else { 0.1 * row.dose * noise(row.seed as usize) };
        let is_lost = row.dose.abs() > 50.0 && i % 5 == 0;
        row.named_value = Some(170.0 + by).filter(|_| !is_lost);
        row.named = "somewhere".into();
    }
    let mut all = Vec::new();
    for layers in ["0", "1", "2", "3", "4", "1+2", "2+3", "0+1+2+3"] {
        all.extend(rows.iter().map(|row| SweepRow { layers: layers.into(), ..row.clone() }));
    }
    all
}

/// Two targets of places and the year: seven doses, four prompts, three random directions, two layers.
pub(super) fn sweep() -> Vec<SweepRow> {
    let mut rows = Vec::new();
    for (t, (target, step)) in [("latitude", 10.0), ("longitude", 20.0), ("year", 50.0)].iter().enumerate() {
        for prompt in 0..4 {
            for (direction, seed) in [("probe", 0), ("random", 0), ("random", 1), ("random", 2)] {
                for i in -3..=3 {
                    let dose = f64::from(i) * step;
                    let slope = 0.7 + 0.08 * noise(10 * t + prompt);
                    let stray =
                        0.08 * noise(seed as usize + 50 * t) + 0.05 * noise(prompt + 7 * seed as usize);
                    for read_layer in [3, 5] {
                        let gain = match (direction, read_layer) {
                            ("probe", 3) => 1.0,
                            ("probe", _) => slope - 0.03 * f64::from(i * i),
                            _ => stray,
                        };
                        let kl = 0.02 * f64::from(i * i) * (1.0 + 0.3 * noise(prompt + seed as usize));
                        rows.push(SweepRow {
                            kind: if *target == "year" { "year" } else { "place" }.into(),
                            prompt: format!("prompt {prompt}"),
                            layers: "3".into(),
                            direction: direction.into(),
                            seed,
                            target: (*target).into(),
                            dose,
                            read_layer,
                            reading: 40.0 + 9.0 * noise(prompt) + gain * dose,
                            kl: if direction == "probe" { kl } else { 0.4 * kl },
                            perplexity: Some(20.0),
                            repetition: 0.1,
                            names_log_prob: None,
                            named: String::new(),
                            named_value: None,
                            text: "…".into(),
                        });
                    }
                }
            }
        }
    }
    rows
}

/// AUROC of two classifiers and of baselines at `n_layers` layers and the embedding.
pub(super) fn classes(n_layers: usize) -> Vec<ScoreRow> {
    let mut rows = Vec::new();
    let of_class = |row: ScoreRow| ScoreRow { metric: "auroc".into(), target: "continent".into(), ..row };
    for depth in 0..=n_layers {
        let layer = if depth == 0 { "embed".to_string() } else { (depth - 1).to_string() };
        let share = depth as f64 / n_layers as f64;
        let methods = [
            ("logistic", 0.6 + 0.3 * share),
            ("mean-difference", 0.6 + 0.2 * share),
            ("logistic/untrained", 0.6),
            ("logistic/shuffled", 0.5),
            ("ridge+text", 0.7 + 0.2 * share),
        ];
        rows.extend(methods.map(|(method, value)| of_class(score("art", method, &layer, [value, 0.04]))));
    }
    let flat = [("names-only", 0.7), ("majority", 0.5), ("text", 0.75)];
    rows.extend(flat.map(|(method, value)| of_class(score("art", method, "", [value, 0.04]))));
    rows
}

/// R² of probes of few dimensions at one layer.
pub(super) fn sparse() -> Vec<ScoreRow> {
    let mut rows = vec![score("art", RIDGE, "3", [0.8, 0.03]), score("art", NAMES_ONLY, "", [0.3, 0.03])];
    for power in 0..7 {
        let k = 1 << power;
        let value = 0.8 - 0.6 / f64::from(k);
        rows.push(score("art", &format!("k-sparse-{k}"), "3", [value, 0.04]));
        rows.push(score("art", &format!("k-sparse-{k}/shuffled"), "3", [-0.2, 0.04]));
        rows.push(score("art", &format!("k-sparse-{k}/untrained"), "3", [0.1, 0.04]));
    }
    rows
}

/// Scores of a logit lens and a ridge lens over `n_layers` blocks.
pub(super) fn lenses(n_layers: usize) -> Vec<LensScoreRow> {
    let row = |lens: &str, depth: usize| {
        let rest = (n_layers - depth) as f64 / n_layers as f64;
        let kl = rest * if lens == "logit" { 9.0 } else { 3.0 };
        let layer = if depth == 0 { "embed".to_string() } else { (depth - 1).to_string() };
        let half = 0.2 + rest / 10.0;
        LensScoreRow {
            model: "sample".into(),
            lens: lens.into(),
            hook_point: format!("blocks.{layer}.hook_resid_post"),
            layer,
            cross_entropy: 3.2 + kl,
            low: 3.2 + kl - half,
            high: 3.2 + kl + half,
            kl,
            agreement: 1.0 - rest,
            penalty: f64::NAN,
            tokens: 1000,
            texts: 90,
        }
    };
    ["logit", "ridge"].iter().flat_map(|lens| (0..=n_layers).map(move |depth| row(lens, depth))).collect()
}

/// Exchanges of every kind at `n` layers.
pub(super) fn exchanges(n: usize) -> Vec<InterchangeRow> {
    let row = |layer: usize, (i, exchanged): (usize, &&str)| InterchangeRow {
        dataset: "world_place".into(),
        model: "small".into(),
        prompt: "empty".into(),
        hook_point: format!("blocks.{layer}.hook_resid_post"),
        layer,
        exchanged: exchanged.to_string(),
        rank: 2,
        seed: 0,
        n_pairs: 60,
        n_groups: 30,
        accuracy: 0.1 + 0.12 * i as f64,
        low: 0.05 + 0.12 * i as f64,
        high: 0.15 + 0.12 * i as f64,
        chance: 0.25,
        log_odds: 0.0,
        train_accuracy: None,
    };
    let names = [NOTHING, RANDOM, PATTERN, PROBE, STREAM, DAS];
    (0..n).flat_map(|layer| names.iter().enumerate().map(move |one| row(layer, one))).collect()
}
