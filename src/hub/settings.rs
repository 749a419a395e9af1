//! The hub's settings, read once from the environment variables of Python's `huggingface_hub`.

use super::least_rate::TransferLimits;
use crate::artefact;
use crate::error::{Error, Result};
use crate::shown::address_without_secrets;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The hub's address, the cache folder, the token, and the settings of requests.
#[derive(Clone)]
pub struct HubSettings {
    /// The cache folder: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else `huggingface/hub` in the user's cache.
    pub cache: PathBuf,
    /// The hub's address: `HF_ENDPOINT`, without a slash at its end.
    pub endpoint: String,
    /// The token: `HF_TOKEN`, else the content of the token file.
    pub token: Option<Token>,
    /// True for offline mode, which sends no request: `HF_HUB_OFFLINE`.
    pub offline: bool,
    /// A file of trusted certificates instead of the built-in ones: `SSL_CERT_FILE`.
    pub certificates: Option<PathBuf>,
    /// The proxy: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
    pub proxy: Option<ureq::Proxy>,
    /// The wait before the first retry; each further wait is twice as long.
    pub retry_wait: Duration,
    /// The limits of a transfer.
    pub limits: TransferLimits,
}

impl fmt::Debug for HubSettings {
    /// Hides the passwords of the hub and of the proxy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSettings")
            .field("cache", &self.cache)
            .field("endpoint", &address_without_secrets(&self.endpoint))
            .field("token", &self.token)
            .field("offline", &self.offline)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A token for the hub; it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token without surrounding white space; `None` if it is empty.
    pub fn new(text: &str) -> Option<Token> {
        Some(text.trim()).filter(|text| !text.is_empty()).map(|text| Token(text.into()))
    }

    /// The value of the `Authorization` header.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl HubSettings {
    /// The settings in this process's environment.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is neither a cache folder nor a home folder, or if the endpoint is not an address;
    /// [`Error::BadFile`] if the token file is not UTF-8.
    pub fn from_env() -> Result<HubSettings> {
        let get = |name: &str| std::env::var(name).ok();
        Ok(HubSettings {
            proxy: ureq::Proxy::try_from_env(),
            ..HubSettings::from_variables(get, std::env::home_dir())?
        })
    }

