//! Configs with one changed field: mappa's numbers change as transformers' do, or mappa refuses the field by name.
//!
//! The fixture contains results of tests/scripts/mutate_configs.py; `MAPPA_MUTATIONS` names a folder with many more.

use super::root;
use candle_core::{Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Model, Precision};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Largest allowed difference, relative to the reference's largest value.
const TOLERANCE: f32 = 5e-5;
const TEXT: [u32; 9] = [7, 7, 7, 11, 30, 12, 5, 2, 19];

/// A changed config; with a reason if transformers refuses it.
#[derive(Deserialize)]
struct Case {
    id: usize,
    name: String,
    checkpoint: String,
    n_tokens: usize,
    /// Fields of the checkpoint's config that are removed.
    left_out: Vec<String>,
    /// Fields that are added, or have another value.
    set: Map<String, Value>,
    reason: Option<String>,
}

enum Outcome {
    Same,
    Differs(f32),
    Refused(String),
    /// Only mappa accepts the config.
    Looser(String),
    /// Both refuse the config.
    Neither,
}

/// The text of `n_tokens` tokens, as in tests/scripts/mutate_configs.py.
fn text(n_tokens: usize) -> Vec<u32> {
    let any = |i: u32| (5 * i + i * i / 3) % 29 + 3;
    if n_tokens == TEXT.len() { TEXT.to_vec() } else { (0..n_tokens as u32).map(any).collect() }
}

/// The rows of stream and logits at the end of each third of a text.
fn numbers(folder: &Path, n_tokens: usize) -> Result<[Tensor; 2], String> {
    let model = Model::load_transformer(folder, Precision::F32).map_err(|error| error.to_string())?;
    let point = HookPoint::ResidPost(model.spec.n_layers - 1);
    let mut capture = Capture::all(&[point]);
    let forest = Forest::of_text(&text(n_tokens)).unwrap();
    let last = model.forward(&forest, None, &mut capture).map_err(|error| error.to_string())?;
    let logits = model.logits(&last).map_err(|error| error.to_string())?;
    let rows = [1, 2, 3].map(|third| (n_tokens * third / 3 - 1) as u32);
    let rows = Tensor::from_slice(&rows, 3, &Device::Cpu).unwrap();
    Ok([capture.get(point).unwrap().clone(), logits].map(|t| t.index_select(&rows, 0).unwrap()))
}

fn relative(ours: &Tensor, theirs: &Tensor) -> f32 {
    if ours.dims() != theirs.dims() {
        return f32::INFINITY;
    }
    let scalar = |t: Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    scalar((ours - theirs).unwrap()) / scalar(theirs.clone())
}

fn config(case: &Case) -> Map<String, Value> {
    let path = root("tests/fixtures/models").join(&case.checkpoint).join("config.json");
    let mut config: Map<String, Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    config.retain(|name, _| !case.left_out.contains(name));
    config.extend(case.set.clone());
    config
}

fn outcome(case: &Case, expected: &HashMap<String, Tensor>, folder: &Path) -> Outcome {
    std::fs::write(folder.join("config.json"), serde_json::to_vec(&config(case)).unwrap()).unwrap();
    match (numbers(folder, case.n_tokens), &case.reason) {
        (Err(_), Some(_)) => Outcome::Neither,
        (Ok(_), Some(reason)) => Outcome::Looser(reason.clone()),
        (Err(refusal), None) => Outcome::Refused(refusal),
        (Ok(ours), None) => {
            let theirs = ["stream", "logits"].map(|kind| &expected[&format!("{}.{kind}", case.id)]);
            let error = ours.iter().zip(theirs).map(|(a, b)| relative(a, b)).fold(0f32, f32::max);
            // NaN is not equal.
            if error < TOLERANCE { Outcome::Same } else { Outcome::Differs(error) }
        }
    }
}

