//! Properties of training: results depend only on the seed, a resumed run equals the uninterrupted one, the loss falls.

use super::tiny_spec;
use candle_core::Tensor;
use mappa::datasets::{Dataset, bundled};
use mappa::tokenizer::Tokenizer;
use mappa::training::{Corpus, ModelTrainer, TrainingSettings, train_tokenizer};
use std::path::Path;

/// The tokens of each text of each stanza.
type Stanzas = Vec<Vec<Vec<u32>>>;

const D_VOCAB: usize = 320;
const SETTINGS: TrainingSettings =
    TrainingSettings { batch_nodes: 400, rate: 1e-2, warm_up: 4, seed: 7, n_shards: 2 };

/// Sentences about sixty places of New York.
fn stanzas() -> Stanzas {
    let whole = bundled("nyc_place").unwrap();
    let entities = whole.entities.iter().take(60).cloned().collect();
    let datasets = [Dataset { entities, ..whole }];
    let corpus = Corpus::new(&datasets, 3);
    let json = train_tokenizer(&corpus.vocabulary_sample(), D_VOCAB).unwrap();
    let tokenizer = Tokenizer::parse(Path::new("tokenizer.json"), &json).unwrap();
    assert_eq!(tokenizer.len(), D_VOCAB);
    let tokens =
        |stanza: &Vec<String>| stanza.iter().map(|line| tokenizer.encode(line).unwrap().ids).collect();
    corpus.stanzas(12).unwrap().iter().map(tokens).collect()
}

fn trainer(stanzas: Stanzas, settings: TrainingSettings) -> ModelTrainer {
    ModelTrainer::new(tiny_spec(D_VOCAB), stanzas, settings).unwrap()
}

/// Takes up to `n` steps and returns their losses.
fn run(trainer: &mut ModelTrainer, n: usize) -> Vec<f32> {
    (0..n).map_while(|_| trainer.step().unwrap()).map(|progress| progress.loss).collect()
}

fn bits(trainer: &ModelTrainer) -> Vec<u32> {
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    trainer.parameters().unwrap().iter().flat_map(|(_, t)| values(t)).map(f32::to_bits).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_does_not() {
    let stanzas = stanzas();
    let trained = |seed| {
        let mut trainer = trainer(stanzas.clone(), TrainingSettings { seed, ..SETTINGS });
        assert_eq!(run(&mut trainer, 6).len(), 6);
        bits(&trainer)
    };
    let once = trained(7);
    assert!(once == trained(7), "the same seed gave other weights");
    assert!(once != trained(8), "another seed gave the same weights");
}

#[test]
fn a_resumed_run_equals_the_uninterrupted_one_bit_by_bit() {
    let (stanzas, folder) = (stanzas(), tempfile::tempdir().unwrap());
    let path = folder.path().join("checkpoint.safetensors");
    let mut whole = trainer(stanzas.clone(), SETTINGS);
    run(&mut whole, 4);
    whole.save(&path).unwrap();
    let before = bits(&whole);
    let losses = run(&mut whole, 5);
    let mut resumed = trainer(stanzas, TrainingSettings { seed: 99, ..SETTINGS });
    assert!(bits(&resumed) != before);
    resumed.resume(&path).unwrap();
    assert_eq!(resumed.steps().0, 4);
    assert!(bits(&resumed) == before, "the checkpoint was not restored");
    assert_eq!(run(&mut resumed, 5), losses);
    assert!(bits(&resumed) == bits(&whole), "the resumed run has other weights");
}

#[test]
fn a_checkpoint_of_another_shape_or_a_truncated_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let text = vec![vec![vec![0, 1, 2]]];
    ModelTrainer::new(tiny_spec(9), text.clone(), SETTINGS).unwrap().save(&path).unwrap();
    let resume = |d_vocab| {
        let mut trainer = ModelTrainer::new(tiny_spec(d_vocab), text.clone(), SETTINGS).unwrap();
        trainer.resume(&path).map_err(|e| e.to_string())
    };
    resume(9).unwrap();
    let message = resume(10).unwrap_err();
    assert!(
        message.contains("checkpoint.safetensors") && message.contains("move the file away"),
        "{message}"
    );
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let message = resume(9).unwrap_err();
    assert!(
        message.contains("checkpoint.safetensors") && message.contains("move the file away"),
        "{message}"
    );
}

#[test]
fn the_loss_begins_at_chance_and_falls() {
    let mut trainer = trainer(stanzas(), SETTINGS);
    let losses = run(&mut trainer, usize::MAX);
    assert_eq!(losses.len(), trainer.steps().1);
    assert!(losses.len() > 20, "{} steps are too few to fall", losses.len());
    let chance = (D_VOCAB as f32).ln();
    assert!((losses[0] - chance).abs() < 0.3, "first {} against chance {chance}", losses[0]);
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let (first, last) = (mean(&losses[..5]), mean(&losses[losses.len() - 5..]));
    assert!(last < first - 1.0, "from {first} to {last}");
    assert!(trainer.step().unwrap().is_none(), "a step after the last batch");
}

#[test]
fn the_number_of_shards_does_not_change_the_step() {
    // Texts that differ at their second token share no edge, so every division has the same number of edges.
    let text = |i: u32| (0..12).map(|t| if t == 0 { 0 } else { (i * 31 + t * t * 7) % 300 + 1 }).collect();
    let stanzas: Stanzas = (0..40).map(|s| (0..4).map(|i| text(4 * s + i)).collect()).collect();
    let trained = |n_shards| {
        let mut trainer = trainer(stanzas.clone(), TrainingSettings { n_shards, ..SETTINGS });
        let losses = run(&mut trainer, 3);
        let values: Vec<f32> = bits(&trainer).into_iter().map(f32::from_bits).collect();
        (losses, values)
    };
    let one = trained(1);
    for other in [trained(2), trained(3)] {
        assert_eq!(other.0.len(), 3);
        for (a, b) in one.0.iter().zip(&other.0) {
            assert!((a - b).abs() < 1e-4, "losses {a} and {b}");
        }
        let apart = one.1.iter().zip(&other.1).map(|(a, b)| (a - b).abs()).sum::<f32>() / one.1.len() as f32;
        assert!(apart < 1e-5, "weights differ by {apart} on average");
    }
}
