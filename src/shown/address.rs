//! Addresses (URLs) without the secrets in them.
//!
//! The rule: the user and the password before the `@` of an address are hidden, and everything after its `?` or `#`,
//! or after a `&` or `;` with a parameter. Percent-encoded signs (`%40`, also `%2540`) count as the signs themselves.
//! An address is recognised by its scheme (`s3://`, also with a slash too few or too many), by a colon before an `@`
//! (`KEY:SECRET@host`), by a host after an `@` (`TOKEN@hub.example`), or by a parameter (`?sig=…`, `;token=…`). So
//! `org/name@revision` is not an address. A value that must be an address, such as HF_ENDPOINT, needs none of these
//! signs in [`address_without_secrets`].

use std::borrow::Cow;
use std::ops::Range;

/// The text that replaces a secret.
const HIDDEN: &str = "***";

/// Characters after an address that may belong to the sentence.
const AFTER: [char; 15] = [':', '.', '!', '?', ',', ';', ')', ']', '}', '\'', '"', '`', '<', '>', '\\'];

/// Characters before an address that belong to the sentence.
const BEFORE: [char; 8] = ['(', '[', '{', '\'', '"', '`', '<', '>'];

/// Characters between two addresses in one word.
const BETWEEN: [char; 3] = [',', ';', '|'];

/// Schemes that are recognised without their colon.
const SCHEMES: [&str; 10] = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "http", "https", "hf"];

/// Signs of an address that are also recognised if they are percent-encoded.
const SIGNS: [char; 7] = [':', '@', '?', '#', '&', ';', '='];

/// Parts of the names of parameters with secrets, in lower case.
const SECRETS: [&str; 9] = ["token", "sig", "secret", "pass", "pwd", "credential", "key", "auth", "session"];

/// The beginning of the hub's tokens, and the least number of letters and digits after it.
const HUB_TOKEN: (&str, usize) = ("hf_", 30);

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
    if !text.contains([':', '@', '?', '#', '%', '&', ';']) && !text.contains(HUB_TOKEN.0) {
        return Cow::Borrowed(text);
    }
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while !rest.is_empty() {
        let (word, following) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
        let mut is_open = false;
        for part in parts(word) {
            let decoded = Decoded::of(part);
            let found = in_word(&decoded.text);
            is_open |= found.is_open;
            clean.push_str(&decoded.without(part, found.ranges));
        }
        let after = following.find(|c| !is_end(c)).unwrap_or(following.len());
        clean.push_str(&following[..after]);
        rest = &following[after..];
        // A password with a space ends at a later `@`.
        if let Some(at) = Some(rest).filter(|_| is_open).and_then(|rest| Decoded::of(rest).first_at()) {
            clean.push_str(HIDDEN);
            rest = &rest[at..];
        }
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
    let decoded = Decoded::of(address);
    let text = &decoded.text;
    let place = place_at(text).unwrap_or(0);
    let mut ranges = match text.rfind('@').filter(|at| *at >= place) {
        Some(at) => std::iter::once(place..at).chain(query(text, at)).collect(),
        None => hidden(text, place, &text[..place]).ranges,
    };
    ranges.extend(hub_tokens(text));
    decoded.without(address, ranges)
}

/// A text with its percent-encoded signs decoded, and the positions of its bytes in the text itself.
struct Decoded {
    text: String,
    positions: Vec<usize>,
}

impl Decoded {
    fn of(text: &str) -> Decoded {
        let mut decoded = Decoded { text: String::with_capacity(text.len()), positions: Vec::new() };
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let (c, length) = sign(&text[at..]).unwrap_or((c, c.len_utf8()));
            decoded.text.push(c);
            decoded.positions.resize(decoded.text.len(), at);
            at += length;
        }
        decoded.positions.push(text.len());
        decoded
    }

    /// The position of the first `@` in the text itself.
    fn first_at(&self) -> Option<usize> {
        self.text.find('@').map(|at| self.positions[at])
    }

    /// The text itself without these ranges of the decoded one.
    fn without(&self, text: &str, mut ranges: Vec<Range<usize>>) -> String {
        ranges.sort_by_key(|range| range.start);
        let (mut clean, mut done) = (String::with_capacity(text.len()), 0);
        for range in ranges {
            let (start, end) = (self.positions[range.start].max(done), self.positions[range.end]);
            // Asterisks were written by an earlier call, and perhaps cut since then; they stay as they are.
            if start < end && text[start..end].bytes().any(|byte| byte != b'*') {
                clean.push_str(&text[done..start]);
                clean.push_str(HIDDEN);
                done = end;
            }
        }
        clean + &text[done..]
    }
}

