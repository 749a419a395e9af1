//! Interruptions of the real program: SIGKILL at random moments, Ctrl-C, a full disk, a second process. The next
//! run resumes, and its files equal those of an uninterrupted run, byte for byte.
#![cfg(unix)]

use super::program::{command, mappa as run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An extraction with a few hundred small batches.
const EXTRACT: [&str; 5] = ["extract", "--dataset", "nyc_place", "--group-nodes", "16"];

fn spawn(lab: &Path) -> Child {
    command(lab, &EXTRACT).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn holds(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn folder(lab: &Path) -> PathBuf {
    lab.join("activations/atlas/nyc_place/empty")
}

/// The number of batches recorded in an unfinished store; `None` if there is none.
fn n_recorded(lab: &Path) -> Option<usize> {
    let journal = std::fs::read_to_string(folder(lab).join(".partial/journal.csv")).ok()?;
    Some(journal.lines().count())
}

/// The files by name; the card without its record of the run.
fn content(lab: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder(lab)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let mut bytes = std::fs::read(entry.path()).unwrap_or_else(|e| panic!("{name} is left: {e}"));
        if name == "card.json" {
            let mut card: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            card.as_object_mut().unwrap().remove("record").unwrap();
            bytes = card.to_string().into_bytes();
        }
        files.insert(name, bytes);
    }
    files
}

/// The files of an uninterrupted run, and its duration.
fn uninterrupted() -> (BTreeMap<String, Vec<u8>>, Duration) {
    let lab = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let output = run(lab.path(), &EXTRACT);
    assert!(output.status.success(), "{}", text(&output.stderr));
    (content(lab.path()), started.elapsed())
}

fn assert_same(lab: &Path, reference: &BTreeMap<String, Vec<u8>>) {
    let found = content(lab);
    assert_eq!(found.keys().collect::<Vec<_>>(), reference.keys().collect::<Vec<_>>());
    for (name, bytes) in reference {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

/// A process in the lab, stopped (SIGSTOP) after it recorded some batches; `None` if it was finished before.
fn paused_in(lab: &Path) -> Option<Child> {
    let mut child = spawn(lab);
    let started = Instant::now();
    while n_recorded(lab).is_none_or(|n| n < 2) && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(120), "no batch is recorded");
        std::thread::sleep(Duration::from_millis(2));
    }
    if child.try_wait().unwrap().is_none() {
        signal(&child, "STOP");
        // The journal is removed when the last batch is done.
        if n_recorded(lab).is_some_and(|n| n >= 2) {
            return Some(child);
        }
        child.kill().unwrap();
    }
    child.wait().unwrap();
    None
}

/// A new lab with a stopped process. Under load, this test may get no processor time while a process records its
/// batches, so several are tried.
fn paused() -> (tempfile::TempDir, Child) {
    for _ in 0..20 {
        let lab = tempfile::tempdir().unwrap();
        if let Some(child) = paused_in(lab.path()) {
            return (lab, child);
        }
    }
    panic!("no process could be stopped while it recorded batches")
}

/// Sends a signal to a process.
fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(sent.success(), "kill -{name}");
}

#[test]
fn runs_killed_at_random_moments_end_with_the_same_bytes() {
    const N_KILLS: usize = 60;
    let (reference, whole) = uninterrupted();
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    // Kills before the first new batch, and while batches were recorded.
    let (mut n_before, mut n_batches, mut n_resumed, mut n_stores) = (0, 0, 0, 0);
    // Under load, fewer kills meet the middle of a run.
    let is_enough = |n_before: usize, n_batches: usize, n_resumed: usize| {
        let n = n_before + n_batches;
        n >= 10 * N_KILLS || (n >= N_KILLS && n_batches >= 20 && n_resumed >= 5)
    };
    while !is_enough(n_before, n_batches, n_resumed) {
        let lab = tempfile::tempdir().unwrap();
        loop {
            let kept = n_recorded(lab.path()).unwrap_or(0);
            let mut child = spawn(lab.path());
            std::thread::sleep(whole.mul_f64(rng.random_range(0.0..0.35)));
            if child.try_wait().unwrap().is_some() {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{}", text(&output.stderr));
                let says = text(&output.stderr).contains(&format!("{kept} batches were kept"));
                // A run that was killed after its last file counts as complete.
                let found = text(&output.stdout).contains("extracted before");
                assert_eq!(says, kept > 0 && !found, "{}", text(&output.stderr));
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            match n_recorded(lab.path()) {
                Some(n) if n > kept => {
                    n_batches += 1;
                    n_resumed += usize::from(kept > 0);
                }
                _ => n_before += 1,
            }
        }
        assert_same(lab.path(), &reference);
        n_stores += 1;
    }
    println!(
        "{} kills for {n_stores} stores: {n_batches} while batches were recorded, {n_resumed} of these in a \
         resumed run, {n_before} before the first new batch",
        n_before + n_batches
    );
    assert!(n_batches >= 20 && n_resumed >= 5, "too few kills hit the middle of a run");
}

#[test]
fn a_signal_stops_the_run_and_keeps_finished_batches() {
    let (reference, _) = uninterrupted();
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let (lab, child) = paused();
        signal(&child, name);
        signal(&child, "CONT");
        let output = child.wait_with_output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{message}");
        holds(&message, &["stopped: ", "of 492 entities are kept", "the same command resumes"]);
        assert!(!message.contains("error") && n_recorded(lab.path()) > Some(1), "{message}");
        let output = run(lab.path(), &EXTRACT);
        holds(&text(&output.stderr), &["batches were kept from an earlier run"]);
        holds(&text(&output.stdout), &["extracted: 492 entities, 7 hook points", "next: mappa probe"]);
        assert_same(lab.path(), &reference);
        holds(&text(&run(lab.path(), &EXTRACT).stdout), &["found, extracted before"]);
    }
}

#[test]
fn a_second_process_is_refused_naming_the_first() {
    let (reference, _) = uninterrupted();
    let (lab, first) = paused();
    let second = run(lab.path(), &EXTRACT);
    signal(&first, "CONT");
    let message = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{message}");
    holds(
        &message,
        &[&format!("process {} on ", first.id()), "nyc_place/empty", "is writing here", "since 20"],
    );
    assert!(first.wait_with_output().unwrap().status.success());
    assert_same(lab.path(), &reference);
    // A new process takes over the lock of a dead one.
    let (lab, mut first) = paused();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(folder(lab.path()).join(".lock").is_file(), "it was killed with its lock");
    assert!(run(lab.path(), &EXTRACT).status.success());
    assert_same(lab.path(), &reference);
}

/// A small file system in memory.
pub(crate) struct Disk {
    at: tempfile::TempDir,
}

impl Disk {
    /// `None` if this user may not mount one.
    pub(crate) fn of(bytes: usize) -> Option<Disk> {
        let at = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at.path()).stderr(Stdio::null());
        mount.status().ok()?.success().then_some(Disk { at })
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        self.at.path()
    }

    /// Makes every later write fail, even for root.
    pub(crate) fn forbid_writing(&self) {
        let mut mount = Command::new("mount");
        assert!(mount.args(["-o", "remount,ro"]).arg(self.at.path()).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.at.path()).status();
    }
}

