//! A name is not a path: no name in a flag, an experiment, a heading or a file reaches anything outside the lab.

use super::features::dictionary;
use super::program::{command, done, mappa, refused};
use super::root;
use mappa::features::SparseActivation;
use mappa::hook_point::HookPoint;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a lab, and with files outside the lab that must not change.
struct Watched {
    folder: TempDir,
    lab: PathBuf,
    before: BTreeSet<PathBuf>,
}

/// The header of the towns.
const HEADER: &str = "name,latitude,longitude,country [group]\n";

/// Towns in two groups, from the equator to 55 degrees north.
fn towns() -> String {
    let names = ["Vienna", "Nairobi", "Tokyo", "Lima", "Oslo", "Cairo", "Paris", "Rome", "Madrid", "Athens"];
    let row = |(i, name): (usize, &str)| format!("{name},{},{},{}\n", 5 * i, 10 * i, ["A", "B"][i % 2]);
    let rows = names.into_iter().chain(["Berlin", "London"]).enumerate().map(row);
    HEADER.to_string() + &rows.collect::<String>()
}

impl Watched {
    fn new() -> Watched {
        let folder = tempfile::tempdir().unwrap();
        let lab = folder.path().join("deep/lab");
        std::fs::create_dir_all(lab.join("datasets")).unwrap();
        std::fs::write(lab.join("datasets/towns.csv"), towns()).unwrap();
        std::fs::write(folder.path().join("deep/sentinel"), "precious").unwrap();
        let before = outside(folder.path(), &lab);
        Watched { folder, lab, before }
    }

    /// Names that try to leave the lab, or that harm a terminal or a file system; the second part is true if a folder
    /// may have the name.
    fn evil(&self) -> Vec<(String, bool)> {
        let absolute = self.folder.path().join("absolute").to_str().unwrap().to_string();
        let refused =
            ["..", ".", "", " ", "../x", "../../x", "a/../../../x", "a/b", "a\\b", "..\\x", "a\u{7}b"];
        let refused = refused.into_iter().chain(["a\nb", "\u{1b}[31m", "x\u{202e}y", "/"]).map(String::from);
        let refused = refused.chain([absolute, "n".repeat(300)]).map(|name| (name, false));
        refused.chain(["~", "CON", "-a", "a..b"].map(|name| (name.to_string(), true))).collect()
    }

    #[track_caller]
    fn is_untouched(&self, what: &dyn std::fmt::Debug) {
        assert_eq!(outside(self.folder.path(), &self.lab), self.before, "{what:?}");
        let sentinel = std::fs::read_to_string(self.folder.path().join("deep/sentinel")).unwrap();
        assert_eq!(sentinel, "precious", "{what:?}");
    }
}

/// All paths below a folder, except those in the lab.
fn outside(folder: &Path, lab: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path != lab {
            found.extend(outside(&path, lab));
        }
        found.insert(path);
    }
    found
}

/// The flags that take a name, each with the other flags of a quick command; `NAME` is the name.
const FLAGS: [&[&str]; 21] = [
    &["train", "--name=NAME", "--dataset", "nothing"],
    &["features", "train", "--hook-point", "blocks.9.hook_resid_post", "--name=NAME"],
    &["steer", "sweep", "--dataset", "towns", "--target", "latitude", "--prompts", "x", "--called=NAME"],
    &["extract", "--dataset", "towns", "--model-name=NAME", "--verify"],
    &["extract", "--dataset=NAME"],
    &["extract", "--dataset", "towns", "--prompt=NAME", "--verify"],
    &["extract", "--dataset", "towns", "--model=NAME", "--merge"],
    &["run", "nothing.toml", "--model-name=NAME"],
    &["figure", "--model=NAME", "--dataset", "towns"],
    &["figure", "--dataset=NAME"],
    &["figure", "--dataset", "towns", "--prompt=NAME"],
    &["probe", "geometry", "--model=NAME"],
    &["probe", "geometry", "--dataset=NAME"],
    &["probe", "geometry", "--dataset", "towns", "--prompt=NAME"],
    &["probe", "compare", "NAME/towns/empty", "NAME"],
    &["probe", "strata", "--dataset=NAME"],
    &["vectors", "learn", "nothing.txt", "--name=NAME"],
    &["neurons", "--dataset=NAME"],
    &["lens", "--prompt", "Oslo", "--lens=NAME"],
    &["lens", "fit", "--texts", "nothing.txt", "--name=NAME"],
    &["models", "inspect", "NAME"],
];

