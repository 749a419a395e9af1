//! Properties of extraction and probing: batches equal single passes, and planted directions are found.

use super::tiny_spec;
use mappa::activations::{ExtractedActivations, PromptedDataset, SpanRow, TextModel, extract};
use mappa::datasets::{Dataset, Prompt, parse};
use mappa::hook_point::HookPoint;
use mappa::model::{Transformer, untrained};
use mappa::probes::Scorer;
use mappa::progress::{Observer, Progress};
use mappa::results::{RIDGE, SHUFFLED};
use mappa::steering::UnitDirection;
use mappa::tokenizer::Tokenizer;
use mappa::training::train_tokenizer;
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::path::Path;

fn points() -> Vec<HookPoint> {
    let mut points = HookPoint::stream(tiny_spec(1).n_layers);
    points.extend([HookPoint::AttnZ(0), HookPoint::MlpPost(1)]);
    points
}

/// Counts the reports of an extraction, and keeps the last one's detail.
#[derive(Default)]
struct Reports {
    n: usize,
    last: String,
}

impl Observer for Reports {
    fn progress(&mut self, progress: &Progress) {
        self.n += 1;
        self.last = progress.detail.to_string();
    }
}

/// An extraction, and the number of its reports.
fn read(
    transformer: &Transformer,
    tokenizer: &Tokenizer,
    dataset: &Dataset,
) -> (ExtractedActivations, usize) {
    let (model, prompt) = (TextModel { transformer, tokenizer }, Prompt::new("Where is {} now").unwrap());
    let mut reports = Reports::default();
    let texts = PromptedDataset { dataset, prompt: &prompt };
    let extraction = extract(model, texts, &points(), &mut reports).unwrap();
    let n = dataset.entities.len();
    assert_eq!(reports.last, format!("{n} of {n} entities"));
    (extraction, reports.n)
}

/// Names with shared prefixes, with a model and a tokenizer for them.
fn towns() -> (Dataset, Vec<String>, Tokenizer, Transformer) {
    let name = |i: usize| format!("{} {:05}{}", ["Oslo", "Rome", "Lima"][i % 3], i * 7919 % 100_000, i % 7);
    let rows: String = (0..1500).map(|i| format!("{},{i}\n", name(i))).collect();
    let dataset = parse(Path::new("towns.csv"), format!("name,year\n{rows}").as_bytes()).unwrap();
    let lines: Vec<String> = dataset.entities.iter().map(|e| e.name.clone()).collect();
    let json = train_tokenizer(&lines, 270).unwrap();
    let tokenizer = Tokenizer::parse(Path::new("tokenizer.json"), &json).unwrap();
    let model = untrained(&tiny_spec(tokenizer.len()), 1).unwrap();
    (dataset, lines, tokenizer, model)
}

#[test]
fn any_number_of_threads_records_the_same_bits() {
    let (dataset, _, tokenizer, model) = towns();
    let with = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| read(&model, &tokenizer, &dataset))
    };
    let (one, n_groups) = with(1);
    for n in [2, 3, 2 * n_groups + 1] {
        assert_eq!(with(n).0.arrays, one.arrays, "{n} threads");
    }
}

#[test]
fn forest_batches_equal_one_entity_at_a_time() {
    let (dataset, lines, tokenizer, model) = towns();
    let (together, n_groups) = read(&model, &tokenizer, &dataset);
    assert!(n_groups > 1, "a single batch holds all tokens, so the boundary between batches is not tested");
    assert!(together.n_computed < together.n_tokens, "nothing was shared");
    for i in (0..1500).step_by(23).chain([1499]) {
        let one = Dataset { entities: vec![dataset.entities[i].clone()], ..dataset.clone() };
        let (alone, _) = read(&model, &tokenizer, &one);
        assert_eq!(SpanRow { first_row: i, ..alone.spans[0].clone() }, together.spans[i]);
        for point in points() {
            let (ours, single) = (together.arrays[&point].row(i), alone.arrays[&point].row(0));
            let apart = ours.iter().zip(single).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            let size = single.iter().fold(0f32, |most, x| most.max(x.abs()));
            assert!(size > 1e-4 && apart < 1e-5 * size.max(1.0), "{point} of {}: {apart}", lines[i]);
        }
    }
}

/// Noise with each target planted along its own direction, whose seed is the target's index.
fn planted(dataset: &Dataset, d_model: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let directions: Vec<UnitDirection> =
        (0..2).map(|seed| UnitDirection::random(d_model, seed).unwrap()).collect();
    let noise = || rng.sample::<f32, _>(StandardNormal);
    let mut activations = Array2::from_shape_simple_fn((dataset.entities.len(), d_model), noise);
    for (mut row, entity) in activations.rows_mut().into_iter().zip(&dataset.entities) {
        for (value, direction) in entity.target.values().iter().zip(&directions) {
            row.iter_mut().zip(direction.unit()).for_each(|(x, d)| *x += (value * d) as f32);
        }
    }
    activations
}

/// Random places and years, independent of their names.
fn drawn() -> [Dataset; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut places = String::from("name,latitude,longitude\n");
    let mut years = String::from("name,year\n");
    for i in 0..400 {
        let (lat, lon): (f64, f64) = (rng.random_range(-80.0..80.0), rng.random_range(-170.0..170.0));
        places += &format!("place {i},{lat},{lon}\n");
        years += &format!("work {i},{}\n", rng.random_range(-500..2000));
    }
    [("places.csv", places), ("years.csv", years)]
        .map(|(name, text)| parse(Path::new(name), text.as_bytes()).unwrap())
}

#[test]
fn a_planted_direction_is_found_and_shuffled_targets_are_not() {
    let d_model = 24;
    for dataset in drawn() {
        let n_targets = dataset.kind.names().len();
        let scorer = Scorer::with_dataset_split(&dataset, "planted", "empty").unwrap();
        let scored =
            scorer.fit_and_score(HookPoint::ResidPost(0), planted(&dataset, d_model).view()).unwrap();
        let r2 = |method: &str, split: &str| -> Vec<f64> {
            let rows =
                scored.rows.iter().filter(|r| r.metric == "r2" && r.method == method && r.split == split);
            rows.map(|row| row.value).collect()
        };
        for split in ["test", "train", "leave-one-out"] {
            let scores = r2(RIDGE, split);
            assert_eq!(scores.len(), n_targets + 1, "each target and their mean");
            assert!(scores.iter().all(|r2| *r2 > 0.99), "{}: {split}: {scores:?}", dataset.name);
        }
        let shuffled = r2(SHUFFLED, "test");
        assert_eq!(shuffled.len(), n_targets + 1);
        assert!(shuffled.iter().all(|r2| *r2 < 0.15), "{}: {shuffled:?}", dataset.name);
        // The stream moves with a target along the planted direction, sign included.
        for (pattern, seed) in scored.stream.pattern.rows().into_iter().zip(0..) {
            let planted = UnitDirection::random(d_model, seed).unwrap();
            let along: f64 = pattern.iter().zip(planted.unit()).map(|(a, b)| a * b).sum();
            let cosine = along / pattern.dot(&pattern).sqrt();
            assert!(cosine > 0.98, "{}: target {seed}: cosine {cosine}", dataset.name);
        }
    }
}
