//! Quantised weights: the values of their blocks, and the equality of a quantised file with the same model in f32.

use super::gguf::{fixture, logits};
use super::root;
use candle_core::{Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::{
    Capture, Compute, DeviceChoice, Forest, KvCache, LoadOptions, Location, Model, NoHook, Precision,
    QuantType, QuantisedMatrix, Transformer,
};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// Files with one quantised type or several types.
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
fn blocks_of_every_type_equal_gguf_pys_to_the_bit() {
    let path = root("tests/fixtures/gguf/quant_types.safetensors");
    let tensors: HashMap<String, Tensor> = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    assert_eq!(QuantType::all().count(), 13);
    for ty in QuantType::all() {
        let bytes = tensors[&format!("{ty}.blocks")].flatten_all().unwrap().to_vec1::<u8>().unwrap();
        let theirs = &tensors[&format!("{ty}.values")];
        let (rows, width) = theirs.dims2().unwrap();
        let ours = QuantisedMatrix::new(bytes, ty, [rows, width]).unwrap().dense().unwrap();
        let (ours, theirs) = (bits(&ours), bits(theirs));
        // Zero has two signs, and a subtraction and a sum may give different ones.
        let differs = |(a, b): &(u32, u32)| a != b && (a << 1 | b << 1) != 0;
        let found: Vec<_> = ours.into_iter().zip(theirs).filter(differs).collect();
        assert!(found.is_empty(), "{ty}: {} differ, first {:x?}", found.len(), found.first());
    }
}

#[test]
fn bytes_that_are_not_whole_rows_of_blocks_are_refused() {
    for (n, dims) in [(19, [1, 32]), (20, [1, 33]), (20, [2, 32]), (0, [1, 32])] {
        let refusal = QuantisedMatrix::new(vec![0; n], QuantType::Q4_1, dims).unwrap_err().to_string();
        assert!(refusal.contains("Q4_1"), "{refusal}");
    }
}

/// Covers many rows and few rows, alone and together, as in extraction and decoding.
#[test]
fn a_forest_of_a_quantised_file_equals_its_weights_in_f32_to_the_bit() {
    for name in QUANTISED {
        let (blocks, dense) = (load(name, Precision::AsStored), load(name, Precision::F32));
        let texts: Vec<Vec<u32>> = TEXTS.iter().map(|text| text.to_vec()).collect();
        let (forest, _) = Forest::of_texts(&texts).unwrap();
        assert!(forest.new_tokens().len() > 4, "four rows or fewer would be multiplied in another order");
        for (a, b) in streams(&blocks, &forest).iter().zip(&streams(&dense, &forest)) {
            assert_eq!(bits(a), bits(b), "{name}");
        }
    }
}

#[test]
fn a_forest_of_a_quantised_file_equals_each_text_alone() {
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
                assert!(error < 2e-6, "{name}: {error:e}"); // measured: 7.8e-7
            }
        }
    }
}

#[test]
fn decoding_a_quantised_file_token_by_token_equals_the_whole_text_at_once() {
    for name in QUANTISED {
        let model = load(name, Precision::AsStored).transformer;
        let whole = logits(&model, TEXTS[0]);
        // One token per step, and steps of two and four rows, which are multiplied together.
        for step in [1, 2, 4] {
            let (mut cache, mut forest, mut rows) = (KvCache::default(), None::<Forest>, vec![]);
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
                let stream = model.forward(&grown, Some(&mut cache), &mut NoHook).unwrap();
                rows.push(model.logits(&stream).unwrap());
                forest = Some(grown);
            }
            let error = super::gguf::relative(&Tensor::cat(&rows, 0).unwrap(), &whole);
            assert!(error < 2e-6, "{name}, {step} at a time: {error:e}"); // measured: 1.3e-6
        }
    }
}

#[test]
fn rounding_to_8_bits_is_an_explicit_setting() {
    let open = |name, compute, precision| {
        let options = LoadOptions { compute, precision, ..LoadOptions::default() };
        Model::open(&Location::Gguf(fixture(name)), options)
    };
    let load = |compute, precision| open("llama3.Q8_0", compute, precision).unwrap();
    let exact = load(Compute::F32, None);
    assert_eq!((exact.precision, exact.compute), (Precision::AsStored, Compute::F32));
    let of = |model: &Model| logits(&model.transformer, TEXTS[0]);
    let rounded = super::gguf::relative(&of(&load(Compute::Q8, None)), &of(&exact));
    assert!(rounded > 1e-4 && rounded < 0.1, "{rounded:e}");
    // If no weight is quantised in memory, it changes nothing and is refused.
    let dense = open("llama3.Q8_0", Compute::Q8, Some(Precision::F32)).err().unwrap().to_string();
    let options = LoadOptions { compute: Compute::Q8, ..LoadOptions::default() };
    let bundled = Model::open(&Location::Bundled, options).err().unwrap().to_string();
    for refusal in [dense, bundled] {
        assert!(refusal.contains("q8 without quantised weights"), "{refusal}");
    }
}

