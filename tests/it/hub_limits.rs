//! A hostile hub, and a cache with planted links: endless files, slow files, files with other content, secrets.

use super::hub::{pull, refused, weights};
use super::hub_server::{Hub, Served, large, small, tiny};
use mappa::hub::{HubSettings, TransferLimits};
use std::path::Path;
use std::time::{Duration, Instant};

const WEIGHTS: &str = "model.safetensors";

fn with_limits(hub: &Hub, cache: &Path, limits: TransferLimits) -> HubSettings {
    HubSettings { limits, ..hub.settings(cache) }
}

#[test]
fn a_body_without_a_stated_length_is_bounded() {
    for name in [WEIGHTS, "tokenizer.json"] {
        let mut files = vec![("config.json", small(b"{}")), ("tokenizer.json", small(b"{ }"))];
        files.retain(|(other, _)| *other != name);
        files.extend([(name, large(&weights())), (WEIGHTS, large(&weights()))]);
        let (hub, cache) = (Hub::exactly(&files), tempfile::tempdir().unwrap());
        (hub.state().no_size, hub.state().endless) = (true, true);
        let limits = TransferLimits { small: 1 << 20, weights: 1 << 20, ..TransferLimits::default() };
        refused(&with_limits(&hub, cache.path(), limits), &[name, "size more than 1048576", "thrown away"]);
        let blobs = cache.path().join("models--lab--tiny/blobs");
        let kept = std::fs::read_dir(blobs).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        assert!(kept.sum::<u64>() < 1000, "the endless file was not removed");
    }
}

#[test]
fn a_transfer_that_trickles_is_given_up() {
    let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
    hub.state().drip = Some(Duration::from_millis(5));
    let limits =
        TransferLimits { window: Duration::from_millis(200), least: 4096, ..TransferLimits::default() };
    let started = Instant::now();
    refused(&with_limits(&hub, cache.path(), limits), &[WEIGHTS, "broke off 4 times", "too slow"]);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(hub.asked().iter().filter(|asked| asked.of == "cdn").count(), 4, "bytes are no progress");
}

#[test]
fn small_files_are_checked_against_gits_hash() {
    let other = Served { bytes: b"{\"a\": 1}".to_vec(), ..small(b"{}") };
    let files = [("config.json", other.clone()), ("tokenizer.json", small(b"{ }")), (WEIGHTS, large(b"x"))];
    let (hub, cache) = (Hub::exactly(&files), tempfile::tempdir().unwrap());
    let found = small(&other.bytes).etag;
    refused(&hub.settings(cache.path()), &["config.json", "git blob id", &found, &other.etag]);
    // An etag of another kind, as some mirrors send, cannot be checked.
    let mirrored = Served { etag: "5f-made-up".into(), ..other };
    let files = [("config.json", mirrored), ("tokenizer.json", small(b"{ }")), (WEIGHTS, large(b"x"))];
    pull(&tiny("main"), &Hub::exactly(&files).settings(cache.path())).unwrap();
}

#[test]
#[cfg(unix)]
fn nothing_is_written_through_links_in_the_cache() {
    use std::os::unix::fs::symlink;
    let hub = || Hub::with(&[(WEIGHTS, large(&weights()))]);
    let repo = "models--lab--tiny";
    let etag = large(&weights()).etag;
    // A link in place of a file that the download writes is removed.
    for (place, is_hard) in [
        (format!("{repo}/blobs/{etag}.incomplete"), false),
        (format!("{repo}/blobs/{etag}.incomplete"), true),
        (format!(".locks/{repo}/{etag}.lock"), false),
        (format!("{repo}/refs/main"), false),
        ("CACHEDIR.TAG".into(), false),
    ] {
        let (cache, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = outside.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let planted = cache.path().join(&place);
        std::fs::create_dir_all(planted.parent().unwrap()).unwrap();
        match is_hard {
            true => std::fs::hard_link(&victim, &planted).unwrap(),
            false => symlink(&victim, &planted).unwrap(),
        }
        let hub = hub();
        let found = pull(&tiny("main"), &hub.settings(cache.path())).unwrap();
        assert!(std::fs::read(found.folder.join(WEIGHTS)).unwrap() == weights(), "{place}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious", "{place}");
    }
    // A link to a file that is not there yet is not followed either.
    let (cache, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let blobs = cache.path().join(repo).join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    symlink(outside.path().join("new"), blobs.join(format!("{etag}.incomplete"))).unwrap();
    pull(&tiny("main"), &hub().settings(cache.path())).unwrap();
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    // A link in place of a folder is refused by name.
    for place in ["snapshots", "refs", &format!("snapshots/{}", super::hub_server::COMMIT)] {
        let (cache, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let planted = cache.path().join(repo).join(place);
        std::fs::create_dir_all(planted.parent().unwrap()).unwrap();
        symlink(outside.path(), &planted).unwrap();
        let hub = hub();
        refused(&hub.settings(cache.path()), &[place, "found a link", "remove it"]);
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "{place}");
    }
}

#[test]
#[cfg(unix)]
fn a_repo_that_was_moved_to_another_disk_by_a_link_still_works() {
    let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
    let disk = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(disk.path(), cache.path().join("models--lab--tiny")).unwrap();
    let found = pull(&tiny("main"), &hub.settings(cache.path())).unwrap();
    assert!(std::fs::read(found.folder.join(WEIGHTS)).unwrap() == weights());
}

#[test]
fn secrets_in_addresses_are_never_shown() {
    let secret = "SECRET";
    let (hub, cache) = (Hub::with(&[(WEIGHTS, large(&weights()))]), tempfile::tempdir().unwrap());
    let settings = |hub: &Hub| {
        let endpoint = hub.endpoint().replace("http://", &format!("http://user:{secret}@"));
        HubSettings { endpoint, ..hub.settings(cache.path()) }
    };
    let told = |settings: &HubSettings| {
        let error = pull(&tiny("main"), settings).unwrap_err();
        let mut all = format!("{error} {error:?} {settings:?}");
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            all += &inner.to_string();
            cause = inner.source();
        }
        assert!(!all.contains(secret), "{all}");
        error.to_string()
    };
    // A signed address of a storage server that cannot be reached, or that refuses.
    for storage in
        [format!("http://127.0.0.1:1/x?X-Amz-Signature={secret}&a=b"), format!("ftp://x/?sig={secret}")]
    {
        hub.state().storage = Some(storage);
        told(&settings(&hub));
    }
    hub.state().storage = None;
    for (status, code) in
        [(401, "GatedRepo"), (403, ""), (404, "RepoNotFound"), (404, "RevisionNotFound"), (418, "")]
    {
        hub.state().refuse = Some((status, code));
        assert!(told(&settings(&hub)).contains("127.0.0.1"));
    }
    hub.state().refuse = None;
    hub.state().listing = Some("{".into());
    assert!(told(&settings(&hub)).contains("http://***@127.0.0.1"));
    let gone = HubSettings { endpoint: format!("http://user:{secret}@127.0.0.1:1"), ..settings(&hub) };
    assert!(told(&gone).contains("cannot connect"));
}
