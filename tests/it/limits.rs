//! Numbers and sizes from outside, far out of range: each is refused in one line, or accepted, within a minute and in
//! bounded memory.

use super::families::checkpoints;
use super::gguf::{Parts, fixture};
use super::root;
use candle_core::quantized::gguf_file::Value as Stored;
use mappa::hook_point::HookPoint;
use mappa::model::families::Config;
use mappa::model::{Compute, Location, ModelInfo, Precision, count, memory};
use mappa::steering::Vectors;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The longest time of one command, in an unoptimised program on a busy machine.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs the program in a lab with an address space of `megabytes`, and without input.
fn mappa(lab: &Path, megabytes: usize, args: &[&str]) -> Output {
    let limited = format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes * 1024);
    let mut command = Command::new("bash");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_mappa"), "--lab"]).arg(lab).args(args);
    command.current_dir(lab).env("RAYON_NUM_THREADS", "2").stdin(Stdio::null());
    command.output().unwrap()
}

/// Asserts that a run ends by itself, in time, and with at most one line of error; returns the error.
#[track_caller]
fn ends_well(lab: &Path, megabytes: usize, args: &[&str]) -> String {
    let started = Instant::now();
    let output = mappa(lab, megabytes, args);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    let what = format!("{args:?}: {message}");
    assert!(started.elapsed() < LONGEST, "{:?} {what}", started.elapsed());
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?} {what}", output.status);
    assert!(!message.contains("panicked") && !message.contains("memory allocation"), "{what}");
    let n_errors = message.lines().filter(|line| line.starts_with("error:")).count();
    assert_eq!(n_errors, usize::from(!output.status.success()), "{what}");
    message.lines().find(|line| line.starts_with("error:")).unwrap_or_default().to_string()
}

