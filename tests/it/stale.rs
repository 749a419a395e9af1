//! Saved results are used again only if a new run would make the same ones: in a lab that already has other results, an
//! experiment gives the same files as in an empty lab, or is refused with advice. A removed file is made again, and a
//! changed one is named.

use super::features::dictionary;
use super::program::{done, mappa, refused};
use mappa::artefact::{Card, FolderName};
use mappa::features::SparseActivation;
use mappa::hook_point::HookPoint;
use mappa::lab::{DictionarySettings, Experiment, Lab, NeuronSettings, ProbingSettings, train_dictionary};
use mappa::model::{Model, Place, Precision};
use mappa::progress::Silent;
use mappa::steering::Vectors;
use mappa::tokenizer::Bos;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The base experiment: a sweep of one layer and a sweep of two, because their figures differ.
const BASE: &str = r#"model = "atlas"
datasets = ["towns"]
resamples = 20
no_baselines = true

[[sweep]]
called = "one"
dataset = "towns"
target = "latitude"
doses = [0.0, 5.0]
prompts = ["Oslo | Rome", "Lima"]
layer = 2
random = 0
tokens = 2

[[sweep]]
called = "two"
dataset = "towns"
target = "latitude"
doses = [0.0, 5.0]
prompts = ["Oslo"]
layers = ["1", "2"]
random = 0
tokens = 2
"#;

/// A lab with two datasets of towns and other files that settings name.
fn new_lab() -> tempfile::TempDir {
    let lab = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(lab.path().join("datasets")).unwrap();
    for (name, shift) in [("towns", 0), ("cities", 3)] {
        let mut text = "name,country,side,latitude,longitude,is_test\n".to_string();
        for i in 0..48 {
            let (country, side, is_test) = (["N", "S", "E"][i % 3], ["a", "b"][i % 2], i % 4 == 0);
            let (lat, lon) = ((i * 7 + shift) % 60, (i * 11 + shift) % 90);
            text +=
                &format!("{} {i},{country},{side},{lat},{lon},{is_test}\n", ["Oslo", "Rome", "Lima"][i % 3]);
        }
        std::fs::write(lab.path().join(format!("datasets/{name}.csv")), text).unwrap();
    }
    lab
}

pub(crate) fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copied(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn copy_of(lab: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copied(lab, copy.path());
    copy
}

/// The files below a folder, by path; cards without their `record`, the facts about the run.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            if path.extension().is_some_and(|ending| ending == "json")
                && let Ok(mut card) = serde_json::from_slice::<serde_json::Value>(&bytes)
                && let Some(fields) = card.as_object_mut()
                && fields.remove("record").is_some()
            {
                bytes = card.to_string().into_bytes();
            }
            found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), bytes);
        }
    }
    found
}

/// All results of a lab.
fn results(lab: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    ["activations", "probes", "steering", "figures", "features"]
        .iter()
        .flat_map(|part| {
            files(&lab.join(part)).into_iter().map(|(path, bytes)| (Path::new(part).join(path), bytes))
        })
        .collect()
}

fn run(lab: &Path, text: &str) -> Result<(), String> {
    let experiment =
        Experiment::parse(Path::new("x.toml"), text).map_err(|e| format!("not an experiment: {e}"))?;
    Lab::open(lab).unwrap().run(&experiment, &mut Silent).map(drop).map_err(|e| e.to_string())
}

/// The base experiment with a line at the top or in the first sweep, in place of the line of the same key.
fn with(line: &str, is_of_sweep: bool) -> String {
    let key = |line: &str| line.split('=').next().unwrap().trim().to_string();
    let (top, sweeps) = BASE.split_once("[[sweep]]\n").unwrap();
    let replaced = |part: &str| {
        let kept = part.lines().filter(|old| key(old) != key(line));
        kept.chain([line]).map(|line| format!("{line}\n")).collect::<String>()
    };
    let (first, second) = sweeps.split_once("[[sweep]]\n").unwrap();
    match is_of_sweep {
        true => format!("{top}[[sweep]]\n{}[[sweep]]\n{second}", replaced(first)),
        false => format!("{}[[sweep]]\n{sweeps}", replaced(top)),
    }
}

/// An experiment without its last sweep.
fn one_sweep(text: &str) -> &str {
    &text[..text.rfind("[[sweep]]").unwrap()]
}

