//! GGUF models in several files, and GGUF files without a model.

use super::gguf::{Parts, fixture, logits};
use super::root;
use candle_core::quantized::gguf_file::Value;
use candle_core::{DType, Device, Tensor};
use mappa::model::{
    Compute, ControlVector, LoadOptions, Location, Model, ModelInfo, Precision, save_control_vector,
};
use std::path::{Path, PathBuf};
use std::process::Command;

const TEXT: [u32; 6] = [3, 17, 5, 9, 41, 2];

fn rows(model: &Model) -> Vec<Vec<f32>> {
    logits(&model.transformer, &TEXT).to_vec2().unwrap()
}

fn part(folder: &Path, number: usize, count: usize) -> PathBuf {
    folder.join(format!("m-{number:05}-of-{count:05}.gguf"))
}

/// A fixture's parts as written by llama-gguf-split: all metadata in the first, the tensors distributed in turn.
fn split(name: &str, count: usize) -> Vec<Parts> {
    let whole = Parts::read(name);
    let n_tensors = whole.tensors.len();
    let mut names: Vec<String> = whole.tensors.into_keys().collect();
    names.sort();
    let own = |place: usize| {
        let mut parts = Parts::read(name);
        let mine = names.iter().skip(place).step_by(count);
        let tensors = mine.map(|name| (name.clone(), parts.tensors.remove(name).unwrap())).collect();
        let metadata = if place == 0 { parts.metadata } else { Default::default() };
        Parts { metadata, tensors }
            .set("split.no", Value::U16(place as u16))
            .set("split.count", Value::U16(count as u16))
            .set("split.tensors.count", Value::I32(n_tensors as i32))
    };
    (0..count).map(own).collect()
}

fn write(folder: &Path, parts: &[Parts]) {
    for (place, parts_of_it) in parts.iter().enumerate() {
        parts_of_it.write(&part(folder, place + 1, parts.len()));
    }
}

fn message(path: &Path) -> String {
    Model::load(path, Precision::F32).map(|_| "it loaded").unwrap_err().to_string()
}

fn refused(path: &Path, parts: &[&str]) {
    let message = message(path);
    parts.iter().for_each(|part| assert!(message.contains(part), "`{part}` is not in: {message}"));
}

#[test]
fn a_model_in_parts_equals_the_whole_one_opened_by_any_part() {
    let lab = tempfile::tempdir().unwrap();
    let folder = lab.path().join("models");
    std::fs::create_dir(&folder).unwrap();
    write(&folder, &split("llama3.Q8_0", 3));
    let whole = Model::load(&fixture("llama3.Q8_0"), Precision::F32).unwrap();
    let expected = rows(&whole);
    let first = part(&folder, 1, 3);
    let second = part(&folder, 2, 3).display().to_string();
    let folder_name = folder.display().to_string();
    let short = folder.join("m").display().to_string();
    for name in ["m", "m.gguf", &second, &folder_name, &short, "m-00003-of-00003", "m-00003-of-00003.gguf"] {
        let location = Location::find(lab.path(), name).unwrap();
        assert_eq!((&location, location.name().as_str()), (&Location::Gguf(first.clone()), "m"), "{name}");
    }
    let mut hashes = vec![];
    for path in [&first, &part(&folder, 3, 3), &folder] {
        let model = Model::load(path, Precision::F32).unwrap();
        assert_eq!(rows(&model), expected, "{}", path.display());
        assert_eq!((model.name.as_str(), &model.config_sha256), ("m", &whole.config_sha256));
        hashes.push(model.weights_sha256);
    }
    hashes.dedup();
    assert!(hashes.len() == 1 && hashes[0] != whole.weights_sha256, "{hashes:?}");
    // The basis of the memory check: the same matrices in the same types.
    let (parts, one) = (Location::Gguf(first), Location::Gguf(fixture("llama3.Q8_0")));
    assert_eq!(ModelInfo::of(&parts).unwrap().stored, ModelInfo::of(&one).unwrap().stored);
    for compute in [Compute::Q8, Compute::F32] {
        let options = LoadOptions { compute, ..LoadOptions::default() };
        let [a, b] = [&parts, &one].map(|at| rows(&Model::open(at, options).unwrap()));
        assert_eq!(a, b, "{compute}");
    }
}

#[test]
fn the_hash_is_over_all_parts() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = split("llama3", 2);
    write(folder.path(), &parts);
    let hash = || Model::load(&part(folder.path(), 1, 2), Precision::F32).unwrap().weights_sha256;
    let before = hash();
    let name = parts[1].tensors.keys().find(|name| name.contains("norm")).unwrap().clone();
    let others = Tensor::full(0.5f32, parts[1].tensors[&name].shape().dims(), &Device::Cpu).unwrap();
    let last = parts.pop().unwrap().tensor(&name, &others);
    last.write(&part(folder.path(), 2, 2));
    assert_ne!(before, hash());
}