/// The percent-encoded sign at the beginning of a text, also if it was encoded several times, and its length.
fn sign(text: &str) -> Option<(char, usize)> {
    let mut code = text.strip_prefix('%')?;
    while let Some(inner) = code.strip_prefix("25").filter(|inner| inner.len() >= 2) {
        code = inner;
    }
    let sign = char::from(u8::from_str_radix(code.get(..2)?, 16).ok()?);
    SIGNS.contains(&sign).then_some((sign, text.len() - code.len() + 2))
}

/// The secrets of a word.
#[derive(Default)]
struct Found {
    ranges: Vec<Range<usize>>,
    /// True if a password does not end in the word.
    is_open: bool,
}

/// True for a character that ends an address within a text. Line ends and control characters do not end it: part of a
/// secret may follow them.
fn is_end(c: char) -> bool {
    c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
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

/// The secrets of a word: those of its address, and tokens of the hub.
fn in_word(word: &str) -> Found {
    let mut found = match place_at(word) {
        None => Found { ranges: without_scheme(word), is_open: false },
        Some(place) => {
            let mark = word[..place].trim_end_matches([':', '/', '\\']);
            let scheme = mark.len() - scheme_length(mark);
            match word.rfind('@').filter(|at| *at >= place) {
                // The "scheme" belongs to the secret, as in `KEY:SEC://RET@bucket`.
                Some(at) if word[..scheme].ends_with(':') => {
                    Found { ranges: std::iter::once(0..at).chain(query(word, at)).collect(), is_open: false }
                }
                _ => {
                    let mut found = hidden(word, place, &word[scheme..place]);
                    found.ranges.extend(without_scheme(&word[..scheme]));
                    found
                }
            }
        }
    };
    found.ranges.extend(hub_tokens(word));
    found
}

/// The secrets of an address, which begins after its scheme at `place`: its user, password, query and fragment.
fn hidden(word: &str, place: usize, scheme: &str) -> Found {
    let address = &word[place..];
    let user_end = |text: &str| text.rfind('@').map(|at| place + at);
    let before_query = &address[..address.find(['?', '#']).unwrap_or(address.len())];
    let authority = &before_query[..before_query.find('/').unwrap_or(before_query.len())];
    let parts = if authority.starts_with('[') {
        authority.split_once(']').map(|(host, port)| (host, port.trim_start_matches(':')))
    } else {
        authority.split_once(':')
    };
    let port = parts.map(|(_, port)| port.trim_end_matches(AFTER));
    let is_web = scheme.to_ascii_lowercase().starts_with("http");
    let is_usual = is_web && parts.is_some_and(|(host, _)| is_host(host) || host.starts_with('['));
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    // Otherwise a password follows the colon. It may contain `/`, `?` and `#`, which then look like the host's end.
    let is_path = place == 0 && is_below_drive(address);
    let has_password =
        !is_path && port.is_some_and(|port| !is_port(port) || (!is_usual && user_end(address).is_some()));
    match if has_password { user_end(address) } else { user_end(authority) } {
        Some(at) => {
            Found { ranges: std::iter::once(place..at).chain(query(word, at)).collect(), is_open: false }
        }
        None if has_password => Found { ranges: std::iter::once(place..word.len()).collect(), is_open: true },
        None => Found { ranges: query(word, place), is_open: false },
    }
}

/// The secrets of a word without a scheme: everything that looks like a user, a password or a query.
fn without_scheme(word: &str) -> Vec<Range<usize>> {
    let body = word.trim_start_matches(BEFORE);
    let flag = if body.starts_with('-') { body.find('=').map_or(0, |at| at + 1) } else { 0 };
    let begin = word.len() - body.len() + flag;
    let is_user = |at: &usize| {
        let user = &word[begin..*at];
        let host = word[at + 1..].split(['/', ':', '?', '#']).next().unwrap_or_default();
        let has_host = is_host(host.trim_end_matches(AFTER)) && !user.contains('/');
        (user.contains(':') && !is_below_drive(user)) || has_host
    };
    let user = word.rfind('@').filter(|at| *at >= begin).filter(is_user);
    let mut ranges: Vec<Range<usize>> = user.iter().map(|at| begin..*at).collect();
    let rest = user.unwrap_or(begin);
    let is_place = is_host(word[rest..].trim_start_matches('@').split('/').next().unwrap_or_default());
    let mark = word[rest..].match_indices(['?', '#', '&', ';']).map(|(at, mark)| (rest + at, mark));
    let is_query = |(at, mark): &(usize, &str)| {
        parameter(&word[at + 1..]).is_some_and(|key| matches!(*mark, "?" | "#") || is_place || is_secret(key))
    };
    if let Some((at, _)) = mark.into_iter().find(is_query) {
        ranges.push(to_end(word, at + 1));
    }
    ranges
}

/// The name of the parameter at the beginning of a text, if it has a value.
fn parameter(text: &str) -> Option<&str> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || "_-.~%+".contains(c);
    let value = text.trim_start_matches(is_key);
    (value.starts_with('=') && value.len() > 1).then(|| &text[..text.len() - value.len()])
}

