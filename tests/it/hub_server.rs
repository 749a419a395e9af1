//! A small Hugging Face hub on loopback, with a second server for its large files, and faults on request.

use mappa::hub::{HubSettings, RepoId, Token, TransferLimits};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// One file of a repo.
#[derive(Clone, Default)]
pub(crate) struct Served {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its etag, which identifies the content.
    pub etag: String,
    /// True if it is on the second server, after a redirect.
    pub large: bool,
}

/// A request that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `hub`, or `cdn` for the second server.
    pub of: &'static str,
    /// GET or HEAD.
    pub method: String,
    /// The path.
    pub path: String,
    /// The `Range` header.
    pub range: Option<String>,
    /// The `Authorization` header.
    pub token: Option<String>,
}

/// The hub's content and its faults.
#[derive(Default)]
pub(crate) struct State {
    /// Branches and tags.
    pub revisions: BTreeMap<String, String>,
    /// Files by commit and name.
    pub commits: BTreeMap<String, BTreeMap<String, Served>>,
    /// An answer that replaces every answer of the hub: status and `X-Error-Code`.
    pub refuse: Option<(u16, &'static str)>,
    /// For each of the next large files, the number of bytes after which the connection is cut.
    pub cuts: Vec<usize>,
    /// The number of answers with status 503 before the first normal one.
    pub busy: u32,
    /// True if ranges are ignored.
    pub no_ranges: bool,
    /// True if the length of large files is not given.
    pub no_size: bool,
    /// The difference between the given and the true length.
    pub size_error: i64,
    /// True if large files stop halfway, with the connection left open.
    pub stall: bool,
    /// A pause in the middle of large files.
    pub pause: Duration,
    /// The repo's old name, from which the hub redirects.
    pub renamed_from: Option<String>,
    /// The time between single bytes of large files.
    pub drip: Option<Duration>,
    /// True if large files never end.
    pub endless: bool,
    /// An answer to a request for a listing, as its whole body.
    pub listing: Option<String>,
    /// The address to which requests for large files are redirected, in place of the second server.
    pub storage: Option<String>,
    /// The requests so far.
    pub asked: Vec<Asked>,
}

/// The running hub.
pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
    port: u16,
}

pub(crate) const COMMIT: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";

/// A file whose etag is the SHA-256 of its content, as for large files.
pub(crate) fn large(bytes: &[u8]) -> Served {
    Served { bytes: bytes.to_vec(), etag: mappa::artefact::hash(bytes), large: true }
}