#[test]
fn a_model_split_by_gguf_py_can_be_opened_by_each_of_its_files() {
    let whole = Model::load(&fixture("qwen2.F16"), Precision::F32).unwrap();
    for number in 1..=3 {
        let path = root("tests/fixtures/gguf").join(format!("split-{number:05}-of-00003.gguf"));
        let model = Model::load(&path, Precision::F32).unwrap();
        assert_eq!((model.name.as_str(), rows(&model)), ("split", rows(&whole)));
    }
}

#[test]
fn a_model_in_parts_is_extracted_and_probed() {
    let lab = tempfile::tempdir().unwrap();
    let folder = lab.path().join("models");
    std::fs::create_dir(&folder).unwrap();
    write(&folder, &split("llama3.Q8_0", 2));
    let mappa = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_mappa")).arg("--lab").arg(lab.path()).args(args).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let second = part(&folder, 2, 2).display().to_string();
    assert!(mappa(&["models", "inspect", &second]).contains("model       m\n"));
    let list = mappa(&["models", "list"]);
    assert_eq!(list.matches("m-0000").count(), 1, "{list}");
    mappa(&["extract", "--model", &second, "--dataset", "nyc_place", "--prompt", "{}"]);
    assert!(lab.path().join("activations/m/nyc_place/empty").is_dir());
}

#[test]
fn parts_of_different_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |number| part(folder.path(), number, 3);
    let again = || write(folder.path(), &split("llama3", 3));
    let spoilt = |number: usize, change: &dyn Fn(Parts) -> Parts, expected: &[&str]| {
        again();
        let parts = split("llama3", 3).remove(number - 1);
        change(parts).write(&at(number));
        for named in 1..=3 {
            refused(&at(named), expected);
        }
    };
    again();
    for missing in 1..=3 {
        std::fs::rename(at(missing), folder.path().join("away")).unwrap();
        let name = at(missing).file_name().unwrap().to_str().unwrap().to_string();
        let named = at(missing % 3 + 1);
        refused(&named, &["found part", &format!("of 3 without {name}"), "download or copy"]);
        let location = Location::find(folder.path(), &at(missing).display().to_string()).unwrap();
        let found = ModelInfo::of(&location).map(|_| ()).unwrap_err().to_string();
        assert!(found.contains(&format!("of 3 without {name}")), "{found}");
        std::fs::rename(folder.path().join("away"), at(missing)).unwrap();
    }
    let third = "m-00003-of-00003.gguf";
    spoilt(3, &|p| p.set("split.count", Value::U16(4)), &[third, "part 3 of 4"]);
    spoilt(3, &|p| p.without("split.count"), &[third, "split.count"]);
    spoilt(3, &|p| p.set("split.no", Value::U16(1)), &[third, "part 2 of 3"]);
    spoilt(3, &|p| p.set("split.tensors.count", Value::I32(7)), &[third, "`split.tensors.count` 7"]);
    spoilt(
        3,
        &|p| p.set("llama.block_count", Value::U32(9)),
        &[third, "`llama.block_count` 9", "parts of one model"],
    );
    spoilt(
        2,
        &|p| Parts { tensors: Default::default(), ..p },
        &["m-00001-of-00003.gguf", "split.tensors.count"],
    );
    let norm = Tensor::ones(32, DType::F32, &Device::Cpu).unwrap();
    let first = split("llama3", 3)[0].tensors.keys().next().unwrap().clone();
    spoilt(
        2,
        &|p| p.tensor(&first, &norm),
        &["m-00002-of-00003.gguf", &first, "which is also in m-00001-of-00003.gguf"],
    );
    // The parts of another model, with the same number of other tensors.
    again();
    split("qwen3", 3)[1].write(&at(2));
    refused(&at(1), &["m-00002-of-00003.gguf", "split.tensors.count", "parts of one model"]);
}

#[test]
fn a_part_with_another_name_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &split("llama3", 2));
    let renamed = folder.path().join("renamed.gguf");
    std::fs::copy(part(folder.path(), 2, 2), &renamed).unwrap();
    refused(&renamed, &["renamed.gguf", "part 2 of 2", "llama-gguf-split --merge"]);
    let other = folder.path().join("x-00001-of-00004.gguf");
    std::fs::copy(part(folder.path(), 1, 2), &other).unwrap();
    refused(&other, &["part 1 of 2 by its metadata", "part 1 of 4, as the file is named"]);
    // A merged file states that it is the only part.
    let merged = folder.path().join("merged.gguf");
    Parts::read("llama3").set("split.count", Value::U16(0)).write(&merged);
    Model::load(&merged, Precision::F32).unwrap();
    std::fs::rename(&merged, folder.path().join("y-00001-of-00001.gguf")).unwrap();
    Model::load(&folder.path().join("y-00001-of-00001.gguf"), Precision::F32).unwrap();
}

