//! Every command is killed, stopped by a signal, run without a reader of its output, on a full disk and on a read-only
//! disk: finished work is kept, and the next run leaves the same files as an uninterrupted one.
//!
//! `MAPPA_KILLS=20 cargo test --test it signals` tries twenty rounds of signals for each command instead of one.
#![cfg(unix)]

use super::features::dictionary;
use super::hub_server::{Hub, large, small};
use super::kills::{Disk, fill_up};
use super::program::mappa;
use super::root;
use mappa::artefact::Lock;
use mappa::features::SparseActivation;
use mappa::hook_point::HookPoint;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// A command of the table.
#[derive(Debug, Clone, Copy)]
struct Trial {
    /// The names of the command and its subcommand.
    path: &'static str,
    /// Its arguments; `LAB` stands for the lab.
    args: &'static str,
    /// The lab that it starts with.
    from: Base,
    /// True if it only prints.
    prints: bool,
}

/// The state of a lab.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Base {
    /// A dataset, texts and models.
    Fresh,
    /// Probes, vectors and a dictionary as well.
    Probed,
}

const fn writes(path: &'static str, args: &'static str, from: Base) -> Trial {
    Trial { path, args, from, prints: false }
}

const fn prints(path: &'static str, args: &'static str) -> Trial {
    Trial { path, args, from: Base::Probed, prints: true }
}

const TRIALS: [Trial; 34] = [
    writes("run", "LAB/one.toml", Base::Fresh),
    writes("datasets import", "LAB/raw.csv --name mine --group country", Base::Fresh),
    writes("extract", "--model chatty --dataset few --group-nodes 16", Base::Fresh),
    writes("probe", "--model chatty --dataset few --resamples 5", Base::Fresh),
    writes(
        "probe compare",
        "chatty/few/empty chatty/few/empty@embed --resamples 5 --csv LAB/c.csv",
        Base::Probed,
    ),
    writes("probe geometry", "--model chatty --dataset few", Base::Probed),
    writes("probe strata", "--model chatty --dataset few --resamples 5", Base::Probed),
    writes("vectors learn", "--model chatty --dim 8 --min-count 1", Base::Fresh),
    writes("neurons", "--model pythia --dataset few --top 4 --seeds 1 --resamples 5", Base::Probed),
    writes("lens fit", "--model chatty --dataset few --tokens 400 --held-out 0.2", Base::Fresh),
    writes(
        "cause",
        "--model chatty --dataset few --prompt At --answers country --pairs 40 --epochs 3 --random 1 --resamples 5",
        Base::Probed,
    ),
    writes("figure", "--model chatty --dataset few", Base::Probed),
    writes(
        "steer extract",
        "--model chatty --dataset few --probe longitude --out LAB/east.safetensors",
        Base::Probed,
    ),
    writes("steer export", "--model chatty LAB/v.safetensors LAB/out.gguf", Base::Probed),
    writes("steer import", "--model chatty LAB/v.gguf LAB/in.safetensors", Base::Probed),
    writes(
        "steer sweep",
        "--model chatty --dataset few --target longitude --doses -40,0,40 --prompts Nairobi --layers 0,1 --tokens 4",
        Base::Probed,
    ),
    writes("features list", "LAB/axes --model chatty --dataset few --column country", Base::Probed),
    writes(
        "features clamp",
        "LAB/axes --model chatty --dataset few --column country --groups 1 --times 0,2 --prompts 2 --random 1 --tokens 2",
        Base::Probed,
    ),
    writes(
        "features train",
        "--model chatty --hook-point embed --dataset few --latents 96 -k 4 --batch 16 --epochs 3 --dead-after 500 \
         --checkpoint-every 0 --name small",
        Base::Fresh,
    ),
    writes(
        "train",
        "--name my --dataset few --sentences 6 --d-model 16 --n-layers 1 --n-heads 2 --d-mlp 16 --d-vocab 300 \
         --batch 200 --checkpoint-every 4",
        Base::Fresh,
    ),
    writes("models pull", "lab/tiny", Base::Fresh),
    prints("datasets list", ""),
    prints("datasets check", "--against LAB/datasets_of_others"),
    prints("models list", ""),
    prints("models inspect", "atlas"),
    prints("models hook-points", "atlas"),
    prints("models families", ""),
    prints("lens", "--model chatty --prompt Nairobi"),
    prints("generate", "--model chatty --prompt Nairobi --tokens 40"),
    prints("chat", "--model chatty --tokens 8"),
    prints(
        "steer",
        "--model chatty --prompt Nairobi --toward lat=35,lon=139 --layer 1 --dataset few --tokens 20",
    ),
    prints("steer inspect", "--model chatty LAB/v.safetensors"),
    // Other uses of the commands above.
    prints("extract", "--model chatty --dataset few --show-texts 40"),
    writes(
        "steer",
        "--model chatty --dataset few --prompt Nairobi --feature LAB/axes:4 --dose 3x --tokens 2 --logits LAB/l.safetensors",
        Base::Probed,
    ),
];

