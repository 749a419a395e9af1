//! The Hugging Face hub, simulated by a server on loopback: requests, the cache, faults and their messages.
//!
//! The reverse, that Python finds mappa's downloads, is checked by hand: see the top of tests/fixtures/hub/check.py.

use super::hub_server::{COMMIT, Hub, Served, large, small, tiny};
use super::root;
use mappa::hub::{HubSettings, RepoId, Snapshot, snapshot};
use mappa::progress::{Observer, Progress, Silent};
use std::path::{Path, PathBuf};
use std::time::Duration;

const WEIGHTS: &str = "model.safetensors";

pub(crate) fn pull(repo: &RepoId, settings: &HubSettings) -> mappa::Result<Snapshot> {
    snapshot(repo, settings, &mut Silent)
}

pub(crate) fn refused(settings: &HubSettings, parts: &[&str]) {
    told(&pull(&tiny("main"), settings).unwrap_err(), parts);
}

fn told(error: &mappa::Error, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert_eq!(error.exit_code(), 1, "{message}");
    assert!(!message.contains("secret"), "the token is in: {message}");
}

/// Weights that differ from byte to byte, larger than any buffer of the download.
pub(crate) fn weights() -> Vec<u8> {
    (0..700_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// All paths below a folder, sorted, each with its text or the target of its link.
fn listing(folder: &Path) -> Vec<serde_json::Value> {
    fn walk(top: &Path, folder: &Path, found: &mut Vec<(PathBuf, serde_json::Value)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_path_buf();
            if let Ok(link) = path.read_link() {
                found.push((name.clone(), serde_json::json!({"path": name, "link": link})));
            } else if path.is_dir() {
                found.push((name.clone(), serde_json::json!({"path": name, "folder": true})));
                walk(top, &path, found);
            } else {
                let mut text = std::fs::read_to_string(&path).unwrap();
                if name == Path::new("CACHEDIR.TAG") {
                    text = text.split_inclusive('\n').next().unwrap().into();
                }
                found.push((name.clone(), serde_json::json!({"path": name, "text": text})));
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// The cache that huggingface_hub wrote, from the fixture.
fn written_by_python() -> Vec<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(root("tests/fixtures/hub/cache.json")).unwrap()).unwrap()
}

/// A cache as written by huggingface_hub.
fn rebuilt() -> tempfile::TempDir {
    let cache = tempfile::tempdir().unwrap();
    for entry in written_by_python() {
        let path = cache.path().join(entry["path"].as_str().unwrap());
        match (entry["text"].as_str(), entry["link"].as_str()) {
            (Some(text), _) => std::fs::write(path, text).unwrap(),
            (_, Some(link)) => std::os::unix::fs::symlink(link, path).unwrap(),
            _ => std::fs::create_dir(path).unwrap(),
        }
    }
    cache
}

#[test]
fn the_cache_equals_pythons_entry_for_entry() {
    let (hub, cache) = (Hub::fixture(), tempfile::tempdir().unwrap());
    for revision in ["main", "step3000"] {
        let found = pull(&tiny(revision), &hub.settings(cache.path())).unwrap();
        assert!(found.unchecked.is_none() && found.folder.ends_with(&found.commit));
    }
    // Python's list of a commit's files is not written: with it, a part of a repo would look broken to Python.
    let is_tree = |entry: &serde_json::Value| entry["path"].as_str().unwrap().contains("/trees");
    let (trees, mut python): (Vec<_>, Vec<_>) = written_by_python().into_iter().partition(is_tree);
    assert_eq!((trees.len(), python.len()), (3, 29));
    python.sort_by_key(|entry| PathBuf::from(entry["path"].as_str().unwrap()));
    assert_eq!(listing(cache.path()), python);
}

#[test]
fn a_model_that_python_downloaded_is_found_offline() {
    let (hub, cache) = (Hub::fixture(), rebuilt());
    let settings = HubSettings { offline: true, ..hub.settings(cache.path()) };
    for (revision, text) in [("main", "weights after training\n"), ("step3000", "weights at step 3000\n")] {
        let found = pull(&tiny(revision), &settings).unwrap();
        assert_eq!(std::fs::read_to_string(found.folder.join(WEIGHTS)).unwrap(), text);
        assert_eq!(pull(&tiny(&found.commit), &settings).unwrap().folder, found.folder);
    }
    assert_eq!(hub.asked(), [], "offline, nothing is requested");
    std::fs::remove_file(cache.path().join("CACHEDIR.TAG")).unwrap();
    let before = listing(cache.path());
    pull(&tiny("main"), &hub.settings(cache.path())).unwrap();
    assert_eq!(hub.fetched(), [], "online, nothing is downloaded again");
    assert_eq!(listing(cache.path()), before, "nothing is written if all files exist");
}

#[test]
fn a_second_call_requests_no_file_and_a_cached_commit_requests_nothing() {
    let (hub, cache) = (Hub::fixture(), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    let first = pull(&tiny("main"), &settings).unwrap();
    assert_eq!(hub.fetched().len(), 5, "four files, one of them by way of a redirect");
    let second = pull(&tiny("main"), &settings).unwrap();
    let asked = hub.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/api/models/lab/tiny/revision/main");
    assert_eq!(first.folder, second.folder);
    assert_eq!(pull(&tiny(&first.commit), &settings).unwrap().folder, first.folder);
    assert_eq!(hub.asked(), []);
    // Another commit with the same config: its blob is cached, only the weights are not.
    pull(&tiny("step3000"), &settings).unwrap();
    assert!(hub.fetched().iter().all(|asked| asked.path.ends_with(WEIGHTS)));
}

#[test]
fn the_token_goes_only_to_the_hub() {
    let (hub, cache) = (Hub::fixture(), tempfile::tempdir().unwrap());
    hub.state().renamed_from = Some("lab/old".into());
    pull(&"lab/old@main".parse().unwrap(), &hub.settings(cache.path())).unwrap();
    let asked = hub.asked();
    for of in ["hub", "cdn"] {
        let token = (of == "hub").then(|| "Bearer secret".to_string());
        let of: Vec<_> = asked.iter().filter(|asked| asked.of == of).collect();
        assert!(!of.is_empty() && of.iter().all(|asked| asked.token == token), "{of:?}");
    }
    assert!(asked.iter().any(|asked| asked.path.contains("lab/old")));
    assert!(cache.path().join("models--lab--old/refs/main").is_file());
}

/// The reported bytes of the weights: done, and in total.
#[derive(Default)]
struct Seen(Vec<(u64, u64)>);

impl Observer for Seen {
    fn progress(&mut self, progress: &Progress) {
        if progress.stage == WEIGHTS {
            self.0.push((progress.done, progress.total));
        }
    }
}

#[test]
fn a_cut_connection_is_resumed() {
    let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
    hub.state().cuts = vec![200_000, 100_000, 0];
    hub.state().busy = 1;
    let mut seen = Seen::default();
    let found = snapshot(&tiny("main"), &hub.settings(cache.path()), &mut seen).unwrap();
    assert!(std::fs::read(found.folder.join(WEIGHTS)).unwrap() == weights());
    let asked = hub.asked();
    let ranges: Vec<_> =
        asked.iter().filter(|asked| asked.of == "cdn").map(|asked| asked.range.as_deref()).collect();
    assert_eq!(ranges, [None, Some("bytes=200000-"), Some("bytes=300000-"), Some("bytes=300000-")]);
    assert!(seen.0.is_sorted() && seen.0.iter().all(|(_, total)| *total == 700_000));
    assert_eq!((seen.0[0].0, seen.0[seen.0.len() - 1].0), (0, 700_000));
}

#[test]
fn many_cuts_end_with_an_error_and_the_next_call_resumes() {
    let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
    hub.state().cuts = vec![300_000, 0, 0, 0];
    refused(
        &hub.settings(cache.path()),
        &[WEIGHTS, "4 times", "300000 of 700000", "run the same command again"],
    );
    assert_eq!(hub.asked().iter().filter(|asked| asked.of == "cdn").count(), 4);
    let offline = HubSettings { offline: true, ..hub.settings(cache.path()) };
    refused(&offline, &["revision `main`", "models--lab--tiny"]);
    pull(&tiny("main"), &hub.settings(cache.path())).unwrap();
    let ranges: Vec<_> = hub.fetched().into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [Some("bytes=300000-".to_string()), Some("bytes=300000-".to_string())]);
}

#[test]
fn a_server_without_ranges_restarts_the_download() {
    let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
    hub.state().cuts = vec![300_000];
    hub.state().no_ranges = true;
    let found = pull(&tiny("main"), &hub.settings(cache.path())).unwrap();
    assert!(std::fs::read(found.folder.join(WEIGHTS)).unwrap() == weights());
    // A download that always breaks off at the same byte makes no progress, and is given up.
    let cache = tempfile::tempdir().unwrap();
    hub.state().cuts = vec![300_000; 9];
    refused(&hub.settings(cache.path()), &[WEIGHTS, "broke off"]);
    assert_eq!(hub.state().cuts.len(), 5, "one try that gained bytes, and three that gained none");
}

#[test]
fn other_sizes_and_hashes_are_refused() {
    for (error, found) in [(10, "size 700000"), (-10, "size at least")] {
        let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
        hub.state().size_error = error;
        let expected = format!("expected {}", 700_000 + error);
        refused(&hub.settings(cache.path()), &[WEIGHTS, found, &expected, "thrown away"]);
        hub.state().size_error = 0;
        pull(&tiny("main"), &hub.settings(cache.path())).unwrap();
    }
    let (etag, bytes) = (large(b"others").etag, weights());
    let found = mappa::artefact::hash(&bytes);
    let hub = Hub::with(&[(WEIGHTS, Served { bytes, etag: etag.clone(), large: true })]);
    let cache = tempfile::tempdir().unwrap();
    refused(&hub.settings(cache.path()), &[WEIGHTS, "sha256", &found, &etag]);
    assert_eq!(std::fs::read_dir(cache.path().join("models--lab--tiny/blobs")).unwrap().count(), 2);
}

#[test]
fn a_partial_download_of_another_file_is_replaced() {
    let weights = weights();
    let hub = Hub::with(&[(WEIGHTS, large(&weights))]);
    let longer = vec![7; 800_000];
    for part in [&weights[..], &longer, &[]] {
        let cache = tempfile::tempdir().unwrap();
        let blobs = cache.path().join("models--lab--tiny/blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(format!("{}.incomplete", large(&weights).etag)), part).unwrap();
        let found = pull(&tiny("main"), &hub.settings(cache.path())).unwrap();
        assert!(std::fs::read(found.folder.join(WEIGHTS)).unwrap() == weights);
    }
    let cache = tempfile::tempdir().unwrap();
    let blobs = cache.path().join("models--lab--tiny/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(format!("{}.incomplete", large(&weights).etag)), [7; 1000]).unwrap();
    refused(&hub.settings(cache.path()), &["sha256", "run the same command again"]);
    pull(&tiny("main"), &hub.settings(cache.path())).unwrap();
}

#[test]
fn refusals_give_advice() {
    let (hub, cache) = (Hub::fixture(), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    let endpoint = hub.endpoint();
    told(
        &pull(&"lab/gone".parse().unwrap(), &settings).unwrap_err(),
        &[&endpoint, "no repo `lab/gone`", "spelling"],
    );
    let revision = pull(&tiny("step9"), &settings).unwrap_err();
    told(&revision, &["no revision `lab/tiny@step9`", "branches and tags", "/lab/tiny/tree/main"]);
    let gated = ["`lab/tiny`", "accept its licence at", "/lab/tiny", "HF_TOKEN"];
    hub.state().refuse = Some((403, "GatedRepo"));
    refused(&settings, &[&gated[..], &["403"]].concat());
    hub.state().refuse = Some((401, "GatedRepo"));
    refused(&settings, &[&gated[..], &["401"]].concat());
    hub.state().refuse = Some((401, "RepoNotFound"));
    refused(&settings, &["401", "the token was not accepted", "HF_TOKEN"]);
    let anonymous = HubSettings { token: None, ..settings.clone() };
    refused(&anonymous, &[&gated[..], &["no such public repo", "spelling"]].concat());
    hub.state().refuse = Some((500, ""));
    hub.asked();
    refused(&settings, &["500", "try again later"]);
    assert_eq!(hub.asked().len(), 4);
}

#[test]
fn without_a_network_the_cached_model_is_used_and_the_reason_given() {
    let (hub, cache) = (Hub::fixture(), rebuilt());
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = HubSettings { endpoint: format!("http://127.0.0.1:{port}"), ..hub.settings(cache.path()) };
    let found = pull(&tiny("main"), &settings).unwrap();
    assert!(found.unchecked.unwrap().contains("cannot connect"));
    std::fs::remove_file(found.folder.join("tokenizer.json")).unwrap();
    refused(&settings, &["cannot connect", "no tokenizer.json in", COMMIT, "HF_ENDPOINT"]);
    let offline = HubSettings { offline: true, ..settings.clone() };
    refused(&offline, &["HF_HUB_OFFLINE", "no tokenizer.json in", COMMIT, cache.path().to_str().unwrap()]);
    std::fs::remove_file(found.folder.join(WEIGHTS)).unwrap();
    refused(
        &offline,
        &["tokenizer.json, model.safetensors or model.safetensors.index.json or pytorch_model.bin"],
    );
    // A hub that refuses does not give the commit of the branch.
    hub.state().refuse = Some((401, ""));
    let whole = rebuilt();
    assert!(pull(&tiny("main"), &hub.settings(whole.path())).unwrap().unchecked.unwrap().contains("401"));
}

#[test]
fn repos_without_a_model_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::with(&[("model.gguf", large(b"x")), ("README.md", small(b"y"))]);
    let found = "found README.md, config.json, model.gguf, tokenizer.json";
    refused(
        &hub.settings(cache.path()),
        &["`lab/tiny`", "no model.safetensors or", "pytorch_model.bin", found],
    );
    let hub = Hub::exactly(&[("config.json", small(b"{}")), (WEIGHTS, large(b"x"))]);
    refused(&hub.settings(cache.path()), &["no tokenizer.json", "found config.json, model.safetensors"]);
    assert_eq!(hub.fetched(), [], "nothing is downloaded needlessly");
}

#[test]
fn shards_and_pickles_are_downloaded() {
    let cache = tempfile::tempdir().unwrap();
    let index = |shards: [&str; 2]| {
        small(serde_json::json!({"weight_map": {"a": shards[0], "b": shards[1]}}).to_string().as_bytes())
    };
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let (one, two) = ((names[0], large(b"one")), (names[1], large(b"two")));
    let pickle = ("pytorch_model.bin", large(b"pickle"));
    let whole = Hub::with(&[
        ("model.safetensors.index.json", index(names)),
        one.clone(),
        two.clone(),
        pickle.clone(),
    ]);
    let found = pull(&tiny("main"), &whole.settings(cache.path())).unwrap();
    assert_eq!(std::fs::read(found.folder.join(names[1])).unwrap(), b"two");
    assert!(!found.folder.join("pytorch_model.bin").exists());
    std::fs::remove_file(found.folder.join(names[0])).unwrap();
    let offline = HubSettings { offline: true, ..whole.settings(cache.path()) };
    refused(&offline, &[&format!("no {} in", names[0])]);

    let cache = tempfile::tempdir().unwrap();
    let lacking = Hub::with(&[("model.safetensors.index.json", index(names)), one.clone()]);
    refused(&lacking.settings(cache.path()), &[names[1], "which model.safetensors.index.json names"]);

    let cache = tempfile::tempdir().unwrap();
    let wicked = Hub::with(&[("model.safetensors.index.json", index(["../../../x", names[0]])), one]);
    refused(&wicked.settings(cache.path()), &["model.safetensors.index.json", "the shard `../../../x`"]);

    let cache = tempfile::tempdir().unwrap();
    let found = pull(&tiny("main"), &Hub::with(&[pickle]).settings(cache.path())).unwrap();
    assert_eq!(std::fs::read(found.folder.join("pytorch_model.bin")).unwrap(), b"pickle");
}

#[test]
fn malformed_answers_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    for etag in ["../../x", "", ".x", "a/b"] {
        let hub = Hub::with(&[(WEIGHTS, Served { etag: etag.into(), ..large(b"x") })]);
        refused(&hub.settings(cache.path()), &[&format!("the etag `{etag}`"), "HF_ENDPOINT"]);
    }
    let hub = Hub::exactly(&[]);
    hub.state().revisions.insert("main".into(), "..".into());
    let files = hub.state().commits[COMMIT].clone();
    hub.state().commits.insert("..".into(), files);
    refused(&hub.settings(cache.path()), &["the commit `..`", "login page"]);
}

#[test]
fn two_processes_download_a_file_once() {
    let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
    hub.state().pause = Duration::from_millis(300);
    let settings = hub.settings(cache.path());
    let both = std::thread::scope(|scope| {
        let [a, b] = [(); 2].map(|()| scope.spawn(|| pull(&tiny("main"), &settings).unwrap().folder));
        [a.join().unwrap(), b.join().unwrap()]
    });
    assert_eq!(both[0], both[1]);
    assert!(std::fs::read(both[0].join(WEIGHTS)).unwrap() == weights());
    assert_eq!(hub.asked().iter().filter(|asked| asked.of == "cdn").count(), 1);
}
