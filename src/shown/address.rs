//! Addresses (URLs) without the secrets in them.
//!
//! The rule: the user and the password before the `@` of an address are hidden, and everything after its `?` or `#`. An
//! address is recognised by its scheme (`s3://`, also with a slash too few or too many), by a colon before an `@`
//! (`KEY:SECRET@host`), or by a parameter (`?sig=…`, `#token=…`). So `org/name@revision` is not an address. A value
//! that must be an address, such as HF_ENDPOINT, needs none of these signs in [`address_without_secrets`].

use std::borrow::Cow;

/// The text that replaces a secret.
const HIDDEN: &str = "***";

/// Characters that end an address within a text.
const ENDS: [char; 4] = ['"', '`', '<', '>'];

/// Characters after an address that may belong to the sentence.
const AFTER: [char; 9] = [':', '.', '!', '?', ',', ';', ')', ']', '\''];

/// Characters before an address that belong to the sentence.
const BEFORE: [char; 4] = ['(', '[', '{', '\''];

/// Characters between two addresses in one word.
const BETWEEN: [char; 3] = [',', ';', '|'];

/// Schemes that are recognised without their colon.
const SCHEMES: [&str; 10] = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "http", "https", "hf"];

/// A text without the secrets of the addresses in it: the user and password before a host, the query, which may contain
/// a signature, and the fragment, which may contain a token.
///
/// # Examples
/// ```
/// use mappa::shown::without_secrets;
/// assert_eq!(without_secrets("s3://KEY:SECRET@bucket/folder"), "s3://***@bucket/folder");
/// assert_eq!(without_secrets("KEY:SECRET@bucket/folder"), "***@bucket/folder");
/// assert_eq!(without_secrets("az://c/x?sv=1&sig=abc: refused"), "az://c/x?***: refused");
/// ```
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    if !text.contains([':', '@', '?', '#', '%']) {
        return Cow::Borrowed(text);
    }
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while !rest.is_empty() {
        let (word, following) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
        parts(word).into_iter().for_each(|part| clean.push_str(&hidden_in_word(part)));
        let after = following.find(|c| !is_end(c)).unwrap_or(following.len());
        clean.push_str(&following[..after]);
        rest = &following[after..];
    }
    Cow::Owned(clean)
}

/// An address without its user, password, query and fragment, even if it is malformed.
///
/// # Examples
/// ```
/// use mappa::shown::address_without_secrets;
/// assert_eq!(address_without_secrets("TOKEN@hub.example/x?y"), "***@hub.example/x?***");
/// ```
pub fn address_without_secrets(address: &str) -> String {
    let (scheme, place) = address.split_at(place_at(address).unwrap_or(0));
    match user_end(place) {
        Some(at) => format!("{scheme}{HIDDEN}{}", without_query(&place[at..])),
        None => format!("{scheme}{}", hidden(place, scheme)),
    }
}

/// True for a character that ends an address within a text. Line ends and control characters do not end it: part of a
/// secret may follow them.
fn is_end(c: char) -> bool {
    (c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')) || ENDS.contains(&c)
}

/// The addresses in a word, if it has several, each with the text before it.
fn parts(word: &str) -> Vec<&str> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    for (at, _) in word.match_indices("://") {
        let scheme = at - scheme_length(&word[..at]);
        if scheme > begin && word[..scheme].ends_with(BETWEEN) {
            parts.push(&word[begin..scheme]);
            begin = scheme;
        }
    }
    parts.push(&word[begin..]);
    parts
}

/// The number of bytes at the end of a text that may be a scheme.
fn scheme_length(text: &str) -> usize {
    let others = text.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "+-.".contains(c));
    text.len() - others.len()
}

/// The position in a word after the scheme of its address and the slashes that follow; `None` without a scheme.
fn place_at(word: &str) -> Option<usize> {
    let double = ["://", ":\\\\"].into_iter().filter_map(|mark| word.find(mark)).min();
    // One slash only; one letter before it is a drive of Windows.
    let single = word.find(":/").filter(|at| scheme_length(&word[..*at]) > 1);
    let bare = word.find("//").filter(|at| {
        let before = word[..*at].trim_start_matches(BEFORE);
        before.is_empty() || SCHEMES.iter().any(|scheme| before.eq_ignore_ascii_case(scheme))
    });
    let at = [double, single, bare].into_iter().flatten().min()?;
    let place = word[at..].trim_start_matches([':', '/', '\\']);
    Some(word.len() - place.len())
}