/// Commands without a trial, and the reason.
const UNTRIED: [(&str, &str); 1] =
    [("datasets pull", "accepts only the paper's own files; downloads as `models pull`, then imports")];

impl Trial {
    /// The command in a lab, with a hub of its own.
    fn command(&self, lab: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
        let lab_text = lab.to_str().unwrap();
        command.arg("--lab").arg(lab).args(self.path.split(' '));
        command.args(self.args.split_whitespace().map(|arg| arg.replace("LAB", lab_text)));
        command.env("HF_ENDPOINT", hub()).env("HF_HUB_CACHE", lab.join("cache"));
        for name in ["HF_HUB_OFFLINE", "HF_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self, lab: &Path) -> Child {
        let mut child = self.command(lab).spawn().unwrap();
        // Read by `chat`; a child that has ended already reads nothing.
        _ = child.stdin.take().unwrap().write_all(b"Who are you?\n");
        child
    }

    fn run(&self, lab: &Path) -> Output {
        self.spawn(lab).wait_with_output().unwrap()
    }

    /// A new copy of the lab that the command starts with.
    fn lab(&self) -> tempfile::TempDir {
        let lab = tempfile::tempdir().unwrap();
        copy(base(self.from), lab.path());
        lab
    }

    /// Asserts that a run succeeded.
    #[track_caller]
    fn done(&self, output: &Output) {
        assert!(output.status.success(), "{self:?}: {}: {}", output.status, text(&output.stderr));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The address of a hub with a small repo.
fn hub() -> &'static str {
    static HUB: OnceLock<(Hub, String)> = OnceLock::new();
    let start = || {
        let read = |name: &str| std::fs::read(root("models/atlas").join(name)).unwrap();
        let hub = Hub::exactly(&[
            ("config.json", small(&read("config.json"))),
            ("tokenizer.json", large(&read("tokenizer.json"))),
            ("model.safetensors", large(&read("model.safetensors"))),
        ]);
        let address = hub.endpoint();
        (hub, address)
    };
    &HUB.get_or_init(start).1
}

/// Places with a country, as a file to import.
fn raw() -> String {
    let places = mappa::datasets::bundled("world_place").unwrap();
    let mut rows = "name,latitude,longitude,country\n".to_string();
    for (i, entity) in places.entities.iter().step_by(25).enumerate() {
        let at = entity.target.values();
        rows += &format!("\"{}\",{},{},{}\n", entity.name, at[0], at[1], ["Japan", "Kenya", "Peru"][i % 3]);
    }
    rows
}

const EXPERIMENT: &str = r#"
model = "chatty"
datasets = ["few"]
resamples = 5

[[sweep]]
kind = "place"
dataset = "few"
target = "longitude"
doses = [-40.0, 0.0, 40.0]
prompts = ["Nairobi"]
"#;

/// A lab to copy.
fn base(of: Base) -> &'static Path {
    static FRESH: OnceLock<tempfile::TempDir> = OnceLock::new();
    static PROBED: OnceLock<tempfile::TempDir> = OnceLock::new();
    let fresh = FRESH.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let lab = folder.path();
        std::fs::write(lab.join("raw.csv"), raw()).unwrap();
        std::fs::write(lab.join("one.toml"), EXPERIMENT).unwrap();
        let raw = lab.join("raw.csv");
        succeeded(mappa(lab, &["datasets", "import", raw.to_str().unwrap(), "--name", "few"]));
        std::fs::create_dir(lab.join("datasets_of_others")).unwrap();
        std::fs::copy(root("datasets/nyc_place.csv"), lab.join("datasets_of_others/nyc_place.csv")).unwrap();
        copy(&root("tests/fixtures/runs/pythia"), &lab.join("models/pythia"));
        let shape =
            "--sentences 4 --d-model 16 --n-layers 2 --n-heads 2 --d-mlp 32 --d-vocab 300 --batch 200";
        let train: Vec<&str> = ["train", "--name", "chatty", "--dataset", "few"].to_vec();
        succeeded(mappa(lab, &[&train[..], &shape.split(' ').collect::<Vec<_>>()].concat()));
        let template = "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\nmodel:{% endfor %}";
        std::fs::write(lab.join("models/chatty/chat_template.jinja"), template).unwrap();
        folder
    });
    if of == Base::Fresh {
        return fresh.path();
    }
    let probed = PROBED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let lab = folder.path();
        copy(fresh.path(), lab);
        succeeded(mappa(lab, &["probe", "--model", "chatty", "--dataset", "few", "--resamples", "5"]));
        std::fs::remove_dir_all(lab.join("figures")).unwrap();
        let axes = dictionary(HookPoint::ResidPost(0), 16, SparseActivation::TopK(4));
        axes.save(&lab.join("axes")).unwrap();
        let [vectors, exported] = ["v.safetensors", "v.gguf"].map(|name| lab.join(name));
        let [vectors, exported] = [&vectors, &exported].map(|path| path.to_str().unwrap());
        let flags = ["--model", "chatty", "--dataset", "few", "--probe", "latitude", "--out", vectors];
        succeeded(mappa(lab, &[&["steer", "extract"], &flags[..]].concat()));
        succeeded(mappa(lab, &["steer", "export", "--model", "chatty", vectors, exported]));
        folder
    });
    probed.path()
}