#[test]
fn a_folder_with_one_gguf_model() {
    let lab = tempfile::tempdir().unwrap();
    let folder = lab.path().join("models/gathered");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(fixture("llama3.Q8_0"), folder.join("one.gguf")).unwrap();
    let find = || Location::find(lab.path(), "gathered");
    assert_eq!(find().unwrap(), Location::Gguf(folder.join("one.gguf")));
    // An additional config.json or projector changes nothing; a second model requires a choice.
    std::fs::write(folder.join("config.json"), "{}").unwrap();
    no_model(&[("general.architecture", "clip")], &["v.patch_embd.weight"])
        .write(&folder.join("mmproj-one.gguf"));
    assert_eq!(find().unwrap(), Location::Gguf(folder.join("one.gguf")));
    std::fs::copy(fixture("qwen2"), folder.join("two.gguf")).unwrap();
    let message = find().unwrap_err().to_string();
    assert!(message.contains("2 GGUF models: one, two"), "{message}");
}

/// A file's texts by key, its tensors, and two parts of the message.
type Case = (&'static [(&'static str, &'static str)], &'static [&'static str], [&'static str; 2]);

/// A file with a few texts and small tensors.
fn no_model(metadata: &[(&str, &str)], tensors: &[&str]) -> Parts {
    let metadata = metadata.iter().map(|(key, text)| (key.to_string(), Value::String(text.to_string())));
    let parts = Parts { metadata: metadata.collect(), tensors: Default::default() };
    let values = Tensor::ones((2, 32), DType::F32, &Device::Cpu).unwrap();
    tensors.iter().fold(parts, |parts, name| parts.tensor(name, &values))
}

#[test]
fn a_file_that_is_not_a_model_is_refused_by_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.gguf");
    let cases: [Case; 9] = [
        (&[("general.architecture", "clip")], &["mm.0.weight"], ["a projector", "the language model"]),
        (
            &[("general.type", "mmproj"), ("general.architecture", "clip")],
            &[],
            ["mmproj", "another GGUF file"],
        ),
        (
            &[("general.type", "adapter"), ("general.architecture", "llama"), ("adapter.type", "lora")],
            &["blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"],
            ["a LoRA adapter", "llama-export-lora"],
        ),
        (&[("general.architecture", "llama")], &["blk.0.attn_q.weight.lora_a"], ["a LoRA adapter", "merge"]),
        (&[("general.architecture", "controlvector")], &["direction.1"], ["a control vector", "--direction"]),
        (
            &[("general.architecture", "llama")],
            &["direction.1", "direction.2"],
            ["a control vector", "steer"],
        ),
        (
            &[("general.type", "imatrix")],
            &["blk.0.attn_q.weight.counts"],
            ["importance matrix", "quantised with it"],
        ),
        (
            &[("imatrix.dataset", "a.txt")],
            &["blk.0.attn_q.weight.counts"],
            ["importance matrix", "another GGUF file"],
        ),
        (&[("general.architecture", "llama")], &[], ["a vocabulary without weights", "--vocab-only"]),
    ];
    for (metadata, tensors, expected) in cases {
        no_model(metadata, tensors).write(&path);
        refused(&path, &[expected[0], expected[1], "other.gguf"]);
        let output = Command::new(env!("CARGO_BIN_EXE_mappa"))
            .args(["models", "inspect"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(expected[0]), "{said}");
    }
    save_control_vector(&path, &ControlVector::from([(1, vec![0.5; 32])]), "llama").unwrap();
    refused(&path, &["a control vector"]);
}

#[test]
fn the_shared_cases() {
    let cases = root("../shared/cases");
    let at = |path: &str| Some(cases.join(path)).filter(|path| path.is_file());
    let mut n = 0;
    for number in 1..=2 {
        let Some(path) = at(&format!("gguf_split/m-{number:05}-of-00002.gguf")) else { continue };
        Model::load(&path, Precision::F32).unwrap();
        n += 1;
    }
    for (name, expected) in [("lora.gguf", "a LoRA adapter"), ("mmproj.gguf", "a projector")] {
        let Some(path) = at(&format!("gguf_that_is_no_model/{name}")) else { continue };
        refused(&path, &[expected]);
        n += 1;
    }
    println!("{n} of 4 files of {} were there", cases.display());
}
