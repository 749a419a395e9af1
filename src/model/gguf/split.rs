//! Models in several GGUF files, `NAME-00001-of-00003.gguf` and so on, as written by llama-gguf-split.

use super::header::{Header, Value};
use super::metadata::Metadata;
use crate::error::{Error, Result};
use crate::limits::{ANY, MODEL_FILES};
use std::path::{Path, PathBuf};

/// The keys of a part: its number from 0, the number of parts, and the number of tensors in all parts.
const PLACE: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";
/// Minimum digits of a part's number in its file's name.
const DIGITS: usize = 5;
/// The advice in errors.
const AGAIN: &str = "download or copy the parts again";

/// The name of a part's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartName {
    /// The common beginning of all parts' names: the model's name.
    pub model: String,
    /// The part's number, from 1.
    pub number: usize,
    /// The number of parts.
    pub count: usize,
}

impl PartName {
    /// The name of a file, if it is a part's name.
    pub(crate) fn of(path: &Path) -> Option<PartName> {
        let stem = path.file_stem()?.to_str()?;
        let (rest, count) = numbered(stem, "-of-")?;
        let (model, number) = numbered(rest, "-")?;
        let is_part = !model.is_empty() && (1..=count).contains(&number);
        let is_part = is_part && MODEL_FILES.size(count as u64).is_some();
        is_part.then(|| PartName { model: model.to_string(), number, count })
    }

    /// The path of another part of the same model, by its number.
    pub(crate) fn sibling(&self, path: &Path, number: usize) -> PathBuf {
        let ending =
            path.extension().map_or_else(String::new, |ending| ending.to_string_lossy().into_owned());
        path.with_file_name(format!("{}-{number:05}-of-{:05}.{ending}", self.model, self.count))
    }
}

/// The text before a separator and a number of at least five digits, and the number.
fn numbered<'a>(text: &'a str, separator: &str) -> Option<(&'a str, usize)> {
    let (rest, digits) = text.rsplit_once(separator)?;
    let is_number = digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().map(|number| (rest, number))
}

/// The first part of the model that a file belongs to, if that part exists; otherwise the file itself.
pub(crate) fn first(path: &Path) -> PathBuf {
    let first = PartName::of(path).map(|name| name.sibling(path, 1));
    first.filter(|first| first.is_file()).unwrap_or_else(|| path.to_path_buf())
}

/// All files of the model that a file belongs to, in order; for a file that is not a part, the file alone.
///
/// # Errors
/// [`Error::BadFile`] if the file's name and metadata disagree, or with the name of a missing part.
pub(super) fn parts(path: &Path, header: &Header) -> Result<Vec<PathBuf>> {
    let metadata = Metadata::new(path, &header.metadata);
    let (count, place) = (metadata.count(ANY, COUNT)?, metadata.count(ANY, PLACE)?.unwrap_or(0));
    let is_part = count.is_some_and(|count| count > 1);
    let Some(name) = PartName::of(path) else {
        if !is_part {
            return Ok(vec![path.to_path_buf()]);
        }
        let found =
            format!("part {} of {} of a split model, in a file that was renamed", place + 1, shown(count));
        let expected = "a name such as model-00001-of-00002.gguf, as llama-gguf-split writes it: rename all \
                        parts, or merge them with llama-gguf-split --merge FIRST MERGED.gguf";
        return Err(Error::bad_file(path, found, expected));
    };
    if count.is_none() && name.count == 1 {
        return Ok(vec![path.to_path_buf()]);
    }
    let same = (count == Some(name.count) && place + 1 == name.number) || (name.count == 1 && !is_part);
    if !same {
        let found = match count {
            None => format!("no `{COUNT}` in a file that is named as part {} of {}", name.number, name.count),
            Some(count) => format!("part {} of {count} by its metadata (`{PLACE}`, `{COUNT}`)", place + 1),
        };
        let expected = format!("part {} of {}, as the file is named; {AGAIN}", name.number, name.count);
        return Err(Error::bad_file(path, found, expected));
    }
    let all = || (1..=name.count).map(|number| name.sibling(path, number));
    match all().find(|part| !part.is_file()) {
        None => Ok(all().collect()),
        Some(missing) => {
            let missing = missing.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let found = format!("part {} of {} without {missing}", name.number, name.count);
            Err(Error::bad_file(
                path,
                found,
                format!("every part in the same folder; download or copy {missing}"),
            ))
        }
    }
}