#[test]
fn no_flag_leads_outside_the_lab() {
    let watched = Watched::new();
    for (name, _) in watched.evil() {
        for flags in FLAGS {
            let flags: Vec<String> = flags.iter().map(|flag| flag.replace("NAME", &name)).collect();
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let output = command(&watched.lab, &flags).env("HF_HUB_OFFLINE", "1").output().unwrap();
            assert_eq!(
                output.status.code(),
                Some(1),
                "{flags:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            watched.is_untouched(&flags);
        }
    }
}

/// Commands with a refused name or number, for a lab with the dataset `towns`; `AXES` is a dictionary, `LAB` the lab.
const REFUSED: [&str; 37] = [
    "extract --dataset towns --prompt {nothing}",
    "extract --dataset towns --hook-points none",
    "extract --dataset towns --merge",
    "probe --dataset towns --split group:../../x",
    "probe --dataset towns --split group:nothing",
    "probe --dataset towns --split group:nothing --merge",
    "probe --dataset towns --split group:nothing --hook-points embed",
    "probe --dataset towns --cluster nothing",
    "probe --dataset towns --classes nothing --method logistic",
    "probe --dataset towns --train nothing",
    "probe --dataset towns --train us_place --cluster country",
    "probe --dataset towns --train-prompt {nothing}",
    "probe --dataset towns --alphas x",
    "probe --dataset towns --method forest",
    "probe --dataset towns --hook-points none",
    "probe strata --dataset towns --by nothing",
    "probe strata --dataset towns --vectors none --by rank",
    "probe strata --dataset towns --hook-point none",
    "probe strata --dataset towns --no-baselines",
    "vectors learn LAB/nothing.txt --name my",
    "vectors learn LAB/datasets/towns.csv --name my --cds 2",
    "vectors learn LAB/datasets/towns.csv --name my --dim 4096",
    "neurons --dataset towns --top 1000000",
    "features list AXES --dataset towns --column nothing",
    "features list nothing --dataset towns",
    "features clamp AXES --dataset towns --column nothing",
    "features clamp AXES --dataset towns --column country --times nan",
    "features train --hook-point none --dataset towns --latents 16 -k 4",
    "features train --hook-point embed --dataset towns --latents 16 -k 17",
    "features train --hook-point embed --dataset towns --latents 16 -k 4 --held-out 2",
    "features train --hook-point embed --dataset towns --latents 16 -k 4 --texts nothing",
    "steer extract --dataset towns --probe nothing --out LAB/v.safetensors",
    "steer extract --dataset towns --class country=nothing --out LAB/v.safetensors",
    "train --name my --dataset towns --d-model 3",
    "train --name my --dataset towns --from nothing",
    "train --name my --dataset towns --rate nan",
    "datasets import LAB/datasets/towns.csv --target nothing",
];

/// Lines for which an experiment is refused; the second part is true for a line of its sweep.
const REFUSED_LINES: [(&str, bool); 13] = [
    ("split = 'group:nothing'", false),
    ("cluster = 'nothing'", false),
    ("classes = 'nothing'\nmethods = ['logistic']", false),
    ("hook_points = ['none']", false),
    ("target = 'nothing'", true),
    ("target = 'latitude'\nlayers = ['99']", true),
    ("target = 'latitude'\nlayer = 99", true),
    ("target = 'latitude'\nnames = 'nothing=x'", true),
    ("target = 'latitude'\nread = 'nothing'", true),
    ("target = 'latitude'\ndirection = 'nothing'", true),
    ("target = 'latitude'\nfeature = 'nothing:3'", true),
    ("target = 'latitude'\nentities = ['nothing=x']", true),
    ("target = 'latitude'\ntemplate = ''\nlayers = ['1', '1']", true),
];

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let beside = Watched::new();
    let axes = beside.lab.join("axes");
    dictionary(HookPoint::ResidPost(3), 128, SparseActivation::TopK(12)).save(&axes).unwrap();
    let file = beside.lab.join("x.toml");
    std::fs::write(&file, "").unwrap();
    let before = outside(&beside.lab, Path::new(""));
    let refused = |args: &[&str]| {
        let output = command(&beside.lab, args).env("HF_HUB_OFFLINE", "1").output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert_eq!(outside(&beside.lab, Path::new("")), before, "{args:?}: {error}");
    };
    for line in REFUSED {
        let line = line.replace("AXES", axes.to_str().unwrap()).replace("LAB", beside.lab.to_str().unwrap());
        refused(&line.split(' ').collect::<Vec<_>>());
    }
    for (line, is_of_sweep) in REFUSED_LINES {
        let top = "model = 'atlas'\ndatasets = ['towns']\nresamples = 5\nno_baselines = true\n";
        let sweep = "[[sweep]]\ndataset = 'towns'\ndoses = [0, 1]\nprompts = ['x']\nrandom = 0\ntokens = 1\n";
        let lines = if is_of_sweep { format!("{top}{sweep}{line}\n") } else { format!("{top}{line}\n") };
        let lines = if line.contains("entities") { lines.replace("prompts = ['x']\n", "") } else { lines };
        std::fs::write(&file, lines).unwrap();
        refused(&["run", file.to_str().unwrap()]);
    }
}

