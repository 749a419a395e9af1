//! Requests to the hub: follows redirects, explains refusals, and sends the token only to the hub.

use super::address::{joined, origin, quoted};
use super::failure::{Failure, Retries, failure};
use super::least_rate::{LeastRate, TransferLimits};
use super::repo::{RepoId, is_commit};
use super::settings::HubSettings;
use crate::artefact;
use crate::error::{Error, Result};
use crate::shown::without_secrets;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use ureq::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// The response to a request.
pub(super) type Response = ureq::http::Response<ureq::Body>;

const MAX_REDIRECTS: usize = 8;
const MAX_LISTING: u64 = 64 << 20;

/// The timeouts for a connection, and for the next bytes of a response.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);

/// The hub's listing of a repo at a revision.
#[derive(serde::Deserialize)]
pub(super) struct Listing {
    /// The commit.
    pub sha: String,
    /// The files.
    #[serde(default)]
    pub siblings: Vec<Sibling>,
}

/// A file in a listing.
#[derive(serde::Deserialize)]
pub(super) struct Sibling {
    /// Its name from the repo's root.
    pub rfilename: String,
}

/// A file on the hub at one commit.
pub(super) struct Remote {
    /// Its name in the repo.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The identity of its content: a SHA-256 for large files, git's hash for small ones.
    pub etag: String,
    /// Its length in bytes, if the hub states it.
    pub size: Option<u64>,
    /// The check of its content against its etag.
    pub check: Check,
}

/// The check of a file's content against its etag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// The etag is the SHA-256 of the content.
    Sha256,
    /// The etag is git's hash of the content.
    GitBlob,
    /// The etag cannot be checked.
    Nothing,
}

impl Check {
    /// The check for an etag of the hub, which is a SHA-256 for large files and git's hash for small ones.
    pub(super) fn of(etag: &str) -> Check {
        match etag.len() {
            _ if !etag.bytes().all(|b| b.is_ascii_hexdigit()) => Check::Nothing,
            64 => Check::Sha256,
            40 => Check::GitBlob,
            _ => Check::Nothing,
        }
    }
}

/// Sends requests about one repo.
pub(super) struct Client<'a> {
    agent: ureq::Agent,
    bearer: Option<HeaderValue>,
    settings: &'a HubSettings,
    repo: &'a RepoId,
}

