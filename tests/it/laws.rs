//! Properties of steering, for each family: the rows that change, by how much, and the rows that stay equal to the bit.
// long because: all laws run on the same families, with the same text and the same probe

use super::features::dictionary;
use super::root;
use mappa::features::SparseActivation;
use mappa::hook_point::HookPoint;
use mappa::model::{
    BlockPart, Callbacks, Capture, Chain, Continuation, Forest, Hook, KvCache, Model, NoHook, Param,
    ParamKind, Place, Precision, Prompts, Sampling, Spec, Transformer, Weight, generate, generate_each,
};
use mappa::probes::Probe;
use mappa::steering::{
    Norm, Op, SteerHook, SteerHooks, SteerTexts, TokenChoice, TokenPositions, UnitDirection,
};
use mappa::tokenizer::{Encoded, EncodedPrompt};
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
    let last = model.forward(&Forest::of_text(ids).unwrap(), None, &mut Chain(hook, &mut capture)).unwrap();
    let stream = points.iter().map(|p| capture.get(*p).unwrap().to_vec2().unwrap()).collect();
    Pass { stream, logits: model.logits(&last).unwrap().to_vec2().unwrap() }
}

fn models() -> impl Iterator<Item = (&'static str, Transformer)> {
    let load =
        |name| Model::load_transformer(&root("tests/fixtures/models").join(name), Precision::F32).unwrap();
    CHECKPOINTS.into_iter().map(move |name| (name, load(name)))
}

/// A random probe of two targets, from a seed.
fn probe(d_model: usize) -> Probe {
    let rows = [1, 2].map(|seed| UnitDirection::random(d_model, seed).unwrap().times(3.0 * seed as f64));
    let weights = Array2::from_shape_fn((2, d_model), |(t, i)| rows[t][i]);
    Probe { weights, bias: Array1::from_vec(vec![10.0, -4.0]), penalty: 1.0 }
}

