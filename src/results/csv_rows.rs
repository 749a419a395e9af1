//! Saving and loading of rows as CSV files.

use crate::artefact;
use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Saves rows as CSV with a header, the whole file or none.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn save_rows<R: Serialize>(path: &Path, rows: &[R]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|e| Error::Internal(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| Error::Internal(e.to_string()))?;
    artefact::save_bytes(path, &bytes)
}

/// Loads rows saved by [`save_rows`].
///
/// # Errors
/// [`Error::BadRow`] naming file and row.
pub fn load_rows<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>> {
    parse_rows(path, &artefact::load_saved(path)?)
}

/// Loads rows saved by [`save_rows`], unless they were changed after the card next to them was written.
///
/// # Errors
/// As [`load_rows`]; [`Error::BadFile`] naming the file, if its hash differs from the one in the card.
pub fn load_unchanged_rows<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>> {
    let rows = load_rows(path)?;
    artefact::Card::check_beside(path)?;
    Ok(rows)
}

/// Parses rows of CSV text; `path` names it in errors.
///
/// # Errors
/// [`Error::BadRow`] naming file and row.
pub fn parse_rows<R: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<Vec<R>> {
    // `text_of` is not used, because it refuses a NUL byte, and a generated text may contain one.
    csv::Reader::from_reader(bytes)
        .deserialize()
        .zip(1..)
        .map(|(row, number)| {
            row.map_err(|e| Error::BadRow { path: path.to_path_buf(), row: number, problem: e.to_string() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook_point::HookPoint;
    use crate::results::{PREDICTIONS_FILE, PredictionRow};

    #[test]
    fn saved_rows_load_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS_FILE);
        let rows = vec![PredictionRow {
            dataset: "world_place".into(),
            name: "Paris, \"Ville\"\nLumière\0".into(),
            group: "France".into(),
            split: "test".into(),
            hook_point: HookPoint::ResidPost(2).to_string(),
            target: "latitude".into(),
            truth: 48.8566,
            prediction: 0.1 + 0.2,
        }];
        save_rows(&path, &rows).unwrap();
        assert_eq!(load_rows::<PredictionRow>(&path).unwrap(), rows);
    }

    #[test]
    fn a_bad_row_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PREDICTIONS_FILE);
        std::fs::write(
            &path,
            "dataset,name,group,split,hook_point,target,truth,prediction\na,b,c,d,e,f,1,x\n",
        )
        .unwrap();
        let error = load_rows::<PredictionRow>(&path).unwrap_err().to_string();
        assert!(error.contains("predictions.csv: row 1"), "{error}");
    }
}