/// Asserts that a run is refused with an error that contains all parts.
#[track_caller]
fn refused(lab: &Path, megabytes: usize, args: &[&str], parts: &[&str]) {
    let error = ends_well(lab, megabytes, args);
    assert!(!error.is_empty(), "{args:?} was accepted");
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

/// Whole numbers far outside each range, and values of other types.
fn absurd() -> Vec<Value> {
    let whole = [0i64, -1, 1 << 20, 1 << 31, 1 << 60, i64::MAX];
    let others =
        [json!(u64::MAX), json!(1.5), json!(1e300), json!(-1e300), json!("two"), json!([]), Value::Null];
    whole.iter().map(|n| json!(n)).chain(others).collect()
}

/// Sets each number of a JSON object, also in inner objects, to each absurd value; calls `with` with the field's name
/// and the changed object.
fn each_number(whole: &Map<String, Value>, with: &mut dyn FnMut(&str, Map<String, Value>)) {
    for (name, value) in whole {
        match value {
            Value::Object(inner) => each_number(inner, &mut |below, inner| {
                let mut changed = whole.clone();
                changed.insert(name.clone(), inner.into());
                with(&format!("{name}.{below}"), changed);
            }),
            Value::Number(_) => {
                for absurd in absurd() {
                    let mut changed = whole.clone();
                    changed.insert(name.clone(), absurd);
                    with(name, changed);
                }
            }
            _ => {}
        }
    }
}

fn fields(checkpoint: &str) -> Map<String, Value> {
    let path = root("tests/fixtures/models").join(checkpoint).join("config.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_config_of_endless_length_is_refused_before_it_is_parsed() {
    let lab = tempfile::tempdir().unwrap();
    let folder = lab.path().join("models/long");
    super::stale::copied(&root("tests/fixtures/models/gpt2"), &folder);
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_else(|_| "{}".into());
    for (file, megabytes) in [("config.json", 20), ("tokenizer_config.json", 70)] {
        let right = read(file);
        let list = "1,".repeat(megabytes << 19);
        let long = right.replacen('{', &format!("{{\"list\": [{list}1],"), 1).replace(",}", "}");
        std::fs::write(folder.join(file), long).unwrap();
        refused(lab.path(), 1000, &["models", "inspect", "long"], &[file, "bytes of JSON", "at most"]);
        std::fs::write(folder.join(file), right).unwrap();
    }
}

#[test]
fn each_number_of_each_config_is_refused_in_one_line_or_gives_a_small_spec() {
    let (mut n_refused, mut n_accepted) = (0, 0);
    for checkpoint in &checkpoints() {
        each_number(&fields(checkpoint), &mut |name, changed| {
            let started = Instant::now();
            match Config::of(Path::new("config.json"), changed.clone()).spec() {
                Ok(spec) => {
                    // All that `models inspect` computes from it.
                    let bytes = memory::weight_bytes(&spec, Precision::F32, Compute::F32, &vec![]);
                    assert!(bytes as usize >= count(&spec), "{checkpoint}: {name}");
                    assert!(memory::pass_bytes(&spec) < u64::MAX && !spec.choices().is_empty());
                    assert!(spec.hook_points().len() <= 70_000, "{checkpoint}: {name}");
                    n_accepted += 1;
                }
                Err(error) => {
                    let error = error.to_string();
                    assert!(!error.contains('\n') && error.contains("config.json"), "{checkpoint}: {error}");
                    n_refused += 1;
                }
            }
            assert!(started.elapsed().as_secs() < 5, "{checkpoint}: {name}: {:?}", changed.get(name));
        });
    }
    println!("{n_refused} refused, {n_accepted} accepted");
    assert!(n_refused > 3000 && n_accepted > 1000, "{n_refused} {n_accepted}");
}

#[test]
fn models_of_absurd_sizes_are_inspected_and_loaded_in_little_memory() {
    let lab = tempfile::tempdir().unwrap();
    let (from, to) = (root("tests/fixtures/models/llama"), lab.path().join("model"));
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    for field in
        ["num_hidden_layers", "num_attention_heads", "hidden_size", "vocab_size", "intermediate_size"]
    {
        for n in [1u64 << 20, 1 << 31, 1 << 60] {
            let mut changed = fields("llama");
            changed.insert(field.into(), n.into());
            std::fs::write(to.join("config.json"), serde_json::to_vec(&changed).unwrap()).unwrap();
            ends_well(lab.path(), 1000, &["models", "inspect", "model"]);
            let generate = ["generate", "--model", "model", "--prompt", "a", "--tokens", "1"];
            assert!(!ends_well(lab.path(), 1000, &generate).is_empty(), "{field} {n}");
        }
    }
}

/// The whole numbers of a GGUF file's architecture.
fn keys_of(parts: &Parts) -> Vec<String> {
    let is_number = |value: &Stored| matches!(value, Stored::U32(_) | Stored::U64(_) | Stored::I32(_));
    let numbers = parts.metadata.iter().filter(|(_, value)| is_number(value));
    let mut keys: Vec<String> = numbers.map(|(key, _)| key.clone()).collect();
    keys.sort();
    keys
}

#[test]
fn each_number_of_gguf_metadata_is_refused_in_one_line_or_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spoilt.gguf");
    let mut n = 0;
    for name in ["llama3", "gemma2", "gemma3", "bert", "falcon", "phi3_long", "bloom", "gptneox"] {
        for key in keys_of(&Parts::read(name)) {
            for absurd in [0, 1, 1 << 20, 1 << 31, 1 << 60, u64::MAX] {
                let started = Instant::now();
                Parts::read(name).set(&key, Stored::U64(absurd)).write(&path);
                match ModelInfo::of(&Location::Gguf(path.clone())) {
                    Ok(info) => assert!(info.spec.n_layers <= 10_000, "{name}: {key} {absurd}"),
                    Err(error) => {
                        let error = error.to_string();
                        let is_named = error.contains("spoilt.gguf") && !error.contains('\n');
                        assert!(is_named, "{name}: {key} {absurd}: {error}");
                    }
                }
                assert!(started.elapsed().as_secs() < 10, "{name}: {key} {absurd}");
                n += 1;
            }
        }
    }
    assert!(n > 500, "{n}");
    // A reported case: one changed byte in a file took more than a gigabyte.
    Parts::read("llama3").set("llama.block_count", Stored::U64(1 << 20)).write(&path);
    let path = path.to_str().unwrap();
    refused(folder.path(), 1000, &["models", "inspect", path], &["block_count", "from 1 to 10000"]);
}

#[test]
fn a_list_of_bytes_takes_no_more_memory_than_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.gguf");
    let whole = std::fs::read(fixture("qwen2")).unwrap();
    let n_keys = u64::from_le_bytes(whole[16..24].try_into().unwrap());
    let (name, n) = (b"general.bytes", 50_000_000u64);
    let mut bytes = whole[..16].to_vec();
    bytes.extend((n_keys + 1).to_le_bytes());
    bytes.extend((name.len() as u64).to_le_bytes());
    bytes.extend(name);
    for kind in [9u32, 0] {
        bytes.extend(kind.to_le_bytes()); // a list, of bytes
    }
    bytes.extend(n.to_le_bytes());
    bytes.resize(bytes.len() + n as usize, 7);
    bytes.extend(&whole[24..]);
    // The tensors now begin at another offset, so the file can be inspected, but not loaded.
    bytes.extend([0; 64]);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(ends_well(folder.path(), 600, &["models", "inspect", "long.gguf"]), "");
}

