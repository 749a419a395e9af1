//! Finds datasets by name, reports notes on their files, and downloads the paper's datasets into a lab.

use super::folders::Lab;
use crate::artefact;
use crate::datasets::{Dataset, Imported, PAPER_ADDRESS, PAPER_FILES, PaperFile};
use crate::error::{Error, Result};
use crate::hub::HubSettings;
use crate::hub::{Blob, fetch_blob};
use crate::progress::Observer;
use serde::Deserialize;
use std::path::PathBuf;
use std::str::FromStr;

/// Finds a dataset by path or name; reports the notes on its file.
///
/// # Errors
/// Those of [`crate::datasets::find`].
pub fn find(lab: &Lab, name: &str, observer: &mut dyn Observer) -> Result<Dataset> {
    let dataset = crate::datasets::find(lab.root(), name)?;
    dataset.notes.iter().for_each(|note| observer.info(&format!("{name}: {note}")));
    Ok(dataset)
}

/// A source from which datasets can be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetSource {
    /// The six datasets of W. Gurnee and M. Tegmark, "Language Models Represent Space and Time".
    Paper,
}

impl FromStr for DatasetSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<DatasetSource> {
        match text {
            "paper" => Ok(DatasetSource::Paper),
            other => Err(Error::invalid("datasets to pull", other, "paper")),
        }
    }
}

impl DatasetSource {
    /// Downloads all datasets of the source that the lab does not have yet.
    ///
    /// # Errors
    /// Those of [`pull`].
    pub fn pull(self, lab: &Lab, observer: &mut dyn Observer) -> Result<Vec<Pulled>> {
        let DatasetSource::Paper = self;
        PAPER_FILES.iter().map(|file| pull(file, PAPER_ADDRESS, lab, observer)).collect()
    }
}

/// The outcome for one requested dataset.
pub enum Pulled {
    /// It was already in the lab, under this name.
    Found(&'static str),
    /// It was downloaded and imported.
    Imported {
        /// The dataset with the counts of its import.
        imported: Box<Imported>,
        /// Its file in the lab.
        file: PathBuf,
        /// True if the file was written now.
        is_new: bool,
    },
}

/// Downloads one of the paper's files and imports it, unless the lab has it.
///
/// # Errors
/// Those of the download and of the import.
pub fn pull(
    file: &'static PaperFile,
    address: &str,
    lab: &Lab,
    observer: &mut dyn Observer,
) -> Result<Pulled> {
    let name = format!("{}.csv", file.name);
    let blob = Blob { name, url: file.url(address), id: file.blob.into() };
    let folder = lab.join("datasets/.downloads");
    if file.is_in(lab.root())? {
        // A process that was killed just after the import has left its download.
        _ = artefact::remove(&blob.path(&folder));
        return Ok(Pulled::Found(file.name));
    }
    let downloaded = fetch_blob(&blob, &folder, &HubSettings::from_env()?, observer)?;
    let imported = Box::new(file.import(&downloaded)?);
    let (file, is_new) = imported.save(lab.root())?;
    // The lab has the rows now, so the downloaded file is no longer needed.
    artefact::remove(&downloaded)?;
    Ok(Pulled::Imported { imported, file, is_new })
}