#[track_caller]
fn succeeded(output: Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// The files below a lab; cards without dates and durations, texts without the lab's own path.
fn files(lab: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![lab.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(lab).unwrap().to_str().unwrap().to_string();
            // A lock that a dead process left is taken over by the next one that writes there.
            if name.ends_with(".lock") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            files.insert(
                name,
                match String::from_utf8(bytes) {
                    Ok(text) => undated(&text.replace(lab.to_str().unwrap(), "LAB")).into_bytes(),
                    Err(binary) => binary.into_bytes(),
                },
            );
        }
    }
    files
}

/// The text of a card without dates and durations; any other text unchanged.
fn undated(text: &str) -> String {
    let Ok(mut card) = serde_json::from_str::<serde_json::Value>(text) else { return text.into() };
    if let Some(record) = card.get_mut("record").and_then(|record| record.as_object_mut()) {
        record.retain(|name, _| {
            !["date", "command", "added", "seconds"].iter().any(|word| name.starts_with(word))
        });
    }
    card.to_string()
}

#[track_caller]
fn assert_same(trial: &Trial, lab: &Path, reference: &BTreeMap<String, Vec<u8>>) {
    let found = files(lab);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(reference), "{trial:?}");
    for (name, bytes) in reference {
        assert!(found[name] == *bytes, "{name} differs after {trial:?}");
    }
}

/// A run that nothing interrupted.
struct Whole {
    lab: tempfile::TempDir,
    files: BTreeMap<String, Vec<u8>>,
    took: Duration,
}

/// The uninterrupted run of a trial, made once.
fn uninterrupted(trial: &Trial) -> Arc<Whole> {
    static RUNS: Mutex<BTreeMap<String, Arc<Whole>>> = Mutex::new(BTreeMap::new());
    let name = format!("{} {}", trial.path, trial.args);
    if let Some(run) = RUNS.lock().unwrap().get(&name) {
        return run.clone();
    }
    let lab = trial.lab();
    let started = Instant::now();
    trial.done(&trial.run(lab.path()));
    let took = started.elapsed();
    let run = Arc::new(Whole { files: files(lab.path()), lab, took });
    RUNS.lock().unwrap().entry(name).or_insert(run).clone()
}

/// Runs a check of every trial on several threads.
#[track_caller]
fn each(check: impl Fn(&Trial) + Sync) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |n| n.get().min(4)) {
            scope.spawn(|| {
                while let Some(trial) = TRIALS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(trial)));
                    if checked.is_err() {
                        failed.lock().unwrap().push(trial.path);
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner().unwrap(), [""; 0], "the commands that failed");
}

