//! Training of sparse dictionaries: the training rows, and runs of the real program that are killed and resumed.
#![cfg(unix)]

use mappa::features::Dictionary;
use mappa::features::train::{RowSource, TokenizedTexts};
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, LoadOptions, Location, Model};
use mappa::progress::Silent;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

const POINT: HookPoint = HookPoint::ResidPost(1);

fn atlas() -> Model {
    Model::open(&Location::Bundled, LoadOptions::default()).unwrap()
}

/// The row of each distinct prefix of the texts, without BOS; each text has its own pass.
fn one_by_one(model: &Model, texts: &[&str]) -> BTreeMap<Vec<u32>, Vec<f32>> {
    let mut rows = BTreeMap::new();
    for text in texts {
        let ids = model.tokenizer.encode(text).unwrap().ids;
        let (forest, _) = model.transformer.forest(std::slice::from_ref(&ids)).unwrap();
        let mut capture = Capture::all(&[POINT]);
        model.transformer.forward(&forest, None, &mut capture).unwrap();
        let values: Vec<Vec<f32>> = capture.get(POINT).unwrap().to_vec2().unwrap();
        rows.extend((1..ids.len()).map(|at| (ids[..=at].to_vec(), values[at].clone())));
    }
    rows
}

fn sorted(values: &[f32], width: usize) -> Vec<Vec<f32>> {
    let mut rows: Vec<Vec<f32>> = values.chunks_exact(width).map(<[f32]>::to_vec).collect();
    rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
    rows
}

#[test]
fn every_token_is_a_row_and_no_held_out_row_is_a_training_row() {
    let model = atlas();
    let names =
        ["Nairobi", "Nairobi south-east of Tunis.", "Nairobi Kenya Africa.", "Tunis", "Tunis", "Berlin"];
    let many: Vec<String> = (0..60).map(|i| format!("{} north of {}", names[i % 6], names[i % 5])).collect();
    let texts: Vec<&str> = names.into_iter().chain(many.iter().map(String::as_str)).collect();
    let encoded = texts.iter().map(|text| model.tokenizer.encode(text).unwrap()).collect();
    let tokenised = TokenizedTexts::new(model.spec(), encoded);
    let distinct: BTreeSet<&str> = texts.iter().copied().collect();
    assert_eq!((tokenised.len(), tokenised.n_repeated), (distinct.len(), texts.len() - distinct.len()));
    let (train_rows, out) = tokenised.split(&model.transformer, POINT, 0.3, 1).unwrap();
    let width = train_rows.width();
    let read = |source: &dyn RowSource| {
        let parts: Vec<usize> = (0..source.parts().len()).collect();
        let rows = source.read(&parts, &mut Silent).unwrap();
        assert_eq!(rows.len(), source.n_rows() * width);
        rows
    };
    // Both sets fit into one pass, so rows of the same prefix are equal to the bit.
    assert_eq!((train_rows.parts().len(), out.parts().len()), (1, 1));
    let mut train = sorted(&read(&train_rows), width);
    train.dedup();
    assert!(train.len() < train_rows.n_rows(), "no prefix counts more than once");
    let mut found = [train, sorted(&read(&out), width)].concat();
    found.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let all: Vec<f32> = one_by_one(&model, &texts).into_values().flatten().collect();
    let expected = sorted(&all, width);
    assert!(train_rows.n_rows() > out.n_rows() && out.n_rows() > 10);
    assert_eq!(found.len(), expected.len());
    // Products of other sizes may round differently.
    let near = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(found.iter().zip(&expected).all(near));
}