/// Git's hash of a content.
fn git_blob(bytes: &[u8]) -> String {
    let digest = Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file whose etag is git's hash of its content, as for small files.
pub(crate) fn small(bytes: &[u8]) -> Served {
    Served { bytes: bytes.to_vec(), etag: git_blob(bytes), large: false }
}

impl Hub {
    /// The repo `lab/tiny` of the fixture.
    pub(crate) fn fixture() -> Hub {
        let text = std::fs::read(super::root("tests/fixtures/hub/repo.json")).unwrap();
        let repo: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let object = |value: &serde_json::Value| value.as_object().unwrap().clone();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
        let file = |value: &serde_json::Value| Served {
            bytes: text(&value["text"]).into_bytes(),
            etag: text(&value["etag"]),
            large: value["large"] == true,
        };
        let files = |value| object(value).iter().map(|(name, entry)| (name.clone(), file(entry))).collect();
        Hub::start(State {
            revisions: object(&repo["revisions"])
                .iter()
                .map(|(name, sha)| (name.clone(), text(sha)))
                .collect(),
            commits: object(&repo["commits"])
                .iter()
                .map(|(sha, value)| (sha.clone(), files(value)))
                .collect(),
            ..State::default()
        })
    }

    /// A repo with a config, a tokenizer, and these files, at one commit.
    pub(crate) fn with(files: &[(&str, Served)]) -> Hub {
        let basics = [("config.json", small(b"{}")), ("tokenizer.json", small(b"{ }"))];
        Hub::exactly(&[&basics[..], files].concat())
    }

    /// A repo with these files only.
    pub(crate) fn exactly(files: &[(&str, Served)]) -> Hub {
        let files = files.iter().map(|(name, file)| (name.to_string(), file.clone())).collect();
        let (revisions, commits) = ([("main".into(), COMMIT.into())].into(), [(COMMIT.into(), files)].into());
        Hub::start(State { revisions, commits, ..State::default() })
    }

    fn start(state: State) -> Hub {
        let state = Arc::new(Mutex::new(state));
        let (hub, cdn) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (port, cdn_port) = (hub.local_addr().unwrap().port(), cdn.local_addr().unwrap().port());
        for (of, listener) in [("hub", hub), ("cdn", cdn)] {
            let state = state.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let state = state.clone();
                    // In some tests the client closes the connection in the middle.
                    std::thread::spawn(move || answer(stream, of, &state, cdn_port).is_some());
                }
            });
        }
        Hub { state, port }
    }

    /// The content and the faults, to be changed.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The address of the hub.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    /// The requests for content since the last call.
    pub(crate) fn fetched(&self) -> Vec<Asked> {
        let body = |asked: &Asked| asked.method == "GET" && !asked.path.starts_with("/api/");
        self.asked().into_iter().filter(body).collect()
    }

    /// Settings for this hub, with a cache in a folder.
    pub(crate) fn settings(&self, cache: &Path) -> HubSettings {
        HubSettings {
            cache: cache.to_path_buf(),
            endpoint: self.endpoint(),
            token: Token::new("secret"),
            offline: false,
            certificates: None,
            proxy: None,
            retry_wait: Duration::from_millis(5),
            limits: TransferLimits::default(),
        }
    }
}

/// The fixture's repo, at a revision.
pub(crate) fn tiny(revision: &str) -> RepoId {
    format!("lab/tiny@{revision}").parse().unwrap()
}

fn read(stream: &TcpStream, of: &'static str) -> Option<Asked> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let mut asked = Asked { of, method, path, range: None, token: None };
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "range" => asked.range = Some(value.into()),
            "authorization" => asked.token = Some(value.into()),
            _ => {}
        }
    }
    Some(asked)
}

