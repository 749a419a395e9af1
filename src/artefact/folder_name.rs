//! Names of datasets, models, prompts, sweeps and columns, which become names of folders and files.

use super::files::hash;
use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer};
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// The longest name in bytes. File systems allow 255; the difference leaves room for extensions.
const LONGEST: usize = 200;
/// The longest name of a file in bytes, in the usual file systems.
const OF_FILE_SYSTEMS: usize = 255;
/// The greatest number of bytes that a name that was too long keeps from its beginning.
const KEPT: usize = 150;
/// The greatest length of an extension in bytes.
const EXTENSION: usize = 16;

/// The name of one folder or file; it is printable, and cannot lead outside its parent folder or into a subfolder.
///
/// All paths of a lab are made from such names ([`Lab`](crate::Lab)), so that no unchecked text becomes a path.
///
/// # Examples
/// ```
/// use mappa::artefact::FolderName;
/// assert_eq!(&*FolderName::new("dataset", "world_place").unwrap(), "world_place");
/// assert!(FolderName::new("dataset", "..").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderName(String);

impl FolderName {
    /// Checks a name; `what` names its source in errors, such as `--name`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that has more than 200 bytes, is empty or consists only of dots and white space,
    /// or contains `/`, `\`, a control character or a Unicode direction mark.
    pub fn new(what: &str, name: &str) -> Result<FolderName> {
        if !name.chars().all(is_edge) && name.len() <= LONGEST && !name.contains(is_bad) {
            return Ok(FolderName(name.to_string()));
        }
        let expected = "a name for a folder: not empty, not only dots, without / and \\ and control characters, \
                        of at most 200 bytes";
        Err(Error::invalid(what, format!("{name:?}"), expected))
    }

    /// The stem of a file's name; a hidden file is refused, since `.csv` is an extension without a name.
    ///
    /// # Errors
    /// As [`FolderName::new`], naming the file.
    pub fn of_file(what: &str, path: &Path) -> Result<FolderName> {
        let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let stem = if stem.starts_with('.') { ".".into() } else { stem };
        FolderName::new(&format!("{what} of the file {:?}", path.display().to_string()), &stem)
    }

    /// A name from any text, such as a column's heading: the text itself if it is a valid name. Otherwise its first 40
    /// characters, with `_` for each unusual one, and a part of its hash, so that different texts have different names.
    /// A text that ends like such a name also gets a hash, because it may be the name of another text.
    ///
    /// # Examples
    /// ```
    /// use mappa::artefact::FolderName;
    /// assert_eq!(&*FolderName::of_text("country"), "country");
    /// assert_eq!(&*FolderName::of_text("../km"), ".._km-335f3de9");
    /// ```
    pub fn of_text(text: &str) -> FolderName {
        FolderName::new("", text).ok().filter(|name| !has_hash(name)).unwrap_or_else(|| {
            let plain = |c: char| if c.is_alphanumeric() || "-+_. ".contains(c) { c } else { '_' };
            let begin: String = text.chars().take(40).map(plain).collect();
            FolderName(begin + &ending(text))
        })
    }

    /// The name with words before it, as in `by_country`; characters that are not allowed in a name become `_`.
    pub fn after(&self, words: &str) -> FolderName {
        FolderName::joined(&plain(words), &self.0)
    }

    /// The name followed by words, as in `empty.mean_text`; characters that are not allowed in a name become `_`.
    pub fn with(&self, words: &str) -> FolderName {
        FolderName::joined(&self.0, &plain(words))
    }

    /// Two parts of a name together. A name that is too long for a file system loses its middle: it keeps its beginning,
    /// a part of its hash, and its extension.
    fn joined(begin: &str, end: &str) -> FolderName {
        let whole = format!("{begin}{end}");
        if whole.len() <= OF_FILE_SYSTEMS {
            return FolderName(whole);
        }
        let is_extension = end.starts_with('.') && end.len() <= EXTENSION;
        let (kept, extension) = if is_extension { (begin, end) } else { (whole.as_str(), "") };
        let kept = &kept[..kept.floor_char_boundary(KEPT)];
        FolderName(format!("{kept}{}{extension}", ending(&whole)))
    }

