//! A minimal reader of Rust source for the checks in `tidy`: blanks comments and strings, and separates test code.

use super::root;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

/// One `.rs` file.
pub(crate) struct Source {
    /// The path from the repository's root, with `/`.
    pub path: String,
    /// The file's text.
    pub text: String,
    /// The text with comments and literals blanked, of the same length.
    pub code: String,
    /// The code without items under `#[cfg(test)]`; empty for a file that is only for tests.
    pub shipped: String,
}

impl Source {
    /// A source with this path and text, without a file on disk.
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code = blank(text);
        Source { path: path.into(), text: text.into(), shipped: without_tests(&code), code }
    }

    /// All files under `src/` and `tests/`, sorted by path.
    pub(crate) fn all() -> Vec<Source> {
        let mut paths = Vec::new();
        ["src", "tests"].iter().for_each(|folder| walk(&root(folder), &mut paths));
        paths.retain(|path| path.ends_with(".rs"));
        paths.sort();
        let read = |path: &String| Source::new(path, &std::fs::read_to_string(root(path)).unwrap());
        let mut all: Vec<Source> = paths.iter().map(read).collect();
        let tests: BTreeSet<String> = all.iter().flat_map(Source::test_files).collect();
        for source in all.iter_mut().filter(|s| tests.contains(&s.path) || s.path.starts_with("tests/")) {
            source.shipped.clear();
        }
        all
    }

    /// The top-level module the file belongs to; the binary's files are `cli`, the library's root is `lib`.
    pub(crate) fn module(&self) -> Option<&str> {
        let name = self.path.strip_prefix("src/")?.split('/').next()?;
        Some(if name == "main.rs" { "cli" } else { name.trim_end_matches(".rs") })
    }

    /// The depth of the file's module: 0 for a crate's root.
    fn depth(&self) -> usize {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        if ["lib", "main"].contains(&path) { 0 } else { path.split('/').count() }
    }

    /// The top-level modules that the shipped code names; re-exports at the library's root count as `error`.
    pub(crate) fn modules_used(&self) -> BTreeSet<String> {
        let library = if self.module() == Some("cli") { "mappa::" } else { "crate::" };
        let up = "super::".repeat(self.depth().max(1));
        let mut used = BTreeSet::new();
        for prefix in [library, up.as_str()] {
            // Only a path that leaves the file's top-level module counts as an arrow.
            let leaves = |at: usize| {
                prefix == library || (self.depth() > 0 && !self.shipped[..at].ends_with("super::"))
            };
            for at in words(&self.shipped, prefix).filter(|at| leaves(*at)) {
                used.extend(heads(&self.shipped[at + prefix.len()..]));
            }
        }
        used.remove("super");
        used.into_iter()
            .map(|name| if name.starts_with(char::is_uppercase) { "error".into() } else { name })
            .collect()
    }

    /// The given crates that the shipped code names.
    pub(crate) fn crates_used<'a>(&self, crates: &'a [String]) -> BTreeSet<&'a str> {
        let named = |name: &str| {
            words(&self.shipped, &format!("{name}::"))
                .chain(words(&self.shipped, &format!("use {name};")))
                .any(|at| !self.shipped[..at].ends_with("::"))
        };
        crates.iter().map(String::as_str).filter(|name| named(name)).collect()
    }

    /// Lines of code before the first `#[cfg(test)]`: neither blank nor comments.
    pub(crate) fn code_lines(&self) -> usize {
        let end = self.code.find("#[cfg(test)]").unwrap_or(self.code.len());
        self.code[..end].lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// The first lines of docstrings that begin with a relative or interrogative word, with their line numbers.
    pub(crate) fn relative_docs(&self) -> Vec<(usize, &str)> {
        const WORDS: [&str; 8] = ["what", "which", "whether", "where", "how", "who", "whose", "whom"];
        let begins = |line: &str| {
            let text = line.trim_start().strip_prefix("///").or(line.trim_start().strip_prefix("//!"))?;
            let text = text.trim_start().trim_start_matches("- ");
            // An entry of a module list, such as "- `split`: how …".
            let text =
                text.strip_prefix('`').and_then(|text| text.split_once("`: ")).map_or(text, |(_, text)| text);
            let first = text.split(|c: char| !c.is_alphabetic()).next()?.to_lowercase();
            Some(WORDS.contains(&first.as_str()))
        };
        let kind = |line: &str| {
            let line = line.trim_start().to_string();
            ["///", "//!"].into_iter().find(|kind| line.starts_with(kind))
        };
        let lines: Vec<&str> = self.text.lines().collect();
        let is_first = |at: usize| {
            let before = at.checked_sub(1).map_or("", |at| lines[at]);
            kind(before) != kind(lines[at]) || before.trim().len() == 3 || lines[at].contains("- `")
        };
        (0..lines.len())
            .filter(|at| is_first(*at) && begins(lines[*at]) == Some(true))
            .map(|at| (at + 1, lines[at].trim()))
            .collect()
    }

    /// The functions with a parameter that is a tuple pattern.
    pub(crate) fn tuple_parameters(&self) -> Vec<String> {
        let parameters = |at: usize| {
            let name = ident(&self.code[at + 3..])?;
            let open = at + self.code[at..].find('(')?;
            let (mut depth, mut begins) = (0_i32, true);
            for c in self.code[open..].chars() {
                match c {
                    '(' if depth == 1 && begins => return Some(name.to_string()),
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth -= 1,
                    _ => {}
                }
                begins = (c.is_whitespace() && begins) || (depth == 1 && (c == ',' || c == '('));
                if depth == 0 {
                    break;
                }
            }
            None
        };
        words(&self.code, "fn ").filter_map(parameters).collect()
    }

    /// The names of the public types that the shipped code defines.
    pub(crate) fn public_types(&self) -> Vec<&str> {
        let of_kind = |kind: &'static str| {
            let begin = |at: usize| ident(&self.shipped[at + kind.len()..]);
            words(&self.shipped, kind).filter_map(begin).collect::<Vec<_>>()
        };
        ["pub struct ", "pub enum ", "pub trait ", "pub type "].into_iter().flat_map(of_kind).collect()
    }

    /// Every function that has a body: its name, and its lines from `fn` to the closing brace.
    pub(crate) fn functions(&self) -> Vec<(String, usize)> {
        let body = |at: usize| {
            let name = ident(&self.code[at + 3..])?;
            let item = item(&self.code, at);
            let text = &self.code[item];
            text.ends_with('}').then(|| (name.to_string(), text.lines().count()))
        };
        words(&self.code, "fn ").filter_map(body).collect()
    }

    /// The files that the file declares under `#[cfg(test)]`.
    fn test_files(&self) -> Vec<String> {
        let folder = Path::new(&self.path).parent().unwrap_or(Path::new("")).to_string_lossy().into_owned();
        let after = self.code.match_indices("#[cfg(test)]").map(|(at, _)| &self.text[at..]);
        after
            .filter_map(|text| {
                let mut lines = text.lines().skip(1).map(str::trim);
                let line = lines.next()?;
                let name = match line.strip_prefix("#[path = \"") {
                    Some(path) => path.trim_end_matches("\"]").to_string(),
                    None => format!("{}.rs", line.strip_prefix("mod ")?.strip_suffix(';')?),
                };
                Some(format!("{folder}/{name}"))
            })
            .collect()
    }
}