/// True for the name of a parameter that may be a secret.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRETS.iter().any(|secret| key.contains(secret))
}

/// True for a host with its domain, `localhost`, or four numbers.
fn is_host(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    let is_label =
        |label: &&str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_domain = |label: &str| label.len() > 1 && label.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_number = |label: &&str| label.len() <= 3 && label.bytes().all(|byte| byte.is_ascii_digit());
    text.eq_ignore_ascii_case("localhost")
        || labels.iter().all(is_label)
            && match &labels[..] {
                [_, .., last] if is_domain(last) => true,
                [_, _, _, _] => labels.iter().all(is_number),
                _ => false,
            }
}

/// True for a path on a drive of Windows, without another colon.
fn is_below_drive(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.next() == Some(':')
        && letters.next().is_some_and(|c| c == '\\' || c == '/')
        && !letters.as_str().contains(':')
}

/// The query and the fragment of an address, which begins before `from`; a parameter after `&` or `;` begins one too.
fn query(word: &str, from: usize) -> Vec<Range<usize>> {
    let mut marks = word[from..].match_indices(['?', '#', '&', ';']);
    let is_query = |(at, mark): &(usize, &str)| {
        matches!(*mark, "?" | "#") || parameter(&word[from + at + 1..]).is_some()
    };
    marks.find(is_query).map(|(at, _)| to_end(word, from + at + 1)).into_iter().collect()
}

/// The rest of a word, without the characters at its end that may belong to the sentence.
fn to_end(word: &str, from: usize) -> Range<usize> {
    from..from + word[from..].trim_end_matches(AFTER).len()
}

