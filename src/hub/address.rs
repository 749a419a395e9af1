//! Addresses (URLs): their origins, the targets of redirects, percent-encoded names.

use ureq::http::Uri;

/// Scheme, host and port.
pub(super) fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

/// Resolves a `Location` header against the redirected address.
pub(super) fn joined(url: &str, location: &str) -> String {
    if origin(location).is_some() {
        return location.to_string();
    }
    let scheme_end = url.find("://").map_or(0, |at| at + 3);
    let path = url[scheme_end..].find('/').map_or(url.len(), |at| at + scheme_end);
    match (location.strip_prefix("//"), location.starts_with('/')) {
        (Some(rest), _) => format!("{}{rest}", &url[..scheme_end]),
        (None, true) => format!("{}{location}", &url[..path]),
        (None, false) => format!("{}/{location}", url.rsplit_once('/').map_or(url, |(base, _)| base)),
    }
}

/// Percent-encodes a text as one component of an address.
pub(super) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin("https://Hub.example/a/b"), origin("HTTPS://hub.example:443"));
        for other in [
            "http://hub.example",
            "https://hub.example:8443",
            "https://hub.example.evil",
            "https://hub.example@evil",
        ] {
            assert_ne!(origin("https://hub.example"), origin(other), "{other}");
        }
        assert_eq!(origin("/a/b"), None);
    }

    #[test]
    fn redirects_resolve_as_in_browsers() {
        let from = "https://hub.example/a/b";
        assert_eq!(joined(from, "http://x/y"), "http://x/y");
        assert_eq!(joined(from, "//x/y"), "https://x/y");
        assert_eq!(joined(from, "/x?u=http://y"), "https://hub.example/x?u=http://y");
        assert_eq!(joined(from, "x"), "https://hub.example/a/x");
        assert_eq!(joined("https://hub.example", "/x"), "https://hub.example/x");
    }

    #[test]
    fn names_are_quoted_as_one_component_of_an_address() {
        assert_eq!(quoted("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(quoted("v1.0+a=b-_~"), "v1.0%2Ba%3Db-_~");
    }
}