/// Puts the unfinished file of a dead process into each folder that a run writes to.
fn leave_unfinished(trial: &Trial, lab: &Path, reference: &BTreeMap<String, Vec<u8>>) {
    let before = files(base(trial.from));
    for name in reference.keys().filter(|name| !before.contains_key(*name) && !name.starts_with("cache/")) {
        let folder = lab.join(name).parent().unwrap().to_path_buf();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(".mappa-dead00.tmp"), "unfinished").unwrap();
    }
}

#[test]
fn every_command_is_in_the_table() {
    let lab = tempfile::tempdir().unwrap();
    let (mut commands, mut left) = (BTreeSet::new(), vec![Vec::<String>::new()]);
    while let Some(path) = left.pop() {
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = text(&mappa(lab.path(), &args).stdout);
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| {
            let name = line.strip_prefix("  ")?.split(' ').next()?;
            (!name.is_empty() && name != "help").then(|| name.to_string())
        });
        let below: Vec<String> = names.collect();
        // These are commands, and have subcommands.
        let is_both =
            ["steer", "probe", "lens"].iter().any(|name| help.contains(&format!("Usage: mappa {name} [")));
        if below.is_empty() || is_both {
            commands.insert(path.join(" "));
        }
        left.extend(below.into_iter().map(|name| [&path[..], &[name]].concat()));
    }
    let tried = TRIALS.iter().map(|trial| trial.path).chain(UNTRIED.map(|(path, _)| path));
    assert_eq!(commands, tried.map(String::from).collect());
}

/// A command that a signal ended.
struct Stopped {
    output: Output,
    /// The time from the signal to the end.
    took: Duration,
}

/// Starts a command and sends it a signal after a delay; `None` if it was finished by then.
fn stopped(trial: &Trial, lab: &Path, name: &str, delay: Duration) -> Option<Stopped> {
    let mut child = trial.spawn(lab);
    std::thread::sleep(delay);
    let sent = Instant::now();
    let is_sent = child.try_wait().unwrap().is_none() && signal(&child, name);
    let output = child.wait_with_output().unwrap();
    (is_sent && !output.status.success()).then(|| Stopped { output, took: sent.elapsed() })
}

/// A lab in which a command was killed, and then stopped by a signal; and the duration of its slowest stop. Delays are
/// halved until both meet a running command: under load, the duration of an earlier run says little about the next.
fn interrupted(trial: &Trial, whole: &Whole, rng: &mut ChaCha8Rng) -> (tempfile::TempDir, Duration) {
    let signals = [("KILL", 9), [("INT", 2), ("TERM", 15), ("HUP", 1)][rng.random_range(0..3)]];
    let mut longest = whole.took;
    'tries: for _ in 0..14 {
        let (lab, mut slowest) = (trial.lab(), Duration::ZERO);
        leave_unfinished(trial, lab.path(), &whole.files);
        for (name, number) in signals {
            let delay = longest.mul_f64(rng.random_range(0.05..1.0));
            let Some(Stopped { output, took }) = stopped(trial, lab.path(), name, delay) else {
                longest /= 2;
                continue 'tries;
            };
            // Until the program has installed its handler, a signal ends it by default.
            if output.status.signal() != Some(number) {
                let message = format!("{trial:?}, {name}: {}", text(&output.stderr));
                assert_eq!(output.status.code(), Some(128 + number), "{message}");
                let last = text(&output.stderr).lines().last().unwrap_or_default().to_string();
                assert!(last.starts_with("stopped"), "{message}");
                assert!(!message.contains("error") && !message.contains("panicked"), "{message}");
                slowest = slowest.max(took);
            }
        }
        return (lab, slowest);
    }
    panic!("no signal met {trial:?} while it ran")
}

#[test]
fn commands_stopped_at_random_moments_and_run_again_end_with_the_same_files() {
    let rounds: u64 = std::env::var("MAPPA_KILLS").map_or(1, |n| n.parse().unwrap());
    let slowest = Mutex::new(Duration::ZERO);
    each(|trial| {
        let whole = uninterrupted(trial);
        let mut rng = ChaCha8Rng::seed_from_u64(20);
        for _ in 0..rounds {
            let (lab, took) = interrupted(trial, &whole, &mut rng);
            trial.done(&trial.run(lab.path()));
            assert_same(trial, lab.path(), &whole.files);
            let mut slowest = slowest.lock().unwrap();
            *slowest = (*slowest).max(took);
        }
    });
    let slowest = slowest.into_inner().unwrap();
    println!("the slowest of {} stops took {slowest:?}", TRIALS.len() as u64 * rounds);
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
}

