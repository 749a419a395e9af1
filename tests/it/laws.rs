//! Laws of steering, for each family: what moves, by how much, and what stays as it was to the bit.

use super::root;
use mappa::hook_point::HookPoint;
use mappa::model::{
    Both, Cache, Capture, Forest, Hook, Model, Precision, Sampling, Transformer, Untouched, generate,
};
use mappa::probes::Probe;
use mappa::steering::{Direction, Norm, Op, Positions, Steer, Where};
use ndarray::{Array1, Array2};

const CHECKPOINTS: [&str; 6] = ["llama", "gpt2", "gpt_neox", "gemma2", "olmo2", "falcon_7b"];
/// Token 0 of the text stands for BOS.
const TEXT: [u32; 7] = [0, 5, 9, 23, 2, 17, 11];
const N_SPECIAL: usize = 1;

/// The stream at every depth, `[n_tokens][d_model]` each, and the logits after it.
struct Pass {
    stream: Vec<Vec<Vec<f32>>>,
    logits: Vec<Vec<f32>>,
}

fn pass(model: &Transformer, ids: &[u32], hook: &mut dyn Hook) -> Pass {
    let points = HookPoint::stream(model.spec.n_layers);
    let mut capture = Capture::all(&points);
    let last = model.forward(&Forest::of_text(ids).unwrap(), None, &mut Both(hook, &mut capture)).unwrap();
    let stream = points.iter().map(|p| capture.get(*p).unwrap().to_vec2().unwrap()).collect();
    Pass { stream, logits: model.logits(&last).unwrap().to_vec2().unwrap() }
}

fn models() -> impl Iterator<Item = (&'static str, Transformer)> {
    let load =
        |name| Model::load_transformer(&root("tests/fixtures/models").join(name), Precision::F32).unwrap();
    CHECKPOINTS.into_iter().map(move |name| (name, load(name)))
}

/// A probe of two targets, seeded.
fn probe(d_model: usize) -> Probe {
    let rows = [1, 2].map(|seed| Direction::random(d_model, seed).unwrap().times(3.0 * seed as f64));
    let weights = Array2::from_shape_fn((2, d_model), |(t, i)| rows[t][i]);
    Probe { weights, bias: Array1::from_vec(vec![10.0, -4.0]), penalty: 1.0 }
}

