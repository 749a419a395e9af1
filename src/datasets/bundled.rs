//! The six datasets inside the binary.

use super::entity::Dataset;
use super::formats::{ENDINGS, Format};
use super::load::{load, parse};
use crate::artefact;
use crate::error::{Error, Result};
use std::path::Path;

/// The names of the bundled datasets, in the order that tables and figures show them.
pub const BUNDLED: [&str; 6] =
    ["world_place", "us_place", "nyc_place", "historical_figure", "art", "headline"];

fn bytes(name: &str) -> Option<&'static [u8]> {
    Some(match name {
        "world_place" => include_bytes!("../../datasets/world_place.csv"),
        "us_place" => include_bytes!("../../datasets/us_place.csv"),
        "nyc_place" => include_bytes!("../../datasets/nyc_place.csv"),
        "historical_figure" => include_bytes!("../../datasets/historical_figure.csv"),
        "art" => include_bytes!("../../datasets/art.csv"),
        "headline" => include_bytes!("../../datasets/headline.csv"),
        _ => return None,
    })
}

/// Loads a bundled dataset by its name.
///
/// # Errors
/// [`Error::Invalid`] listing the bundled names.
pub fn bundled(name: &str) -> Result<Dataset> {
    let bytes = bytes(name).ok_or_else(|| Error::invalid("dataset", name, BUNDLED.join(", ")))?;
    parse(Path::new(&format!("datasets/{name}.csv")), bytes)
}

/// The name under which results show the dataset that [`find`] returns for `name`: the stem of a file's name, otherwise
/// `name` itself.
pub fn name_of(name: &str) -> String {
    let file = Path::new(name);
    match (Format::of(file), file.file_stem()) {
        (Some(_), Some(stem)) => stem.to_string_lossy().into_owned(),
        _ => name.to_string(),
    }
}

/// Loads a dataset by path or name: a file with a known ending, otherwise `datasets/NAME.csv` in the lab, otherwise a
/// bundled dataset.
///
/// # Errors
/// As [`load`]; [`Error::Invalid`] for a file with another ending, or if there is neither a file nor a bundled
/// dataset of that name.
pub fn find(lab: &Path, name: &str) -> Result<Dataset> {
    let file = Path::new(name);
    if Format::of(file).is_some() {
        return load(file);
    }
    if file.is_file() {
        let expected =
            format!("a name that ends in {ENDINGS}; save a workbook as \"CSV UTF-8\", rename a text file");
        return Err(Error::invalid("dataset", name, expected));
    }
    let inside = artefact::path_below("dataset", &format!("{name}.csv"));
    if let Some(path) = inside.ok().map(|path| lab.join("datasets").join(path)).filter(|path| path.is_file())
    {
        return load(&path);
    }
    bundled(name).map_err(|_| {
        let expected = format!(
            "a CSV, TSV, JSON or Parquet file, a file in {}, or one of {}",
            lab.join("datasets").display(),
            BUNDLED.join(", ")
        );
        Error::invalid("dataset", name, expected)
    })
}
