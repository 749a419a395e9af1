//! Files identified by git's hash, from a server on loopback: the paper's datasets.

use super::hub_server::{COMMIT, Hub, Served, large};
use super::root;
use mappa::datasets::{PAPER_FILES, find};
use mappa::hub::{Blob, HubSettings, fetch_blob};
use mappa::progress::Silent;
use std::path::Path;
use std::process::{Command, Output};

/// The output of `git hash-object` for [`lines`].
const LINES_BLOB: &str = "92685416f4eb66ac8c7e4af0b83bdfa7eb0c7aeb";

fn lines() -> Vec<u8> {
    b"a line of a table,1\n".repeat(20_000)
}

fn served(bytes: &[u8]) -> Served {
    Served { etag: "no hash at all".into(), ..large(bytes) }
}

fn blob(hub: &Hub, id: &str) -> Blob {
    let url = format!("{}/lab/tiny/resolve/{COMMIT}/table.csv", hub.endpoint());
    Blob { name: "table.csv".into(), url, id: id.into() }
}

fn fetch(hub: &Hub, id: &str, folder: &Path) -> mappa::Result<std::path::PathBuf> {
    fetch_blob(&blob(hub, id), folder, &hub.settings(folder), &mut Silent)
}

#[test]
fn a_blob_is_resumed_checked_and_cached_and_no_token_is_sent() {
    let (hub, folder) = (Hub::exactly(&[("table.csv", served(&lines()))]), tempfile::tempdir().unwrap());
    hub.state().cuts = vec![100_000, 50_000, 0];
    let file = fetch(&hub, LINES_BLOB, folder.path()).unwrap();
    assert!(std::fs::read(&file).unwrap() == lines());
    let asked = hub.asked();
    assert!(asked.iter().all(|asked| asked.token.is_none()), "{asked:?}");
    let ranges: Vec<_> = asked.iter().filter(|a| a.of == "cdn").map(|a| a.range.as_deref()).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-"), Some("bytes=150000-"), Some("bytes=150000-")]);
    assert_eq!(fetch(&hub, LINES_BLOB, folder.path()).unwrap(), file);
    assert_eq!(hub.asked(), []);
}

#[test]
fn a_cut_download_is_kept_and_the_next_call_resumes() {
    let (hub, folder) = (Hub::exactly(&[("table.csv", served(&lines()))]), tempfile::tempdir().unwrap());
    hub.state().cuts = vec![100_000, 0, 0, 0];
    let error = fetch(&hub, LINES_BLOB, folder.path()).unwrap_err().to_string();
    assert!(error.contains("table.csv") && error.contains("4 times"), "{error}");
    hub.asked();
    fetch(&hub, LINES_BLOB, folder.path()).unwrap();
    assert!(
        hub.asked().iter().filter(|a| a.of == "cdn").all(|a| a.range.as_deref() == Some("bytes=100000-"))
    );
}

#[test]
fn other_content_a_missing_file_and_a_missing_network_are_reported() {
    let (hub, folder) = (Hub::exactly(&[("table.csv", served(&lines()))]), tempfile::tempdir().unwrap());
    let other = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
    let error = fetch(&hub, other, folder.path()).unwrap_err().to_string();
    for part in ["table.csv", "git blob id", LINES_BLOB, other, "thrown away"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert!(!folder.path().join("files/blobs").join(other).exists());
    let offline = HubSettings { offline: true, ..hub.settings(folder.path()) };
    let error = fetch_blob(&blob(&hub, other), folder.path(), &offline, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("HF_HUB_OFFLINE") && error.contains("table.csv"), "{error}");
    let nothing = Hub::exactly(&[]);
    let error = fetch(&nothing, other, folder.path()).unwrap_err().to_string();
    assert!(error.contains("404") && error.contains(other) && !error.contains("HF_TOKEN"), "{error}");
    let bad = Blob { url: "table.csv".into(), ..blob(&hub, other) };
    let error = fetch_blob(&bad, folder.path(), &hub.settings(folder.path()), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("https://"), "{error}");
}

fn mappa(lab: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
    command.env_remove("HF_HUB_OFFLINE").env_remove("HTTPS_PROXY").env("NO_PROXY", "127.0.0.1");
    command.arg("--lab").arg(lab).args(args).output().unwrap()
}

#[test]
fn the_papers_real_files_are_pulled_into_a_lab() {
    // Two of the six are only in the authors' repository.
    let real: Vec<_> =
        PAPER_FILES.iter().filter(|f| !["headline", "historical_figure"].contains(&f.name)).collect();
    let path = |name: &str| root("../shared/data").join(format!("{name}.csv"));
    let n_here = real.iter().filter(|file| path(file.name).is_file()).count();
    if n_here < real.len() {
        println!("skipped: {n_here} of {} real files lie in ../shared/data", real.len());
        return;
    }
    let files: Vec<(String, Served)> = real
        .iter()
        .map(|file| (format!("{}.csv", file.name), served(&std::fs::read(path(file.name)).unwrap())))
        .collect();
    let files: Vec<(&str, Served)> = files.iter().map(|(name, file)| (name.as_str(), file.clone())).collect();
    let (hub, lab) = (Hub::exactly(&files), tempfile::tempdir().unwrap());
    hub.state().cuts = vec![1_000_000];
    let from = format!("{}/lab/tiny/resolve/{COMMIT}", hub.endpoint());
    let mut args = vec!["datasets", "pull", "paper", "--from", &from];
    real.iter().for_each(|file| args.extend(["--dataset", file.name]));
    let output = mappa(lab.path(), &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in &real {
        let (ours, theirs) =
            (find(lab.path(), file.name).unwrap(), mappa::datasets::load(&path(file.name)).unwrap());
        assert_eq!(ours.entities, theirs.entities, "{}", file.name);
        assert!(file.is_in(lab.path()).unwrap());
    }
    hub.asked();
    let again = String::from_utf8(mappa(lab.path(), &args).stdout).unwrap();
    assert_eq!(again.matches("pulled before").count(), real.len(), "{again}");
    assert_eq!(hub.asked(), []);
    let missing = mappa(lab.path(), &["datasets", "pull", "paper", "--from", &from, "--dataset", "headline"]);
    let message = String::from_utf8(missing.stderr).unwrap();
    assert!(message.contains("404") && message.contains("headline.csv"), "{message}");
    let wrong = mappa(lab.path(), &["datasets", "pull", "paper", "--dataset", "moon_place"]);
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("world_place, us_place"));
}