fn mappa(arguments: &[&str], lab: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
    let output = command.args(arguments).arg("--lab").arg(lab).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), text)
}

#[test]
fn the_card_of_a_quantised_file_has_the_products_format_and_refuses_another() {
    let lab = tempfile::tempdir().unwrap();
    let model = fixture("llama3.Q8_0");
    let model = model.to_str().unwrap();
    let extract = ["extract", "--model", model, "--dataset", "nyc_place", "--prompt", "{}"];
    let (done, text) = mappa(&extract, lab.path());
    assert!(done, "{text}");
    let card = lab.path().join("activations/llama3.Q8_0/nyc_place/empty/card.json");
    let card = std::fs::read_to_string(card).unwrap();
    assert!(card.contains(r#""compute": "f32""#) && card.contains(r#""weights_dtype": "auto""#), "{card}");
    let (done, text) = mappa(&[&extract[..], &["--compute", "q8"]].concat(), lab.path());
    assert!(!done && text.contains("compute") && text.contains("q8") && text.contains("card"), "{text}");
    let (done, text) = mappa(&[&extract[..], &["--compute", "int4"]].concat(), lab.path());
    assert!(!done && text.contains("f32, bf16"), "{text}");
    let (_, text) = mappa(&["models", "inspect", model], lab.path());
    assert!(text.contains("in Q8_0") && text.contains("of weights as they are stored"), "{text}");
    let (_, text) = mappa(&["models", "inspect", model, "--dtype", "f32"], lab.path());
    assert!(text.contains("of weights in f32"), "{text}");
    let (_, text) = mappa(&["models", "inspect", model, "--compute", "bf16"], lab.path());
    assert!(text.contains("of weights with blocks in bf16"), "{text}");
}

/// A model with products in bf16; `None`, with a printed line, if the processor lacks them.
fn in_bf16(name: &str) -> Option<Model> {
    let options = LoadOptions { compute: Compute::Bf16, ..LoadOptions::default() };
    match Model::open(&Location::Gguf(fixture(name)), options) {
        Ok(model) => Some(model),
        Err(refusal) => {
            let refusal = refusal.to_string();
            assert!(refusal.contains("AVX-512 BF16") && refusal.contains("f32"), "{refusal}");
            println!("skipped: {refusal}");
            None
        }
    }
}

#[test]
fn bf16_on_another_device_is_refused_naming_it() {
    let options = LoadOptions { compute: Compute::Bf16, device: DeviceChoice::Cuda(1), precision: None };
    let refusal = Model::open(&Location::Bundled, options).err().unwrap().to_string();
    assert!(refusal.contains("bf16 on cuda:1"), "{refusal}");
}

#[test]
fn in_bf16_a_forest_equals_each_text_alone_and_is_close_to_f32() {
    for name in ["llama3", "gptneox.Q8_0", "llama_even.Q4_1", "phi2"] {
        let Some(model) = in_bf16(name) else { return };
        let exact = load(name, Precision::AsStored);
        let texts: Vec<Vec<u32>> = TEXTS.iter().map(|text| text.to_vec()).collect();
        let (forest, last) = Forest::of_texts(&texts).unwrap();
        let together = streams(&model, &forest);
        for (ours, theirs) in together.iter().zip(&streams(&exact, &forest)) {
            let error = super::gguf::relative(ours, theirs);
            assert!(error < 1e-2, "{name}: {error:e}");
        }
        assert!(bits(&together[1]) != bits(&streams(&exact, &forest)[1]), "{name}: nothing was rounded");
        let mut worst = 0f32;
        for (text, node) in texts.iter().zip(&last) {
            let alone = streams(&model, &Forest::of_text(text).unwrap());
            for (all, one) in together.iter().zip(&alone) {
                let (row, own) = (all.get(*node as usize).unwrap(), one.get(text.len() - 1).unwrap());
                // Products do not depend on the number of rows.
                let error = super::gguf::relative(&row, &own);
                worst = worst.max(error);
            }
        }
        println!("{name}: a forest and each text alone differ by {worst:.1e}");
        assert!(worst < 1e-6, "{name}: {worst:e}"); // measured: 0
    }
}

#[test]
fn untrained_and_shuffled_models_use_the_models_products() {
    let Some(model) = in_bf16("llama3") else { return };
    let exact = load("llama3", Precision::F32);
    let forest = Forest::of_text(TEXTS[0]).unwrap();
    let point = HookPoint::ResidPost(1);
    let stream = |model: &Transformer| {
        let mut capture = Capture::all(&[point]);
        model.forward(&forest, None, &mut capture).unwrap();
        capture.get(point).unwrap().clone()
    };
    for (rounded, whole) in [
        (model.untrained_up_to(1, 3).unwrap(), exact.untrained_up_to(1, 3).unwrap()),
        (model.shuffled_up_to(1, 3).unwrap(), exact.shuffled_up_to(1, 3).unwrap()),
    ] {
        let error = super::gguf::relative(&stream(&rounded), &stream(&whole));
        assert!(error > 1e-6 && error < 1e-2, "{error:e}");
    }
}
