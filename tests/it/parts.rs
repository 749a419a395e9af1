//! Partial probes: fitted by many processes and merged, they equal a single run byte for byte.

use super::program::{self, command, mappa};
use super::{root, tiny_spec};
use mappa::artefact::Card;
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Model, Precision, Spec, Transformer, untrained, untrained_up_to};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Output, Stdio};

const FOLDER: &str = "probes/atlas/nyc_place/empty";
const FIT: [&str; 5] = ["probe", "--dataset", "nyc_place", "--resamples", "20"];

fn run(lab: &Path, args: &[&[&str]]) -> Output {
    mappa(lab, &args.concat())
}

fn done(lab: &Path, args: &[&[&str]]) -> String {
    program::done(run(lab, args))
}

fn refused(lab: &Path, args: &[&[&str]], parts: &[&str]) {
    program::refused(run(lab, args), parts);
}

/// The files of a probe folder and of its figures, without hidden files; of the card only the inputs.
fn files(lab: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in [FOLDER, "figures/atlas/empty"] {
        for entry in std::fs::read_dir(lab.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = match name.as_str() {
                "card.json" => format!("{:?}", Card::load(&path).unwrap().unwrap().inputs).into_bytes(),
                _ if name.starts_with('.') => continue,
                _ => std::fs::read(&path).unwrap(),
            };
            files.insert(name, bytes);
        }
    }
    files
}

fn names() -> Vec<String> {
    let printed = done(Path::new("."), &[&["models", "hook-points", "atlas"]]);
    let names: Vec<String> = printed.lines().map(String::from).collect();
    assert_eq!(names, HookPoint::stream(6).iter().map(HookPoint::to_string).collect::<Vec<_>>());
    names
}

#[test]
fn merged_hook_points_equal_one_run_byte_for_byte() {
    let (whole, apart) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (whole, apart) = (whole.path(), apart.path());
    let printed = done(whole, &[&FIT]);
    let names = names();
    done(apart, &[&["extract", "--dataset", "nyc_place"]]);
    refused(
        apart,
        &[&FIT, &["--merge"]],
        &["blocks.0.hook_resid_pre", "blocks.5.hook_resid_post", "--hook-points"],
    );
    // Two hook points in one process, four in parallel processes, and the last one alone.
    let two = done(apart, &[&FIT, &["--hook-points", "blocks.{1,5}.*"]]);
    assert!(two.contains(&format!("probed: {}\nprobed: {}\n", names[2], names[6])), "{two}");
    let start = |name: &String| {
        let mut command = command(apart, &[&FIT[..], &["--hook-points", name]].concat());
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let left: Vec<Child> = [0, 1, 3, 5].map(|i| start(&names[i])).into_iter().collect();
    left.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
    refused(apart, &[&FIT, &["--merge"]], &["no part for blocks.3.hook_resid_post;", "7 hook points"]);
    refused(apart, &[&FIT, &["--seed", "1", "--hook-points", &names[0]]], &["seed", "0, now 1", &names[0]]);
    let part = apart.join(FOLDER).join(".parts").join(&names[0]).join("scores.csv");
    let before = std::fs::metadata(&part).unwrap().modified().unwrap();
    assert!(done(apart, &[&FIT, &["--hook-points", &names[0]]]).contains("found, probed before"));
    assert_eq!(std::fs::metadata(&part).unwrap().modified().unwrap(), before);
    done(apart, &[&FIT, &["--hook-points", &names[4]]]);
    let merged = done(apart, &[&FIT, &["--merge"]]);
    let table = |text: &str| text.split("probes, scores").next().unwrap().to_string();
    assert_eq!(table(&merged), table(&printed));
    let (whole, apart_files) = (files(whole), files(apart));
    assert_eq!(whole.keys().collect::<Vec<_>>(), apart_files.keys().collect::<Vec<_>>());
    for (name, bytes) in &whole {
        assert!(*bytes == apart_files[name], "{name} differs");
    }
    assert!(whole.len() >= 8, "{:?}", whole.keys());
    assert!(done(apart, &[&FIT, &["--hook-points", &names[3]]]).contains("found, probed before"));
    assert!(done(apart, &[&FIT, &["--merge"]]).contains("found, probed before"));
}

#[test]
fn unknown_hook_points_are_refused() {
    let lab = tempfile::tempdir().unwrap();
    for odd in ["blocks.6.hook_resid_post", "blocks.0.hook_mlp_out", "blocks.x.hook_resid_post"] {
        refused(lab.path(), &[&FIT, &["--hook-points", odd]], &[odd, "blocks.{l}.hook_resid_post", "0 to 5"]);
    }
    let both = run(lab.path(), &[&FIT, &["--merge", "--hook-points", "blocks.0.hook_resid_post"]]);
    assert!(String::from_utf8(both.stderr).unwrap().contains("cannot be used with"));
}

/// The stream of an untrained model at the given hook points, for two texts.
fn streams(model: &Transformer, points: &[HookPoint]) -> Vec<Vec<Vec<f32>>> {
    let (forest, _) = match model.spec.attention.direction {
        mappa::model::AttentionDirection::Causal => {
            Forest::of_texts(&[vec![0, 3, 9, 1], vec![0, 3, 7]]).unwrap()
        }
        mappa::model::AttentionDirection::Bidirectional => {
            Forest::of_chains(&[vec![0, 3, 9, 1], vec![0, 3, 7]]).unwrap()
        }
    };
    let mut capture = Capture::all(points);
    model.forward(&forest, None, &mut capture).unwrap();
    points.iter().map(|point| capture.get(*point).unwrap().to_vec2().unwrap()).collect()
}

fn specs() -> Vec<(String, Spec)> {
    let folder = root("tests/fixtures/models");
    let checkpoint = |name: &str| {
        let (spec, _) = Model::parameters(&folder.join(name), Precision::F32).unwrap();
        (name.to_string(), spec)
    };
    let mut specs = vec![("tiny".to_string(), tiny_spec(64))];
    specs.extend(["gpt2", "gpt_neox", "gemma2", "bert", "opt", "falcon_7b"].map(checkpoint));
    specs
}

#[test]
fn an_untrained_model_does_not_depend_on_its_depth() {
    for (name, spec) in specs() {
        let points = HookPoint::stream(spec.n_layers);
        let whole = streams(&untrained(&spec, 5).unwrap(), &points);
        for layer in 0..spec.n_layers {
            let cut = untrained_up_to(layer, &spec, 5).unwrap();
            assert_eq!(cut.spec.n_layers, layer + 1, "{name}");
            assert_eq!(streams(&cut, &points[..layer + 2]), whole[..layer + 2], "{name}: layer {layer}");
        }
        let other = streams(&untrained_up_to(0, &spec, 6).unwrap(), &points[..1]);
        assert_ne!(other[0], whole[0], "{name}: another seed gives other weights");
        // There are no layers beyond the last.
        assert_eq!(untrained_up_to(99, &spec, 5).unwrap().spec.n_layers, spec.n_layers);
    }
}
