//! A pipe, a folder, a socket or a device in place of a file of a lab is an error in one line, soon.

#![cfg(unix)]

use super::program::{command, done, mappa};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The time that a command may take: it waits some seconds for the other end of a pipe that it writes to.
const LONGEST: Duration = Duration::from_secs(60);

const DATASET: [&str; 2] = ["--dataset", "towns"];

fn new_lab() -> tempfile::TempDir {
    let lab = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(lab.path().join("datasets")).unwrap();
    let mut text = "name,latitude,longitude,is_test\n".to_string();
    for i in 0..48 {
        let town = ["Oslo", "Rome", "Lima"][i % 3];
        text += &format!("{town} {i},{},{},{}\n", (i * 7) % 60, (i * 11) % 90, i % 4 == 0);
    }
    std::fs::write(lab.path().join("datasets/towns.csv"), text).unwrap();
    done(mappa(lab.path(), &["probe", "--dataset", "towns", "--no-baselines"]));
    lab
}

/// Puts something that is not a file at a path.
fn put(kind: &str, path: &Path) {
    match kind {
        "pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "folder" => std::fs::create_dir(path).unwrap(),
        "device" => std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        _ => {
            // The path of a socket has at most about a hundred bytes.
            let short = tempfile::Builder::new().prefix("s").tempdir_in("/tmp").unwrap();
            drop(UnixListener::bind(short.path().join("s")).unwrap());
            std::fs::rename(short.path().join("s"), path)
                .or_else(|_| std::os::unix::fs::symlink("/dev/null", path))
                .unwrap();
        }
    }
}

#[test]
fn no_command_waits_for_a_pipe_or_fails_without_a_line() {
    let lab = new_lab();
    let readers: [(&str, &[&str]); 10] = [
        ("activations/atlas/towns/empty/card.json", &["extract"]),
        ("activations/atlas/towns/empty/blocks.csv", &["extract"]),
        ("activations/atlas/towns/empty/checksums.csv", &["probe", "--no-baselines"]),
        ("activations/atlas/towns/empty/spans.csv", &["extract", "--verify"]),
        ("activations/atlas/towns/empty/blocks.0.hook_resid_pre.safetensors", &["extract"]),
        ("probes/atlas/towns/empty.alone/card.json", &["probe", "--no-baselines"]),
        ("probes/atlas/towns/empty.alone/scores.csv", &["probe", "--no-baselines"]),
        ("probes/atlas/towns/empty.alone/predictions.csv", &["probe", "--no-baselines"]),
        ("probes/atlas/towns/empty.alone/probes.safetensors", &["probe", "--no-baselines"]),
        ("figures/atlas/empty.alone/towns.svg", &["figure", "--prompt", "empty.alone"]),
    ];
    for (file, args) in readers {
        let (path, aside) = (lab.path().join(file), lab.path().join("aside"));
        for kind in ["pipe", "folder", "socket", "device"] {
            std::fs::rename(&path, &aside).unwrap();
            put(kind, &path);
            let begun = Instant::now();
            let args = [args, &DATASET].concat();
            let mut running = command(lab.path(), &args);
            let running = running.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
            let output = running.unwrap().wait_with_output().unwrap();
            let message = String::from_utf8(output.stderr).unwrap();
            assert!(begun.elapsed() < LONGEST, "{kind} {file}: {:?}", begun.elapsed());
            assert_eq!(output.status.code(), Some(1), "{kind} {file}: {message}");
            assert_eq!(message.matches("error: ").count(), 1, "{kind} {file}: {message}");
            assert!(message.contains(file.rsplit('/').next().unwrap()), "{kind} {file}: {message}");
            if kind == "folder" { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path) }.unwrap();
            std::fs::rename(&aside, &path).unwrap();
        }
    }
    for args in [&["extract"][..], &["probe", "--no-baselines"], &["figure", "--prompt", "empty.alone"]] {
        done(mappa(lab.path(), &[args, &DATASET].concat()));
    }
}
