//! GGUF files against llama.cpp: logits and tokenisations (fixtures: tests/fixtures/gguf/make.py).

use super::root;
use candle_core::quantized::gguf_file::{self, Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::{
    Capture, Compute, Forest, LoadOptions, Location, Model, ModelInfo, NoHook, Placement, Precision,
    Transformer, Weight,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn fixture(name: &str) -> PathBuf {
    root("tests/fixtures/gguf").join(format!("{name}.gguf"))
}

/// The texts, and llama.cpp's results for them.
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

/// The logits of a text; for an encoder, which has no head in a GGUF file, the stream after its last block.
pub(crate) fn logits(model: &Transformer, text: &[u32]) -> Tensor {
    let (forest, _) = model.forest(&[text.to_vec()]).unwrap();
    let last = model.forward(&forest, None, &mut NoHook).unwrap();
    if model.spec.head.is_none() { last } else { model.logits(&last).unwrap() }
}

/// The largest difference, relative to the largest value.
pub(crate) fn relative(ours: &Tensor, theirs: &Tensor) -> f32 {
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

/// A file's model with products that round the stream to 8 bits, as in llama.cpp.
fn rounding(path: &Path) -> Transformer {
    let options = LoadOptions { compute: Compute::Q8, ..LoadOptions::default() };
    Model::open(&Location::Gguf(path.to_path_buf()), options).unwrap().transformer
}

/// The number of matrices of a file that are quantised in memory.
fn n_quantised(path: &Path) -> usize {
    let (spec, mut load) = Model::parameters(path, Precision::AsStored).unwrap();
    let mut n = 0;
    let model = Transformer::new(spec, &mut |param, shape| {
        let weight = load(param, shape)?;
        n += usize::from(matches!(weight, Weight::Quantised(_)));
        Ok(weight)
    });
    model.unwrap();
    n
}

const WHOLE: [&str; 25] = [
    "llama",
    "llama3",
    "gptneox",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "phi2",
    "phi3",
    "phi3_long",
    "gpt2",
    "bert",
    "roberta",
    "olmo2",
    "smollm3",
    "granite",
    "starcoder2",
    "stablelm",
    "stablelm_parallel",
    "falcon",
    "falcon_40b",
    "glm4",
    "bloom",
    "olmo",
];

/// Files that are not all f32, with the number of their matrices that are quantised in memory.
const SMALLER: [(&str, usize); 14] = [
    ("qwen2.F16", 0),
    ("qwen2.BF16", 0),
    ("llama3.Q8_0", 15),
    ("llama_even.Q4_0", 9),
    ("llama_even.Q4_1", 9),
    ("llama_even.Q5_0", 9),
    ("llama_even.Q5_1", 9),
    ("llama_wide.Q4_K_M", 8),
    ("llama_wide.Q3_K_M", 8),
    ("llama_wide.Q2_K", 8),
    ("gptneox.Q8_0", 14),
    ("phi3.Q8_0", 16),
    ("falcon_40b.Q8_0", 7),
    ("glm4.Q8_0", 16),
];

#[test]
fn unquantised_logits_equal_llama_cpps() {
    let expected = Expected::read();
    for name in WHOLE {
        let error = worst(&expected.logits(&load(&fixture(name))), &expected.of(name, "logits"));
        println!("{name}: largest relative error {error:.1e}");
        assert!(error < 1e-4, "{name}: {error:e}");
    }
}

#[test]
fn quantised_weights_equal_llama_cpps() {
    let expected = Expected::read();
    let found = SMALLER.map(|(name, _)| (name, n_quantised(&fixture(name))));
    assert_eq!(found, SMALLER, "number of matrices that stay quantised");
    for (name, n) in SMALLER {
        let exact = expected.of(name, "exact");
        for precision in [Precision::F32, Precision::AsStored] {
            let model = Model::load_transformer(&fixture(name), precision).unwrap();
            let error = worst(&expected.logits(&model), &exact);
            println!("{name}, {precision}: {n} quantised matrices, largest relative error {error:.1e}");
            assert!(error < 1e-4, "{name}, {precision}: {error:e}");
        }
    }
}

/// Both round the stream before each product with quantised weights, not always equally. The limit is the effect of the
/// rounding on llama.cpp's own logits: ours may differ from them by 1.5 times their difference from the exact logits.
#[test]
fn logits_in_8_bits_equal_llama_cpps_within_its_rounding() {
    let expected = Expected::read();
    for (name, n) in SMALLER.into_iter().filter(|(_, n)| *n > 0) {
        let theirs = expected.of(name, "logits");
        let error = worst(&expected.logits(&rounding(&fixture(name))), &theirs);
        let rounding = worst(&theirs, &expected.of(name, "exact"));
        println!(
            "{name}: {n} matrices, largest relative error {error:.1e}, llama.cpp's rounding {rounding:.1e}"
        );
        assert!(rounding < 0.08 && error < 1.5 * rounding, "{name}: {error:e} against {rounding:e}");
    }
}

#[test]
fn every_hook_point_exists_and_resid_post_is_the_sum() {
    for name in WHOLE.into_iter().chain(SMALLER.map(|(name, _)| name)) {
        let model = load(&fixture(name));
        for l in 0..model.spec.n_layers {
            let sum = [
                HookPoint::ResidPre(l),
                HookPoint::AttnOut(l),
                HookPoint::MlpOut(l),
                HookPoint::ResidPost(l),
            ];
            let others = [HookPoint::AttnZ(l), HookPoint::MlpPost(l)];
            let mut capture = Capture::all(&[&sum[..], &others].concat());
            model.forward(&Forest::of_text(&[3, 17, 5, 9, 41, 2]).unwrap(), None, &mut capture).unwrap();
            let [pre, attn, mlp, post] = sum.map(|point| capture.get(point).unwrap().clone());
            // An encoder norms its sums; its rows are compared with llama.cpp's like logits.
            if model.spec.placement != Placement::AfterSum {
                let error = relative(&((pre + attn).unwrap() + mlp).unwrap(), &post);
                assert!(error < 1e-6, "{name}: layer {l}: {error:e}");
            }
            let widths = others.map(|point| capture.get(point).unwrap().dim(1).unwrap());
            assert_eq!(widths, [model.spec.n_heads * model.spec.d_head, model.spec.d_mlp], "{name}");
        }
    }
}

/// llama.cpp's tokenisations of strings.
#[derive(serde::Deserialize)]
struct Strings {
    strings: Vec<String>,
    /// The token ids of each string, by file.
    files: HashMap<String, Vec<Vec<u32>>>,
    /// The token ids of each string, by pre-tokenizer: its name replaces the one in the file of `llama3`.
    pre: HashMap<String, Vec<Vec<u32>>>,
}

fn strings() -> Strings {
    serde_json::from_slice(&std::fs::read(root("tests/fixtures/gguf/expected.json")).unwrap()).unwrap()
}

fn compare(name: &str, model: &Model, (strings, theirs): (&[String], &[Vec<u32>])) {
    assert_eq!(strings.len(), theirs.len());
    let drops_spaces = model.spec().family == "bert";
    for (text, theirs) in strings.iter().zip(theirs) {
        let ours = model.tokenizer.encode(text).unwrap();
        assert_eq!(&ours.ids, theirs, "{name}: `{text}`");
        // The offsets of tokens are in order and cover the text.
        let mut end = 0;
        let told =
            ours.ids.iter().zip(&ours.offsets).filter(|(_, (start, stop))| !drops_spaces || start < stop);
        for (id, &(start, stop)) in told {
            assert!(start <= stop && stop <= text.len() && stop >= end, "{name}: `{text}`: token {id}");
            let gap = &text[end.min(start)..start];
            // WordPiece has no token for a space, nor for a separate accent.
            let is_left_out = drops_spaces && !gap.chars().any(char::is_alphanumeric);
            assert!(
                gap.is_empty() || is_left_out || start == stop,
                "{name}: `{text}`: a gap before token {id}"
            );
            end = end.max(stop);
        }
        let rest = &text[end..];
        assert!(
            rest.is_empty() || drops_spaces && rest.trim().is_empty(),
            "{name}: `{text}`: {:?}",
            ours.offsets
        );
    }
}

#[test]
fn tokenisations_equal_llama_cpps() {
    let Strings { strings, files, .. } = strings();
    assert_eq!(files.len(), 6);
    for (name, theirs) in &files {
        compare(name, &Model::load(&fixture(name), Precision::F32).unwrap(), (&strings, theirs));
    }
}

#[test]
fn pre_tokenizers_equal_llama_cpps() {
    let Strings { strings, pre, .. } = strings();
    assert_eq!(pre.len(), 10);
    let folder = tempfile::tempdir().unwrap();
    for (name, theirs) in &pre {
        let path = folder.path().join(format!("{name}.gguf"));
        Parts::read("llama3").set("tokenizer.ggml.pre", Value::String(name.clone())).write(&path);
        compare(name, &Model::load(&path, Precision::F32).unwrap(), (&strings, theirs));
    }
    let all: std::collections::HashSet<&Vec<Vec<u32>>> = pre.values().collect();
    assert_eq!(all.len(), pre.len(), "the strings do not distinguish the pre-tokenizers");
}

#[test]
fn a_special_token_in_the_middle_and_bytes_decode_to_the_text() {
    for name in ["llama", "llama3", "gemma2"] {
        let tokenizer = Model::load(&fixture(name), Precision::F32).unwrap().tokenizer;
        for text in ["Oslo and Rome", "naïve Zürich", "東京 は 🙂"] {
            let ids = tokenizer.encode(text).unwrap().ids;
            assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{name}");
        }
    }
}

#[test]
fn a_quantised_file_runs_to_the_end_and_keeps_its_name() {
    let lab = tempfile::tempdir().unwrap();
    let experiment = lab.path().join("one.toml");
    let model = fixture("llama3.Q8_0");
    let text = format!(
        "model = {model:?}\ndatasets = [\"nyc_place\"]\nprompt = \"{{}}\"\nseed = 0\nresamples = 20\n"
    );
    std::fs::write(&experiment, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
    let output = command.arg("--lab").arg(lab.path()).arg("run").arg(&experiment).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = lab.path().join("probes/llama3.Q8_0/nyc_place/empty");
    let scores = std::fs::read_to_string(folder.join("scores.csv")).unwrap();
    assert!(scores.contains("blocks.1.hook_resid_post"), "{scores}");
}

#[test]
fn a_file_in_the_lab_is_found_by_name() {
    let lab = tempfile::tempdir().unwrap();
    std::fs::create_dir(lab.path().join("models")).unwrap();
    let file = lab.path().join("models/mine.gguf");
    std::fs::copy(fixture("llama3.Q8_0"), &file).unwrap();
    let location = Location::find(lab.path(), "mine").unwrap();
    assert_eq!(location, Location::Gguf(file));
    let outline = ModelInfo::of(&location).unwrap();
    assert_eq!((outline.name.as_str(), outline.tokenizer.len(), outline.spec.family), ("mine", 288, "llama"));
    // Blocks of 32 weights take 34 bytes; the few norms and biases are not matrices.
    let bytes = |precision| outline.weight_bytes(precision, Compute::F32) as f64;
    assert_eq!((outline.stored.len(), outline.stored[0].0.as_str()), (1, "Q8_0"));
    let ratio = bytes(Precision::F32) / bytes(Precision::AsStored);
    assert!((ratio - 4.0 * 32.0 / 34.0).abs() < 0.1 && outline.precision == Precision::AsStored, "{ratio}");
}

/// The parts of a file, to be changed and written again.
pub(crate) struct Parts {
    pub metadata: HashMap<String, Value>,
    pub tensors: HashMap<String, QTensor>,
}

impl Parts {
    pub(crate) fn read(name: &str) -> Parts {
        let mut file = std::fs::File::open(fixture(name)).unwrap();
        let content = Content::read(&mut file).unwrap();
        let names: Vec<String> = content.tensor_infos.keys().cloned().collect();
        let mut tensor =
            |name: String| (name.clone(), content.tensor(&mut file, &name, &Device::Cpu).unwrap());
        let tensors = names.into_iter().map(&mut tensor).collect();
        Parts { metadata: content.metadata, tensors }
    }

    pub(crate) fn set(mut self, key: &str, value: Value) -> Parts {
        self.metadata.insert(key.into(), value);
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Parts {
        assert!(self.metadata.remove(key).is_some(), "{key}");
        self
    }

    pub(crate) fn tensor(mut self, name: &str, values: &Tensor) -> Parts {
        self.tensors.insert(name.into(), QTensor::quantize(values, GgmlDType::F32).unwrap());
        self
    }

    pub(crate) fn write(&self, path: &Path) {
        let metadata: Vec<(&str, &Value)> = self.metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let tensors: Vec<(&str, &QTensor)> = self.tensors.iter().map(|(k, v)| (k.as_str(), v)).collect();
        gguf_file::write(&mut std::fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
    }
}