#[test]
fn a_token_of_a_million_letters_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spoilt.gguf");
    let mut parts = Parts::read("llama");
    let Some(Stored::Array(tokens)) = parts.metadata.get_mut("tokenizer.ggml.tokens") else { panic!() };
    *tokens.last_mut().unwrap() = Stored::String("a".repeat(1_000_000));
    parts.write(&path);
    let started = Instant::now();
    let error = ModelInfo::of(&Location::Gguf(path)).unwrap_err().to_string();
    assert!(error.contains("1000000 bytes") && error.contains("at most 65536"), "{error}");
    assert!(started.elapsed().as_secs() < 10);
}

/// A lab with a small dataset, vectors, and texts.
fn small_lab() -> tempfile::TempDir {
    let lab = tempfile::tempdir().unwrap();
    let mut rows = String::from("name,country,latitude,longitude\n");
    for i in 0..60 {
        let country = ["Aland", "Bland", "Cland"][i % 3];
        writeln!(rows, "Town{i},{country},{},{}", (i * 7) % 80, (i * 13) % 170).unwrap();
    }
    std::fs::write(lab.path().join("towns.csv"), rows).unwrap();
    let lines: String = (0..40).map(|i| format!("A short text about the number {i}\n")).collect();
    std::fs::write(lab.path().join("texts.txt"), lines).unwrap();
    let vector = (0..128).map(|i| f64::from(i % 7) - 3.0).collect();
    let vectors = Vectors::new(BTreeMap::from([(HookPoint::ResidPost(2), vector)]));
    vectors.save(&lab.path().join("v.safetensors")).unwrap();
    let spec = mappa::model::Model::bundled(Precision::F32).unwrap().transformer.spec;
    vectors.export(&lab.path().join("v.gguf"), &spec).unwrap();
    lab
}

/// A quick run of each command with numeric flags; `PROBES` stands for saved probes of the bundled model.
const RUNS: [(&str, &str); 19] = [
    ("extract", "--dataset towns.csv"),
    ("probe", "--dataset towns.csv --no-baselines --resamples 2"),
    ("probe compare", "towns.csv towns.csv"),
    ("probe strata", "--dataset towns.csv --vectors none --resamples 2"),
    ("vectors learn", "texts.txt --name learned --dim 2 --min-count 1"),
    ("generate", "--prompt Oslo --tokens 2"),
    ("chat", ""),
    ("steer", "--prompt Oslo --tokens 2 --direction v.safetensors --dose 1rms --layer 2"),
    (
        "steer sweep",
        "--target longitude --doses 0,1 --prompts Oslo --layers 2 --tokens 2 --random 0 --probes PROBES",
    ),
    ("steer inspect", "v.safetensors"),
    ("steer import", "v.gguf w.safetensors"),
    ("neurons", "--dataset towns.csv --top 1 --seeds 1 --resamples 2"),
    ("lens", "--prompt Oslo"),
    ("lens fit", "--texts texts.txt --tokens 40 --held-out 0.5"),
    (
        "cause",
        "--dataset towns.csv --prompt is --answers country --pairs 4 --layers 2 --epochs 1 --random 1 --resamples 2",
    ),
    ("features list", "DICT --dataset towns.csv --column country"),
    (
        "features clamp",
        "DICT --dataset towns.csv --column country --groups 1 --prompts 1 --tokens 1 --random 1",
    ),
    ("features train", "--hook-point blocks.2.hook_resid_post --texts texts.txt --latents 8 -k 2 --epochs 1"),
    (
        "train",
        "--dataset towns.csv --sentences 2 --d-model 8 --n-layers 1 --n-heads 1 --d-mlp 8 --d-vocab 300",
    ),
];