/// Writes until the disk is full.
pub(crate) fn fill_up(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[0; 1024]).is_ok() {}
}

#[test]
fn a_full_disk_is_reported_before_anything_is_computed_or_costs_one_batch() {
    let Some(small) = Disk::of(1 << 20) else {
        println!("skipped: 2 full disks, which only root can make here");
        return;
    };
    let (reference, _) = uninterrupted();
    let output = run(small.at.path(), &EXTRACT);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    holds(&message, &["disk full: 176", "bytes needed", "free", "--lab"]);
    let left = std::fs::read_dir(folder(small.at.path())).into_iter().flatten().count();
    assert_eq!(left, 0, "something is left");
    // Room for the arrays, then none for the journal.
    let disk = Disk::of(1 << 22).unwrap();
    let (lab, filler) = (disk.at.path(), disk.at.path().join("filler"));
    let mut stopped = paused_in(lab);
    while stopped.is_none() {
        std::fs::remove_dir_all(folder(lab)).unwrap();
        stopped = paused_in(lab);
    }
    let child = stopped.unwrap();
    fill_up(&filler);
    signal(&child, "CONT");
    let output = child.wait_with_output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    holds(&message, &["journal.csv: disk full: 6", "bytes needed, 0 free", "the same command resumes"]);
    assert!(n_recorded(lab) > Some(2));
    let again = run(lab, &EXTRACT);
    assert_eq!(again.status.code(), Some(1), "the disk is still full");
    std::fs::remove_file(filler).unwrap();
    assert!(run(lab, &EXTRACT).status.success());
    assert_same(lab, &reference);
}

