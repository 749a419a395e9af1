//! Many texts of few tokens: deduplicated rows, and cached outputs of block 0, change no result.

use super::families::checkpoints;
use super::root;
use candle_core::Tensor;
use mappa::hook_point::HookPoint;
use mappa::model::{
    AttentionDirection, BlockKind, Capture, Forest, Model, NoHook, PositionEmbedding, Precision, Spec,
    Transformer,
};
use mappa::steering::{self, Op, SteerHook, SteerTexts, TokenPositions};
use std::collections::BTreeSet;

/// Enough rows for deduplication, with seven distinct tokens.
const N_TEXTS: usize = 40;
/// The same limit as in other comparisons of a forest with each text alone.
const TOLERANCE: f32 = 5e-5;

fn texts() -> Vec<Vec<u32>> {
    let token = |text: usize, at: usize| 3 + ((text * 5 + at * 11 + text * at) % 7) as u32;
    (0..N_TEXTS).map(|text| (0..2 + text % 4).map(|at| token(text, at)).collect()).collect()
}

fn model(checkpoint: &str) -> Transformer {
    Model::load_transformer(&root("tests/fixtures/models").join(checkpoint), Precision::F32).unwrap()
}

fn points(spec: &Spec) -> Vec<HookPoint> {
    HookPoint::all(spec.n_layers).into_iter().filter(|point| spec.width_at(*point).is_some()).collect()
}

fn worst(a: &Tensor, b: &Tensor) -> f32 {
    let most = |x: &Tensor| x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    most(&(a - b).unwrap()) / most(b).max(1e-6)
}

#[test]
fn many_texts_at_once_equal_each_text_alone_at_every_hook_point() {
    let mut worst_of_all = 0f32;
    for name in checkpoints() {
        let model = model(&name);
        let points = points(&model.spec);
        let (forest, _) = Forest::of_chains(&texts()).unwrap();
        let mut together = Capture::all(&points);
        model.forward(&forest, None, &mut together).unwrap();
        let mut first = 0;
        for text in texts() {
            let mut alone = Capture::all(&points);
            model
                .forward(&Forest::of_chains(std::slice::from_ref(&text)).unwrap().0, None, &mut alone)
                .unwrap();
            for &point in &points {
                let ours = together.get(point).unwrap().narrow(0, first, text.len()).unwrap();
                let error = worst(&ours, alone.get(point).unwrap());
                assert!(error < TOLERANCE, "{name}: {point} of {text:?}: error {error}");
                worst_of_all = worst_of_all.max(error);
            }
            first += text.len();
        }
    }
    println!("largest difference from each text alone: {worst_of_all:.1e}");
}

#[test]
fn steering_one_text_in_block_0_changes_no_equal_row_of_another() {
    for name in checkpoints() {
        let model = model(&name);
        if model.spec.attention.direction == AttentionDirection::Bidirectional {
            continue; // an encoder is not steered
        }
        let (forest, last) = Forest::of_chains(&texts()).unwrap();
        let run = |of_text: Vec<Vec<SteerHook>>| {
            let stream = model.forward(&forest, None, &mut SteerTexts::new(of_text)).unwrap();
            stream.to_vec2::<f32>().unwrap()
        };
        let plain = run(vec![vec![]; N_TEXTS]);
        for point in points(&model.spec).into_iter().filter(|point| point.layer() == 0) {
            let width = model.spec.width_at(point).unwrap();
            let push = steering::UnitDirection::random(width, 3).unwrap().times(30.0);
            let op = (point, Op::Add(push));
            let steer = SteerHook::new(&model.spec, op.0, op.1, TokenPositions::span(0..usize::MAX)).unwrap();
            let mut of_text = vec![vec![]; N_TEXTS];
            of_text[1] = vec![steer];
            let steered = run(of_text);
            let own: BTreeSet<usize> = (last[0] as usize + 1..=last[1] as usize).collect();
            for (row, (steered, plain)) in steered.iter().zip(&plain).enumerate() {
                assert_eq!(steered != plain, own.contains(&row), "{name}: row {row}, steered at {point}");
            }
        }
    }
}

/// Texts of many distinct tokens.
fn many(d_vocab: usize) -> Vec<Vec<u32>> {
    let token = |text: usize, at: usize| ((text * 7 + at * 31) % (d_vocab - 1)) as u32;
    (0..d_vocab).map(|text| (0..1 + text % 4).map(|at| token(text, at)).collect()).collect()
}

fn bits(of: &Tensor) -> Vec<u32> {
    of.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn cached_outputs_of_block_0_change_no_bit() {
    let mut n_known = 0;
    for name in checkpoints() {
        let model = model(&name);
        let spec = &model.spec;
        let known = many(spec.d_vocab);
        let first = model.token_cache(known.iter().flatten().copied()).unwrap();
        let may =
            spec.block != BlockKind::Sequential && spec.embedding.positions == PositionEmbedding::Nothing;
        assert_eq!(first.is_some(), may, "{name}");
        let Some(first) = first else { continue };
        n_known += 1;
        let without_neurons: Vec<HookPoint> =
            points(spec).into_iter().filter(|point| *point != HookPoint::MlpPost(0)).collect();
        let mut with_unknown = known.clone();
        with_unknown[5].push(spec.d_vocab as u32 - 1);
        for (points, texts) in
            [(&without_neurons, &known), (&points(spec), &known), (&without_neurons, &with_unknown)]
        {
            let (forest, _) = model.forest(texts).unwrap();
            let (mut plain, mut knowing) = (Capture::all(points), Capture::all(points));
            model.forward(&forest, None, &mut plain).unwrap();
            model.forward_with_cache(&forest, Some(&first), &mut knowing).unwrap();
            for &point in points {
                let same = bits(plain.get(point).unwrap()) == bits(knowing.get(point).unwrap());
                assert!(same, "{name}: {point}");
            }
        }
        let (forest, _) = model.forest(&known).unwrap();
        let push = steering::UnitDirection::random(spec.d_model, 3).unwrap().times(30.0);
        let op = (HookPoint::ResidPre(0), Op::Add(push));
        let steer = SteerHook::new(spec, op.0, op.1, TokenPositions::span(0..usize::MAX)).unwrap();
        let plain = model.forward(&forest, None, &mut steer.clone()).unwrap();
        let knowing = model.forward_with_cache(&forest, Some(&first), &mut steer.clone()).unwrap();
        let quiet = model.forward_with_cache(&forest, Some(&first), &mut NoHook).unwrap();
        assert!(bits(&plain) == bits(&knowing) && bits(&plain) != bits(&quiet), "{name}");
    }
    assert!(n_known >= 4, "{n_known} models whose block 0 depends on the token alone");
}
