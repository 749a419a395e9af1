//! A dataset by name or file, as commands take it, with what its reader should know on standard error.

use super::terminal;
use mappa::Result;
use mappa::datasets::{Dataset, find as find_silently};
use std::path::Path;

/// A dataset by path or name; its notes go to standard error, each once.
pub fn find(lab: &Path, name: &str) -> Result<Dataset> {
    let dataset = find_silently(lab, name)?;
    dataset.notes.iter().for_each(|note| terminal::once(&format!("{name}: {note}")));
    Ok(dataset)
}
