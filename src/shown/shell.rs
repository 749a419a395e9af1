//! Words of commands, quoted so that a shell reads them back unchanged.

use super::text::is_unprintable;
use std::path::Path;

/// A word of a command, quoted if a shell would read it otherwise.
///
/// A word with control characters or direction marks is written as `$'…'` (POSIX 2024; bash, zsh and ksh, but not dash),
/// so that the command stays in one line and shows all of its characters.
///
/// # Examples
/// ```
/// use mappa::shown::shell_word;
/// assert_eq!(shell_word("world_place"), "world_place");
/// assert_eq!(shell_word("it's"), r"'it'\''s'");
/// assert_eq!(shell_word("a\tb"), r"$'a\011b'");
/// ```
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@%+,=".contains(c);
    if word.contains(is_unprintable) {
        return with_escapes(word.as_bytes());
    }
    // zsh replaces a word that begins with `=` by the path of a program.
    match !word.is_empty() && !word.starts_with('=') && word.chars().all(is_plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// A path as a word of a command; it is never taken for a flag.
///
/// # Examples
/// ```
/// use mappa::shown::shell_path;
/// assert_eq!(shell_path("-x.csv".as_ref()), "./-x.csv");
/// ```
pub fn shell_path(path: &Path) -> String {
    let path =
        if path.as_os_str().as_encoded_bytes().starts_with(b"-") { &Path::new(".").join(path) } else { path };
    path.to_str().map_or_else(|| with_escapes(path.as_os_str().as_encoded_bytes()), shell_word)
}

/// A flag and its value after a space; a value that begins with `-` follows `=`, so that it is not taken for a flag.
///
/// # Examples
/// ```
/// use mappa::shown::shell_flag;
/// assert_eq!(shell_flag("lab", "my lab"), " --lab 'my lab'");
/// assert_eq!(shell_flag("lab", "-x"), " --lab=-x");
/// ```
pub fn shell_flag(name: &str, value: &str) -> String {
    let mark = if value.starts_with('-') { '=' } else { ' ' };
    format!(" --{name}{mark}{}", shell_word(value))
}

/// Bytes as `$'…'`: unprintable characters and bytes that are no text are octal numbers.
fn with_escapes(bytes: &[u8]) -> String {
    let mut word = String::from("$'");
    let octal = |bytes: &[u8]| bytes.iter().map(|byte| format!(r"\{byte:03o}")).collect::<String>();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => word.extend(['\\', c]),
                c if is_unprintable(c) => word += &octal(c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => word.push(c),
            }
        }
        word += &octal(chunk.invalid());
    }
    word + "'"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::process::Command;

    /// The words that a shell passes to a program; `None` if the shell is missing.
    fn words_of(shell: &str, line: &str) -> Option<Vec<Vec<u8>>> {
        let script = format!(r#"show() {{ for word; do printf '%s\0' "$word"; done; }}; show {line}"#);
        let out = Command::new(shell).arg("-c").arg(script).output().ok()?;
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        let mut words: Vec<Vec<u8>> = out.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        assert_eq!(words.pop(), Some(vec![]), "each word ends with a zero");
        Some(words)
    }

    fn is_read_back(line: &str, words: &[&[u8]]) {
        assert!(!line.contains(is_unprintable), "{line:?}");
        assert_eq!(crate::shown::shown_up_to(10_000, line), line);
        // dash, which is /bin/sh in Debian, does not know $'…'.
        let shells = if line.contains("$'") { &["bash", "zsh"][..] } else { &["sh", "bash", "zsh"][..] };
        for shell in shells {
            if let Some(read) = words_of(shell, line) {
                assert_eq!(read, words, "{shell} reads {line}");
            }
        }
    }

    #[test]
    fn each_word_is_read_back() {
        for word in [
            "plain",
            "two words",
            "it's",
            "$HOME",
            "",
            "a*b",
            "Chișinău",
            "~",
            "-x",
            "--lab",
            "lat=1,lon=2",
            "=ls",
            "a\nb",
            "\n",
            "a\tb",
            "\u{202e}a",
            "\u{1b}[31m",
            "\\",
            "\\'",
            "'\n'",
            "`id`",
            "$(id)",
            "!!",
            "a;b&c|d",
            "{a,b}",
            "[a]",
            "#a",
            "a\u{feff}1",
        ] {
            is_read_back(&shell_word(word), &[word.as_bytes()]);
            let flag = shell_flag("name", word);
            let (joined, both) = (format!("--name={word}"), [b"--name", word.as_bytes()]);
            match word.starts_with('-') {
                true => is_read_back(&flag, &[joined.as_bytes()]),
                false => is_read_back(&flag, &both),
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn paths_of_any_bytes_are_read_back() {
        use std::os::unix::ffi::OsStrExt;
        for (bytes, expected) in [
            (&b"a\xffb"[..], &b"a\xffb"[..]),
            (b"-x", b"./-x"),
            (b"-\xff'\\", b"./-\xff'\\"),
            (b"a b", b"a b"),
        ] {
            is_read_back(&shell_path(Path::new(OsStr::from_bytes(bytes))), &[expected]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_words_are_read_back(words in proptest::collection::vec("[^\u{0}]{0,12}", 1..6)) {
            // Texts that look like addresses with a password are not shown, in a command neither.
            let line = words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
            prop_assume!(crate::shown::without_secrets(&line) == line);
            is_read_back(&line, &words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
        }
    }
}