    /// The settings for the environment variables that `get` returns and a home folder; without a proxy.
    ///
    /// # Errors
    /// As [`HubSettings::from_env`].
    pub fn from_variables(
        get: impl Fn(&str) -> Option<String>,
        home: Option<PathBuf>,
    ) -> Result<HubSettings> {
        let get = |names: &[&str]| names.iter().find_map(|name| get(name).filter(|value| !value.is_empty()));
        let folder = |names: &[&str]| get(names).map(|path| expand(&path, home.as_deref()));
        let user_cache = folder(&["XDG_CACHE_HOME"]).or_else(|| Some(home.as_ref()?.join(".cache")));
        let hf_home = folder(&["HF_HOME"]).or_else(|| Some(user_cache?.join("huggingface")));
        let cache = folder(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
            .or_else(|| Some(hf_home.as_ref()?.join("hub")))
            .ok_or_else(|| {
                Error::invalid("HF_HOME", "nothing, and no home folder", "a folder for the cache")
            })?;
        let token_file = folder(&["HF_TOKEN_PATH"]).or_else(|| Some(hf_home?.join("token")));
        let in_file = || token_file.map_or(Ok(None), |file| token_in(&file));
        let given = get(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]).and_then(|t| Token::new(&t));
        Ok(HubSettings {
            cache,
            endpoint: endpoint(get(&["HF_ENDPOINT"]))?,
            token: if given.is_some() { given } else { in_file()? },
            offline: get(&["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]).is_some_and(|value| is_true(&value)),
            certificates: folder(&["SSL_CERT_FILE"]),
            proxy: None,
            retry_wait: Duration::from_millis(500),
            limits: TransferLimits::default(),
        })
    }
}

/// The token in a file, if the file can be read.
fn token_in(file: &Path) -> Result<Option<Token>> {
    match artefact::load_text(file) {
        Ok(text) => Ok(Token::new(&text)),
        // The original error would show the file's content, which is secret.
        Err(Error::BadFile { .. }) => Err(Error::bad_file(
            file,
            "a token that is not in UTF-8",
            "a text file in UTF-8; log in again, or save the file in UTF-8",
        )),
        Err(_) => Ok(None),
    }
}

fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Replaces a leading `~`, which variables set outside a shell may contain, by the home folder.
fn expand(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_path_buf(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    }
}

fn endpoint(given: Option<String>) -> Result<String> {
    let text = given.unwrap_or_else(|| "https://huggingface.co".into());
    let text = text.trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if host.is_none_or(str::is_empty) || text.parse::<ureq::http::Uri>().is_err() {
        let found = address_without_secrets(text);
        return Err(Error::invalid("HF_ENDPOINT", found, "an address that begins with https:// or http://"));
    }
    Ok(text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> HubSettings {
        let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string());
        HubSettings::from_variables(get, Some("/home/ada".into())).unwrap()
    }

    #[test]
    fn the_cache_is_where_python_looks() {
        let cache = |variables: &[(&str, &str)]| read(variables).cache;
        assert_eq!(cache(&[]), Path::new("/home/ada/.cache/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "~/h")]), Path::new("/home/ada/h/hub"));
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]), Path::new("/c"));
        assert!(HubSettings::from_variables(|_| None, None).unwrap_err().to_string().contains("HF_HOME"));
    }

    #[test]
    fn the_token_comes_from_the_environment_else_from_a_file_and_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "in_file\n").unwrap();
        let other = home.path().join("other");
        std::fs::write(&other, "in_other").unwrap();
        let (home, other) = (home.path().to_str().unwrap(), other.to_str().unwrap());
        assert_eq!(read(&[("HF_HOME", home)]).token, Token::new("in_file"));
        assert_eq!(read(&[("HF_HOME", home), ("HF_TOKEN_PATH", other)]).token, Token::new("in_other"));
        let settings = read(&[("HF_HOME", home), ("HF_TOKEN", " in_variable\n")]);
        assert_eq!(settings.token.as_ref().unwrap().bearer(), "Bearer in_variable");
        assert!(!format!("{settings:?}").contains("in_variable"));
        assert_eq!(read(&[("HF_TOKEN", " ")]).token, None);
    }

    #[test]
    fn a_token_file_of_a_windows_editor_is_read_or_refused_without_showing_it() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("token");
        let variables = || {
            let folder = home.path().to_str().unwrap().to_string();
            HubSettings::from_variables(|name| (name == "HF_HOME").then(|| folder.clone()), None)
        };
        std::fs::write(&file, "\u{feff}hf_secret\r\n").unwrap();
        assert_eq!(variables().unwrap().token, Token::new("hf_secret"));
        for bytes in [
            b"hf_secret\xe9\n".to_vec(),
            "\u{feff}hf_secret".encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let error = variables().unwrap_err().to_string();
            assert!(error.contains("token that is not in UTF-8") && !error.contains("hf_secret"), "{error}");
        }
    }

    #[test]
    fn offline_and_the_endpoint() {
        for (value, offline) in
            [("1", true), ("YES", true), ("on", true), ("True", true), ("0", false), ("no", false)]
        {
            assert_eq!(read(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
        }
        assert_eq!(read(&[]).endpoint, "https://huggingface.co");
        assert_eq!(read(&[("HF_ENDPOINT", "http://localhost:80/hf/")]).endpoint, "http://localhost:80/hf");
        for bad in ["localhost:80", "ftp://x", "https://", "https://a b"] {
            let get = |name: &str| (name == "HF_ENDPOINT").then(|| bad.to_string());
            let error = HubSettings::from_variables(get, Some("/h".into())).unwrap_err().to_string();
            assert!(error.contains("HF_ENDPOINT") && error.contains("https://"), "{error}");
        }
    }
}