fn read(probe: &Probe, row: &[f32]) -> Vec<f64> {
    probe.predict_one(Array1::from_vec(widen(row)).view()).to_vec()
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

/// A vector longer than the fixtures' rows, so that rounding hides no effect.
fn push(d_model: usize) -> Vec<f64> {
    UnitDirection::random(d_model, 3).unwrap().times(30.0)
}

fn positions(at: &TokenChoice) -> TokenPositions {
    let offsets = (0..TEXT.len()).map(|i| (i.saturating_sub(1), i)).collect();
    let text = "abcdef".to_string();
    let encoded = Encoded { ids: TEXT.to_vec(), offsets };
    TokenPositions::new(at, &EncodedPrompt { part: 0..text.len(), text, encoded }).unwrap()
}

fn everywhere() -> TokenPositions {
    positions(&TokenChoice::All)
}

fn at(spec: &Spec, op: Op, point: HookPoint) -> SteerHook {
    SteerHook::new(spec, point, op, everywhere()).unwrap()
}

fn all(spec: &Spec, op: Op, layer: usize) -> SteerHook {
    at(spec, op, HookPoint::ResidPost(layer))
}

fn greedy(model: &Transformer, hook: &mut dyn Hook) -> Vec<u32> {
    generate(model, &TEXT, &Continuation::greedy(8), hook).unwrap().ids
}

#[test]
fn dose_0_changes_no_bit() {
    for (name, model) in models() {
        let d_model = model.spec.d_model;
        let plain = pass(&model, &TEXT, &mut NoHook);
        let samplings = [Sampling::GREEDY, Sampling { top_p: 0.9, ..Sampling::at(1.0, 4) }];
        for op in [
            Op::add(&UnitDirection::random(d_model, 3).unwrap(), 0.0, 2.5),
            Op::shift(&probe(d_model), &[0.0, -0.0]).unwrap(),
        ] {
            for norm in [Norm::Free, Norm::Kept] {
                let what = (HookPoint::ResidPost(1), op.clone());
                let mut steer =
                    SteerHook::new(&model.spec, what.0, what.1, everywhere()).unwrap().with_norm(norm);
                let steered = pass(&model, &TEXT, &mut steer);
                assert_eq!(steer.n_changed(), TEXT.len() - N_SPECIAL, "the hook was not reached");
                assert_eq!((&steered.stream, &steered.logits), (&plain.stream, &plain.logits), "{name}");
                for sampling in samplings {
                    let plan = Continuation { sampling, ..Continuation::greedy(8) };
                    let steered = generate(&model, &TEXT, &plan, &mut steer).unwrap();
                    let plain = generate(&model, &TEXT, &plan, &mut NoHook).unwrap();
                    assert_eq!(steered, plain, "{name}");
                }
            }
        }
    }
}

#[test]
fn adding_and_subtracting_a_vector_restores_the_stream() {
    for (name, model) in models() {
        let plain = pass(&model, &TEXT, &mut NoHook);
        let there = push(model.spec.d_model);
        let back: Vec<f64> = there.iter().map(|x| -x).collect();
        let (mut there, mut back) = (all(&model.spec, Op::Add(there), 0), all(&model.spec, Op::Add(back), 0));
        let moved = pass(&model, &TEXT, &mut there);
        let restored = pass(&model, &TEXT, &mut Chain(&mut there, &mut back));
        for depth in 1..plain.stream.len() {
            assert!(apart(&moved.stream[depth], &plain.stream[depth]) > 0.1, "{name}: {depth} did not move");
            assert!(
                apart(&restored.stream[depth], &plain.stream[depth]) < 1e-5,
                "{name}: {depth} was not restored"
            );
        }
        assert!(apart(&restored.logits, &plain.logits) < 1e-5, "{name}");
    }
}

#[test]
fn steering_has_an_effect_in_each_layer_of_each_family() {
    for (name, model) in models() {
        let plain = pass(&model, &TEXT, &mut NoHook);
        for l in 0..model.spec.n_layers {
            let steered = pass(&model, &TEXT, &mut all(&model.spec, Op::Add(push(model.spec.d_model)), l));
            let moved = apart(&steered.logits[N_SPECIAL..], &plain.logits[N_SPECIAL..]);
            assert!(moved > 0.01, "{name}: layer {l} moved the logits by {moved}");
        }
    }
}

#[test]
fn only_the_chosen_rows_from_the_chosen_layer_on_are_changed() {
    for (name, model) in models() {
        let plain = pass(&model, &TEXT, &mut NoHook);
        let (vector, first, end) = (push(model.spec.d_model), 3, 5);
        for l in 0..model.spec.n_layers {
            let op = Op::Add(vector.clone());
            let what = (HookPoint::ResidPost(l), op);
            let mut steer =
                SteerHook::new(&model.spec, what.0, what.1, TokenPositions::span(first..end)).unwrap();
            let steered = pass(&model, &TEXT, &mut steer);
            // Depth 0 is `embed`, so the stream after block `l` has depth `l + 1`.
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
                // Later tokens read the changed rows through attention.
                assert!(
                    apart(&after[end..], &before[end..]) > 1e-4,
                    "{name}: {depth}: later rows do not see the change"
                );
            }
        }
    }
}

#[test]
fn after_set_the_probe_predicts_the_target() {
    for (name, model) in models() {
        let (probe, target) = (probe(model.spec.d_model), [35.0, 139.0]);
        let before = pass(&model, &TEXT, &mut NoHook);
        let after = pass(&model, &TEXT, &mut all(&model.spec, Op::set(&probe, &target).unwrap(), 1));
        for row in N_SPECIAL..TEXT.len() {
            for (t, target) in target.iter().enumerate() {
                let (was, is) =
                    (read(&probe, &before.stream[2][row])[t], read(&probe, &after.stream[2][row])[t]);
                assert!((was - target).abs() > 1.0, "{name}: the prediction was the target already");
                assert!((is - target).abs() < 1e-4, "{name}: row {row}: predicted {is}, expected {target}");
            }
        }
        assert_eq!(after.stream[2][0], before.stream[2][0], "{name}: BOS");
    }
}