#[test]
fn no_import_leads_outside_the_lab() {
    let watched = Watched::new();
    let file = watched.lab.join("some.csv");
    std::fs::write(&file, towns()).unwrap();
    for (name, is_good) in watched.evil() {
        let flag = format!("--name={name}");
        let output = mappa(&watched.lab, &["datasets", "import", file.to_str().unwrap(), &flag]);
        assert!(is_good || output.status.code() == Some(1), "{name:?}");
        watched.is_untouched(&name);
    }
    for name in ["...csv", "..csv", ".csv", "..jsonl", "a\\..\\b.csv"] {
        let file = watched.lab.join(name);
        std::fs::write(&file, towns()).unwrap();
        for args in [["extract", "--dataset"], ["datasets", "import"]] {
            let output = mappa(&watched.lab, &[args[0], args[1], file.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(1), "{name}");
        }
        watched.is_untouched(&name);
    }
}

#[test]
fn no_key_of_an_experiment_leads_outside_the_lab() {
    let watched = Watched::new();
    let file = watched.lab.join("x.toml");
    let sweep = "[[sweep]]\ndataset = 'towns'\ndoses = [1]\nprompts = ['x']\n";
    let keys = [
        format!("{sweep}target = 'latitude'\ncalled = NAME\n"),
        format!("{sweep}target = 'latitude'\nkind = NAME\n"),
        format!("{sweep}target = NAME\n"),
        format!("{sweep}target = 'latitude'\nprobes = NAME\n"),
        "model_name = NAME\n".into(),
        "train = NAME\n".into(),
        "prompt = NAME\n[[sweep]]\ndataset = 'other'\n".into(),
        "classes = NAME\n".into(),
        "[prompts]\nNAME = ['empty']\n".into(),
    ];
    for (name, _) in watched.evil() {
        let quoted = serde_json::to_string(&name).unwrap();
        for key in &keys {
            // There is no hook point `none`, so an experiment with an allowed name is refused before long work too.
            let begin = "model = 'atlas'\ndatasets = ['towns']\nhook_points = 'none'\n";
            std::fs::write(&file, format!("{begin}{}", key.replace("NAME", &quoted))).unwrap();
            let output = mappa(&watched.lab, &["run", file.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(1), "{key} {name:?}");
            watched.is_untouched(&(key, &name));
        }
        let whole = format!("model = 'atlas'\ndatasets = [{quoted}]\nhook_points = 'none'\n");
        std::fs::write(&file, whole).unwrap();
        assert_eq!(mappa(&watched.lab, &["run", file.to_str().unwrap()]).status.code(), Some(1), "{name:?}");
        watched.is_untouched(&name);
    }
}

#[test]
fn a_sweep_keeps_to_the_folder_of_its_name() {
    let watched = Watched::new();
    let file = watched.lab.join("x.toml");
    for name in ["../../evil", "/any/where", ".."] {
        let text = format!(
            "model = 'atlas'\ndatasets = ['towns']\n[[sweep]]\ncalled = '{name}'\ndataset = 'towns'\n\
             target = 'latitude'\ndoses = [1]\nprompts = ['x']\n"
        );
        std::fs::write(&file, text).unwrap();
        let output = mappa(&watched.lab, &["run", file.to_str().unwrap()]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("x.toml") && error.contains("--called"), "{error}");
        watched.is_untouched(&name);
    }
}

#[test]
fn a_heading_is_no_path_of_the_rows_of_its_groups() {
    let watched = Watched::new();
    let axes = watched.lab.join("axes");
    dictionary(HookPoint::ResidPost(3), 128, SparseActivation::TopK(12)).save(&axes).unwrap();
    let axes = axes.to_str().unwrap();
    let mut files = BTreeSet::new();
    for heading in ["../../../../evil", "/evil", "a\\b", "kind", "\u{1b}[31m", "km/h"] {
        let text = towns().replace("country", heading);
        std::fs::write(watched.lab.join("datasets/headed.csv"), text).unwrap();
        _ = std::fs::remove_dir_all(watched.lab.join("features"));
        _ = std::fs::remove_dir_all(watched.lab.join("activations"));
        let output =
            mappa(&watched.lab, &["features", "list", axes, "--dataset", "headed", "--smallest", "1"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{heading:?}: {error}");
        let rows = watched.lab.join("features/atlas/axes/headed/empty");
        let names =
            std::fs::read_dir(rows).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names: Vec<String> = names.filter(|name| name.starts_with("by_")).collect();
        assert!(names.len() == 1 && !names[0].contains(char::is_control), "{heading:?}: {names:?}");
        files.extend(names);
        watched.is_untouched(&heading);
    }
    assert!(files.len() == 6 && files.contains("by_kind.csv"), "{files:?}");
}

#[test]
fn the_shards_of_an_index_are_in_its_folder() {
    let watched = Watched::new();
    let model = watched.lab.join("models/sharded");
    std::fs::create_dir_all(&model).unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(root("models/atlas").join(name), model.join(name)).unwrap();
    }
    let weights = root("models/atlas/model.safetensors");
    let stolen = watched.lab.join("models/stolen.safetensors");
    std::fs::copy(&weights, &stolen).unwrap();
    for (shard, is_good) in [
        ("../stolen.safetensors", false),
        (stolen.to_str().unwrap(), false),
        ("a/../../stolen.safetensors", false),
        ("a\\b.safetensors", false),
        ("", false),
        ("..", false),
        ("part.safetensors", true),
        ("deep/part.safetensors", true),
    ] {
        if is_good {
            std::fs::create_dir_all(model.join(shard).parent().unwrap()).unwrap();
            std::fs::copy(&weights, model.join(shard)).unwrap();
        }
        let index = serde_json::json!({ "weight_map": { "model.embed_tokens.weight": shard } });
        std::fs::write(model.join("model.safetensors.index.json"), index.to_string()).unwrap();
        let output = mappa(&watched.lab, &["models", "inspect", "sharded"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_good, "{shard:?}: {error}");
        assert!(is_good || error.contains("index.json"), "{shard:?}: {error}");
    }
}

#[test]
fn a_dataset_is_named_by_its_file_or_its_name_and_what_is_missing_is_listed() {
    let lab = tempfile::tempdir().unwrap();
    let write = |name: &str, heading: &str, row: &dyn Fn(i32) -> String| {
        let rows: String = (0..40).map(|i| format!("Town {i},{}\n", row(i))).collect();
        std::fs::write(lab.path().join(name), format!("name,{heading}\n{rows}")).unwrap();
        lab.path().join(name).to_str().unwrap().to_string()
    };
    let places = write("towns.csv", "latitude,longitude", &|i| format!("{},{}", i * 7 % 50, i * 13 % 90));
    let years = write("ages.csv", "year", &|i| format!("{}", 1000 + i * 17 % 90));
    for file in [&places, &years] {
        done(mappa(lab.path(), &["probe", "--dataset", file, "--resamples", "20", "--no-baselines"]));
    }
    let figure =
        |flags: &[&str]| mappa(lab.path(), &[&["figure", "--prompt", "empty.alone"], flags].concat());
    for (flags, is_alone) in
        [(&["--dataset", &*places][..], true), (&["--dataset", "towns"], true), (&[], false)]
    {
        let drawn = done(figure(flags));
        assert!(drawn.contains("towns.svg") && drawn.contains("ages.svg") != is_alone, "{flags:?}: {drawn}");
    }
    let there = "ages/empty.alone, towns/empty.alone";
    refused(figure(&["--dataset", "art"]), &["found art", there]);
    refused(mappa(lab.path(), &["figure", "--dataset", "towns"]), &["found towns", there, "--prompt"]);
    let steer = |flags: &[&str]| {
        mappa(lab.path(), &[&["steer", "--prompt", "Oslo", "--tokens", "1"], flags].concat())
    };
    // A folder's name stands for the folders of all datasets, of which the first with the target is chosen.
    for (dose, dataset) in [("5 east", "towns"), ("100 years", "ages")] {
        let steered = done(steer(&["--probes", "empty.alone", "--dose", dose]));
        assert!(steered.contains(&format!("probe of {dataset}")), "{steered}");
    }
    let east = ["--dose", "5 east"];
    refused(steer(&[&east[..], &["--probes", "empty"]].concat()), &["found empty", there, "--dataset"]);
    let other = ["--probes", "empty.alone", "--dataset", "art"];
    refused(steer(&[&east[..], &other].concat()), &["with --dataset art", there]);
    let wrong = ["--probes", "empty.alone", "--dataset", "ages"];
    let parts = ["probes of ages (year)", "--dataset and --probes choose"];
    refused(steer(&[&east[..], &wrong].concat()), &parts);
}

#[test]
fn an_import_tells_its_test_rows_and_what_lies_under_its_name() {
    let lab = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = lab.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let import =
        |file: &str, flags: &[&str]| mappa(lab.path(), &[&["datasets", "import", file], flags].concat());
    for (north, east) in [("Breite", "Länge"), ("Breitengrad", "Längengrad"), ("Latitud", "Longitud (°)")]
    {
        let file =
            write("orte.csv", &format!("name,Höhe,{north},{east}\nWien,151,48.2,16.4\nRom,21,41.9,12.5\n"));
        let parts = [format!("--latitude {north} --longitude"), east.to_string()];
        refused(import(&file, &[]), &parts.each_ref().map(String::as_str));
        let flags = ["--latitude", north, "--longitude", east, "--replace"];
        assert!(done(import(&file, &flags)).contains("test rows: a fifth of the names"));
    }
    // The width and the length of a thing are no place.
    let file = write("kisten.csv", "name,Breite,Länge\nA,148.2,16.4\nB,41.9,12.5\n");
    refused(import(&file, &[]), &["--target"]);
    let marked = write("marked.csv", "name,year,is_test\nA,1,True\nB,2,False\n");
    assert!(done(import(&marked, &[])).contains("the column `is_test` marks"));
    let changed = write("x/marked.csv", "name,year,is_test\nA,1,True\nB,3,False\n");
    refused(
        import(&changed, &[]),
        &["an earlier dataset of this name", "another file", "--replace", "--name"],
    );
    write("datasets/own.csv", "name,year\nA,1\nB,2\n");
    refused(import(&marked, &["--name", "own"]), &["not imported", "--name"]);
    let own = write("datasets/own.csv", "name, year\nA,1\nB,2\n");
    refused(import(&own, &[]), &["the imported file itself", "--dataset own", "--name"]);
}