/// Another value for each key of an experiment, or the reason why it needs none.
const OTHERS: [(&str, Result<&str, &str>); 32] = [
    ("model", Ok("model = 'FILES/atlas'")),
    ("model_name", Ok("model_name = 'other'")),
    ("dtype", Ok("dtype = 'f16'")),
    ("device", Err("a machine without another device refuses it")),
    ("compute", Err("not every processor multiplies in bf16")),
    ("datasets", Ok("datasets = ['towns', 'cities']")),
    ("prompt", Ok("prompt = 'Where is {}?'")),
    ("prompts", Ok("prompts = { towns = ['Where is {}?', '{}'] }")),
    ("pull", Err("downloads datasets, which are inputs by their own hashes")),
    ("names", Err("only the paper's own datasets have other names")),
    ("bos", Ok("bos = 'never'")),
    ("chat", Err("the bundled model has no chat template")),
    ("chat_date", Err("the bundled model has no chat template")),
    ("skip_unplaced", Ok("skip_unplaced = true")),
    ("read", Ok("read = 'mean'")),
    ("over", Ok("over = 'text'\nread = 'mean'")),
    ("store", Ok("store = 'f16'")),
    ("hook_points", Ok("hook_points = ['blocks.0.hook_mlp_out']")),
    ("methods", Ok("methods = ['ols']")),
    ("classes", Ok("classes = 'side'\nmethods = ['logistic']")),
    ("split", Ok("split = 'random'")),
    ("train", Ok("train = 'cities'")),
    ("train_prompt", Ok("train_prompt = 'Where is {}?'")),
    ("cluster", Ok("cluster = 'country'")),
    ("alphas", Ok("alphas = '0.1,10'")),
    ("vectors", Err("needs baselines; `word_vectors` exchanges the file")),
    ("no_baselines", Ok("no_baselines = false")),
    ("paper_metrics", Ok("paper_metrics = true")),
    ("leak_within", Ok("leak_within = 500.0")),
    ("seed", Ok("seed = 1")),
    ("resamples", Ok("resamples = 30")),
    ("sweep", Err("its keys are below")),
];

/// Another value for each key of a sweep, or the reason why it needs none.
const OTHER_SWEEPS: [(&str, Result<&str, &str>); 20] = [
    ("called", Ok("called = 'three'")),
    ("kind", Ok("kind = 'place'")),
    ("dataset", Err("needs probes of another dataset; see `datasets`")),
    ("probes", Ok("probes = 'FILES/probes'")),
    ("target", Ok("target = 'longitude'")),
    ("doses", Ok("doses = [0.0, 6.0]")),
    ("prompts", Ok("prompts = ['Oslo', 'Rome | Lima']")),
    ("entities", Ok("entities = ['country=N']")),
    ("template", Ok("template = 'In {}'")),
    ("layer", Ok("layer = 1")),
    ("layers", Ok("layers = ['1+2']")),
    ("along", Ok("along = ['weights']")),
    ("direction", Ok("direction = 'FILES/vectors.safetensors'")),
    ("feature", Ok("feature = 'FILES/dictionary:1'")),
    ("at", Ok("at = 'prompt'")),
    ("random", Ok("random = 1")),
    ("tokens", Ok("tokens = 3")),
    ("names", Ok("names = 'country=N'")),
    ("read", Ok("read = 'country'")),
    ("budget", Ok("budget = 1.0")),
];

/// The keys of a sweep, as the refusal of an unknown one lists them.
fn keys_of_sweeps() -> Vec<String> {
    let error =
        Experiment::parse(Path::new("x.toml"), &with("unknown_key = 1", true)).unwrap_err().to_string();
    // The key of the refused part follows in brackets.
    let listed = error.split_once("expected one of ").unwrap().1.split_once(" (").unwrap().0;
    listed.split('`').skip(1).step_by(2).map(String::from).collect()
}

/// Files that settings name: a model called `atlas` with another end token, probes, vectors, and a dictionary.
fn named_files() -> tempfile::TempDir {
    let (folder, lab) = (tempfile::tempdir().unwrap(), new_lab());
    copied(&super::root("models/atlas"), &folder.path().join("atlas"));
    ends_at(folder.path(), 5);
    run(lab.path(), &with("split = 'random'", false)).unwrap();
    copied(&only_probes(lab.path()), &folder.path().join("probes"));
    vectors(folder.path(), 1.0);
    let point = HookPoint::ResidPost(1);
    dictionary(point, 128, SparseActivation::Relu).save(&folder.path().join("dictionary")).unwrap();
    folder
}

