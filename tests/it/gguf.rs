//! Models from GGUF files against llama.cpp: logits and tokenisations (fixtures: tests/fixtures/gguf/make.py).

use super::root;
use candle_core::{Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Model, Precision, Transformer, Untouched, Weight};
use std::collections::HashMap;
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
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

    /// The largest error of a model's logits over the texts, relative to the largest logit.
    fn error(&self, name: &str, model: &Transformer) -> f32 {
        let of_text = |(i, text): (usize, &Vec<u32>)| {
            relative(&logits(model, text), &self.tensors[&format!("{name}.{i}.logits")])
        };
        self.texts.iter().enumerate().map(of_text).fold(0.0, f32::max)
    }
}

fn logits(model: &Transformer, text: &[u32]) -> Tensor {
    let last = model.forward(&Forest::of_text(text).unwrap(), None, &mut Untouched).unwrap();
    model.logits(&last).unwrap()
}

fn relative(ours: &Tensor, theirs: &Tensor) -> f32 {
    let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    largest(&(ours - theirs).unwrap()) / largest(theirs)
}

fn load(name: &str) -> Transformer {
    Model::load_transformer(&fixture(name), Precision::F32).unwrap()
}

/// The same model with its quantised matrices turned to f32, so that only theirs rounds the stream.
fn dequantised(name: &str) -> Transformer {
    let (spec, mut load) = Model::parameters(&fixture(name), Precision::F32).unwrap();
    Transformer::new(spec, &mut |param, shape| {
        Ok(match load(param, shape)? {
            Weight::Quantised(blocks) => Weight::Dense(blocks.dequantize(&Device::Cpu)?),
            dense => dense,
        })
    })
    .unwrap()
}

const WHOLE: [&str; 10] =
    ["llama", "llama3", "gptneox", "qwen2", "qwen3", "gemma2", "gemma3", "phi2", "phi3", "phi3_long"];

#[test]
fn unquantised_logits_are_llama_cpps() {
    let expected = Expected::read();
    for name in WHOLE {
        let error = expected.error(name, &load(name));
        println!("{name}: largest relative error {error:.1e}");
        assert!(error < 1e-4, "{name}: {error:e}");
    }
}

const QUANTISED: [&str; 11] = [
    "llama_even.F16",
    "llama_even.BF16",
    "llama3.Q8_0",
    "llama_even.Q4_0",
    "llama_even.Q5_1",
    "llama_wide.Q4_K_M",
    "llama_wide.Q3_K_M",
    "llama_wide.Q2_K",
    "gptneox.Q5_0",
    "phi3.Q8_0",
    "phi3.Q4_1",
];

#[test]
fn quantised_logits_are_llama_cpps_but_for_the_rounding_of_the_stream() {
    let expected = Expected::read();
    for name in QUANTISED {
        let (ours, exact) = (load(name), dequantised(name));
        let (error, of_exact) = (expected.error(name, &ours), expected.error(name, &exact));
        let of_ours = expected.texts.iter().map(|t| relative(&logits(&ours, t), &logits(&exact, t))).fold(0.0, f32::max);
        println!("{name}: ours {error:.1e}, exact {of_exact:.1e}, ours against exact {of_ours:.1e}");
    }
}
