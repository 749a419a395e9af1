//! The tokens of a template's tag.

/// A word, quoted text, number or sign within a tag, with the white space before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub gap: &'a str,
    pub text: &'a str,
}

impl Token<'_> {
    /// True for a name or a keyword.
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }

    /// True for a text in quotes.
    pub(super) fn is_text(&self) -> bool {
        self.text.starts_with(['"', '\''])
    }

    /// True for a number.
    pub(super) fn is_number(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit())
    }
}

/// The tokens within a tag.
pub(super) fn tokens(inner: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut rest) = (Vec::new(), inner);
    while !rest.is_empty() {
        let text = rest.trim_start();
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let first = text.chars().next();
        let length = match first {
            None => 0,
            Some('"' | '\'') => quoted(text),
            Some(c) if c.is_ascii_digit() => number(text),
            Some(c) if is_word(c) => text.find(|c| !is_word(c)).unwrap_or(text.len()),
            Some(_) if ["**", "//", "==", "!=", "<=", ">="].iter().any(|two| text.starts_with(two)) => 2,
            Some(c) => c.len_utf8(),
        };
        let gap = &rest[..rest.len() - text.len()];
        tokens.push(Token { gap, text: &text[..length] });
        rest = &text[length..];
    }
    tokens
}

/// The length of a number such as 12, 1.5, 1e-3 or 0xff.
fn number(text: &str) -> usize {
    let mut letters = text.char_indices().peekable();
    let mut last = ' ';
    while let Some((at, letter)) = letters.next() {
        let is_point = letter == '.' && letters.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        let is_sign = "+-".contains(letter) && "eE".contains(last) && !text.starts_with("0x");
        if !(letter.is_ascii_alphanumeric() || letter == '_' || is_point || is_sign) {
            return at;
        }
        last = letter;
    }
    text.len()
}

/// The length of a quoted text.
pub(super) fn quoted(rest: &str) -> usize {
    let mut letters = rest.char_indices();
    let quote = letters.next().map(|(_, letter)| letter);
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if Some(letter) == quote {
            return at + 1;
        }
    }
    rest.len()
}