/// The only folder of probes of the towns.
fn only_probes(lab: &Path) -> PathBuf {
    let mut folders = std::fs::read_dir(lab.join("probes/atlas/towns")).unwrap();
    folders.next().unwrap().unwrap().path()
}

fn ends_at(files: &Path, token: u32) {
    let config = format!("{{\"eos_token_id\": {token}}}");
    std::fs::write(files.join("atlas/generation_config.json"), config).unwrap();
}

fn vectors(files: &Path, first: f64) {
    let vector = |point| (point, (0..128).map(|i| if i == 0 { first } else { 1.0 }).collect());
    let vectors = Vectors::new([1, 2].map(HookPoint::ResidPost).map(vector).into());
    vectors.save(&files.join("vectors.safetensors")).unwrap();
}

/// Runs an experiment in a lab with other results and in an empty one: the first run must be refused with advice, or
/// give the same files as the second. Returns the refusal.
#[track_caller]
fn same_or_refused(used: &Path, text: &str) -> Option<String> {
    let empty = new_lab();
    let in_empty = run(empty.path(), text);
    assert_eq!(in_empty, Ok(()), "not a valid experiment: {text}");
    let lab = copy_of(used);
    if let Err(refusal) = run(lab.path(), text) {
        assert!(refusal.contains("now ") && refusal.contains("away"), "{refusal}\n{text}");
        return Some(refusal);
    }
    let (found, expected) = (results(lab.path()), results(empty.path()));
    for (path, bytes) in expected {
        assert!(found.get(&path) == Some(&bytes), "{} is not what would be made by {text}", path.display());
    }
    None
}

#[test]
fn an_experiment_that_differs_in_one_key_is_never_given_the_results_of_another() {
    let known: Vec<&str> = OTHERS.iter().map(|(key, _)| *key).collect();
    assert_eq!(known, Experiment::keys(), "another value for each key");
    let known: Vec<&str> = OTHER_SWEEPS.iter().map(|(key, _)| *key).collect();
    assert_eq!(known, keys_of_sweeps(), "another value for each key of a sweep");
    let (lab, files) = (new_lab(), named_files());
    let of_files = |line: &str| line.replace("FILES", files.path().to_str().unwrap());
    run(lab.path(), one_sweep(BASE)).unwrap();
    let tops = OTHERS.iter().filter_map(|(_, line)| Some(with(&of_files(line.ok()?), false)));
    let sweeps = OTHER_SWEEPS.iter().filter_map(|(_, line)| Some(with(&of_files(line.ok()?), true)));
    let all: Vec<String> = tops.chain(sweeps).collect();
    let refused = all.iter().filter_map(|text| same_or_refused(lab.path(), one_sweep(text))).count();
    assert!(refused > 10, "{refused}");
    // With probes of a fixed folder, the settings that change only the steered texts.
    let fixed = |text: &str| text.replace("[[sweep]]\n", &of_files("[[sweep]]\nprobes = 'FILES/probes'\n"));
    let lab = new_lab();
    run(lab.path(), one_sweep(&fixed(BASE))).unwrap();
    for line in ["bos = 'never'", "dtype = 'f16'", "model = 'FILES/atlas'"] {
        same_or_refused(lab.path(), one_sweep(&fixed(&with(&of_files(line), false))));
    }
}

