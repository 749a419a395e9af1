//! Figures as files: each in both formats, with a note on letters that a PNG cannot show.

use mappa::figures::{Format, letters_without_glyph};
use mappa::{Result, artefact};
use std::path::{Path, PathBuf};

/// The ending of the SVG.
const SVG: &str = "svg";
/// The ending of the PNG.
const PNG: &str = "png";

/// The file names of a figure in a folder.
pub fn figure_files(folder: &Path, name: &str) -> [PathBuf; 2] {
    // A name may hold dots, so that no ending is exchanged.
    [SVG, PNG].map(|ending| folder.join(format!("{name}.{ending}")))
}

/// Draws a figure in both formats and saves it; gives the files.
pub fn save_figure(
    (folder, name): (&Path, &str),
    draw: impl Fn(Format) -> Result<Vec<u8>>,
) -> Result<[PathBuf; 2]> {
    let files = figure_files(folder, name);
    let [svg, png] = &files;
    let drawn = draw(Format::Svg)?;
    artefact::save_bytes(svg, &drawn)?;
    artefact::save_bytes(png, &draw(Format::Png)?)?;
    let missing: Vec<char> = letters_without_glyph(&drawn).into_iter().collect();
    if let Some(letters) = told(&missing) {
        let (png, svg) = (png.display(), svg.display());
        eprintln!("{png}: empty boxes for letters that its font lacks, such as {letters}; {svg} shows them");
    }
    Ok(files)
}

/// The first few of some letters.
fn told(letters: &[char]) -> Option<String> {
    let first: String = letters.iter().take(5).collect();
    (!letters.is_empty()).then_some(first)
}