/// Values for numeric flags; clap refuses most of them for whole numbers.
const ABSURD: [&str; 7] = ["0", "-1", "1000000000000", "nan", "1e-320", "inf", "1e300"];

#[test]
fn each_numeric_flag_ends_soon_with_any_number() {
    let lab = small_lab();
    let dict = lab.path().join("dict");
    super::features::dictionary(HookPoint::ResidPost(2), 128, mappa::features::SparseActivation::TopK(4))
        .save(&dict)
        .unwrap();
    let probes = root("probes/atlas/world_place/empty").to_str().unwrap().to_string();
    let known = |word: &str| match word {
        "PROBES" => probes.clone(),
        "DICT" => dict.to_str().unwrap().to_string(),
        other => other.to_string(),
    };
    let list = std::fs::read_to_string(root("tests/fixtures/numeric_flags.txt")).unwrap();
    let mut n = 0;
    for line in list.lines() {
        let (command, flag) = line.split_once(" --").unwrap();
        let (_, rest) = RUNS.iter().find(|(run, _)| *run == command).unwrap_or_else(|| panic!("{line}"));
        let flag = format!("--{flag}");
        let mut usual: Vec<String> = rest.split_whitespace().map(known).collect();
        if let Some(at) = usual.iter().position(|word| *word == flag) {
            usual.drain(at..at + 2);
        }
        for absurd in ABSURD {
            let own = command.split(' ').map(String::from).chain(usual.iter().cloned());
            let args: Vec<String> = own.chain([format!("{flag}={absurd}")]).collect();
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            ends_well(lab.path(), 4000, &args);
            n += 1;
        }
    }
    assert!(n > 300, "only {n} runs");
}

#[test]
fn numbers_inside_other_flags_end_soon_too() {
    let lab = small_lab();
    let run = |args: &str| {
        let args: Vec<&str> = args.split_whitespace().collect();
        ends_well(lab.path(), 4000, &args)
    };
    let probe = "probe --dataset towns.csv --no-baselines --resamples 2";
    for alphas in ["1e-320", "1e300", "-1", "nan", "inf"] {
        run(&format!("{probe} --alphas={alphas}"));
    }
    for split in ["group:country:1000000000000", "group:country:0", "blocks:1e-320", "blocks:nan", "blocks:0"]
    {
        run(&format!("{probe} --split {split}"));
    }
    for shard in ["1/1000000000000", "0/0", "18446744073709551615/18446744073709551615"] {
        assert!(!run(&format!("extract --dataset towns.csv --shard {shard}")).is_empty());
    }
    for dose in ["1e-320rms", "infrms", "nanx", "1e300rms", "1e400x"] {
        run(&format!("steer --prompt Oslo --tokens 2 --direction v.safetensors --layer 2 --dose={dose}"));
    }
    let many = "{a,b}".repeat(60);
    for points in [many.as_str(), &"*".repeat(5000), "blocks.99999999999999999999.hook_resid_post"] {
        assert!(!run(&format!("extract --dataset towns.csv --hook-points {points}x")).is_empty());
    }
    // A folder name that states a million million shards: no loop may run over all of them.
    std::fs::create_dir_all(lab.path().join("activations/atlas/towns/empty/.shards/1-of-1000000000000"))
        .unwrap();
    let error = run("extract --dataset towns.csv --merge");
    assert!(error.contains("no shards"), "{error}");
}