#[test]
fn a_file_that_an_experiment_names_is_an_input_by_its_content() {
    let files = named_files();
    let place = files.path().to_str().unwrap();
    let of = |line: &str, is_of_sweep| with(&line.replace("FILES", place), is_of_sweep);
    type Change<'a> = &'a dyn Fn(&Path);
    let cases: [(String, Change); 5] = [
        (of("model = 'FILES/atlas'", false), &|files| ends_at(files, 6)),
        (of("probes = 'FILES/probes'", true), &|files| {
            let lab = new_lab();
            run(lab.path(), &with("alphas = '7,70'", false)).unwrap();
            copied(&only_probes(lab.path()), &files.join("probes"));
        }),
        (of("direction = 'FILES/vectors.safetensors'", true), &|files| vectors(files, -9.0)),
        (of("feature = 'FILES/dictionary:1'", true), &|files| {
            let mut other = (*dictionary(HookPoint::ResidPost(1), 128, SparseActivation::Relu)).clone();
            other.w_dec[[1, 1]] += 0.5;
            other.save(&files.join("dictionary")).unwrap();
        }),
        (BASE.into(), &|_| ()),
    ];
    for (text, change) in cases {
        let lab = new_lab();
        run(lab.path(), &text).unwrap();
        change(files.path());
        let refusal = same_or_refused(lab.path(), &text);
        assert_eq!(refusal.is_none(), text == BASE, "{text}");
    }
}

#[test]
fn a_sweep_of_an_earlier_version_is_made_again_and_one_of_other_prompts_refused() {
    let lab = new_lab();
    run(lab.path(), BASE).unwrap();
    let whole = results(lab.path());
    let folder = lab.path().join("steering/atlas/one");
    let mut card = Card::load(&folder.join("card.json")).unwrap().unwrap();
    card.inputs
        .retain(|name, _| !["bos", "end_tokens", "config_sha256", "prompts_sha256"].contains(&name.as_str()));
    card.save(&folder.join("card.json")).unwrap();
    std::fs::remove_file(folder.join("layers/2.json")).unwrap();
    std::fs::write(folder.join("layers/2.csv"), "from an earlier version").unwrap();
    run(lab.path(), BASE).unwrap();
    assert!(results(lab.path()) == whole);
    card.inputs.insert("tokens".into(), "99".into());
    card.save(&folder.join("card.json")).unwrap();
    assert!(run(lab.path(), BASE).unwrap_err().contains("made with tokens 99, now 2; `called`"));
}