/// The tokens of the hub in a word.
fn hub_tokens(word: &str) -> Vec<Range<usize>> {
    let (mark, least) = HUB_TOKEN;
    let length = |at: usize| {
        let token = &word[at + mark.len()..];
        token.len() - token.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).len()
    };
    let tokens = word.match_indices(mark).map(|(at, _)| at..at + mark.len() + length(at));
    tokens.filter(|token| token.len() >= mark.len() + least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};

    /// Texts, and what is shown of them.
    const CASES: [(&str, &str); 42] = [
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
        ("KEY%3ASEC@s3://bucket", "***@s3://bucket"),
        ("user%3AS%40host", "***%40host"),
        ("user%253AS%2540host", "***%2540host"),
        ("x.blob/c%3Ftoken%3DS", "x.blob/c%3F***"),
        ("x.org/a&token=S", "x.org/a&***"),
        ("a;sig=S.", "a;***."),
        ("https://x/y&foo=S", "https://x/y&***"),
        ("https://x/y;token=S&b=c", "https://x/y;***"),
        ("https://user:\"S@h", "https://***@h"),
        ("\"https://user:\\\"S@h\"", "\"https://***@h\""),
        ("https://user:/S@h", "https://***@h"),
        ("https://user:123/S@h", "https://***@h"),
        ("https://user:S EC@h/x", "https://*** ***@h/x"),
        ("hf_S@hub.co/x", "***@hub.co/x"),
        ("S@localhost:8080", "***@localhost:8080"),
        ("--model=S@10.0.0.1/x", "--model=***@10.0.0.1/x"),
        ("a hf_abcdefghijklmnopqrstuvwxyzABCDEFGH b", "a *** b"),
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
    ];

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        for (text, expected) in CASES {
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
            "gpt2@v1.0",
            "lat=1.5;lon=2",
            "R&D=a; b&c",
            "100%25 of 40%",
            "`org/name@refs/pr/1`",
            "--entities 'country=a;b=c'",
        ] {
            assert_eq!(without_secrets(plain), plain);
            let place = plain.split(['@', ';', '&']).next().unwrap_or_default();
            assert_eq!(address_without_secrets(place).contains(HIDDEN), plain.contains("? "), "{plain}");
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

    /// The sign as it is, or percent-encoded once or twice, in capitals or not.
    fn encoded(sign: char, n: usize) -> String {
        let code = u32::from(sign);
        match n {
            0 => sign.to_string(),
            1 => format!("%{code:02X}"),
            2 => format!("%{code:02x}"),
            _ => format!("%25{code:02X}"),
        }
    }

    #[test]
    fn a_secret_at_any_place_of_any_address_is_hidden() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(21);
        let letters: Vec<char> = "Zq9_-+=%~!$'\"\\`<>|{}[]()*^,.".chars().collect();
        let hosts = ["hub.example", "localhost:8080", "10.0.0.1", "bucket.s3.amazonaws.com", "x.org:443"];
        let keys = ["token", "sig", "X-Amz-Signature", "access_token", "api_key", "Password", "auth"];
        let around =
            [("", ""), ("\"", "\""), ("(", ")."), ("`", "`"), ("found ", ": refused"), ("--to=", "")];
        for _ in 0..5_000 {
            let n = random.random_range(0..8);
            let noise: String = (0..n).map(|_| *letters.choose(&mut random).unwrap()).collect();
            let secret = format!("S{noise}SECRET");
            let (host, key) = (hosts.choose(&mut random).unwrap(), keys.choose(&mut random).unwrap());
            let scheme = ["https://", "s3://", "http://", "az://"].choose(&mut random).unwrap();
            let mut sign = |sign| encoded(sign, random.random_range(0..4));
            let (colon, at, equals) = (sign(':'), sign('@'), sign('='));
            let marks = ['?', '&', ';', '#'].map(&mut sign);
            let mark = marks.choose(&mut random).unwrap();
            let addresses = [
                format!("{scheme}me{colon}{secret}{at}{host}/x"),
                format!("{scheme}{secret}{at}{host}/x"),
                format!("me{colon}{secret}{at}{host}/x"),
                format!("T{secret}{at}hub.example/x"),
                format!("{scheme}{host}/x{mark}{key}{equals}{secret}"),
                format!("{scheme}{host}/x?a=b{mark}{key}{equals}{secret}"),
                format!("{host}/x{mark}{key}{equals}{secret}"),
            ];
            let address = addresses.choose(&mut random).unwrap();
            let (before, after) = around.choose(&mut random).unwrap();
            let text = format!("{before}{address}{after}");
            let shown = without_secrets(&text);
            assert!(!shown.contains("SECRET"), "{text} as {shown}");
            assert_eq!(without_secrets(&shown), shown, "{text}");
            let shown = crate::shown::shown(&text);
            assert!(!shown.contains("SECRET"), "{text} as {shown}");
        }
    }
}
