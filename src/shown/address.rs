//! Addresses (URLs) without the secrets in them.

use std::borrow::Cow;

/// The text that replaces a secret.
const HIDDEN: &str = "***";

/// Characters that end an address within a text.
const ENDS: [char; 4] = ['"', '`', '<', '>'];

/// A text without the secrets of the addresses in it: the user and password before a host, and the query, which may
/// contain a signature.
///
/// # Examples
/// ```
/// use mappa::shown::without_secrets;
/// assert_eq!(without_secrets("s3://KEY:SECRET@bucket/folder"), "s3://***@bucket/folder");
/// assert_eq!(without_secrets("az://c/x?sv=1&sig=abc: refused"), "az://c/x?***: refused");
/// ```
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after.find(is_end);
        let (address, following) = after.split_at(end.unwrap_or(after.len()));
        clean.push_str(&hidden(address));
        rest = following;
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// True for a character that ends an address within a text. Line ends and control characters do not end it: part of a
/// secret may follow them.
fn is_end(c: char) -> bool {
    (c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')) || ENDS.contains(&c)
}

/// An address (without its scheme) with its user, its password and its query hidden.
fn hidden(address: &str) -> String {
    let (place, query) =
        address.split_once('?').map_or((address, None), |(place, query)| (place, Some(query)));
    let authority = place.find('/').map_or(place, |end| &place[..end]);
    let begins_user = |port: &str| !port.is_empty() && !port.bytes().all(|byte| byte.is_ascii_digit());
    // A secret key may contain `/`, which then looks like the end of the host.
    let is_cut = authority.split_once(':').is_some_and(|(_, port)| begins_user(port));
    let user = if is_cut { address.rfind('@') } else { authority.rfind('@') };
    if let Some(at) = user.filter(|at| *at >= place.len()) {
        return format!("{HIDDEN}{}", &address[at..]);
    }
    let place = user.map_or(place.to_string(), |at| format!("{HIDDEN}{}", &place[at..]));
    match query {
        None => place,
        // A question mark, a colon or a full stop after an address may belong to the sentence.
        Some(query) => {
            let end = query.trim_end_matches([':', '.', '!', '?']);
            // A query of asterisks was hidden by an earlier call, and perhaps cut since then; it stays as it is.
            let hidden = if end.bytes().all(|byte| byte == b'*') { end } else { HIDDEN };
            format!("{place}?{hidden}{}", &query[end.len()..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        for (text, expected) in [
            ("s3://KEY:SECRET@bucket/a/b", "s3://***@bucket/a/b"),
            ("s3://KEY:SEC/RET+x=@bucket/a", "s3://***@bucket/a"),
            ("s3://KEY:SEC/RE?T@bucket/a", "s3://***@bucket/a"),
            ("https://hf_token@hub.example/x", "https://***@hub.example/x"),
            ("https://me:pass@hub.example:8443", "https://***@hub.example:8443"),
            ("https://x.blob/c?sv=2&sig=s%2F: 403", "https://x.blob/c?***: 403"),
            ("https://x/y?X-Amz-Signature=a&X-Amz-Date=b", "https://x/y?***"),
            ("two: s3://A:B@c and (gs://D@e/f?g=h)", "two: s3://***@c and (gs://***@e/f?***"),
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
            "see https://x.org/y? Then",
            "mappa run --model org/name@v1",
            "what? a@b",
            "file:///home/me/a",
        ] {
            assert_eq!(without_secrets(plain), plain);
        }
    }
}
