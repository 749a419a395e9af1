//! The commands that download from the hub: their output, a kill, and full disks.

use super::hub::{pull, weights};
use super::hub_server::{COMMIT, Hub, large, small, tiny};
use super::root;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const WEIGHTS: &str = "model.safetensors";

/// The command with its own hub and cache, without the machine's environment variables.
fn mappa(hub: &Hub, cache: &Path) -> Command {
    let mut command = alone(hub, cache);
    command.args(["models", "pull"]);
    command
}

/// The command without a subcommand.
fn alone(hub: &Hub, cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
    for (name, _) in std::env::vars() {
        if name.starts_with("HF_") || name.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HUB_CACHE", cache);
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_command_pulls_a_model_that_runs() {
    let read = |name: &str| std::fs::read(root("models/atlas").join(name)).unwrap();
    let hub = Hub::exactly(&[
        ("config.json", small(&read("config.json"))),
        ("tokenizer.json", large(&read("tokenizer.json"))),
        (WEIGHTS, large(&read(WEIGHTS))),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let out: Output = mappa(&hub, cache.path()).arg("lab/tiny").output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("mappa models inspect lab/tiny"), "{}", text(&out.stderr));
    let folder = text(&out.stdout).trim_end();
    assert_eq!(Path::new(folder), cache.path().join("models--lab--tiny/snapshots").join(COMMIT));
    let look = alone(&hub, cache.path()).args(["models", "inspect", "lab/tiny"]).output().unwrap();
    assert!(text(&look.stdout).contains("hook points"), "{}", text(&look.stderr));
    let lab = tempfile::tempdir().unwrap();
    let extract = alone(&hub, cache.path())
        .env("HF_HUB_OFFLINE", "1")
        .args(["extract", "--model", "lab/tiny@main", "--dataset", "nyc_place", "--lab"])
        .arg(lab.path())
        .output()
        .unwrap();
    assert!(extract.status.success(), "{}", text(&extract.stderr));
    assert!(lab.path().join("activations/tiny/nyc_place/empty/spans.csv").is_file());
    let gone = mappa(&hub, cache.path()).arg("lab/gone").output().unwrap();
    assert_eq!((gone.status.code(), gone.stdout.len()), (Some(1), 0));
    assert!(text(&gone.stderr).contains("no repo `lab/gone`"), "{}", text(&gone.stderr));
    let bad = mappa(&hub, cache.path()).arg("../x").output().unwrap();
    assert!(text(&bad.stderr).contains("org/name@revision"), "{}", text(&bad.stderr));
    let offline = mappa(&hub, cache.path()).env("HF_HUB_OFFLINE", "1").arg("lab/other").output().unwrap();
    assert!(text(&offline.stderr).contains("models--lab--other"), "{}", text(&offline.stderr));
}

#[test]
fn a_name_without_an_organisation_is_searched_in_the_cache_and_on_the_hub() {
    let read = |name: &str| std::fs::read(root("models/atlas").join(name)).unwrap();
    let hub = Hub::exactly(&[
        ("config.json", small(&read("config.json"))),
        ("tokenizer.json", large(&read("tokenizer.json"))),
        (WEIGHTS, large(&read(WEIGHTS))),
    ]);
    hub.state().renamed_from = Some("oldest".into());
    let (cache, lab) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inspect = |offline: &str, name: &str| {
        let mut command = alone(&hub, cache.path());
        command.env("HF_HUB_OFFLINE", offline).args(["models", "inspect", name, "--lab"]).arg(lab.path());
        command.output().unwrap()
    };
    let unseen = inspect("1", "oldest");
    assert!(text(&unseen.stderr).contains("models--oldest"), "{}", text(&unseen.stderr));
    assert!(text(&unseen.stderr).contains("error: model: found oldest"), "{}", text(&unseen.stderr));
    let found = inspect("0", "oldest");
    assert!(text(&found.stdout).contains("hook points"), "{}", text(&found.stderr));
    assert!(cache.path().join("models--oldest/snapshots").join(COMMIT).is_dir());
    let offline = inspect("1", "oldest");
    assert!(text(&offline.stdout).starts_with("model       oldest\n"), "{}", text(&offline.stderr));
}

#[test]
fn a_kill_loses_nothing() {
    let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
    hub.state().stall = true;
    let mut running: Child = mappa(&hub, cache.path())
        .arg("lab/tiny")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let part =
        cache.path().join("models--lab--tiny/blobs").join(format!("{}.incomplete", large(&weights()).etag));
    let started = Instant::now();
    while std::fs::metadata(&part).map_or(0, |found| found.len()) < 350_000 {
        assert!(started.elapsed() < Duration::from_secs(60), "half of the file did not arrive");
        std::thread::sleep(Duration::from_millis(20));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    hub.state().stall = false;
    hub.asked();
    let found = pull(&tiny("main"), &hub.settings(cache.path())).unwrap();
    assert!(std::fs::read(found.folder.join(WEIGHTS)).unwrap() == weights());
    assert!(hub.fetched().iter().all(|asked| asked.range.as_deref() == Some("bytes=350000-")));
    assert!(!part.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_too_small_is_reported_at_once() {
    let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
    // Mounts in a separate namespace; the kernel removes the mount after the command.
    let inside = |command: &Command, script: &str| {
        let mut wrapped = Command::new("unshare");
        wrapped
            .args(["-rm", "sh", "-c"])
            .arg(format!("mount -t tmpfs -o size=64k tmpfs \"$HF_HUB_CACHE\" && {script}"));
        wrapped.arg("sh").arg(command.get_program()).args(command.get_args()).arg("lab/tiny");
        for (name, value) in command.get_envs() {
            value.map(|value| wrapped.env(name, value));
        }
        wrapped.output()
    };
    let pull = mappa(&hub, cache.path());
    if !inside(&pull, "true").is_ok_and(|out| out.status.success()) {
        eprintln!("skipped 2 checks of a full disk: no tmpfs can be mounted here");
        return;
    }
    let told = inside(&pull, "exec \"$@\"").unwrap();
    let message = text(&told.stderr);
    assert!(
        message.contains("disk full: 700000 bytes needed") && !message.contains("number free"),
        "{message}"
    );
    assert_eq!(
        (told.status.code(), hub.asked().iter().filter(|asked| asked.of == "cdn").count()),
        (Some(1), 0)
    );
    // If the hub does not give the size, the disk is full in the middle of the download.
    hub.state().no_size = true;
    let found = inside(&pull, "exec \"$@\"").unwrap();
    assert!(text(&found.stderr).contains("disk full: more bytes needed, 0 free"), "{}", text(&found.stderr));
    assert_eq!(hub.asked().iter().filter(|asked| asked.of == "cdn").count(), 1);
}