/// A word with the secrets of its address hidden.
fn hidden_in_word(word: &str) -> String {
    let Some(at) = place_at(word) else { return hidden_without_scheme(word) };
    let (before, place) = word.split_at(at);
    let mark = before.trim_end_matches([':', '/', '\\']);
    let (before_scheme, scheme) = before.split_at(mark.len() - scheme_length(mark));
    match user_end(place) {
        // The "scheme" belongs to the secret, as in `KEY:SEC://RET@bucket`.
        Some(at) if before_scheme.ends_with(':') => format!("{HIDDEN}{}", without_query(&place[at..])),
        _ => format!("{}{scheme}{}", hidden_without_scheme(before_scheme), hidden(place, scheme)),
    }
}

/// The position of the last `@`, also a percent-encoded one.
fn user_end(address: &str) -> Option<usize> {
    address.rfind('@').max(address.rfind("%40"))
}

/// An address (without its scheme) with its user, its password, its query and its fragment hidden.
fn hidden(address: &str, scheme: &str) -> String {
    let place = &address[..address.find(['?', '#']).unwrap_or(address.len())];
    let authority = &place[..place.find(['/', '\\']).unwrap_or(place.len())];
    let after_host = if authority.starts_with('[') {
        authority.split_once(']').map(|(_, port)| port.trim_start_matches(':'))
    } else {
        authority.split_once(':').map(|(_, port)| port)
    };
    let port = after_host.unwrap_or_default().trim_end_matches(AFTER);
    let is_web = scheme.to_ascii_lowercase().starts_with("http");
    let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    // Otherwise a password follows the colon. It may contain `/`, `?` and `#`, which then look like the host's end.
    let has_password = !port.is_empty() && (!is_port || (!is_web && user_end(address).is_some()));
    match if has_password { user_end(address) } else { user_end(authority) } {
        Some(at) => format!("{HIDDEN}{}", without_query(&address[at..])),
        None if has_password => HIDDEN.into(),
        None => without_query(address),
    }
}

/// A word without a scheme, in which everything that looks like a password or a query is hidden.
fn hidden_without_scheme(word: &str) -> String {
    let body = word.trim_start_matches(BEFORE);
    let flag = if body.starts_with('-') { body.find('=').map_or(0, |at| at + 1) } else { 0 };
    let (begin, body) = word.split_at(word.len() - body.len() + flag);
    let is_drive = |user: &str| {
        let mut letters = user.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && letters.next() == Some(':')
            && letters.next().is_some_and(|c| c == '\\' || c == '/')
            && !letters.as_str().contains(':')
    };
    let user = user_end(body).filter(|at| body[..*at].contains(':') && !is_drive(&body[..*at]));
    let (begin, rest) = match user {
        Some(at) => (format!("{begin}{HIDDEN}"), &body[at..]),
        None => (begin.to_string(), body),
    };
    let is_key = |c: char| c.is_ascii_alphanumeric() || "_-.~%+".contains(c);
    let names_key = |at: &usize| {
        let value = rest[at + 1..].trim_start_matches(is_key);
        value.starts_with('=') && value.len() + at + 1 < rest.len()
    };
    match rest.match_indices(['?', '#']).map(|(at, _)| at).find(names_key) {
        Some(at) => format!("{begin}{}{}", &rest[..at], without_query(&rest[at..])),
        None => format!("{begin}{rest}"),
    }
}