/// Sends a signal to a process; false if it has ended.
fn signal(child: &Child, name: &str) -> bool {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg(child.id().to_string()).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn a_second_signal_ends_a_stop_that_takes_too_long() {
    let long = "--model chatty --hook-point embed --dataset few --latents 64 -k 4 --epochs 100000 --checkpoint-every 1000 --name small";
    let trial = Trial { args: long, ..*TRIALS.iter().find(|trial| trial.path == "features train").unwrap() };
    let lab = trial.lab();
    let folder = lab.path().join("features/chatty/small");
    std::fs::create_dir_all(&folder).unwrap();
    // The stop waits for a reader of the checkpoint, which never comes.
    let pipe = folder.join("checkpoint.safetensors");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = trial.spawn(lab.path());
    std::thread::sleep(Duration::from_secs(4));
    assert!(signal(&child, "INT"));
    std::thread::sleep(Duration::from_secs(2));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait for its checkpoint");
    assert!(signal(&child, "TERM"));
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn without_a_reader_work_is_finished_and_mere_printing_ends_and_a_full_disk_is_an_error() {
    each(|trial| {
        let reference = &uninterrupted(trial).files;
        let lab = trial.lab();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        // Standard error is full as well.
        let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut child = trial.command(lab.path()).stdout(writer).stderr(full()).spawn().unwrap();
        _ = child.stdin.take().unwrap().write_all(b"Who are you?\n");
        let output = child.wait_with_output().unwrap();
        let expected = if trial.prints || trial.path == "steer" { 141 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{trial:?}");
        assert_same(trial, lab.path(), reference);
        let lab = trial.lab();
        let mut child = trial.command(lab.path()).stdout(full()).spawn().unwrap();
        _ = child.stdin.take().unwrap().write_all(b"Who are you?\n");
        let output = child.wait_with_output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{trial:?}: {message}");
        assert_eq!(message.matches("error: cannot write to standard output: ").count(), 1, "{message}");
        assert_same(trial, lab.path(), reference);
    });
}

#[test]
fn a_full_disk_is_named_with_the_file_and_the_next_run_ends_with_the_same_files() {
    let n_skipped = AtomicUsize::new(0);
    each(|trial| {
        if trial.prints {
            return;
        }
        let Some(disk) = Disk::of(64 << 20) else {
            n_skipped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let reference = &uninterrupted(trial).files;
        let (lab, filler) = (disk.path(), disk.path().join("filler"));
        copy(base(trial.from), lab);
        fill_up(&filler);
        let output = trial.run(lab);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{trial:?}: {message}");
        let last = message.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && last.contains("disk full"), "{trial:?}: {message}");
        assert!(last.contains(lab.to_str().unwrap()), "{trial:?}: {message}");
        std::fs::remove_file(filler).unwrap();
        trial.done(&trial.run(lab));
        assert_same(trial, lab, reference);
    });
    println!("skipped: {} full disks, which only root can make here", n_skipped.into_inner());
}

#[test]
fn a_lab_that_cannot_be_written_shows_what_is_done() {
    let n_skipped = AtomicUsize::new(0);
    each(|trial| {
        let Some(disk) = Disk::of(64 << 20) else {
            n_skipped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        copy(uninterrupted(trial).lab.path(), disk.path());
        disk.forbid_writing();
        let output = trial.run(disk.path());
        trial.done(&output);
        assert!(!output.stdout.is_empty(), "{trial:?}");
    });
    println!("skipped: {} labs without the right to write", n_skipped.into_inner());
}

#[test]
fn a_second_process_that_trains_or_imports_the_same_is_refused_naming_the_first() {
    for (path, locked) in [
        ("features train", "features/chatty/small"),
        ("train", "models/my"),
        ("datasets import", "datasets/mine.csv"),
    ] {
        let trial = TRIALS.iter().find(|trial| trial.path == path).unwrap();
        let lab = trial.lab();
        let place = lab.path().join(locked);
        let lock = if path == "datasets import" { Lock::take_file(&place) } else { Lock::take(&place) };
        let output = trial.run(lab.path());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{path}: {message}");
        for part in [locked, "is writing here", &format!("process {}", std::process::id())] {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        drop(lock);
        trial.done(&trial.run(lab.path()));
    }
}