#[test]
fn shift_moves_the_prediction_by_delta_and_nothing_orthogonal() {
    for (name, model) in models() {
        let (probe, deltas) = (probe(model.spec.d_model), [7.0, -20.0]);
        // An orthonormal basis of the probe's two rows, computed independently of the tested code.
        let (a, b) = (probe.weights.row(0).to_vec(), probe.weights.row(1).to_vec());
        let first = UnitDirection::of(&a).unwrap();
        let along = dot(&b, first.unit());
        let rest: Vec<f64> = b.iter().zip(first.unit()).map(|(b, d)| b - along * d).collect();
        let basis = [first, UnitDirection::of(&rest).unwrap()];
        let before = pass(&model, &TEXT, &mut NoHook);
        let after = pass(&model, &TEXT, &mut all(&model.spec, Op::shift(&probe, &deltas).unwrap(), 1));
        for row in N_SPECIAL..TEXT.len() {
            let (h, moved) = (&before.stream[2][row], &after.stream[2][row]);
            for (t, delta) in deltas.iter().enumerate() {
                let by = read(&probe, moved)[t] - read(&probe, h)[t];
                assert!((by - delta).abs() < 1e-4, "{name}: moved by {by}, expected {delta}");
            }
            let change: Vec<f64> = widen(moved).iter().zip(widen(h)).map(|(x, y)| x - y).collect();
            let inside: f64 = basis.iter().map(|d| dot(&change, d.unit()).powi(2)).sum();
            let total = dot(&change, &change);
            assert!(total > 1.0 && (total - inside).abs() < 1e-6 * total, "{name}: {inside} of {total}");
        }
    }
}

#[test]
fn remove_takes_the_component_along_the_direction_and_nothing_else() {
    for (name, model) in models() {
        let direction = UnitDirection::random(model.spec.d_model, 8).unwrap();
        let before = pass(&model, &TEXT, &mut NoHook);
        let after = pass(&model, &TEXT, &mut all(&model.spec, Op::Remove(direction.clone()), 1));
        let mut most = 0f64; // largest component along the direction
        for row in N_SPECIAL..TEXT.len() {
            let (h, left) = (widen(&before.stream[2][row]), widen(&after.stream[2][row]));
            let along = dot(&h, direction.unit());
            most = most.max(along.abs() / dot(&h, &h).sqrt());
            assert!(dot(&left, direction.unit()).abs() < 1e-6, "{name}: row {row}");
            let lost: Vec<f64> = h.iter().zip(&left).map(|(h, l)| h - l).collect();
            assert!((dot(&lost, &lost).sqrt() - along.abs()).abs() < 1e-5, "{name}: more was lost");
        }
        assert!(most > 0.05, "{name}: no row had a component along the direction");
    }
}

#[test]
fn with_keep_norm_the_row_rotates() {
    for (name, model) in models() {
        let op = Op::Add(push(model.spec.d_model));
        let what = (HookPoint::ResidPost(1), op);
        let mut steer =
            SteerHook::new(&model.spec, what.0, what.1, everywhere()).unwrap().with_norm(Norm::Kept);
        let (before, after) = (pass(&model, &TEXT, &mut NoHook), pass(&model, &TEXT, &mut steer));
        for row in N_SPECIAL..TEXT.len() {
            let (h, turned) = (widen(&before.stream[2][row]), widen(&after.stream[2][row]));
            let (was, is) = (dot(&h, &h).sqrt(), dot(&turned, &turned).sqrt());
            assert!((is / was - 1.0).abs() < 1e-6, "{name}: {was} became {is}");
            assert!(dot(&h, &turned) / (was * is) < 0.95, "{name}: row {row} did not turn");
        }
    }
}