impl<'a> Client<'a> {
    /// A client with these settings.
    ///
    /// # Errors
    /// A token that cannot be sent, or certificates that cannot be read.
    pub(super) fn new(settings: &'a HubSettings, repo: &'a RepoId) -> Result<Client<'a>> {
        let bearer = settings.token.as_ref().map(|token| HeaderValue::from_str(&token.bearer())).transpose();
        let bearer = bearer
            .map_err(|_| Error::invalid("HF_TOKEN", "(hidden)", "a token without control characters"))?;
        let roots = settings.certificates.as_deref().map_or(Ok(RootCerts::WebPki), certificates)?;
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .accept_encoding("identity")
            .user_agent(concat!("mappa/", env!("CARGO_PKG_VERSION")))
            .proxy(settings.proxy.clone())
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build();
        Ok(Client { agent: config.into(), bearer, settings, repo })
    }

    /// A fresh count of attempts, for one request.
    pub(super) fn retries(&self) -> Retries {
        Retries::new(self.settings.retry_wait)
    }

    /// The repo's commit and files. Transient failures are retried; a failure to connect is returned at once.
    pub(super) fn listing(&self) -> Result<Listing, Failure> {
        let endpoint = &self.settings.endpoint;
        let url =
            format!("{endpoint}/api/models/{}/revision/{}", self.repo.id(), quoted(self.repo.revision()));
        let answer = |found: String| {
            let expected = "a repo's listing; check HF_ENDPOINT, and whether the network shows a login page";
            Failure::Final(Error::HubAnswer { url: public(&url), found, expected: expected.into() })
        };
        self.retries().run(
            || {
                let response = self.send(&Method::GET, &url, 0)?;
                let bytes = self.whole(&url, response)?;
                let listing: Listing = serde_json::from_slice(&bytes).map_err(|e| answer(e.to_string()))?;
                let sha = &listing.sha;
                if is_commit(sha) { Ok(listing) } else { Err(answer(format!("the commit `{sha}`"))) }
            },
            |failure| matches!(failure, Failure::Transient(_)),
        )
    }

    /// Reads the body of an answer; it may have at most [`MAX_LISTING`] bytes.
    fn whole(&self, url: &str, response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = response.into_body().into_with_config().limit(MAX_LISTING).reader();
        let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
        let mut rate = LeastRate::new(self.settings.limits);
        loop {
            match body.read(&mut chunk) {
                Ok(0) => return Ok(bytes),
                Ok(n) => {
                    bytes.extend_from_slice(&chunk[..n]);
                    rate.count(n)?;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failure(url, e.into())),
            }
        }
    }

    /// The limits of a transfer.
    pub(super) fn limits(&self) -> TransferLimits {
        self.settings.limits
    }

    /// The hub's description of a file at a commit.
    pub(super) fn describe(&self, commit: &str, name: &str) -> Result<Remote, Failure> {
        let url = format!("{}/{}/resolve/{commit}/{}", self.settings.endpoint, self.repo.id(), quoted(name));
        let response = self
            .retries()
            .run(|| self.send(&Method::HEAD, &url, 0), |failure| !matches!(failure, Failure::Final(_)))?;
        let headers = response.headers();
        let etag = text(headers, "x-linked-etag").or(text(headers, "etag")).unwrap_or_default();
        let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').to_string();
        // The etag becomes a file's name, so it must not lead to another folder.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if etag.is_empty() || etag.starts_with('.') || !etag.chars().all(plain) {
            let expected = "an etag that names the file's content; check HF_ENDPOINT".into();
            return Err(Failure::Final(Error::HubAnswer {
                url: public(&url),
                found: format!("the etag `{etag}`"),
                expected,
            }));
        }
        let length = text(headers, "content-length").filter(|_| !response.status().is_redirection());
        let size = text(headers, "x-linked-size").or(length).and_then(|size| size.parse().ok());
        let check = Check::of(&etag);
        Ok(Remote { name: name.into(), url, etag, size, check })
    }

    /// Requests a file from byte `from` on. The response is a part (206), the whole file (200), or 416 if the file ends
    /// before that byte.
    pub(super) fn open(&self, remote: &Remote, from: u64) -> Result<Response, Failure> {
        self.send(&Method::GET, &remote.url, from)
    }

    fn send(&self, method: &Method, url: &str, from: u64) -> Result<Response, Failure> {
        let mut url = url.to_string();
        for _ in 0..MAX_REDIRECTS {
            let response = self.send_once(method, &url, from)?;
            let location =
                text(response.headers(), "location").filter(|_| response.status().is_redirection());
            let Some(next) = location.map(|location| joined(&url, location)) else {
                return self.check_status(&url, response);
            };
            // The headers of a HEAD request are in the hub's own response, not in that of its storage for large files.
            let has_etag = response.headers().contains_key("x-linked-etag");
            if method == Method::HEAD && (has_etag || !self.is_hub(&next)) {
                return Ok(response);
            }
            url = next;
        }
        let expected = "fewer redirects; check HF_ENDPOINT".into();
        Err(Failure::Final(Error::HubAnswer {
            url: public(&url),
            found: "8 redirects in a row".into(),
            expected,
        }))
    }

    fn send_once(&self, method: &Method, url: &str, from: u64) -> Result<Response, Failure> {
        let mut request = Request::builder().method(method).uri(url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        // No other server may see the token.
        if let Some(bearer) = self.bearer.as_ref().filter(|_| self.is_hub(url)) {
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let request = request.body(()).map_err(|e| failure(url, e.into()))?;
        self.agent.run(request).map_err(|e| failure(url, e))
    }

    /// True if an address is the hub's: same scheme, host and port.
    fn is_hub(&self, url: &str) -> bool {
        origin(url).is_some_and(|found| origin(&self.settings.endpoint) == Some(found))
    }

    fn check_status(&self, url: &str, response: Response) -> Result<Response, Failure> {
        let status = response.status();
        let transient = || Failure::Transient(format!("{}: status {status}", public(url)));
        Err(match status.as_u16() {
            200..=299 | 416 => return Ok(response),
            408 | 429 | 500..=599 => transient(),
            // A storage server refuses expired links; the hub gives a fresh one.
            400..=499 if !self.is_hub(url) => transient(),
            401 | 403 | 404 => Failure::Final(self.refusal(url, &response)),
            _ => {
                let (found, expected) = (format!("status {status}"), "the file or the listing".into());
                Failure::Final(Error::HubAnswer { url: public(url), found, expected })
            }
        })
    }

    /// The error for a status 401, 403 or 404; the hub answers 401 for a missing repo, too.
    fn refusal(&self, url: &str, response: &Response) -> Error {
        let (endpoint, repo, url) =
            (public(&self.settings.endpoint), self.repo.id().to_string(), public(url));
        let code = text(response.headers(), "x-error-code").unwrap_or_default();
        let status = response.status();
        let page = format!("{endpoint}/{repo}");
        let not_found = |what, name: &str, advice| Error::NotOnHub {
            endpoint: endpoint.clone(),
            what,
            name: name.into(),
            advice,
        };
        let refused = |advice| Error::HubRefused {
            endpoint: endpoint.clone(),
            repo: repo.clone(),
            status: status.as_u16(),
            advice,
        };
        match (status, code) {
            (_, "RevisionNotFound") => {
                let advice = format!("its branches and tags are listed at {page}/tree/main");
                not_found("revision", &format!("{repo}@{}", self.repo.revision()), advice)
            }
            (_, "EntryNotFound") => {
                not_found("file", &url, format!("its files are listed at {page}/tree/main"))
            }
            (StatusCode::NOT_FOUND, _) => not_found("repo", &repo, "check the spelling, as org/name".into()),
            (StatusCode::FORBIDDEN, _) | (_, "GatedRepo") => refused(format!(
                "it is gated or private: accept its licence at {page}, and set HF_TOKEN to a token that may read it"
            )),
            _ if self.bearer.is_some() => refused(
                "the token was not accepted: set HF_TOKEN to a valid one, or unset it for a public repo"
                    .into(),
            ),
            _ => refused(format!(
                "there is no such public repo: check the spelling; if it is gated or private, accept its licence at \
                 {page} and set HF_TOKEN"
            )),
        }
    }
}

/// An address for a message, without its secrets.
fn public(url: &str) -> String {
    without_secrets(url).into_owned()
}

fn certificates(path: &Path) -> Result<RootCerts> {
    let bytes = artefact::load_bytes(path)?;
    let certificates: Vec<_> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Error::bad_file(
            path,
            "no certificate",
            "certificates in PEM format; correct or unset SSL_CERT_FILE",
        ));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