    /// The name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The path of a file below a folder, from a text in which `/` separates [`FolderName`]s, such as the name of a shard.
///
/// # Errors
/// As [`FolderName::new`], for each part: an absolute path, `..` and an empty part are refused.
pub fn path_below(what: &str, text: &str) -> Result<PathBuf> {
    text.split('/').map(|part| FolderName::new(what, part)).collect()
}

/// A part of a text's hash, for the end of a name.
fn ending(text: &str) -> String {
    format!("-{}", &hash(text.as_bytes())[..8])
}

/// True for a name that ends as [`ending`] writes it.
fn has_hash(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.rsplit_once('-').is_some_and(|(_, end)| end.len() == 8 && end.bytes().all(is_digit))
}

/// The text, with `_` for each character that is not allowed in a name.
fn plain(words: &str) -> String {
    words.chars().map(|c| if is_bad(c) { '_' } else { c }).collect()
}

/// True for a character that is not allowed in a name.
fn is_bad(c: char) -> bool {
    // Unicode direction marks would change the order in which the characters are displayed.
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || "/\\\u{feff}".contains(c)
}

/// True for a dot or white space: a name needs at least one other character.
fn is_edge(c: char) -> bool {
    c == '.' || c.is_whitespace()
}

impl Deref for FolderName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for FolderName {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl Borrow<str> for FolderName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<FolderName> for String {
    fn from(name: FolderName) -> String {
        name.0
    }
}

impl PartialEq<str> for FolderName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for FolderName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<String> for FolderName {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

impl PartialEq<FolderName> for String {
    fn eq(&self, other: &FolderName) -> bool {
        *self == other.0
    }
}

impl<'de> Deserialize<'de> for FolderName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<FolderName, D::Error> {
        let name = String::deserialize(from)?;
        FolderName::new("name", &name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_outside_its_folder_is_refused() {
        for name in
            ["", ".", "..", "...", ". .", "a/b", "a\\b", "../a", "/", "a\nb", "a\u{1b}[2J", "a\0", " "]
        {
            let error = FolderName::new("dataset", name).unwrap_err().to_string();
            assert!(error.contains("dataset: found") && !error.contains(char::is_control), "{error:?}");
        }
        assert!(FolderName::new("dataset", "a\u{202e}vsc").is_err());
        assert!(FolderName::new("dataset", &"a".repeat(201)).is_err());
        for name in ["a", "世界", "v1.2-b_c", "a..b", "two words", "-a", "llama3:8b", ".cache"] {
            assert_eq!(FolderName::new("dataset", name).unwrap(), name);
        }
    }

    #[test]
    fn the_name_of_a_file_is_its_stem() {
        let of = |path: &str| FolderName::of_file("dataset", Path::new(path));
        assert_eq!(of("some/places.csv").unwrap(), "places");
        for path in ["...csv", ".csv", ".places.csv", "a/..", "", "some/..csv"] {
            assert!(of(path).unwrap_err().to_string().contains("dataset of the file"), "{path}");
        }
    }

    #[test]
    fn a_path_below_a_folder_never_leaves_it() {
        assert_eq!(path_below("shard", "a/b.bin").unwrap(), Path::new("a/b.bin"));
        for text in ["", "/", "/a", "a/", "a//b", "..", "../a", "a/../../b", "./a", "a\\..\\b", "a/\u{1b}"] {
            assert!(path_below("shard", text).unwrap_err().to_string().contains("shard: found"), "{text:?}");
        }
    }

    #[test]
    fn no_text_has_the_name_of_another_text() {
        for text in ["../km", "a/b", "..", "a\nb"] {
            let name = FolderName::of_text(text);
            assert_ne!(FolderName::of_text(&name), name, "{text:?}");
        }
        assert_eq!(FolderName::of_text("x-12345"), "x-12345");
    }

    #[test]
    fn a_long_name_is_shortened_to_one_that_file_systems_allow() {
        let folder = tempfile::tempdir().unwrap();
        for base in ["empty".to_string(), "é".repeat(100)] {
            let base = FolderName::of_text(&base);
            assert_eq!(base.with(".alone"), format!("{}.alone", &*base));
            let [a, b] =
                ["1,2,3", "1,2,4"].map(|end| base.with(&format!(".alphas_{}{end}", "0".repeat(400))));
            assert!(a != b && a.starts_with(&*base.chars().take(5).collect::<String>()), "{a} {b}");
            for name in [a.with(".csv"), b.after("by_").with(".csv"), base.after(&"b".repeat(300))] {
                assert!(
                    name.len() <= 255 && FolderName::new("", name.trim_end_matches(".csv")).is_ok(),
                    "{name}"
                );
                std::fs::write(folder.path().join(name), "").unwrap();
            }
        }
    }

    #[test]
    fn every_text_has_a_name_and_different_texts_have_different_ones() {
        let long = "a".repeat(1_000_000);
        let texts = ["", ".", "..", "../x", "..\\x", "a/b", "a_b", "a\nb", "\u{202e}a", "world place", &long];
        let names: std::collections::BTreeSet<FolderName> =
            texts.iter().map(|text| FolderName::of_text(text)).collect();
        assert_eq!(names.len(), texts.len(), "{names:?}");
        for name in &names {
            assert!(FolderName::new("name", name).is_ok(), "{name:?}");
            assert!(FolderName::new("name", &name.after("by_").with(".a/b\n")).is_ok(), "{name:?}");
        }
        assert!(names.contains("world place") && names.contains("a_b"));
    }
}
