//! The paper's six files, pinned at a commit of their authors' repository.

use super::convert::Imported;
use super::plan::{ImportPlan, IncompleteRows};
use crate::artefact::{self, Card};
use crate::error::Result;
use std::path::Path;

/// The address of the authors' files: github.com/wesg52/world-models at one commit (MIT).
pub const PAPER_ADDRESS: &str = "https://raw.githubusercontent.com/wesg52/world-models/a572f162948ee185e9c842eb5fa15e23aad3d218/data/entity_datasets";

/// The name, in a card, of the source file's hash.
const GIT_BLOB: &str = "source_git_blob";

/// One of the paper's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaperFile {
    /// The dataset's name.
    pub name: &'static str,
    /// Git's hash of the file's content at that commit.
    pub blob: &'static str,
}

/// The paper's files, in the order of the bundled datasets.
pub const PAPER_FILES: [PaperFile; 6] = [
    PaperFile { name: "world_place", blob: "9711e7849ea28726d8a0beb3bd523c4dd95920d5" },
    PaperFile { name: "us_place", blob: "ff49a3fa461083436b5302d2859a69aad57f21f9" },
    PaperFile { name: "nyc_place", blob: "4c00554e2cbd0821ddcc126986326e98446245b4" },
    PaperFile { name: "historical_figure", blob: "4ed5329f7192b288b0fe784ca57db9bb9cb78010" },
    PaperFile { name: "art", blob: "d219b7aa1cff37892f61576cf813121a86d6fcd6" },
    PaperFile { name: "headline", blob: "94f86281b95e5407f276ea3d663b256349f45f54" },
];

impl PaperFile {
    /// The address of the file.
    pub fn url(&self, address: &str) -> String {
        format!("{}/{}.csv", address.trim_end_matches('/'), self.name)
    }

    /// True if a lab has the dataset that was imported from this file, unchanged.
    ///
    /// # Errors
    /// [`crate::Error::BadFile`] for a damaged card, [`crate::Error::Io`] naming the file.
    pub fn is_in(&self, lab: &Path) -> Result<bool> {
        let file = lab.join("datasets").join(format!("{}.csv", self.name));
        let Some(card) = Card::load(&file.with_extension("json"))? else { return Ok(false) };
        let note = |name: &str| card.notes.get(name).map(String::as_str);
        if note(GIT_BLOB) != Some(self.blob) || !file.is_file() {
            return Ok(false);
        }
        Ok(note("sha256") == Some(artefact::hash(&artefact::load_bytes(&file)?).as_str()))
    }

    /// Imports the file; `downloaded` is its place, under any name.
    ///
    /// # Errors
    /// As [`ImportPlan::read`].
    pub fn import(&self, downloaded: &Path) -> Result<Imported> {
        let plan = ImportPlan {
            name: self.name.into(),
            incomplete: IncompleteRows::LeftOut,
            ..ImportPlan::default()
        };
        let imported = plan.read_as(Path::new(&format!("{}.csv", self.name)), downloaded)?;
        Ok(imported.noted(GIT_BLOB, self.blob))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::BUNDLED;

    #[test]
    fn the_papers_files_are_the_bundled_datasets_names() {
        assert_eq!(PAPER_FILES.map(|file| file.name), BUNDLED);
        assert!(PAPER_FILES.iter().all(|file| file.blob.len() == 40));
        let url = PAPER_FILES[4].url("http://mirror/files/");
        assert_eq!(url, "http://mirror/files/art.csv");
    }
}
