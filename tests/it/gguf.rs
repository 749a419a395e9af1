//! Models from GGUF files against llama.cpp: logits and tokenisations (fixtures: tests/fixtures/gguf/make.py).

use super::root;
use candle_core::{Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Model, Precision, Transformer, Untouched, Weight};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub fn fixture(name: &str) -> PathBuf {
    root("tests/fixtures/gguf").join(format!("{name}.gguf"))
}

/// What llama.cpp computed, and the texts it was given.
struct Expected {
    tensors: HashMap<String, Tensor>,
    texts: Vec<Vec<u32>>,
}

impl Expected {
    fn read() -> Expected {
        let path = root("tests/fixtures/gguf/expected.safetensors");
        let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        let ids = (0..).map_while(|i| tensors.get(&format!("{i}.ids")));
        let texts = ids.map(|ids| ids.to_vec1::<i64>().unwrap().into_iter().map(|id| id as u32).collect());
        Expected { texts: texts.collect(), tensors }
    }

    fn of(&self, file: &str, what: &str) -> Vec<Tensor> {
        (0..self.texts.len()).map(|i| self.tensors[&format!("{file}.{i}.{what}")].clone()).collect()
    }

    fn logits(&self, model: &Transformer) -> Vec<Tensor> {
        self.texts.iter().map(|text| logits(model, text)).collect()
    }
}

fn logits(model: &Transformer, text: &[u32]) -> Tensor {
    let last = model.forward(&Forest::of_text(text).unwrap(), None, &mut Untouched).unwrap();
    model.logits(&last).unwrap()
}

/// The largest difference, relative to the largest value.
fn relative(ours: &Tensor, theirs: &Tensor) -> f32 {
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let largest = |values: Vec<f32>| {
        assert!(values.iter().all(|x| x.is_finite()), "a value is not a number");
        values.iter().fold(0f32, |most, x| most.max(x.abs()))
    };
    assert_eq!(ours.dims(), theirs.dims());
    largest(values(&(ours - theirs).unwrap())) / largest(values(theirs))
}

fn worst(ours: &[Tensor], theirs: &[Tensor]) -> f32 {
    ours.iter().zip(theirs).map(|(a, b)| relative(a, b)).fold(0.0, f32::max)
}

fn load(path: &Path) -> Transformer {
    Model::load_transformer(path, Precision::F32).unwrap()
}

/// The same model with its quantised matrices written out in f32, and how many there were.
fn written_out(path: &Path) -> (Transformer, usize) {
    let (spec, mut load) = Model::parameters(path, Precision::F32).unwrap();
    let mut n = 0;
    let model = Transformer::new(spec, &mut |param, shape| {
        Ok(match load(param, shape)? {
            Weight::Quantised(blocks) => {
                n += 1;
                Weight::Dense(blocks.dequantize(&Device::Cpu)?)
            }
            dense => dense,
        })
    });
    (model.unwrap(), n)
}

const WHOLE: [&str; 10] =
    ["llama", "llama3", "gptneox", "qwen2", "qwen3", "gemma2", "gemma3", "phi2", "phi3", "phi3_long"];

/// Files that are not all f32, and how many of their matrices are quantised in memory.
const SMALLER: [(&str, usize); 12] = [
    ("qwen2.F16", 0),
    ("qwen2.BF16", 0),
    ("llama3.Q8_0", 15),
    ("llama_even.Q4_0", 9),
    ("llama_even.Q5_0", 9),
    ("llama_even.Q5_1", 9),
    ("llama_wide.Q4_K_M", 8),
    ("llama_wide.Q3_K_M", 8),
    ("llama_wide.Q2_K", 8),
    ("gptneox.Q8_0", 14),
    ("phi3.Q8_0", 16),
    ("phi3.Q4_1", 16),
];

#[test]
fn unquantised_logits_are_llama_cpps() {
    let expected = Expected::read();
    for name in WHOLE {
        let error = worst(&expected.logits(&load(&fixture(name))), &expected.of(name, "logits"));
        println!("{name}: largest relative error {error:.1e}");
        assert!(error < 1e-4, "{name}: {error:e}");
    }
}