fn shown(count: Option<usize>) -> String {
    count.map_or_else(|| "an unknown number".into(), |count| count.to_string())
}

/// The parts' headers merged: the metadata of the first, the tensors of all.
///
/// # Errors
/// [`Error::BadFile`] with the name of a part that does not belong to the first, or of a tensor in two parts.
pub(super) fn merge(parts: &[PathBuf], headers: Vec<Header>) -> Result<Header> {
    let count = parts.len();
    let mut all = Header { metadata: Default::default(), tensors: Default::default() };
    for (place, (path, header)) in parts.iter().zip(headers).enumerate() {
        let metadata = Metadata::new(path, &header.metadata);
        let own = (metadata.count(ANY, PLACE)?.unwrap_or(0), metadata.count(ANY, COUNT)?);
        if count > 1 && own != (place, Some(count)) {
            let found =
                format!("part {} of {} by its metadata (`{PLACE}`, `{COUNT}`)", own.0 + 1, shown(own.1));
            return Err(Error::bad_file(path, found, format!("part {} of {count}; {AGAIN}", place + 1)));
        }
        match place {
            0 => all.metadata = header.metadata,
            _ => check_same_model(path, &header, &parts[0], &all)?,
        }
        for (name, mut entry) in header.tensors {
            entry.part = place;
            if let Some(before) = all.tensors.insert(name.clone(), entry) {
                let other = parts[before.part].file_name().unwrap_or_default().to_string_lossy().into_owned();
                let found = format!("tensor `{name}`, which is also in {other}");
                return Err(Error::bad_file(path, found, format!("each tensor in one part; {AGAIN}")));
            }
        }
    }
    let expected = Metadata::new(&parts[0], &all.metadata).count(ANY, TENSORS)?;
    match expected.filter(|n| count > 1 && *n != all.tensors.len()) {
        None => Ok(all),
        Some(n) => {
            let found = format!("`{TENSORS}` {n}, and {} tensors in the {count} parts", all.tensors.len());
            Err(Error::bad_file(&parts[0], found, format!("parts of one model; {AGAIN}")))
        }
    }
}

/// Refuses a part whose metadata differs from the first part's, because keys of later parts would be ignored.
fn check_same_model(path: &Path, header: &Header, first_path: &Path, first: &Header) -> Result<()> {
    let differs = |(key, value): &(&String, &Value)| {
        key.as_str() != PLACE
            && key.as_str() != "general.alignment"
            && first.metadata.get(*key) != Some(value)
    };
    let Some((key, value)) = header.metadata.iter().filter(differs).min_by_key(|(key, _)| *key) else {
        return Ok(());
    };
    let other = first.metadata.get(key).map_or_else(|| "nothing".into(), Value::to_string);
    let name = first_path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let found = format!("`{key}` {value}, where {name} has {other}");
    Err(Error::bad_file(path, found, format!("parts of one model; {AGAIN}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts() {
        let of = |name: &str| PartName::of(Path::new(name)).map(|part| (part.model, part.number, part.count));
        assert_eq!(of("a/b-c-00002-of-00011.gguf"), Some(("b-c".into(), 2, 11)));
        assert_eq!(of("m.Q4_K-00001-of-00001.GGUF"), Some(("m.Q4_K".into(), 1, 1)));
        for none in [
            "m.gguf",
            "m-00003-of-00002.gguf",
            "m-00000-of-00002.gguf",
            "m-1-of-2.gguf",
            "-00001-of-00002.gguf",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
        let part = PartName::of(Path::new("x/m-00002-of-00003.gguf")).unwrap();
        assert_eq!(
            part.sibling(Path::new("x/m-00002-of-00003.gguf"), 1),
            Path::new("x/m-00001-of-00003.gguf")
        );
    }
}