#[test]
fn a_figure_that_is_missing_or_shows_other_rows_is_drawn_by_the_next_run() {
    let lab = new_lab();
    let text =
        BASE.replace("['towns']", "['towns', 'cities']").replace("[\"towns\"]", "[\"towns\", \"cities\"]");
    let experiment = lab.path().join("both.toml");
    std::fs::write(&experiment, &text).unwrap();
    let again = || done(mappa(lab.path(), &["run", experiment.to_str().unwrap()]));
    again();
    let whole = files(&lab.path().join("figures"));
    for part in ["effect_by_kl.svg", "towns.png", "cities.svg", "r2_by_layer.png", "dose_response.svg"] {
        assert!(whole.keys().any(|path| path.ends_with(part)), "{part} of {:?}", whole.keys());
    }
    let said = again();
    assert!(!said.contains("drawn now"), "{said}");
    let (svgs, pngs): (Vec<&PathBuf>, Vec<&PathBuf>) =
        whole.keys().partition(|path| path.extension().unwrap() == "svg");
    let one = |end: &str| whole.keys().filter(|path| path.ends_with(end)).take(1).collect::<Vec<_>>();
    for missing in [&one("effect_by_kl.svg"), &one("towns.png"), &svgs, &pngs] {
        missing.iter().for_each(|path| std::fs::remove_file(lab.path().join("figures").join(path)).unwrap());
        let said = again();
        assert!(
            said.contains("done before") && said.contains(&format!("drawn now: {}.", missing.len())),
            "{missing:?}: {said}"
        );
        assert!(files(&lab.path().join("figures")) == whole, "{missing:?}");
    }
    for path in &pngs {
        let file = lab.path().join("figures").join(path);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    again();
    assert!(files(&lab.path().join("figures")) == whole, "pictures that were cut off");
    let whole_of = |path: &PathBuf| whole[path].clone();
    // A picture of an earlier version lacks the signature: the 84 bytes after the first 33.
    let unsigned = [&whole_of(pngs[0])[..33], &whole_of(pngs[0])[117..]].concat();
    std::fs::write(lab.path().join("figures").join(pngs[0]), &unsigned).unwrap();
    assert!(!again().contains("drawn now"));
    assert_eq!(std::fs::read(lab.path().join("figures").join(pngs[0])).unwrap(), unsigned);
    std::fs::write(lab.path().join("figures").join(pngs[0]), whole_of(pngs[0])).unwrap();
    let mut flipped = whole_of(pngs[0]);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (picture, other) in [(pngs[0], flipped), (pngs[1], whole_of(pngs[0])), (pngs[0], vec![0; 9])] {
        std::fs::write(lab.path().join("figures").join(picture), other).unwrap();
        assert!(again().contains("drawn now: 1."), "{picture:?}");
        assert!(files(&lab.path().join("figures")) == whole, "{picture:?}");
    }
    for path in svgs {
        std::fs::write(lab.path().join("figures").join(path), "<svg/>").unwrap();
    }
    again();
    assert!(files(&lab.path().join("figures")) == whole);
    let alone = ["probe", "--dataset", "towns", "--resamples", "20", "--no-baselines"];
    done(mappa(lab.path(), &alone));
    assert!(files(&lab.path().join("figures")) == whole, "the figure of all datasets keeps the others");
    assert!(!again().contains("drawn now"));
}

#[test]
fn a_run_that_finds_all_stages_done_names_a_changed_file_of_its_activations() {
    let lab = new_lab();
    let text = one_sweep(one_sweep(BASE));
    run(lab.path(), text).unwrap();
    let (whole, folder) = (results(lab.path()), lab.path().join("activations/atlas/towns/empty"));
    std::fs::remove_file(folder.join("blocks.csv")).unwrap();
    run(lab.path(), text).unwrap();
    assert!(results(lab.path()) == whole, "the hashes of blocks are made again");
    for name in ["blocks.3.hook_resid_post.safetensors", "spans.csv"] {
        let right = std::fs::read(folder.join(name)).unwrap();
        let mut changed = right.clone();
        let at = right.len() - 3;
        changed[at] ^= 1;
        std::fs::write(folder.join(name), changed).unwrap();
        let refusal = run(lab.path(), text).unwrap_err();
        assert!(refusal.contains(name) && refusal.contains("move the file away"), "{refusal}");
        let probe = ["probe", "--dataset", "towns", "--resamples", "20", "--no-baselines"];
        refused(mappa(lab.path(), &probe), &[name, "move the file away"]);
        refused(mappa(lab.path(), &["extract", "--dataset", "towns"]), &[name, "move the file away"]);
        std::fs::remove_file(folder.join(name)).unwrap();
        run(lab.path(), text).unwrap();
        assert!(results(lab.path()) == whole, "{name} is made again");
    }
}

/// Replaces a file by one that differs in its last byte.
fn exchanged(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file.with_extension("new"), bytes).unwrap();
    std::fs::rename(file.with_extension("new"), file).unwrap();
}

#[test]
fn a_model_whose_file_was_exchanged_gives_no_baseline() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(super::root("tests/fixtures/gguf/gpt2.gguf"), folder.path().join("m.gguf")).unwrap();
    copied(&super::root("models/atlas"), &folder.path().join("m"));
    for (name, weights) in [("m.gguf", "m.gguf"), ("m", "m/model.safetensors")] {
        let model = Model::load(&folder.path().join(name), Precision::F32).unwrap();
        model.shuffled_up_to(0, 1).unwrap();
        exchanged(&folder.path().join(weights));
        let refusal = model.shuffled_up_to(0, 1).map(drop).unwrap_err().to_string();
        assert!(refusal.contains(weights) && refusal.contains("exchanged"), "{refusal}");
    }
    // A pickle is opened for each tensor.
    let pickled = folder.path().join("pickled");
    copied(&super::root("tests/fixtures/models/gpt2_bin"), &pickled);
    let (spec, mut load) = Model::parameters(&pickled, Precision::F32).unwrap();
    let shape = [spec.d_vocab, spec.d_model];
    load(Place::Embed.weight(), &shape).unwrap();
    exchanged(&pickled.join("pytorch_model.bin"));
    let refusal = load(Place::Embed.weight(), &shape).map(drop).unwrap_err().to_string();
    assert!(refusal.contains("pytorch_model.bin") && refusal.contains("exchanged"), "{refusal}");
}