#[test]
fn a_limit_on_file_sizes_is_reported_with_the_bytes() {
    let lab = tempfile::tempdir().unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 4; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_mappa")]);
    let output = limited.arg("--lab").arg(lab.path()).args(EXTRACT).output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    holds(&message, &[".safetensors", "bytes are more than a file may have", "ulimit -f"]);
    assert!(run(lab.path(), &EXTRACT).status.success());
}

#[test]
fn shards_of_the_command_line_are_merged_without_weights_and_verified() {
    let (reference, _) = uninterrupted();
    let lab = tempfile::tempdir().unwrap();
    let extract = |more: &[&str]| run(lab.path(), &[&EXTRACT, more].concat());
    for shard in ["1/3", "3/3"] {
        let output = extract(&["--shard", shard]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        holds(&text(&output.stdout), &[".shards", "when all 3 shards are done", "--merge"]);
    }
    let output = extract(&["--merge"]);
    assert_eq!(output.status.code(), Some(1));
    holds(&text(&output.stderr), &["2/3", "--shard"]);
    assert!(extract(&["--shard", "2/3"]).status.success());
    let output = extract(&["--merge"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    holds(&text(&output.stdout), &["merged: 492 entities, 7 hook points", "no longer needed"]);
    std::fs::remove_dir_all(folder(lab.path()).join(".shards")).unwrap();
    assert_same(lab.path(), &reference);
    holds(&text(&extract(&[]).stdout), &["found, extracted before"]);
    holds(
        &text(&extract(&["--verify"]).stdout),
        &["ok           spans.csv", "all 8 files match their checksums"],
    );
    let file = folder(lab.path()).join("blocks.2.hook_resid_post.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let output = extract(&["--verify"]);
    assert_eq!(output.status.code(), Some(1));
    holds(&text(&output.stdout), &["changed      blocks.2.hook_resid_post.safetensors"]);
    holds(&text(&output.stderr), &["1 of 8 files", "move these away"]);
}

#[test]
fn other_pooling_and_dtypes_have_their_own_folders_and_are_probed() {
    let lab = tempfile::tempdir().unwrap();
    let flags = ["--dataset", "nyc_place", "--read", "mean", "--over", "text", "--store", "f16"];
    let output = run(
        lab.path(),
        &[&["extract", "--hook-points", "blocks.{1,3}.hook_mlp_out,*.5.hook_resid_post"], &flags[..]]
            .concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    holds(
        &text(&output.stdout),
        &["3 hook points", "empty.mean_text.f16", "--read mean --over text --store f16"],
    );
    let probed = run(lab.path(), &[&["probe", "--resamples", "5"], &flags[..]].concat());
    assert!(probed.status.success(), "{}", text(&probed.stderr));
    holds(&text(&probed.stdout), &["nyc_place", "empty.mean_text.f16"]);
    let every = run(lab.path(), &["extract", "--dataset", "nyc_place", "--read", "every"]);
    holds(&text(&every.stdout), &["empty.every_entity", "first_row"]);
    let refused = run(lab.path(), &["probe", "--dataset", "nyc_place", "--read", "every"]);
    assert_eq!(refused.status.code(), Some(1));
    holds(&text(&refused.stderr), &["--read", "one row per entity"]);
    for (bad, says) in [
        (["--hook-points", "blocks.9.hook_resid_post"], "0 to 5"),
        (["--read", "median"], "last, first, mean, max, every"),
        (["--shard", "5/4"], "2/4"),
    ] {
        let output = run(lab.path(), &[&["extract", "--dataset", "nyc_place"], &bad[..]].concat());
        assert!(!output.status.success());
        holds(&text(&output.stderr), &[says]);
    }
}
