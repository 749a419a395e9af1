//! Foreign texts made safe for a terminal, a log and a figure.

use super::address::without_secrets;
use std::borrow::Cow;
use std::path::Path;

/// The greatest number of characters of a foreign text in a message.
pub const LONGEST: usize = 300;

/// A foreign text as a message shows it: in one line, of at most [`LONGEST`] characters, without secrets in addresses.
///
/// Line ends, escape sequences and direction marks are written as escapes such as `\n` and `\u{1b}`. A long text loses
/// its middle, since its beginning and its end usually say more about its origin. A second call changes nothing.
///
/// # Examples
/// ```
/// assert_eq!(mappa::shown::shown("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
/// assert!(mappa::shown::shown(&"a".repeat(1_000_000)).chars().count() <= 300);
/// ```
pub fn shown(text: &str) -> Cow<'_, str> {
    shown_up_to(LONGEST, text)
}

/// A foreign text as [`shown`] gives it, of at most `longest` characters.
pub fn shown_up_to(longest: usize, text: &str) -> Cow<'_, str> {
    // Secrets are hidden before the text is cut, because they cannot be found in a part of an address.
    let text = without_secrets(text);
    if text.len() <= longest && !text.contains(is_unprintable) {
        return text;
    }
    let escape = |text: &str| cut(&escaped(&cut(text, longest), |_| false), longest).into_owned();
    let mut line = escape(&text);
    // After the cut, a part may look like an address with a secret, although the whole text did not.
    for _ in 0..3 {
        let again = escape(&without_secrets(&line));
        if again == line {
            break;
        }
        line = again;
    }
    Cow::Owned(line)
}

/// A path as [`shown`] gives a text.
pub fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

/// A text of several lines for a terminal: its line ends and tabs stay, other control characters and direction marks
/// are escaped. Nothing is cut.
pub fn plain_lines(text: &str) -> Cow<'_, str> {
    let stays = |c: char| c == '\n' || c == '\t';
    match text.contains(|c| is_unprintable(c) && !stays(c)) {
        true => Cow::Owned(escaped(text, stays)),
        false => Cow::Borrowed(text),
    }
}

/// A text for a figure: control characters and others that XML does not allow are escaped, and a long text loses its
/// middle, as in [`shown`]. Direction marks stay, since a figure of Arabic or Hebrew names needs them.
pub fn drawn(text: &str) -> Cow<'_, str> {
    let is_drawn = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    if text.len() <= LONGEST && text.chars().all(is_drawn) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::new();
    for c in cut(text, LONGEST).chars() {
        match is_drawn(c) {
            true => escaped.push(c),
            false => escaped.extend(c.escape_default()),
        }
    }
    Cow::Owned(cut(&escaped, LONGEST).into_owned())
}

/// True for a character that moves the cursor, ends a line, or changes how its neighbours are displayed.
pub fn is_unprintable(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    );
    c.is_control() || turns
}

/// A text with its unprintable characters as escapes, except those for which `stays` is true.
fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match is_unprintable(c) && !stays(c) {
            true => escaped.extend(c.escape_default()),
            false => escaped.push(c),
        }
    }
    escaped
}

/// A text without its middle, if it has more than `longest` characters.
fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest {
        return Cow::Borrowed(text);
    }
    let n = text.chars().count();
    if n <= longest {
        return Cow::Borrowed(text);
    }
    let mark = format!(" … ({n} characters) … ");
    let kept = longest.saturating_sub(mark.chars().count());
    let at = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(byte, _)| byte);
    // Two fifths of the kept characters come from the end, which may be a file's name or the place of an error.
    let n_end = kept * 2 / 5;
    Cow::Owned(format!("{}{mark}{}", &text[..at(kept - n_end)], &text[at(n - n_end)..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};

    #[test]
    fn any_text_becomes_one_short_line_and_stays_it() {
        let letters: Vec<char> =
            "aé世 \\'\"`\n\r\t\0\u{1b}\u{7f}\u{85}\u{9b}\u{202e}\u{2066}\u{2028}\u{feff}:/@?=#,%"
                .chars()
                .collect();
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for _ in 0..2000 {
            let n = random.random_range(0..900);
            let text: String = (0..n).map(|_| *letters.choose(&mut random).unwrap()).collect();
            let line = shown(&text);
            assert!(line.chars().count() <= LONGEST && !line.contains(is_unprintable), "{line:?}");
            assert_eq!(shown(&line), line);
            let lines = plain_lines(&text);
            assert!(lines.chars().all(|c| c == '\n' || c == '\t' || !is_unprintable(c)), "{lines:?}");
        }
    }

    #[test]
    fn a_short_printable_text_is_not_changed() {
        for text in ["", "a b", "C:\\x", "世界", "R² −3°", "it's \"so\"", "https://x.org/a?"] {
            assert_eq!(shown(text), text);
            assert_eq!(plain_lines(text), text);
        }
        assert_eq!(plain_lines("a\n\tb\r\u{1b}[31m"), "a\n\tb\\r\\u{1b}[31m");
    }

    #[test]
    fn a_long_text_keeps_its_begin_and_its_end() {
        let text = format!("/lab/datasets/{}/places.csv: row 7", "x".repeat(1_000_000));
        let line = shown(&text);
        assert!(line.starts_with("/lab/datasets/x") && line.ends_with("/places.csv: row 7"), "{line}");
        assert!(line.contains("(1000032 characters)"), "{line}");
    }
}
