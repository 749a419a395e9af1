//! The figure of causal tests: of a new one, and of those in the lab.

use super::super::figures::Canvas;
use super::super::folders::Lab;
use super::super::placed::check_place;
use crate::artefact::{Card, FolderName};
use crate::error::Result;
use crate::figures::{Captioned, FigureKind, SavedRows, Subject};
use crate::progress::Observer;
use crate::results::{
    INTERCHANGE_FILE, InterchangeRow, SCORES_FILE, ScoreRow, load_rows, load_unchanged_rows,
};
use std::path::{Path, PathBuf};

/// True for the figures of causal tests.
fn is_of_causes(figure: &FigureKind) -> bool {
    figure.subject == Subject::Cause
}

/// Draws the figure of a causal test from its exchanges and its probes' scores; returns the paths of the files.
///
/// # Errors
/// Those of drawing and saving.
pub(super) fn draw_cause(
    rows: &[InterchangeRow],
    scores: &[ScoreRow],
    canvas: &mut Canvas,
) -> Result<Vec<PathBuf>> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let causes = Captioned {
        rows: rows.to_vec(),
        title: format!("{}, {}", first.dataset.replace('_', " "), first.model),
        subtitle: format!(
            "{} test pairs in {} groups without a common entity; bands: 95 % intervals",
            first.n_pairs, first.n_groups
        ),
        baselines: String::new(),
    };
    let rows = SavedRows { causes, scores: scores.to_vec(), ..SavedRows::default() };
    canvas.draw(is_of_causes, &rows, "")
}

/// The folders of a model's causal tests, by name.
pub fn saved_causes(lab: &Lab, model: &FolderName) -> Vec<PathBuf> {
    let subfolders = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<PathBuf>>()
    };
    let datasets = subfolders(&lab.causes(model));
    let mut folders: Vec<PathBuf> = datasets.iter().flat_map(|dataset| subfolders(dataset)).collect();
    folders.retain(|folder| folder.join(INTERCHANGE_FILE).is_file());
    folders.sort();
    folders
}

/// Draws the figures of saved causal tests next to their rows; returns the paths of the files.
///
/// # Errors
/// Those of the files, of drawing and of saving.
pub fn draw_saved_causes(
    lab: &Lab,
    folders: &[PathBuf],
    observer: &mut dyn Observer,
) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in folders {
        check_place(folder)?;
        let rows: Vec<InterchangeRow> = load_unchanged_rows(&folder.join(INTERCHANGE_FILE))?;
        let card = Card::load(&folder.join("card.json"))?.unwrap_or_default();
        let scores = card.notes.get("probes").map(|probes| lab.root().join(probes).join(SCORES_FILE));
        let scores = scores.filter(|file| file.is_file()).map(|file| load_rows(&file)).transpose()?;
        let canvas = &mut Canvas::new(folder.clone(), observer);
        files.extend(draw_cause(&rows, &scores.unwrap_or_default(), canvas)?);
    }
    Ok(files)
}