#[test]
fn a_removed_file_is_made_again_and_a_changed_one_is_named() {
    let lab = new_lab();
    run(lab.path(), BASE).unwrap();
    let whole = results(lab.path());
    for (folder, names) in [
        (
            "probes/atlas/towns/empty.alone",
            &["probes.safetensors", "scores.csv", "predictions.csv", "card.json"][..],
        ),
        ("steering/atlas/two/layers", &["1.csv", "2.csv", "1.json"]),
        ("steering/atlas/two", &["sweep.csv"]),
    ] {
        for name in names {
            let file = lab.path().join(folder).join(name);
            std::fs::remove_file(&file).unwrap();
            run(lab.path(), BASE).unwrap();
            assert!(results(lab.path()) == whole, "{name} is not as before");
            if name.ends_with("json") || *name == "sweep.csv" {
                continue;
            }
            let bytes = std::fs::read(&file).unwrap();
            let cut =
                bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap_or(bytes.len() / 2);
            let mut flipped = bytes.clone();
            *flipped.last_mut().unwrap() ^= 1;
            for spoilt in [&bytes[..=cut], &flipped] {
                std::fs::write(&file, spoilt).unwrap();
                let refusal = run(lab.path(), BASE).unwrap_err();
                assert!(refusal.contains(name) && refusal.contains("away"), "{refusal}");
            }
            std::fs::write(&file, bytes).unwrap();
        }
    }
    // Scores of an earlier version, whose card has no hashes, without the rows of a hook point.
    let folder = lab.path().join("probes/atlas/towns/empty.alone");
    let mut card = Card::load(&folder.join("card.json")).unwrap().unwrap();
    card.files.clear();
    card.save(&folder.join("card.json")).unwrap();
    run(lab.path(), BASE).unwrap();
    let scores = std::fs::read_to_string(folder.join("scores.csv")).unwrap();
    let kept: String =
        scores.lines().filter(|row| !row.contains("blocks.3.")).map(|row| format!("{row}\n")).collect();
    std::fs::write(folder.join("scores.csv"), kept).unwrap();
    let refusal = run(lab.path(), BASE).unwrap_err();
    assert!(refusal.contains("scores.csv") && refusal.contains("blocks.3.hook_resid_post"), "{refusal}");
}

#[test]
fn every_reader_of_probes_and_rows_names_a_file_that_was_changed() {
    let lab = new_lab();
    run(lab.path(), BASE).unwrap();
    let [a, b] = ["atlas/towns/empty.alone", "atlas/towns/empty.alone@blocks.3.hook_resid_post"];
    let compare = ["probe", "compare", a, b];
    let geometry = ["probe", "geometry", "--prompt", "empty.alone"];
    let figure = ["figure", "--dataset", "towns", "--prompt", "empty.alone"];
    let steer = ["steer", "--dataset", "towns", "--prompt", "Oslo", "--toward", "lat=5,lon=5"];
    let readers = [&compare[..], &geometry, &figure, &["figure"], &steer];
    let files = [
        ("probes/atlas/towns/empty.alone/probes.safetensors", &[&compare[..], &geometry, &steer][..]),
        ("probes/atlas/towns/empty.alone/predictions.csv", &[&compare, &figure]),
        ("probes/atlas/towns/empty.alone/scores.csv", &[&compare, &figure]),
        ("steering/atlas/two/sweep.csv", &[&steer, &["figure"]]),
        ("activations/atlas/towns/empty/blocks.3.hook_resid_post.safetensors", &[&compare, &geometry]),
    ];
    for args in readers {
        done(mappa(lab.path(), args));
    }
    for (name, readers) in files {
        let (file, last) = (lab.path().join(name), name.rsplit('/').next().unwrap());
        let whole = std::fs::read(&file).unwrap();
        let mut changed = whole.clone();
        match last.strip_suffix(".csv") {
            Some(_) => {
                changed.truncate(whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1);
            }
            None => *changed.last_mut().unwrap() ^= 1,
        }
        std::fs::write(&file, changed).unwrap();
        for args in readers {
            refused(mappa(lab.path(), args), &[last, "away"]);
        }
        std::fs::write(&file, whole).unwrap();
    }
}