#[test]
fn texts_longer_than_the_context_are_cut_and_counted() {
    let model = atlas();
    let long = "Nairobi ".repeat(400);
    let names = ["Tunis", "Berlin", "Plutarch", "Warsaw", "Lima", "Oslo", "Accra", "Quito", "Hanoi", "Cairo"];
    let encoded: Vec<_> =
        names.into_iter().chain([long.as_str()]).map(|text| model.tokenizer.encode(text).unwrap()).collect();
    let beginnings = |ids: &[u32]| {
        (2..=ids.len().min(model.spec().n_context)).map(|n| ids[..n].to_vec()).collect::<Vec<_>>()
    };
    let distinct: BTreeSet<Vec<u32>> = encoded.iter().flat_map(|text| beginnings(&text.ids)).collect();
    let lengths: Vec<usize> = encoded.iter().map(|text| text.ids.len()).collect();
    let tokenised = TokenizedTexts::new(model.spec(), encoded);
    assert_eq!(tokenised.n_cut, 1);
    let (train_rows, out) = tokenised.split(&model.transformer, POINT, 0.5, 2).unwrap();
    assert!(distinct.len() > model.spec().n_context);
    let n_tokens: usize = lengths.into_iter().map(|n| n.min(model.spec().n_context) - 1).sum();
    assert!((distinct.len()..=n_tokens).contains(&(train_rows.n_rows() + out.n_rows())));
}

/// A run of a few hundred steps, with a checkpoint after each step.
fn train(lab: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
    let flags = "features train --hook-point embed --dataset nyc_place --latents 96 -k 4 --batch 64 --epochs 8 \
                 --dead-after 500 --checkpoint-every 0 --name small";
    command.arg("--lab").arg(lab).args(flags.split_whitespace()).args(more);
    command
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[test]
fn a_run_killed_several_times_ends_with_the_dictionary_of_an_uninterrupted_one() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let output = train(whole.path(), &[]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    for part in ["FVE", "principal components", "random directions", "dead latents", "mappa features list"] {
        assert!(text(&output).contains(part), "{part} is not in {}", text(&output));
    }
    let folder = |lab: &Path| lab.join("features/atlas/small");
    let checkpoint = folder(parts.path()).join("checkpoint.safetensors");
    let mut n_killed = 0;
    // By SIGKILL and by Ctrl-C, each twice.
    for (millis, signal) in [(30, "-KILL"), (60, "-INT"), (90, "-KILL"), (20, "-INT")] {
        let mut child = train(parts.path(), &[]).stderr(std::process::Stdio::null()).spawn().unwrap();
        while !checkpoint.is_file() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        std::thread::sleep(std::time::Duration::from_millis(millis));
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).output().unwrap();
        let status = child.wait().unwrap();
        assert!(sent.status.success() || status.success());
        let is_asked = status.code() == Some(130) && signal == "-INT";
        assert!(status.success() || status.code().is_none() || is_asked, "{signal}: {status}");
        n_killed += usize::from(!status.success());
    }
    assert!(n_killed > 0, "every run was done before it could be killed");
    let other = train(parts.path(), &["--rate", "0.5"]).output().unwrap();
    assert!(!other.status.success() && text(&other).contains("rate"), "{}", text(&other));
    let output = train(parts.path(), &[]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let [a, b] = [&whole, &parts].map(|lab| Dictionary::load(&folder(lab.path()), None).unwrap());
    assert!(a == b, "the dictionaries differ");
    assert!(!checkpoint.exists());
    let again = train(parts.path(), &[]).output().unwrap();
    assert!(text(&again).contains("trained before"), "{}", text(&again));
}

#[test]
fn wrong_arguments_are_refused_naming_them() {
    let lab = tempfile::tempdir().unwrap();
    for (flags, parts) in [
        (&["--hook-point", "blocks.*.hook_resid_post"][..], &["--hook-point", "matches 6 hook points"][..]),
        (&["--hook-point", "blocks.9.hook_resid_post"], &["blocks.9"]),
        (&["--hook-point", "embed", "-k", "3000"], &["k: found 3000", "2048"]),
        (&["--hook-point", "embed", "--held-out", "1"], &["--held-out"]),
        (&["--hook-point", "embed", "--texts", "no.txt"], &["no.txt"]),
        (&["--hook-point", "embed", "--prompt", "random", "--dataset", "nyc_place"], &["--prompt", "random"]),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
        command.arg("--lab").arg(lab.path()).args(["features", "train"]).args(flags);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {}", text(&output));
        for part in parts {
            assert!(text(&output).contains(part), "{part} is not in {}", text(&output));
        }
    }
}