type Head = (u16, Vec<(&'static str, String)>);

fn answer(stream: TcpStream, of: &'static str, state: &Mutex<State>, cdn_port: u16) -> Option<()> {
    let asked = read(&stream, of)?;
    let (head, body, plan, endless) = {
        let mut state = state.lock().unwrap();
        state.asked.push(asked.clone());
        let (head, body) = reply(&mut state, &asked, cdn_port);
        let is_large = of == "cdn" && asked.method == "GET" && head.0 < 300;
        let cut = if is_large && !state.cuts.is_empty() { Some(state.cuts.remove(0)) } else { None };
        let wait = if is_large { state.pause } else { Duration::ZERO };
        let endless = is_large && (state.endless || state.drip.is_some());
        (head, body, (cut, wait, is_large && state.stall), (endless, state.drip))
    };
    match endless {
        (true, drip) => send_for_ever(stream, head, drip),
        _ => send(stream, (&asked, head), &body, plan),
    }
}

/// Sends bytes until the client closes the connection: one at a time, or in large blocks.
fn send_for_ever(mut stream: TcpStream, (status, headers): Head, drip: Option<Duration>) -> Option<()> {
    let mut text = format!("HTTP/1.1 {status} x\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    stream.write_all((text + "\r\n").as_bytes()).ok()?;
    let block = vec![7; if drip.is_some() { 1 } else { 1 << 16 }];
    loop {
        stream.write_all(&block).ok()?;
        stream.flush().ok()?;
        std::thread::sleep(drip.unwrap_or_default());
    }
}

fn send(
    mut stream: TcpStream,
    (asked, (status, headers)): (&Asked, Head),
    body: &[u8],
    (cut, wait, stall): (Option<usize>, Duration, bool),
) -> Option<()> {
    let mut text = format!("HTTP/1.1 {status} x\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    stream.write_all((text + "\r\n").as_bytes()).ok()?;
    if asked.method == "HEAD" {
        return Some(());
    }
    let first = cut.unwrap_or(body.len() / 2).min(body.len());
    stream.write_all(&body[..first]).ok()?;
    stream.flush().ok()?;
    std::thread::sleep(wait);
    if stall {
        std::thread::sleep(Duration::from_secs(3600));
    }
    if cut.is_none() {
        stream.write_all(&body[first..]).ok()?;
    }
    Some(())
}

fn reply(state: &mut State, asked: &Asked, cdn_port: u16) -> (Head, Vec<u8>) {
    let plain = |status: u16, code: &str| {
        ((status, vec![("Content-Length", "0".into()), ("X-Error-Code", code.into())]), Vec::new())
    };
    if let Some(path) = asked.path.strip_prefix("/cdn/") {
        let (sha, name) = path.split_once('/').unwrap();
        return content(state, asked, &state.commits[sha][name]);
    }
    if state.busy > 0 {
        state.busy -= 1;
        return plain(503, "");
    }
    if let Some((status, code)) = state.refuse {
        return plain(status, code);
    }
    if let Some(old) = state.renamed_from.as_ref().filter(|old| asked.path.contains(&format!("/{old}/"))) {
        let new = asked.path.replacen(old, "lab/tiny", 1);
        return ((307, vec![("Location", new), ("Content-Length", "0".into())]), Vec::new());
    }
    let commit = |revision: &str| {
        let revision = revision.replace("%2F", "/");
        let sha = state.revisions.get(&revision).cloned().unwrap_or(revision);
        state.commits.contains_key(&sha).then_some(sha)
    };
    if let Some(revision) = asked.path.strip_prefix("/api/models/lab/tiny/revision/") {
        if let Some(body) = state.listing.clone() {
            return ((200, vec![("Content-Length", body.len().to_string())]), body.into_bytes());
        }
        let Some(sha) = commit(revision) else { return plain(404, "RevisionNotFound") };
        let names: Vec<_> =
            state.commits[&sha].keys().map(|name| serde_json::json!({"rfilename": name})).collect();
        let body = serde_json::json!({"sha": sha, "siblings": names}).to_string().into_bytes();
        return ((200, vec![("Content-Length", body.len().to_string())]), body);
    }
    let Some(path) = asked.path.strip_prefix("/lab/tiny/resolve/") else { return plain(404, "RepoNotFound") };
    let (sha, name) = path.split_once('/').unwrap();
    let Some(file) = state.commits[sha].get(name) else { return plain(404, "EntryNotFound") };
    if !file.large {
        return content(state, asked, file);
    }
    let size = (file.bytes.len() as i64 + state.size_error).to_string();
    let usual = || format!("http://127.0.0.1:{cdn_port}/cdn/{sha}/{name}");
    let location = state.storage.clone().unwrap_or_else(usual);
    let mut headers = vec![
        ("Location", location),
        ("X-Repo-Commit", sha.to_string()),
        ("X-Linked-Etag", format!("\"{}\"", file.etag)),
        ("Content-Length", "0".into()),
    ];
    if !state.no_size {
        headers.push(("X-Linked-Size", size));
    }
    ((302, headers), Vec::new())
}

fn content(state: &State, asked: &Asked, file: &Served) -> (Head, Vec<u8>) {
    let n = file.bytes.len();
    let mut headers = vec![("ETag", format!("\"{}\"", file.etag))];
    let from: Option<usize> = asked
        .range
        .as_ref()
        .filter(|_| !state.no_ranges)
        .map(|range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap());
    let (status, body) = match from {
        Some(from) if from >= n => (416, Vec::new()),
        Some(from) => {
            headers.push(("Content-Range", format!("bytes {from}-{}/{n}", n - 1)));
            (206, file.bytes[from..].to_vec())
        }
        None => (200, file.bytes.clone()),
    };
    if !(state.no_size && file.large) {
        headers.push(("Content-Length", body.len().to_string()));
    }
    ((status, headers), body)
}