/// An address with its query and its fragment hidden.
fn without_query(address: &str) -> String {
    let Some(at) = address.find(['?', '#']) else { return address.into() };
    let (place, query) = address.split_at(at + 1);
    let end = query.trim_end_matches(AFTER);
    // A query of asterisks was hidden by an earlier call, and perhaps cut since then; it stays as it is.
    let hidden = if end.bytes().all(|byte| byte == b'*') { end } else { HIDDEN };
    format!("{place}{hidden}{}", &query[end.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        for (text, expected) in [
            ("s3://KEY:SECRET@bucket/a/b", "s3://***@bucket/a/b"),
            ("s3://KEY:SEC/RET+x=@bucket/a", "s3://***@bucket/a"),
            ("s3://KEY:SEC/RE?T@bucket/a", "s3://***@bucket/a"),
            ("s3://KEY:12/3@bucket/a?sig=x", "s3://***@bucket/a?***"),
            ("s3://KEY:SEC/RET", "s3://***"),
            ("s3:///KEY:SECRET@bucket", "s3:///***@bucket"),
            ("s3:/KEY:SECRET@bucket", "s3:/***@bucket"),
            ("s3//TOKEN@bucket", "s3//***@bucket"),
            ("KEY:SECRET@host/x", "***@host/x"),
            ("KEY:SEC://RET@host/x", "***@host/x"),
            ("--to=KEY:SECRET@host", "--to=***@host"),
            ("KEY%3ASEC@s3://bucket", "KEY%3ASEC@s3://bucket"),
            ("s3://KEY%3ASECRET%40bucket", "s3://***%40bucket"),
            ("htp:/me:pass@x/y?TOKEN", "htp:/***@x/y?***"),
            ("https:\\\\x\\y?TOKEN", "https:\\\\x\\y?***"),
            ("https://hf_token@hub.example/x", "https://***@hub.example/x"),
            ("https://me:pass@hub.example:8443", "https://***@hub.example:8443"),
            ("https://x.blob/c?sv=2&sig=s%2F: 403", "https://x.blob/c?***: 403"),
            ("https://x/y?X-Amz-Signature=a&X-Amz-Date=b", "https://x/y?***"),
            ("https://x/y#access_token=a", "https://x/y#***"),
            ("x.blob/c?sig=abc, then", "x.blob/c?***, then"),
            ("x.blob/c#token=abc", "x.blob/c#***"),
            ("two: s3://A:B@c and (gs://D@e/f?g=h)", "two: s3://***@c and (gs://***@e/f?***)"),
            ("s3://A:B@c,gs://D@e/f?g,h", "s3://***@c,gs://***@e/f?***"),
            ("\"https://a:b@c/d\"", "\"https://***@c/d\""),
            ("s3://KEY:SEC\nRET@bucket x", "s3://***@bucket x"),
        ] {
            assert_eq!(without_secrets(text), expected, "{text}");
            assert_eq!(without_secrets(expected), expected);
        }
        for plain in [
            "",
            "https://huggingface.co/org/name@main",
            "http://localhost:8080/a@b",
            "http://[::1]:8080/a",
            "see https://x.org/y? Then (https://x.org:80), https://x.org:",
            "mappa run --model org/name@v1",
            "what? a@b #1",
            "file:///home/me/a",
            "C:\\lab\\models@v1\\x",
            "atlas/towns/empty@blocks.3.hook_resid_post: row 7?",
        ] {
            assert_eq!(without_secrets(plain), plain);
            assert_eq!(
                address_without_secrets(plain.split('@').next().unwrap_or(plain)).contains(HIDDEN),
                plain.contains("? "),
                "{plain}"
            );
        }
    }

    #[test]
    fn no_part_of_a_secret_passes_however_the_address_is_spelt() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(20);
        let letters: Vec<char> = "Zq9/+=:?#%&.,;|\\".chars().collect();
        let schemes = [
            "s3://",
            "s3:/",
            "s3:///",
            "S3:",
            "https://",
            "https:/",
            "htp:/",
            "htps:\\\\",
            "//",
            "://",
            "s3//",
            "",
        ];
        for _ in 0..4000 {
            let n = random.random_range(0..12);
            let noise: String = (0..n).map(|_| *letters.choose(&mut random).unwrap()).collect();
            let scheme = schemes.choose(&mut random).unwrap();
            // Each secret begins with a letter, so that its first part is not a port.
            let (user, after) = (format!("{scheme}KEY:S{noise}SECRET@host/x"), format!("{scheme}host/x"));
            let query = format!("{after}?sig=S{noise}SECRET");
            let fragment = format!("{after}#token=S{noise}SECRET");
            for address in [&user, &query, &fragment] {
                let text = format!("found {address}: refused");
                let shown = without_secrets(&text);
                assert!(!shown.contains("SECRET"), "{text} as {shown}");
                assert!(shown.starts_with("found ") && shown.ends_with(" refused"), "{text} as {shown}");
                assert_eq!(without_secrets(&shown), shown, "{text}");
                assert!(!address_without_secrets(address).contains("SECRET"), "{address}");
            }
        }
        for address in
            ["TOKEN@host", "host?TOKEN", "host#TOKEN", "KEY:TOKEN", "https://a b:TOKEN@c", "x://TO/KEN@c"]
        {
            let shown = address_without_secrets(address);
            assert!(!shown.contains("TOKEN") && !shown.contains("KEN@"), "{shown}");
        }
    }
}
