//! A dataset by name or file, as commands take it, with what its reader should know on standard error.

use mappa::Result;
use mappa::datasets::{Dataset, find as find_silently};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

/// Notes that were printed before: a command may look for a dataset more than once.
static PRINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A dataset by path or name; its notes go to standard error, each once.
pub fn find(lab: &Path, name: &str) -> Result<Dataset> {
    let dataset = find_silently(lab, name)?;
    for note in &dataset.notes {
        let note = format!("{name}: {note}");
        if PRINTED.lock().is_ok_and(|mut printed| printed.insert(note.clone())) {
            eprintln!("{note}");
        }
    }
    Ok(dataset)
}