fn read(probe: &Probe, row: &[f32]) -> Vec<f64> {
    probe.read(Array1::from_vec(widen(row)).view()).to_vec()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn widen(row: &[f32]) -> Vec<f64> {
    row.iter().map(|x| f64::from(*x)).collect()
}

/// The largest difference between two `[rows][columns]`.
fn apart(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    a.iter().flatten().zip(b.iter().flatten()).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

/// A push longer than the fixtures' rows, so that no effect hides in rounding.
fn push(d_model: usize) -> Vec<f64> {
    Direction::random(d_model, 3).unwrap().times(30.0)
}

fn everywhere() -> Positions {
    Positions::new(Where::All, TEXT.len(), N_SPECIAL)
}

fn all(op: Op, layer: usize) -> Steer {
    Steer::new(HookPoint::ResidPost(layer), op, Norm::Free, everywhere())
}

#[test]
fn dose_0_is_no_steering_to_the_bit() {
    for (name, model) in models() {
        let d_model = model.spec.d_model;
        let plain = pass(&model, &TEXT, &mut Untouched);
        let samplings = [Sampling::Greedy, Sampling::Random { temperature: 1.0, top_p: 0.9, seed: 4 }];
        for op in [
            Op::add(&Direction::random(d_model, 3).unwrap(), 0.0, 2.5),
            Op::shift(&probe(d_model), &[0.0, -0.0]).unwrap(),
        ] {
            for norm in [Norm::Free, Norm::Kept] {
                let mut steer = Steer::new(HookPoint::ResidPost(1), op.clone(), norm, everywhere());
                let steered = pass(&model, &TEXT, &mut steer);
                assert_eq!(steer.n_changed(), TEXT.len() - N_SPECIAL, "the hook was not reached");
                assert_eq!((&steered.stream, &steered.logits), (&plain.stream, &plain.logits), "{name}");
                for sampling in samplings {
                    let steered = generate(&model, &TEXT, (8, None), (sampling, &mut steer)).unwrap();
                    let plain = generate(&model, &TEXT, (8, None), (sampling, &mut Untouched)).unwrap();
                    assert_eq!(steered, plain, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_push_and_its_opposite_restore_the_stream() {
    for (name, model) in models() {
        let plain = pass(&model, &TEXT, &mut Untouched);
        let there = push(model.spec.d_model);
        let back: Vec<f64> = there.iter().map(|x| -x).collect();
        let (mut there, mut back) = (all(Op::Add(there), 0), all(Op::Add(back), 0));
        let moved = pass(&model, &TEXT, &mut there);
        let restored = pass(&model, &TEXT, &mut Both(&mut there, &mut back));
        for depth in 1..plain.stream.len() {
            assert!(apart(&moved.stream[depth], &plain.stream[depth]) > 0.1, "{name}: {depth} did not move");
            assert!(
                apart(&restored.stream[depth], &plain.stream[depth]) < 1e-5,
                "{name}: {depth} stayed away"
            );
        }
        assert!(apart(&restored.logits, &plain.logits) < 1e-5, "{name}");
    }
}

#[test]
fn each_layer_of_each_family_feels_the_push() {
    for (name, model) in models() {
        let plain = pass(&model, &TEXT, &mut Untouched);
        for l in 0..model.spec.n_layers {
            let steered = pass(&model, &TEXT, &mut all(Op::Add(push(model.spec.d_model)), l));
            let moved = apart(&steered.logits[N_SPECIAL..], &plain.logits[N_SPECIAL..]);
            assert!(moved > 0.01, "{name}: layer {l} moved the logits by {moved}");
        }
    }
}

#[test]
fn only_the_chosen_rows_from_the_chosen_layer_on_are_changed() {
    for (name, model) in models() {
        let plain = pass(&model, &TEXT, &mut Untouched);
        let (vector, first, end) = (push(model.spec.d_model), 3, 5);
        for l in 0..model.spec.n_layers {
            let op = Op::Add(vector.clone());
            let mut steer = Steer::new(HookPoint::ResidPost(l), op, Norm::Free, Positions::span(first..end));
            let steered = pass(&model, &TEXT, &mut steer);
            // Depth 0 is `embed`, so the stream after block `l` stands at `l + 1`.
            assert_eq!(steered.stream[..=l], plain.stream[..=l], "{name}: a stream before layer {l}");
            for (row, h) in plain.stream[l + 1].iter().enumerate() {
                let add = |(h, v): (&f32, &f64)| (f64::from(*h) + v) as f32;
                let moved: Vec<f32> = h.iter().zip(&vector).map(add).collect();
                let expected = if (first..end).contains(&row) { &moved } else { h };
                assert_eq!(&steered.stream[l + 1][row], expected, "{name}: layer {l}, row {row}");
            }
            for depth in l + 2..plain.stream.len() {
                let (after, before) = (&steered.stream[depth], &plain.stream[depth]);
                assert_eq!(after[..first], before[..first], "{name}: the past was changed");
                // What comes later reads the changed rows through attention.
                assert!(apart(&after[end..], &before[end..]) > 1e-4, "{name}: {depth}: later rows are blind");
            }
        }
    }
}

#[test]
fn set_makes_the_probe_read_the_target_there() {
    for (name, model) in models() {
        let (probe, target) = (probe(model.spec.d_model), [35.0, 139.0]);
        let before = pass(&model, &TEXT, &mut Untouched);
        let after = pass(&model, &TEXT, &mut all(Op::set(&probe, &target).unwrap(), 1));
        for row in N_SPECIAL..TEXT.len() {
            for (t, target) in target.iter().enumerate() {
                let (was, is) =
                    (read(&probe, &before.stream[2][row])[t], read(&probe, &after.stream[2][row])[t]);
                assert!((was - target).abs() > 1.0, "{name}: the probe read the target already");
                assert!((is - target).abs() < 1e-4, "{name}: row {row} reads {is} for {target}");
            }
        }
        assert_eq!(after.stream[2][0], before.stream[2][0], "{name}: BOS");
    }
}

#[test]
fn shift_moves_the_reading_by_delta_and_nothing_at_right_angles() {
    for (name, model) in models() {
        let (probe, deltas) = (probe(model.spec.d_model), [7.0, -20.0]);
        // An orthonormal basis of the probe's two rows, made here and not by the code under test.
        let (a, b) = (probe.weights.row(0).to_vec(), probe.weights.row(1).to_vec());
        let first = Direction::of(&a).unwrap();
        let along = dot(&b, first.unit());
        let rest: Vec<f64> = b.iter().zip(first.unit()).map(|(b, d)| b - along * d).collect();
        let basis = [first, Direction::of(&rest).unwrap()];
        let before = pass(&model, &TEXT, &mut Untouched);
        let after = pass(&model, &TEXT, &mut all(Op::shift(&probe, &deltas).unwrap(), 1));
        for row in N_SPECIAL..TEXT.len() {
            let (h, moved) = (&before.stream[2][row], &after.stream[2][row]);
            for (t, delta) in deltas.iter().enumerate() {
                let by = read(&probe, moved)[t] - read(&probe, h)[t];
                assert!((by - delta).abs() < 1e-4, "{name}: moved by {by} for {delta}");
            }
            let change: Vec<f64> = widen(moved).iter().zip(widen(h)).map(|(x, y)| x - y).collect();
            let inside: f64 = basis.iter().map(|d| dot(&change, d.unit()).powi(2)).sum();
            let total = dot(&change, &change);
            assert!(total > 1.0 && (total - inside).abs() < 1e-6 * total, "{name}: {inside} of {total}");
        }
    }
}

#[test]
fn remove_takes_what_lies_along_the_direction_and_nothing_else() {
    for (name, model) in models() {
        let direction = Direction::random(model.spec.d_model, 8).unwrap();
        let before = pass(&model, &TEXT, &mut Untouched);
        let after = pass(&model, &TEXT, &mut all(Op::Remove(direction.clone()), 1));
        let mut most = 0f64; // of the row, that lies along the direction
        for row in N_SPECIAL..TEXT.len() {
            let (h, left) = (widen(&before.stream[2][row]), widen(&after.stream[2][row]));
            let along = dot(&h, direction.unit());
            most = most.max(along.abs() / dot(&h, &h).sqrt());
            assert!(dot(&left, direction.unit()).abs() < 1e-6, "{name}: row {row}");
            let lost: Vec<f64> = h.iter().zip(&left).map(|(h, l)| h - l).collect();
            assert!((dot(&lost, &lost).sqrt() - along.abs()).abs() < 1e-5, "{name}: more was lost");
        }
        assert!(most > 0.05, "{name}: nothing lay along the direction");
    }
}

#[test]
fn a_kept_norm_is_kept_and_the_row_still_turns() {
    for (name, model) in models() {
        let op = Op::Add(push(model.spec.d_model));
        let mut steer = Steer::new(HookPoint::ResidPost(1), op, Norm::Kept, everywhere());
        let (before, after) = (pass(&model, &TEXT, &mut Untouched), pass(&model, &TEXT, &mut steer));
        for row in N_SPECIAL..TEXT.len() {
            let (h, turned) = (widen(&before.stream[2][row]), widen(&after.stream[2][row]));
            let (was, is) = (dot(&h, &h).sqrt(), dot(&turned, &turned).sqrt());
            assert!((is / was - 1.0).abs() < 1e-6, "{name}: {was} became {is}");
            assert!(dot(&h, &turned) / (was * is) < 0.95, "{name}: row {row} did not turn");
        }
    }
}

#[test]
fn steered_generation_is_the_same_with_and_without_a_cache() {
    for (name, model) in models() {
        let plain = generate(&model, &TEXT, (8, None), (Sampling::Greedy, &mut Untouched)).unwrap();
        // The last new token is never read again.
        let (prompt, new) = (TEXT.len() - N_SPECIAL, 7);
        for (at, n_changed) in
            [(Where::Prompt, prompt), (Where::Generated, new), (Where::All, prompt + new), (Where::Last, 1)]
        {
            let hook = || {
                let positions = Positions::new(at, TEXT.len(), N_SPECIAL);
                Steer::new(HookPoint::ResidPost(1), Op::Add(push(model.spec.d_model)), Norm::Free, positions)
            };
            let mut steer = hook();
            let cached = generate(&model, &TEXT, (8, None), (Sampling::Greedy, &mut steer)).unwrap();
            let mut ids = TEXT.to_vec();
            for step in 0..8 {
                let logits = pass(&model, &ids, &mut hook()).logits.pop().unwrap();
                if step == 0 {
                    let error =
                        apart(std::slice::from_ref(&logits), std::slice::from_ref(&cached.first_logits));
                    assert!(error < 1e-5, "{name}: {at:?}: {error}");
                }
                ids.push((0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32);
            }
            assert_eq!(cached.ids, ids, "{name}: {at:?}");
            assert_ne!(cached.ids, plain.ids, "{name}: {at:?}: steering changed nothing");
            assert_eq!(steer.n_changed(), n_changed, "{name}: {at:?}");
        }
    }
}

#[test]
fn a_hook_at_no_layer_says_that_it_changed_nothing() {
    let (_, model) = models().next().unwrap();
    let mut steer = all(Op::Add(push(model.spec.d_model)), 99);
    pass(&model, &TEXT, &mut steer);
    assert_eq!(steer.n_changed(), 0);
}

#[test]
fn a_hook_that_only_reads_does_not_change_what_is_generated() {
    for (name, model) in models() {
        let plain = generate(&model, &TEXT, (6, None), (Sampling::Greedy, &mut Untouched)).unwrap();
        let mut capture = Capture::all(&[HookPoint::ResidPost(0)]);
        let read = generate(&model, &TEXT, (6, None), (Sampling::Greedy, &mut capture)).unwrap();
        assert_eq!(read, plain, "{name}");
    }
}

#[test]
fn a_steered_forest_is_each_steered_text() {
    let texts = [vec![0, 5, 9, 23], vec![0, 5, 9, 2, 17], vec![0, 7]];
    let nodes: [&[usize]; 3] = [&[0, 1, 2, 3], &[0, 1, 2, 4, 5], &[0, 6]];
    for (name, model) in models() {
        let steer = || all(Op::Add(push(model.spec.d_model)), 1);
        let (forest, _) = Forest::of_texts(&texts).unwrap();
        let last = model.forward(&forest, Some(&mut Cache::default()), &mut steer()).unwrap();
        let logits: Vec<Vec<f32>> = model.logits(&last).unwrap().to_vec2().unwrap();
        for (text, nodes) in texts.iter().zip(nodes) {
            let alone = pass(&model, text, &mut steer()).logits;
            let ours: Vec<Vec<f32>> = nodes.iter().map(|n| logits[*n].clone()).collect();
            assert!(apart(&ours, &alone) < 1e-5, "{name}: {text:?}");
        }
    }
}
