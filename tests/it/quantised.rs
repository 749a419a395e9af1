//! Quantised weights: what their blocks mean, and that a file of them is the same model written out in f32.

use super::gguf::{fixture, logits};
use super::root;
use candle_core::{Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::{
    Blocks, Cache, Capture, Compute, Forest, LoadOptions, Location, Model, Precision, QuantType, Untouched,
};
use std::collections::HashMap;

/// Files with a type each, or several.
const QUANTISED: [&str; 11] = [
    "llama3.Q8_0",
    "llama_even.Q4_0",
    "llama_even.Q4_1",
    "llama_even.Q5_0",
    "llama_even.Q5_1",
    "llama_even.IQ4_NL",
    "llama_wide.Q4_K_M",
    "llama_wide.Q3_K_M",
    "llama_wide.Q2_K",
    "gptneox.Q8_0",
    "phi3.Q8_0",
];

const TEXTS: [&[u32]; 4] =
    [&[3, 17, 5, 9, 41, 2, 33, 60, 7], &[3, 17, 5, 1], &[8, 8, 50, 1], &[3, 17, 5, 9, 41, 7]];

fn load(name: &str, precision: Precision) -> Model {
    Model::load(&fixture(name), precision).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|x| x.to_bits()).collect()
}

fn streams(model: &Model, forest: &Forest) -> Vec<Tensor> {
    let points = HookPoint::stream(model.spec().n_layers);
    let mut capture = Capture::all(&points);
    model.transformer.forward(forest, None, &mut capture).unwrap();
    points.iter().map(|point| capture.get(*point).unwrap().clone()).collect()
}

#[test]
fn blocks_of_every_type_are_what_gguf_py_says_to_the_bit() {
    let path = root("tests/fixtures/gguf/quant_types.safetensors");
    let tensors: HashMap<String, Tensor> = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    assert_eq!(QuantType::all().count(), 13);
    for ty in QuantType::all() {
        let bytes = tensors[&format!("{ty}.blocks")].flatten_all().unwrap().to_vec1::<u8>().unwrap();
        let theirs = &tensors[&format!("{ty}.values")];
        let (rows, width) = theirs.dims2().unwrap();
        let ours = Blocks::new(bytes, ty, [rows, width]).unwrap().dense().unwrap();
        let (ours, theirs) = (bits(&ours), bits(theirs));
        // Zero has two signs, of which a subtraction and a sum may choose another.
        let differs = |(a, b): &(u32, u32)| a != b && (a << 1 | b << 1) != 0;
        let found: Vec<_> = ours.into_iter().zip(theirs).filter(differs).collect();
        assert!(found.is_empty(), "{ty}: {} differ, first {:x?}", found.len(), found.first());
    }
}

#[test]
fn bytes_that_are_no_whole_rows_of_blocks_are_refused() {
    for (n, dims) in [(19, [1, 32]), (20, [1, 33]), (20, [2, 32]), (0, [1, 32])] {
        let refusal = Blocks::new(vec![0; n], QuantType::Q4_1, dims).unwrap_err().to_string();
        assert!(refusal.contains("Q4_1"), "{refusal}");
    }
}

/// Many rows and few, alone and together, as extraction and decoding take them.
#[test]
fn a_quantised_file_is_its_weights_in_f32_to_the_bit_in_a_forest() {
    for name in QUANTISED {
        let (blocks, dense) = (load(name, Precision::AsStored), load(name, Precision::F32));
        let texts: Vec<Vec<u32>> = TEXTS.iter().map(|text| text.to_vec()).collect();
        let (forest, _) = Forest::of_texts(&texts).unwrap();
        assert!(forest.new_tokens().len() > 4, "a few rows are multiplied in another order");
        for (a, b) in streams(&blocks, &forest).iter().zip(&streams(&dense, &forest)) {
            assert_eq!(bits(a), bits(b), "{name}");
        }
    }
}

#[test]
fn a_forest_of_a_quantised_file_is_each_text_alone() {
    for name in QUANTISED {
        let model = load(name, Precision::AsStored);
        let texts: Vec<Vec<u32>> = TEXTS.iter().map(|text| text.to_vec()).collect();
        let (forest, last) = Forest::of_texts(&texts).unwrap();
        let together = streams(&model, &forest);
        for (text, node) in texts.iter().zip(&last) {
            let alone = streams(&model, &Forest::of_text(text).unwrap());
            for (all, one) in together.iter().zip(&alone) {
                let (row, own) = (all.get(*node as usize).unwrap(), one.get(text.len() - 1).unwrap());
                let error = super::gguf::relative(&row, &own);
                assert!(error < 2e-6, "{name}: {error:e}");
            }
        }
    }
}

#[test]
fn decoding_a_quantised_file_token_by_token_is_the_whole_text_at_once() {
    for name in QUANTISED {
        let model = load(name, Precision::AsStored).transformer;
        let whole = logits(&model, TEXTS[0]);
        // A token a step, and steps of two and four rows, which are multiplied together.
        for step in [1, 2, 4] {
            let (mut cache, mut forest, mut rows) = (Cache::default(), None::<Forest>, vec![]);
            for tokens in TEXTS[0].chunks(step) {
                let grown = match forest.take() {
                    None => Forest::of_text(tokens).unwrap(),
                    Some(mut forest) => {
                        let mut node = rows.len() as u32 * step as u32;
                        forest.grow(tokens[0]);
                        for token in &tokens[1..] {
                            node = forest.branch(node, *token);
                        }
                        forest
                    }
                };
                let stream = model.forward(&grown, Some(&mut cache), &mut Untouched).unwrap();
                rows.push(model.logits(&stream).unwrap());
                forest = Some(grown);
            }
            let error = super::gguf::relative(&Tensor::cat(&rows, 0).unwrap(), &whole);
            assert!(error < 2e-6, "{name}, {step} at a time: {error:e}");
        }
    }
}

#[test]
fn rounding_to_8_bits_is_a_choice_by_name() {
    let load = |compute, precision| {
        let options = LoadOptions { compute, precision, ..LoadOptions::default() };
        Model::open(&Location::Gguf(fixture("llama3.Q8_0")), options).unwrap()
    };
    let exact = load(Compute::F32, None);
    assert_eq!((exact.precision, exact.compute), (Precision::AsStored, Compute::F32));
    let of = |model: &Model| logits(&model.transformer, TEXTS[0]);
    let rounded = super::gguf::relative(&of(&load(Compute::Q8, None)), &of(&exact));
    assert!(rounded > 1e-4 && rounded < 0.1, "{rounded:e}");
    // Weights that are not quantised in memory are multiplied in f32.
    let dense = super::gguf::relative(&of(&load(Compute::Q8, Some(Precision::F32))), &of(&exact));
    assert!(dense < 2e-6, "{dense:e}");
}
