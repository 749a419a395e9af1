//! Names of datasets, models, prompts and sweeps, which become names of folders.

use crate::error::{Error, Result};
use std::path::Path;

/// The longest name in bytes. File systems allow 255; the difference leaves room for extensions.
const LONGEST: usize = 200;

/// Checks a name that becomes a folder name: it must not lead outside its parent, and must be printable.
///
/// `what` names its source in errors, such as `--name`.
///
/// # Errors
/// [`Error::Invalid`] for a name that is empty or only dots and spaces, has `/`, `\`, a control character or a Unicode
/// direction mark, or has more than 200 bytes.
///
/// # Examples
/// ```
/// assert_eq!(mappa::artefact::folder_name("dataset", "world_place").unwrap(), "world_place");
/// assert!(mappa::artefact::folder_name("dataset", "..").is_err());
/// ```
pub fn folder_name(what: &str, name: &str) -> Result<String> {
    // Unicode direction marks would display the name differently from its characters.
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_bad = |c: char| c.is_control() || turns(c) || "/\\\u{feff}".contains(c);
    let is_edge = |c: char| c == '.' || c.is_whitespace();
    if !name.chars().all(is_edge) && name.len() <= LONGEST && !name.contains(is_bad) {
        return Ok(name.to_string());
    }
    let expected = "a name for a folder: not empty, not only dots, without / and \\ and control characters, \
                    of at most 200 bytes";
    Err(Error::invalid(what, format!("{name:?}"), expected))
}

/// The stem of a file's name, checked by [`folder_name`]; a hidden file is refused, since `.csv` is an ending without
/// a name.
///
/// # Errors
/// As [`folder_name`], naming the file.
pub fn folder_name_of(what: &str, path: &Path) -> Result<String> {
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let stem = if stem.starts_with('.') { ".".into() } else { stem };
    folder_name(&format!("{what} of the file {:?}", path.display().to_string()), &stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_outside_its_folder_is_refused() {
        for name in
            ["", ".", "..", "...", ". .", "a/b", "a\\b", "../a", "/", "a\nb", "a\u{1b}[2J", "a\0", " "]
        {
            let error = folder_name("dataset", name).unwrap_err().to_string();
            assert!(error.contains("dataset: found") && !error.contains(char::is_control), "{error:?}");
        }
        assert!(folder_name("dataset", "a\u{202e}vsc").is_err());
        assert!(folder_name("dataset", &"a".repeat(201)).is_err());
        for name in ["a", "世界", "v1.2-b_c", "a..b", "two words", "-a", "llama3:8b", ".cache"] {
            assert_eq!(folder_name("dataset", name).unwrap(), name);
        }
    }

    #[test]
    fn the_name_of_a_file_is_its_stem() {
        let of = |path: &str| folder_name_of("dataset", Path::new(path));
        assert_eq!(of("some/places.csv").unwrap(), "places");
        for path in ["...csv", ".csv", ".places.csv", "a/..", "", "some/..csv"] {
            assert!(of(path).unwrap_err().to_string().contains("dataset of the file"), "{path}");
        }
    }
}