#[test]
fn parts_neurons_and_dictionaries_are_made_again_where_a_file_is_missing() {
    let lab = new_lab();
    let probe =
        ["probe", "--dataset", "towns", "--resamples", "20", "--no-baselines", "--hook-points", "embed"];
    // Real places, which a later layer predicts better than the embedding.
    let places = std::fs::read_to_string(super::root("datasets/world_place.csv")).unwrap();
    let some: Vec<&str> = places.lines().take(200).collect();
    std::fs::write(lab.path().join("datasets/places.csv"), some.join("\n") + "\n").unwrap();
    let neurons = ["neurons", "--dataset", "places", "--top", "2", "--seeds", "1", "--resamples", "20"];
    let train = [
        "features",
        "train",
        "--hook-point",
        "blocks.1.hook_resid_post",
        "--latents",
        "8",
        "--k",
        "2",
        "--dataset",
        "towns",
        "--epochs",
        "1",
    ];
    let dictionary = "features/atlas/blocks.1.hook_resid_post.8.k2";
    for (args, folder, names) in [
        (
            &probe[..],
            "probes/atlas/towns/empty.alone/.parts/blocks.0.hook_resid_pre",
            &["probes.safetensors", "scores.csv"][..],
        ),
        (&neurons, "probes/atlas/places/empty/neurons", &["units.csv", "ablations.csv"]),
        (&train, dictionary, &["sae_weights.safetensors", "cfg.json"]),
    ] {
        done(mappa(lab.path(), args));
        let folder = lab.path().join(folder);
        let whole = |name: &&str| std::fs::read(folder.join(name)).unwrap();
        let before: Vec<Vec<u8>> = names.iter().map(whole).collect();
        for name in names {
            std::fs::remove_file(folder.join(name)).unwrap();
            done(mappa(lab.path(), args));
            assert!(names.iter().map(whole).collect::<Vec<_>>() == before, "{name}");
            let bytes = std::fs::read(folder.join(name)).unwrap();
            std::fs::write(folder.join(name), &bytes[..bytes.len() - 1]).unwrap();
            refused(mappa(lab.path(), args), &[name, "away"]);
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let cut = lab.path().join(dictionary).join("cfg.json");
    let text = std::fs::read_to_string(&cut).unwrap();
    std::fs::write(&cut, text + "\n").unwrap();
    let args = ["features", "list", cut.parent().unwrap().to_str().unwrap(), "--dataset", "towns"];
    refused(mappa(lab.path(), &args), &["cfg.json", "changed"]);
}

#[test]
fn an_import_killed_before_its_card_is_completed_and_other_files_are_kept() {
    let lab = new_lab();
    let source = lab.path().join("source.csv");
    std::fs::write(&source, "name,year\nOslo,1048\nRome,-753\nLima,1535\n").unwrap();
    let import = ["datasets", "import", source.to_str().unwrap(), "--name", "old"];
    done(mappa(lab.path(), &import));
    let (csv, card) = (lab.path().join("datasets/old.csv"), lab.path().join("datasets/old.json"));
    let whole = files(&lab.path().join("datasets"));
    std::fs::remove_file(&card).unwrap();
    done(mappa(lab.path(), &import));
    assert!(files(&lab.path().join("datasets")) == whole);
    std::fs::remove_file(&csv).unwrap();
    done(mappa(lab.path(), &import));
    assert!(files(&lab.path().join("datasets")) == whole);
    std::fs::remove_file(&card).unwrap();
    std::fs::write(&csv, "name,year\nOslo,1\n").unwrap();
    refused(mappa(lab.path(), &import), &["not imported", "--replace"]);
}

#[test]
fn a_changed_dataset_is_refused_with_the_folders_to_move_and_steering_says_that_its_probes_are_older() {
    let lab = new_lab();
    let probe = ["probe", "--dataset", "towns", "--resamples", "20", "--no-baselines"];
    done(mappa(lab.path(), &probe));
    let steer =
        ["steer", "--prompt", "Oslo", "--toward", "lat=5,lon=5", "--layer", "1", "--dataset", "towns"];
    let notes = |args: &[&str]| {
        let output = mappa(lab.path(), args);
        done(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(!notes(&steer).contains("has changed"));
    let file = lab.path().join("datasets/towns.csv");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "Kyiv,E,a,50,30,false\n").unwrap();
    let said = notes(&steer);
    assert!(said.contains("an earlier dataset") && said.contains("mappa probe"), "{said}");
    let folders = ["activations/atlas/towns", "probes/atlas/towns"];
    refused(mappa(lab.path(), &probe), &["the dataset has changed", folders[0], folders[1]]);
    for folder in folders {
        std::fs::rename(lab.path().join(folder), lab.path().join(folder).with_extension("old")).unwrap();
    }
    done(mappa(lab.path(), &probe));
    assert!(!notes(&steer).contains("has changed"));
}

#[test]
fn every_setting_of_a_dictionary_and_of_neurons_is_in_its_card() {
    let (lab, observer) = (new_lab(), &mut Silent);
    let own = Lab::open(lab.path()).unwrap();
    let model = own.model("atlas").unwrap();
    let text = lab.path().join("text.txt");
    std::fs::write(&text, "Oslo is in the north.\n").unwrap();
    let base = DictionarySettings {
        hook_point: "blocks.1.hook_resid_post".into(),
        datasets: vec!["towns".into()],
        prompts: vec!["{}".into()],
        sentences: 0,
        files: Vec::new(),
        bos: Bos::default(),
        latents: 8,
        k: 2,
        epochs: 1,
        batch: 64,
        rate: 1e-3,
        dead_after: 1000,
        memory: 0.1,
        seed: 0,
        held_out: 0.1,
        checkpoint_every: Duration::from_secs(60),
        called: Some(FolderName::of_text("mine")),
    };
    assert!(train_dictionary(&own, &model, &base, observer).unwrap().fits.is_some());
    let mut found = |change: &dyn Fn(&mut DictionarySettings)| {
        let mut settings = base.clone();
        change(&mut settings);
        let trained = train_dictionary(&own, &model, &settings, observer);
        trained.map(|trained| assert!(trained.fits.is_none(), "{settings:?}")).map_err(|e| e.to_string())
    };
    // Written without `..`, so that the compiler demands every new field here.
    let DictionarySettings {
        hook_point: _,
        datasets: _,
        prompts: _,
        sentences: _,
        files: _,
        bos: _,
        latents: _,
        k: _,
        epochs: _,
        batch: _,
        rate: _,
        dead_after: _,
        memory: _,
        seed: _,
        held_out: _,
        checkpoint_every: _,
        called: _,
    } = &base;
    type Change<'a> = &'a dyn Fn(&mut DictionarySettings);
    let changes: [(&str, Change); 15] = [
        ("hook_point", &|s| s.hook_point = "blocks.2.hook_resid_post".into()),
        ("datasets", &|s| s.datasets = vec!["towns".into(), "nyc_place".into()]),
        ("prompts", &|s| s.prompts = vec!["Where is {}?".into()]),
        ("sentences", &|s| s.sentences = 1),
        ("files", &|s| s.files = vec![text.clone()]),
        ("bos", &|s| s.bos = Bos::Never),
        ("latents", &|s| s.latents = 9),
        ("k", &|s| s.k = 3),
        ("epochs", &|s| s.epochs = 2),
        ("batch", &|s| s.batch = 65),
        ("rate", &|s| s.rate = 2e-3),
        ("dead_after", &|s| s.dead_after = 1001),
        ("memory", &|s| s.memory = 0.2),
        ("seed", &|s| s.seed = 1),
        ("held_out", &|s| s.held_out = 0.2),
    ];
    assert_eq!(found(&|s| s.checkpoint_every = Duration::from_secs(1)), Ok(()), "it changes no number");
    for (name, change) in changes {
        let error = found(change).expect_err(name);
        assert!(error.contains("made with") && error.contains("--name"), "{name}: {error}");
    }

    let NeuronSettings { top: _, seeds: _, probing: _ } =
        NeuronSettings { top: 2, seeds: 1, probing: ProbingSettings::default() };
    let places = std::fs::read_to_string(super::root("datasets/world_place.csv")).unwrap();
    let some: Vec<&str> = places.lines().take(200).collect();
    std::fs::write(lab.path().join("datasets/places.csv"), some.join("\n") + "\n").unwrap();
    let neurons = |flags: &[&str]| {
        let args = ["neurons", "--dataset", "places", "--resamples", "20"];
        mappa(lab.path(), &[&args, flags].concat())
    };
    done(neurons(&["--top", "2", "--seeds", "1"]));
    refused(neurons(&["--top", "3", "--seeds", "1"]), &["made with k 2, now 3"]);
    refused(neurons(&["--top", "2", "--seeds", "2"]), &["made with seeds 1, now 2"]);
    refused(neurons(&["--top", "2", "--seeds", "1", "--seed", "1"]), &["made with seed 0, now 1"]);
}