/// A copy of a checkpoint without its config.
fn weights_of(checkpoint: &str, folder: &Path) -> PathBuf {
    let (from, to) = (root("tests/fixtures/models").join(checkpoint), folder.join(checkpoint));
    if !to.is_dir() {
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "config.json" && entry.file_name() != "expected.safetensors" {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
    to
}

fn outcomes(cases: &Path) -> Vec<(String, Outcome)> {
    let expected = candle_core::safetensors::load(cases.join("expected.safetensors"), &Device::Cpu).unwrap();
    let text = std::fs::read_to_string(cases.join("cases.jsonl")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let read = |line: &str| -> (String, Outcome) {
        let case: Case = serde_json::from_str(line).unwrap();
        let folder = weights_of(&case.checkpoint, scratch.path());
        let outcome = outcome(&case, &expected, &folder);
        (case.name, outcome)
    };
    text.lines().map(read).collect()
}

/// Cases that transformers accepts and mappa refuses, with a word of mappa's reason.
const STRICTER: &[(&str, &str)] = &[
    // For a text longer than the first context, the numbers of a prefix would depend on the text's length.
    ("phi3_longrope: original_max_position_embeddings=4", "context"),
    // Padding tokens use no row of the table, so the table would suffice for longer texts than stated.
    ("roberta: pad_token_id=7", "context"),
    // A single rotated dimension, which transformers multiplies by two frequencies, or by none.
    ("gpt_neox: both {'rope_type': 'yarn'", "even number"),
    ("stablelm: rope_parameters.partial_rotary_factor left out", "even number"),
    ("stablelm: rope_parameters=None", "even number"),
    ("xglm: pad_token_id=2", "pad_token_id"),
    ("xglm: pad_token_id=7", "pad_token_id"),
    ("gpt2: num_hidden_layers+True", "n_layer"),
    ("gpt_neo: window_size=0", "window_size"),
];

#[test]
fn changed_configs_change_the_numbers_as_in_transformers() {
    let all = outcomes(&root("tests/fixtures/models/mutated"));
    let (mut n_same, mut wrong) = (0, Vec::new());
    for (name, outcome) in &all {
        let stricter = STRICTER.iter().find(|(start, _)| name.starts_with(start)).map(|(_, word)| *word);
        match (outcome, stricter) {
            (Outcome::Same, None) => n_same += 1,
            (Outcome::Differs(error), _) => wrong.push(format!("{name}: {error:e}")),
            (Outcome::Refused(refusal), Some(word)) if refusal.contains(word) => {}
            (Outcome::Refused(refusal), _) => wrong.push(format!("{name}: transformers runs it; {refusal}")),
            (Outcome::Same, Some(_)) => wrong.push(format!("{name}: is not refused")),
            (Outcome::Looser(_) | Outcome::Neither, _) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{n_same} of {} changed configs: the same numbers", all.len());
    assert!(n_same > 150, "{n_same}");
}

#[test]
fn the_mutations_of_a_folder_are_reported_one_by_one() {
    let Some(folder) = std::env::var_os("MAPPA_MUTATIONS") else {
        println!("1 skipped: MAPPA_MUTATIONS names no folder of tests/scripts/mutate_configs.py");
        return;
    };
    let (mut n, mut n_differ) = ([0; 5], 0);
    for (name, outcome) in outcomes(Path::new(&folder)) {
        let (index, words) = match outcome {
            Outcome::Same => (0, None),
            Outcome::Neither => (1, None),
            Outcome::Differs(error) => (2, Some(format!("DIFFERS {name}: {error:.1e}"))),
            Outcome::Refused(refusal) => (3, Some(format!("REFUSED {name}: {refusal}"))),
            Outcome::Looser(reason) => (4, Some(format!("LOOSER  {name}: {reason}"))),
        };
        n[index] += 1;
        n_differ += usize::from(index == 2);
        words.into_iter().for_each(|words| println!("{words}"));
    }
    println!(
        "{} equal, {} refused by both, {} differ, {} refused only by mappa, {} only by transformers",
        n[0], n[1], n[2], n[3], n[4]
    );
    assert_eq!(n_differ, 0);
}