#[test]
fn numbers_in_an_experiment_have_the_ranges_of_the_flags() {
    let lab = small_lab();
    let with = |line: &str| {
        let sweep = "[[sweep]]\ndataset = 'towns.csv'\ntarget = 'longitude'\ndoses = [0]\n";
        let (before, after) = if line.starts_with("resamples") { (line, "") } else { ("", line) };
        let text = format!("model = 'atlas'\ndatasets = ['towns.csv']\n{before}\n{sweep}{after}\n");
        std::fs::write(lab.path().join("x.toml"), text).unwrap();
        refused(lab.path(), 2000, &["run", "x.toml"], &["x.toml"]);
    };
    for key in ["resamples", "random", "tokens"] {
        for n in ["-1", "1000000000000", "9223372036854775807", "1.5"] {
            with(&format!("{key} = {n}"));
        }
    }
}

#[test]
fn texts_and_tables_of_absurd_shape_are_refused_in_little_memory() {
    let lab = small_lab();
    let file = |name: &str, text: String| std::fs::write(lab.path().join(name), text).unwrap();
    file("wide.csv", format!("name,year{}\nA,1\nB,2\n", ",a".repeat(2_000_000)));
    file("ragged.csv", format!("name,year\nA,1{}\n", ",".repeat(2_000_000)));
    file("fields.jsonl", {
        let row = |i: usize| format!("{{\"name\":\"n{i}\",\"year\":{i},\"f{i}\":1}}\n");
        (0..16_000).map(row).collect()
    });
    file("line.txt", "a".repeat(20_000_000));
    file("name.csv", format!("name,year\n{},1\nB,2\n", "a".repeat(20_000_000)));
    let import = |name: &'static str, parts: &[&str]| {
        refused(lab.path(), 1500, &["datasets", "import", name], parts);
    };
    import("wide.csv", &["wide.csv", "2000002 columns", "at most 100000"]);
    import("ragged.csv", &["ragged.csv"]);
    import("fields.jsonl", &["fields.jsonl", "16000 rows with 16002 different fields"]);
    std::fs::copy(root("tests/fixtures/import/equal_rows.parquet"), lab.path().join("equal.parquet"))
        .unwrap();
    for args in [&["datasets", "import", "equal.parquet"][..], &["extract", "--dataset", "equal.parquet"]] {
        refused(lab.path(), 800, args, &["memory for the table's cells", "smaller file"]);
    }
    let show = ["extract", "--dataset", "name.csv", "--show-texts", "1"];
    ends_well(lab.path(), 2000, &show);
    let train = ["features", "train", "--hook-point", "blocks.2.hook_resid_post", "--texts"];
    refused(lab.path(), 1500, &[&train[..], &["line.txt"]].concat(), &["20000000 bytes", "at most 4194304"]);
}

#[test]
#[cfg(target_os = "linux")]
fn devices_and_pipes_without_end_are_refused() {
    let lab = small_lab();
    let path = lab.path();
    refused(path, 1000, &["run", "/dev/zero"], &["/dev/zero"]);
    for name in ["pipe.toml", "pipe.csv", "pipe.parquet", "pipe.gguf", "pipe.npz"] {
        assert!(Command::new("mkfifo").arg(path.join(name)).status().unwrap().success());
    }
    refused(path, 1000, &["run", "pipe.toml"], &["pipe.toml", "no program writes"]);
    for name in ["pipe.csv", "pipe.parquet"] {
        refused(path, 1000, &["datasets", "import", name], &[name]);
    }
    refused(path, 1000, &["models", "inspect", "pipe.gguf"], &["pipe.gguf"]);
    refused(path, 1000, &["steer", "inspect", "pipe.gguf"], &["pipe.gguf"]);
    refused(
        path,
        1000,
        &["features", "list", "pipe.npz", "--hook-point", "blocks.0.hook_resid_pre"],
        &["pipe.npz"],
    );
}