/// Every file below a folder, as paths from the repository's root.
pub(crate) fn walk(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, out);
        } else {
            out.push(path.strip_prefix(root("")).unwrap().to_string_lossy().replace('\\', "/"));
        }
    }
}

/// The positions of a text in code as a whole word.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let alone = move |at: usize| {
        let ends = word.ends_with(is_word) && code[at + word.len()..].starts_with(is_word);
        !code[..at].ends_with(is_word) && !ends
    };
    code.match_indices(word).map(|(at, _)| at).filter(move |at| alone(*at))
}

fn ident(code: &str) -> Option<&str> {
    let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
    Some(&code[..end]).filter(|name| !name.is_empty())
}

/// The first names of a path: `a::b` gives `a`; `{a::b, c}` gives `a` and `c`.
fn heads(code: &str) -> Vec<String> {
    let Some(group) = code.strip_prefix('{') else {
        return ident(code).map(String::from).into_iter().collect();
    };
    let (mut depth, mut starts) = (0, vec![0]);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts.into_iter().filter_map(|at| ident(group[at..].trim_start())).map(String::from).collect()
}

/// The range from `at` to the end of the item there: its `;`, or the closing brace of its first block.
fn item(code: &str, at: usize) -> Range<usize> {
    let (mut braces, mut inner) = (0, 0);
    for (i, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => inner += 1,
            ')' | ']' => inner -= 1,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => {}
        }
        if (c == '}' && braces == 0) || (c == ';' && braces == 0 && inner == 0) {
            return at..at + i + 1;
        }
    }
    at..code.len()
}

/// Blanks each item that `#[cfg(test)]` marks.
fn without_tests(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        bytes[item(code, at)].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
    }
    String::from_utf8(bytes).unwrap()
}

/// Blanks comments, strings and characters; keeps line breaks; letters outside ASCII become `_`.
pub(crate) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = bytes.iter().map(|b| if b.is_ascii() { *b } else { b'_' }).collect();
    let mut at = 0;
    while at < bytes.len() {
        let end = at + literal(&text[at..], at > 0 && is_ident(bytes[at - 1]));
        out[at..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        at = end.max(at + 1);
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

fn is_ident(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The length of the comment, string or character at the beginning of a text; 0 if there is none.
fn literal(text: &str, after_ident: bool) -> usize {
    let until = |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |i| from + i + end.len());
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until("*/", 2);
    }
    if text.starts_with('"') {
        return quoted(text, '"');
    }
    let raw = text.trim_start_matches('b');
    if !after_ident && raw.starts_with('r') && text.len() - raw.len() < 2 {
        let hashes = raw[1..].bytes().take_while(|b| *b == b'#').count();
        let open = text.len() - raw.len() + 1 + hashes;
        if text[open..].starts_with('"') {
            return until(&format!("\"{}", "#".repeat(hashes)), open + 1);
        }
    }
    // A quote begins a character if another quote closes it, otherwise a lifetime.
    let mut chars = text.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some('\\'), _) => quoted(text, '\''),
        (Some('\''), Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
