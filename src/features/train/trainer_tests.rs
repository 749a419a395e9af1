//! Properties of training: planted directions are found, a resumed run equals an uninterrupted one, every row is used.

use super::*;
use crate::progress::Silent;
use ndarray::{Array2, Axis};
use rand_distr::{Distribution, StandardNormal, Uniform};

const D: usize = 24;

/// Planted directions, `[m, D]`, and rows that are a constant plus `k` of these directions with random lengths.
fn planted(n: usize, m: usize, k: usize) -> (Array2<f32>, Array2<f32>) {
    let mut rng = seeded(11, 0);
    let mut directions: Array2<f32> =
        Array2::from_shape_simple_fn((m, D), || StandardNormal.sample(&mut rng));
    for mut row in directions.axis_iter_mut(Axis(0)) {
        let row_length = row.dot(&row).sqrt();
        row /= row_length;
    }
    let (length, mut latents) = (Uniform::new(1.0f32, 2.0).unwrap(), (0..m).collect::<Vec<usize>>());
    let mut rows = Array2::from_elem((n, D), 0.7);
    for mut row in rows.axis_iter_mut(Axis(0)) {
        let (chosen, _) = latents.partial_shuffle(&mut rng, k);
        chosen.iter().for_each(|latent| row.scaled_add(length.sample(&mut rng), &directions.row(*latent)));
    }
    (directions, rows)
}

fn settings() -> TrainSettings {
    TrainSettings { n_epochs: 2, batch: 100, rate: 3e-3, dead_after: 1000, ..TrainSettings::of(D, 40, 3) }
}

fn run(trainer: &mut DictionaryTrainer, n: usize) -> Vec<StepStatistics> {
    (0..n).map_while(|_| trainer.step(&mut Silent).unwrap()).collect()
}

#[test]
fn planted_directions_are_found() {
    let (directions, rows) = planted(20_000, 40, 3);
    let source = rows.view();
    let settings = TrainSettings { d_sae: 64, n_epochs: 16, batch: 256, ..settings() };
    let mut trainer = DictionaryTrainer::begin(&source, settings, &mut Silent).unwrap();
    let last = run(&mut trainer, usize::MAX).pop().unwrap();
    let found = trainer.dictionary(HookPoint::ResidPost(0)).unwrap();
    found.check().unwrap();
    let cosines = directions.dot(&found.w_dec.t()); // [m, d_sae]
    let best: Vec<f32> = cosines.axis_iter(Axis(0)).map(|row| row.fold(-1f32, |a, b| a.max(*b))).collect();
    let mean = best.iter().sum::<f32>() / best.len() as f32;
    assert!(mean > 0.95 && last.fve > 0.9, "{mean} {last:?}");
    // Directions that were not planted are not found, so the check above can fail.
    let (others, _) = planted(1, 47, 1);
    let others = others.slice_move(ndarray::s![40.., ..]);
    assert!(others.dot(&found.w_dec.t()).axis_iter(Axis(0)).all(|row| row.iter().all(|c| *c < 0.9)));
}

#[test]
fn a_resumed_training_equals_an_uninterrupted_one_to_the_bit() {
    let (_, rows) = planted(10_000, 30, 3);
    let source = rows.view();
    // All rows in memory, and a third of them at a time.
    for memory in [usize::MAX, 4 * D * 4200] {
        let settings = TrainSettings { memory, dead_after: 300, ..settings() };
        let mut whole = DictionaryTrainer::begin(&source, settings.clone(), &mut Silent).unwrap();
        assert_eq!(whole.has_all_rows(), memory == usize::MAX);
        let steps = run(&mut whole, usize::MAX);
        assert!(steps.iter().any(|step| step.n_dead > 0), "the auxiliary loss was never needed");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let mut parts = DictionaryTrainer::begin(&source, settings.clone(), &mut Silent).unwrap();
        let mut again = run(&mut parts, 37);
        for n in [90, usize::MAX] {
            parts.save(&path).unwrap();
            parts = DictionaryTrainer::resume(&source, settings.clone(), &path).unwrap();
            again.extend(run(&mut parts, n));
        }
        assert_eq!(steps, again);
        assert!(parts.params == whole.params && parts.adam == whole.adam && parts.since == whole.since);
    }
}

#[test]
fn every_row_is_seen_once_an_epoch_for_any_number_in_memory() {
    let rows = Array2::from_shape_fn((9_001, 2), |(i, j)| (i * 2 + j) as f32);
    let source = rows.view();
    for memory in [usize::MAX, 8 * 4096, 1] {
        let settings = TrainSettings { memory, d_sae: 4, k: 1, ..settings() };
        let mut trainer = DictionaryTrainer::begin(&source, settings, &mut Silent).unwrap();
        let (mut seen, mut orders) = (Vec::new(), Vec::new());
        for (at, planned) in trainer.plan.clone().into_iter().enumerate() {
            trainer.load_portion(at, &mut Silent).unwrap();
            trainer.row_scale.factor = 1.0;
            let batches = planned.n_rows.div_ceil(100);
            let rows: Vec<f32> = (0..batches).flat_map(|batch| trainer.batch(batch)).collect();
            seen.extend(rows.chunks_exact(2).map(|row| row[0] as usize / 2));
            orders.push(trainer.portion.as_ref().unwrap().order.clone());
        }
        let (first, second) = seen.split_at(9_001);
        assert!(first != second, "both epochs have the same order");
        for epoch in [first, second] {
            let mut epoch = epoch.to_vec();
            epoch.sort_unstable();
            assert!(epoch.into_iter().eq(0..9_001), "memory {memory}");
        }
        assert!(orders.iter().all(|order| !order.is_sorted()));
    }
}

#[test]
fn a_checkpoint_of_other_settings_and_equal_rows_are_refused() {
    let (_, rows) = planted(500, 30, 3);
    let source = rows.view();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    DictionaryTrainer::begin(&source, settings(), &mut Silent).unwrap().save(&path).unwrap();
    let larger = TrainSettings { d_sae: 41, ..settings() };
    let error = DictionaryTrainer::resume(&source, larger, &path).err().unwrap().to_string();
    assert!(error.contains("checkpoint.safetensors") && error.contains("w_enc"), "{error}");
    std::fs::write(&path, b"cut off").unwrap();
    assert!(DictionaryTrainer::resume(&source, settings(), &path).is_err());
    let alike = Array2::<f32>::ones((50, 3));
    let error = DictionaryTrainer::begin(&alike.view(), settings(), &mut Silent).err().unwrap().to_string();
    assert!(error.contains("only equal rows"), "{error}");
}