/// The most probable tokens and their logits, with a whole pass per token.
fn without_cache(model: &Transformer, hook: impl Fn() -> SteerHook) -> (Vec<u32>, Vec<Vec<f32>>) {
    let (mut ids, mut chosen_by) = (TEXT.to_vec(), vec![]);
    for _ in 0..8 {
        let logits = pass(model, &ids, &mut hook()).logits.pop().unwrap();
        ids.push((0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32);
        chosen_by.push(logits);
    }
    (ids, chosen_by)
}

/// The logits after each of the tokens, one token per pass, with a cache.
fn with_cache(model: &Transformer, ids: &[u32], hook: &mut dyn Hook) -> Vec<Vec<f32>> {
    let mut forest = Forest::of_text(&ids[..TEXT.len()]).unwrap();
    let mut cache = KvCache::default();
    let mut all = vec![];
    for next in &ids[TEXT.len()..] {
        let stream = model.forward(&forest, Some(&mut cache), hook).unwrap();
        all.push(model.logits(&stream).unwrap().to_vec2::<f32>().unwrap().pop().unwrap());
        forest.grow(*next);
    }
    all
}

#[test]
fn steered_generation_is_the_same_with_and_without_a_cache() {
    for (name, model) in models() {
        let plain = greedy(&model, &mut NoHook);
        // The last new token is never an input.
        let (prompt, new) = (TEXT.len() - N_SPECIAL, 7);
        let span = TokenChoice::Span("cd".into());
        for (place, n_changed) in [
            (TokenChoice::Prompt, prompt),
            (TokenChoice::Generated, new),
            (TokenChoice::All, prompt + new),
            (TokenChoice::Last, 1),
            (TokenChoice::Bos, 1),
            (span, 2),
            (
                TokenChoice::Several(vec![TokenChoice::Last, TokenChoice::Generated, TokenChoice::Last]),
                1 + new,
            ),
        ] {
            let hook = || {
                let what = (HookPoint::ResidPost(1), Op::Add(push(model.spec.d_model)));
                SteerHook::new(&model.spec, what.0, what.1, positions(&place)).unwrap()
            };
            let mut steer = hook();
            let cached = greedy(&model, &mut steer);
            assert_eq!(steer.n_changed(), n_changed, "{name}: {place:?}");
            let (ids, logits) = without_cache(&model, hook);
            assert_eq!(cached, ids, "{name}: {place:?}");
            // A change at an early token may not change the best token.
            let may_be_equal = matches!(place, TokenChoice::Bos | TokenChoice::Span(_));
            assert!(may_be_equal || cached != plain, "{name}: {place:?}: steering changed nothing");
            let error = apart(&with_cache(&model, &ids, &mut hook()), &logits);
            assert!(error < 1e-5, "{name}: {place:?}: {error}");
        }
    }
}

/// Every hook point of a model.
fn points(spec: &Spec) -> impl Iterator<Item = HookPoint> {
    HookPoint::all(spec.n_layers).into_iter().filter(|point| spec.width_at(*point).is_some())
}

#[test]
fn every_op_acts_at_every_hook_point_of_each_family() {
    for (name, model) in models() {
        let plain = pass(&model, &TEXT, &mut NoHook);
        for point in points(&model.spec) {
            let width = model.spec.width_at(point).unwrap();
            let direction = UnitDirection::random(width, 3).unwrap();
            let unit = dictionary(point, width, SparseActivation::Relu);
            for (what, op) in [
                ("add", Op::Add(push(width))),
                ("shift", Op::shift(&probe(width), &[40.0, -70.0]).unwrap()),
                ("set", Op::set(&probe(width), &[90.0, 70.0]).unwrap()),
                ("remove", Op::Remove(direction.clone())),
                ("clamp", Op::clamp(&unit, 2, 90.0).unwrap()),
            ] {
                for norm in [Norm::Free, Norm::Kept] {
                    let mut steer =
                        SteerHook::new(&model.spec, point, op.clone(), everywhere()).unwrap().with_norm(norm);
                    let steered = pass(&model, &TEXT, &mut steer);
                    assert_eq!(steer.n_changed(), TEXT.len() - N_SPECIAL, "{name}: {point}");
                    let moved = apart(&steered.logits[N_SPECIAL..], &plain.logits[N_SPECIAL..]);
                    assert!(moved > 1e-6, "{name}: {what} at {point} moved the logits by {moved}");
                    assert_eq!(steered.logits[0], plain.logits[0], "{name}: BOS at {point}");
                }
            }
        }
    }
}

#[test]
fn set_at_every_hook_point_makes_the_prediction_the_target() {
    for (name, model) in models() {
        for point in points(&model.spec) {
            let (probe, target) = (probe(model.spec.width_at(point).unwrap()), [35.0, -139.0]);
            let mut steer = at(&model.spec, Op::set(&probe, &target).unwrap(), point);
            let mut capture = Capture::all(&[point]);
            let forest = Forest::of_text(&TEXT).unwrap();
            model.forward(&forest, None, &mut Chain(&mut steer, &mut capture)).unwrap();
            let rows: Vec<Vec<f32>> = capture.get(point).unwrap().to_vec2().unwrap();
            for row in &rows[N_SPECIAL..] {
                for (is, target) in read(&probe, row).iter().zip(target) {
                    assert!((is - target).abs() < 1e-3, "{name}: {point}: predicted {is}, expected {target}");
                }
            }
        }
    }
}

#[test]
fn unsupported_hook_points_are_refused_and_never_ignored() {
    for (name, model) in models() {
        let spec = &model.spec;
        let refuse = |point, op| SteerHook::new(spec, point, op, everywhere()).unwrap_err().to_string();
        let vector = || Op::Add(push(spec.d_model));
        let error = refuse(HookPoint::ResidPost(spec.n_layers), vector());
        assert!(error.contains(&format!("0 to {}", spec.n_layers - 1)), "{name}: {error}");
        if !spec.block.has_resid_mid() {
            let error = refuse(HookPoint::ResidMid(0), vector());
            assert!(error.contains("hook_resid_mid") && error.contains(spec.family), "{name}: {error}");
        }
        let error = refuse(HookPoint::MlpPost(0), Op::Add(vec![1.0; spec.d_mlp + 1]));
        assert!(error.contains(&(spec.d_mlp + 1).to_string()), "{name}: {error}");
        let error = refuse(HookPoint::ResidPost(0), Op::set(&probe(spec.d_model + 2), &[1.0, 2.0]).unwrap());
        assert!(error.contains(&format!("{} values", spec.d_model + 2)), "{name}: {error}");
        let mut vector = push(spec.d_model);
        vector[1] = f64::NAN;
        assert!(refuse(HookPoint::ResidPost(0), Op::Add(vector)).contains("NaN"), "{name}");
    }
    let (_, model) = models().find(|(name, _)| *name == "gpt_neox").unwrap();
    assert!(!model.spec.block.has_resid_mid(), "no model without hook_resid_mid was tested");
}

#[test]
fn several_changes_at_several_layers_act_together() {
    for (name, model) in models() {
        let spec = &model.spec;
        let op = |seed, length| Op::Add(UnitDirection::random(spec.d_model, seed).unwrap().times(length));
        let mut together =
            SteerHooks(vec![all(spec, op(1, 9.0), 0), all(spec, op(2, 7.0), 1), all(spec, op(3, 5.0), 1)]);
        let both: Vec<f64> = UnitDirection::random(spec.d_model, 2).unwrap().times(7.0);
        let both =
            both.iter().zip(UnitDirection::random(spec.d_model, 3).unwrap().times(5.0)).map(|(a, b)| a + b);
        let (mut first, mut second) = (all(spec, op(1, 9.0), 0), all(spec, Op::Add(both.collect()), 1));
        let ours = pass(&model, &TEXT, &mut together);
        let theirs = pass(&model, &TEXT, &mut Chain(&mut first, &mut second));
        assert!(apart(&ours.logits, &theirs.logits) < 1e-4, "{name}");
        assert_eq!(together.n_changed(), 3 * (TEXT.len() - N_SPECIAL));
    }
}

/// A model like the fixtures with biases at its outputs; optionally with a vector added to one of them.
fn biased(at: Option<(usize, &[f64])>) -> Transformer {
    let folder = root("tests/fixtures/models/gpt2");
    let spec = Model::load_transformer(&folder, Precision::F32).unwrap().spec;
    let mut rng = 1u64;
    let mut draw = move || {
        rng = rng.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((rng >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.6
    };
    Transformer::new(spec, &mut |param: Param, shape: &[usize]| {
        let mut values: Vec<f32> = (0..shape.iter().product()).map(|_| draw()).collect();
        if let Some((l, vector)) = at
            && param == (Param { place: Place::Block(l, BlockPart::Down), kind: ParamKind::Bias })
        {
            values.iter_mut().zip(vector).for_each(|(x, v)| *x += *v as f32);
        }
        Ok(Weight::Dense(candle_core::Tensor::from_vec(values, shape, &candle_core::Device::Cpu)?))
    })
    .unwrap()
}

#[test]
fn adding_a_vector_equals_adding_it_to_the_bias_of_the_blocks_output() {
    let model = biased(None);
    for l in 0..model.spec.n_layers {
        let vector = push(model.spec.d_model);
        let all_positions = TokenPositions::span(0..usize::MAX);
        let what = (HookPoint::ResidPost(l), Op::Add(vector.clone()));
        let mut steer = SteerHook::new(&model.spec, what.0, what.1, all_positions).unwrap();
        let steered = pass(&model, &TEXT, &mut steer);
        let written = pass(&biased(Some((l, &vector))), &TEXT, &mut NoHook);
        let plain = pass(&model, &TEXT, &mut NoHook);
        assert!(apart(&steered.logits, &plain.logits) > 0.1);
        assert!(apart(&steered.logits, &written.logits) < 1e-4, "layer {l}");
    }
}

#[test]
fn a_hook_that_only_reads_does_not_change_the_generated_text() {
    for (name, model) in models() {
        let mut capture = Capture::all(&[HookPoint::ResidPost(0)]);
        assert_eq!(greedy(&model, &mut capture), greedy(&model, &mut NoHook), "{name}");
    }
}

#[test]
fn texts_generated_together_equal_each_generated_alone() {
    let texts = [vec![0, 5, 9, 23], vec![0, 5, 9], vec![0, 5, 9, 23], vec![0, 7]];
    for (name, model) in models() {
        for sampling in [Sampling::GREEDY, Sampling { top_k: Some(9), ..Sampling::at(0.8, 3) }] {
            let plan = Continuation { sampling, ..Continuation::greedy(6) };
            let (forest, last) = Forest::of_texts(&texts).unwrap();
            let callbacks = Callbacks { hook: &mut NoHook, on_token: None };
            let ours = generate_each(&model, Prompts { forest, last }, &plan, callbacks).unwrap();
            let alone = generate(&model, &texts[0], &plan, &mut NoHook).unwrap();
            assert_eq!(ours[0].ids, alone.ids, "{name}");
            assert_eq!((ours[1].n_prompt, ours[1].ids.len()), (3, 9));
            if sampling == Sampling::GREEDY {
                assert_eq!(ours[0].ids, ours[2].ids, "{name}");
                let third = generate(&model, &texts[3], &plan, &mut NoHook).unwrap();
                assert_eq!(ours[3].ids, third.ids, "{name}");
            } else {
                assert_ne!(ours[0].ids, ours[2].ids, "{name}: two samples are equal");
            }
        }
    }
}

#[test]
fn steering_one_text_of_a_forest_changes_no_bit_of_the_others() {
    let texts = vec![vec![0, 5, 9, 23], vec![0, 5, 9, 2, 17], vec![0, 7]];
    for (name, model) in models() {
        let (forest, last) = Forest::of_chains(&texts).unwrap();
        let run = |of_text: Vec<Vec<SteerHook>>| -> Vec<Vec<f32>> {
            let stream = model.forward(&forest, None, &mut SteerTexts::new(of_text)).unwrap();
            model.logits(&stream).unwrap().to_vec2().unwrap()
        };
        let steer = || vec![all(&model.spec, Op::Add(push(model.spec.d_model)), 1)];
        let plain = run(vec![vec![], vec![], vec![]]);
        let one = run(vec![vec![], steer(), vec![]]);
        let of_text = |i: usize| if i == 0 { 0 } else { last[i - 1] as usize + 1 }..last[i] as usize + 1;
        assert_eq!((&one[of_text(0)], &one[of_text(2)]), (&plain[of_text(0)], &plain[of_text(2)]), "{name}");
        assert!(apart(&one[of_text(1)], &plain[of_text(1)]) > 0.01, "{name}");
        // The steered text equals the same text alone.
        let alone = pass(&model, &texts[1], &mut steer()[0]).logits;
        assert!(apart(&one[of_text(1)], &alone) < 1e-5, "{name}");
        // With a cache, each continues independently.
        let plan = Continuation::greedy(6);
        let mut hook = SteerTexts::new(vec![vec![], steer(), vec![]]);
        let prompts = Prompts { forest: forest.clone(), last };
        let callbacks = Callbacks { hook: &mut hook, on_token: None };
        let ours = generate_each(&model, prompts, &plan, callbacks).unwrap();
        let alone = generate(&model, &texts[1], &plan, &mut steer()[0]).unwrap();
        assert_eq!(ours[1].ids, alone.ids, "{name}");
        let other = generate(&model, &texts[2], &plan, &mut NoHook).unwrap();
        assert_eq!(ours[2].ids, other.ids, "{name}");
    }
}

#[test]
fn a_steered_forest_equals_each_steered_text() {
    let texts = [vec![0, 5, 9, 23], vec![0, 5, 9, 2, 17], vec![0, 7]];
    let nodes: [&[usize]; 3] = [&[0, 1, 2, 3], &[0, 1, 2, 4, 5], &[0, 6]];
    for (name, model) in models() {
        let steer = || all(&model.spec, Op::Add(push(model.spec.d_model)), 1);
        let (forest, _) = Forest::of_texts(&texts).unwrap();
        let last = model.forward(&forest, Some(&mut KvCache::default()), &mut steer()).unwrap();
        let logits: Vec<Vec<f32>> = model.logits(&last).unwrap().to_vec2().unwrap();
        for (text, nodes) in texts.iter().zip(nodes) {
            let alone = pass(&model, text, &mut steer()).logits;
            let ours: Vec<Vec<f32>> = nodes.iter().map(|n| logits[*n].clone()).collect();
            assert!(apart(&ours, &alone) < 1e-5, "{name}: {text:?}");
        }
    }
}