#[test]
fn quantised_weights_are_llama_cpps() {
    let expected = Expected::read();
    for (name, n_quantised) in SMALLER {
        let (model, n) = written_out(&fixture(name));
        let error = worst(&expected.logits(&model), &expected.of(name, "exact"));
        println!("{name}: {n} quantised matrices, largest relative error {error:.1e}");
        assert_eq!(n, n_quantised, "{name}");
        assert!(error < 1e-4, "{name}: {error:e}");
    }
}

/// Both round the stream before each product with quantised weights, not always alike. What that rounding does to
/// llama.cpp's own logits is the measure: ours may be as far from them as they are from exact ones, and half again.
#[test]
fn quantised_logits_are_llama_cpps_within_its_own_rounding() {
    let expected = Expected::read();
    for (name, _) in SMALLER {
        let theirs = expected.of(name, "logits");
        let error = worst(&expected.logits(&load(&fixture(name))), &theirs);
        let rounding = worst(&theirs, &expected.of(name, "exact"));
        println!("{name}: largest relative error {error:.1e}, llama.cpp's rounding {rounding:.1e}");
        assert!(rounding < 0.08 && error < 1.5 * rounding, "{name}: {error:e} against {rounding:e}");
    }
}

#[test]
fn every_hook_point_is_there_and_resid_post_is_the_sum() {
    for name in WHOLE.into_iter().chain(SMALLER.map(|(name, _)| name)) {
        let model = load(&fixture(name));
        for l in 0..model.spec.n_layers {
            let sum = [HookPoint::ResidPre(l), HookPoint::AttnOut(l), HookPoint::MlpOut(l), HookPoint::ResidPost(l)];
            let others = [HookPoint::AttnZ(l), HookPoint::MlpPost(l)];
            let mut capture = Capture::all(&[&sum[..], &others].concat());
            model.forward(&Forest::of_text(&[3, 17, 5, 9, 41, 2]).unwrap(), None, &mut capture).unwrap();
            let [pre, attn, mlp, post] = sum.map(|point| capture.get(point).unwrap().clone());
            let error = relative(&((pre + attn).unwrap() + mlp).unwrap(), &post);
            assert!(error < 1e-6, "{name}: layer {l}: {error:e}");
            let widths = others.map(|point| capture.get(point).unwrap().dim(1).unwrap());
            assert_eq!(widths, [model.spec.n_heads * model.spec.d_head, model.spec.d_mlp], "{name}");
        }
    }
}

/// llama.cpp's tokenisations of strings, plain and with special tokens.
#[derive(serde::Deserialize)]
struct Tokenisations {
    special: Vec<Vec<u32>>,
}

#[derive(serde::Deserialize)]
struct Strings {
    strings: Vec<String>,
    files: HashMap<String, Tokenisations>,
    pre: HashMap<String, Tokenisations>,
}

fn strings() -> Strings {
    serde_json::from_slice(&std::fs::read(root("tests/fixtures/gguf/expected.json")).unwrap()).unwrap()
}

fn compare(name: &str, model: &Model, (strings, theirs): (&[String], &Tokenisations)) {
    for (text, theirs) in strings.iter().zip(&theirs.special) {
        let ours = model.tokenizer.encode(text).unwrap();
        assert_eq!(&ours.ids, theirs, "{name}: `{text}`");
        // A token's place is in the text, and tokens follow each other.
        let mut end = 0;
        for (id, &(start, stop)) in ours.ids.iter().zip(&ours.spans) {
            assert!(start <= stop && stop <= text.len() && text.is_char_boundary(start), "{name}: `{text}`: {id}");
            assert!(stop >= end, "{name}: `{text}`: {:?}", ours.spans);
            end = stop;
        }
        assert_eq!(end, text.len(), "{name}: `{text}`: {:?}", ours.spans);
    }
}

#[test]
fn tokenisations_are_llama_cpps() {
    let Strings { strings, files, .. } = strings();
    assert_eq!(files.len(), 3);
    for (name, theirs) in &files {
        compare(name, &Model::load(&fixture(name), Precision::F32).unwrap(), (&strings, theirs));
    }
}
