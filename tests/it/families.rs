//! Each family against transformers, at every layer and the logits (fixtures: tests/fixtures/models/make.py).

use super::root;
use candle_core::{Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::{Cache, Capture, Forest, Model, Precision, Transformer, Untouched};
use std::collections::HashMap;

/// Largest difference allowed, relative to the reference's largest value. Measured: at most 1.1e-6.
const TOLERANCE: f32 = 5e-5;

const CHECKPOINTS: [&str; 6] =
    ["gpt2", "gpt2_gelu_untied", "gpt_neox", "gpt_neox_sequential", "llama", "llama_biased_tied"];

struct Reference {
    model: Transformer,
    tensors: HashMap<String, Tensor>,
    texts: Vec<Vec<u32>>,
}

impl Reference {
    fn open(checkpoint: &str) -> Reference {
        let folder = root("tests/fixtures/models").join(checkpoint);
        let tensors =
            candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu).unwrap();
        let texts = (0..)
            .map_while(|i| tensors.get(&format!("{i}.ids")))
            .map(|ids| ids.to_vec1::<i64>().unwrap().into_iter().map(|id| id as u32).collect())
            .collect();
        Reference { model: Model::load_transformer(&folder, Precision::F32).unwrap(), tensors, texts }
    }

    /// What transformers has for `ResidPre(0)` and each `ResidPost`.
    fn stream(&self, text: usize, from: &str) -> Vec<Tensor> {
        let all = &self.tensors[&format!("{text}.{from}")];
        let n = all.dim(0).unwrap();
        let mut stream: Vec<Tensor> = (0..n - 1).map(|l| all.get(l).unwrap()).collect();
        stream.push(self.tensors[&format!("{text}.before_final_norm")].clone());
        stream
    }
}

fn relative(ours: &Tensor, theirs: &Tensor) -> f32 {
    let scalar = |t: Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    scalar((ours - theirs).unwrap()) / scalar(theirs.clone())
}

#[test]
fn every_layer_and_the_logits_equal_transformers() {
    for checkpoint in CHECKPOINTS {
        let reference = Reference::open(checkpoint);
        let points = HookPoint::stream(reference.model.spec.n_layers);
        let mut worst = 0f32;
        for (i, text) in reference.texts.iter().enumerate() {
            let mut capture = Capture::all(&points);
            let last = reference.model.forward(&Forest::of_text(text).unwrap(), None, &mut capture).unwrap();
            for (point, theirs) in points.iter().zip(reference.stream(i, "hidden_states")) {
                worst = worst.max(relative(capture.get(*point).unwrap(), &theirs));
            }
            let logits = reference.model.logits(&last).unwrap();
            worst = worst.max(relative(&logits, &reference.tensors[&format!("{i}.logits")]));
        }
        println!("{checkpoint}: largest relative error {worst:.1e}");
        assert!(worst < TOLERANCE, "{checkpoint}: {worst:e}");
    }
}

#[test]
fn the_forest_is_each_text_alone_and_transformers_padded_batch() {
    for checkpoint in CHECKPOINTS {
        let reference = Reference::open(checkpoint);
        let points = HookPoint::stream(reference.model.spec.n_layers);
        let (forest, last) = Forest::of_texts(&reference.texts).unwrap();
        assert!(forest.len() < reference.texts.iter().map(Vec::len).sum());
        let mut capture = Capture::all(&points);
        reference.model.forward(&forest, None, &mut capture).unwrap();
        for (i, text) in reference.texts.iter().enumerate() {
            let mut alone = Capture::all(&points);
            reference.model.forward(&Forest::of_text(text).unwrap(), None, &mut alone).unwrap();
            let path = forest.path(last[i]);
            let path = Tensor::from_slice(&path, path.len(), &Device::Cpu).unwrap();
            let padded = reference.stream(i, "padded_hidden_states");
            for (point, padded) in points.iter().zip(padded) {
                let ours = capture.get(*point).unwrap().index_select(&path, 0).unwrap();
                let error = relative(&ours, alone.get(*point).unwrap());
                assert!(error < TOLERANCE, "{checkpoint}: alone, {point}: {error:e}");
                let error = relative(&ours, &padded);
                assert!(error < TOLERANCE, "{checkpoint}: padded, {point}: {error:e}");
            }
        }
    }
}

#[test]
fn the_last_layer_is_before_the_final_norm() {
    for checkpoint in CHECKPOINTS {
        let reference = Reference::open(checkpoint);
        let last = HookPoint::ResidPost(reference.model.spec.n_layers - 1);
        let mut capture = Capture::all(&[last]);
        reference.model.forward(&Forest::of_text(&reference.texts[0]).unwrap(), None, &mut capture).unwrap();
        let theirs = reference.tensors["0.hidden_states"].get(reference.model.spec.n_layers).unwrap();
        assert!(
            relative(capture.get(last).unwrap(), &theirs) > 0.01,
            "{checkpoint}: the final norm was applied"
        );
    }
}

#[test]
fn resid_post_is_resid_pre_plus_what_the_block_adds() {
    for checkpoint in CHECKPOINTS {
        let reference = Reference::open(checkpoint);
        for l in 0..reference.model.spec.n_layers {
            let points = [
                HookPoint::ResidPre(l),
                HookPoint::AttnOut(l),
                HookPoint::MlpOut(l),
                HookPoint::ResidPost(l),
            ];
            let mut capture = Capture::all(&points);
            reference
                .model
                .forward(&Forest::of_text(&reference.texts[2]).unwrap(), None, &mut capture)
                .unwrap();
            let [pre, attn, mlp, post] = points.map(|p| capture.get(p).unwrap().clone());
            let sum = ((pre + attn).unwrap() + mlp).unwrap();
            assert!(relative(&sum, &post) < 1e-6, "{checkpoint}: layer {l}");
        }
    }
}

#[test]
fn cached_equals_uncached() {
    for checkpoint in CHECKPOINTS {
        let reference = Reference::open(checkpoint);
        let text = &reference.texts[2];
        let whole = reference.model.forward(&Forest::of_text(text).unwrap(), None, &mut Untouched).unwrap();
        let mut forest = Forest::of_text(&text[..3]).unwrap();
        let mut cache = Cache::default();
        let mut rows = vec![reference.model.forward(&forest, Some(&mut cache), &mut Untouched).unwrap()];
        for &token in &text[3..] {
            forest.grow(token);
            rows.push(reference.model.forward(&forest, Some(&mut cache), &mut Untouched).unwrap());
        }
        let cached = Tensor::cat(&rows, 0).unwrap();
        assert!(relative(&cached, &whole) < 1e-5, "{checkpoint}: {:e}", relative(&cached, &whole));
    }
}
