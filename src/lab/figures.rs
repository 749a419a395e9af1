//! Figures as files: each in both formats, drawn from saved or computed rows.

use super::folders::Lab;
use super::selection::{best_point, test_score};
use crate::artefact::{self, folder_name};
use crate::error::Result;
use crate::figures::{
    Caption, Format, dose_by_layer, dose_response, effect_by_kl, letters_without_glyph, predictions,
    r2_by_layer, text_by_dose,
};
use crate::hook_point::HookPoint;
use crate::progress::Observer;
use crate::results::{
    CENTROID, NAMES_ONLY, PredictionRow, RIDGE, SHUFFLED, SHUFFLED_WEIGHTS, ScoreRow, SweepRow, UNTRAINED,
    load_rows,
};
use crate::steering::points;
use std::path::{Path, PathBuf};

/// The ending of the SVG.
const SVG: &str = "svg";
/// The ending of the PNG.
const PNG: &str = "png";

/// The file names of a figure in a folder.
pub fn figure_files(folder: &Path, name: &str) -> [PathBuf; 2] {
    // A name may hold dots, so that no ending is replaced.
    [SVG, PNG].map(|ending| folder.join(format!("{name}.{ending}")))
}

/// The folder that figures are saved in, and the observer of what a PNG cannot show.
pub struct Canvas<'a> {
    /// The folder.
    pub folder: PathBuf,
    /// The observer.
    pub observer: &'a mut dyn Observer,
}

impl Canvas<'_> {
    /// Draws a figure in both formats and saves it; returns the files.
    ///
    /// # Errors
    /// Those of drawing and saving.
    pub fn save(&mut self, name: &str, draw: impl Fn(Format) -> Result<Vec<u8>>) -> Result<[PathBuf; 2]> {
        let files = figure_files(&self.folder, name);
        let [svg, png] = &files;
        let drawn = draw(Format::Svg)?;
        artefact::save_bytes(svg, &drawn)?;
        artefact::save_bytes(png, &draw(Format::Png)?)?;
        let missing: String = letters_without_glyph(&drawn).into_iter().take(5).collect();
        if !missing.is_empty() {
            let (png, svg) = (png.display(), svg.display());
            self.observer.info(&format!(
                "{png}: empty boxes for letters that its font lacks, such as {missing}; {svg} shows them"
            ));
        }
        Ok(files)
    }
}

/// The rows of one dataset to draw.
pub struct Drawn {
    /// The dataset.
    pub dataset: String,
    /// Its scores.
    pub scores: Vec<ScoreRow>,
    /// Its predictions at the best layer.
    pub predictions: Vec<PredictionRow>,
}

impl Drawn {
    /// Loads the rows of a folder of probes.
    ///
    /// # Errors
    /// Those of the files.
    pub fn load(dataset: &str, folder: &Path) -> Result<Drawn> {
        Ok(Drawn {
            dataset: dataset.into(),
            scores: load_rows(&folder.join("scores.csv"))?,
            predictions: load_rows(&folder.join("predictions.csv"))?,
        })
    }
}

/// Draws R² by layer for all datasets, and each dataset's predictions; returns the files.
///
/// # Errors
/// Those of drawing and saving; [`crate::Error::Invalid`] if scores have no leave-one-out rows.
pub fn draw_probes(model: &str, datasets: &[Drawn], canvas: &mut Canvas) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for Drawn { dataset, scores, predictions: rows } in datasets {
        let point = best_point(scores)?;
        let r2 = test_score(scores, RIDGE, Some(point), "r2", "mean");
        let title = format!("{dataset}, {model}, {point}");
        let subtitle = r2.map_or(String::new(), |r| {
            format!("test R² {:.3} (95 % {:.3} to {:.3})", r.value, r.low, r.high)
        });
        let caption = Caption { title: &title, subtitle: &subtitle, baselines: &baselines(scores, point) };
        files.extend(canvas.save(dataset, |format| predictions(rows, &caption, format))?);
    }
    let all: Vec<ScoreRow> = datasets.iter().flat_map(|one| one.scores.clone()).collect();
    files.extend(canvas.save("r2_by_layer", |format| r2_by_layer(&all, format))?);
    Ok(files)
}

/// Draws the saved rows of a model's datasets under one prompt; returns the files.
///
/// # Errors
/// As [`draw_probes`]; [`crate::Error::Invalid`] if a name cannot be a folder's.
pub fn draw_saved(lab: &Lab, names: &SavedNames, observer: &mut dyn Observer) -> Result<Vec<PathBuf>> {
    let SavedNames { model, results, datasets } = names;
    for (what, name) in [("--model", model), ("--prompt", results)] {
        folder_name(what, name)?;
    }
    let mut drawn = Vec::new();
    for dataset in datasets {
        folder_name("--dataset", dataset)?;
        drawn.push(Drawn::load(dataset, &lab.probes(model, dataset, results))?);
    }
    draw_probes(model, &drawn, &mut Canvas { folder: lab.figures(model, results), observer })
}

/// The names of saved results.
pub struct SavedNames {
    /// The model's name in folders.
    pub model: String,
    /// The last folder of the results' paths.
    pub results: String,
    /// The datasets.
    pub datasets: Vec<String>,
}

/// The baselines of the R² at a hook point, in words; empty where none were scored.
fn baselines(scores: &[ScoreRow], point: HookPoint) -> String {
    let embed = Some(HookPoint::ResidPre(0)).filter(|_| scores.iter().any(|row| row.method == UNTRAINED));
    let all = [
        ("names only", NAMES_ONLY, None),
        ("untrained", UNTRAINED, Some(point)),
        ("shuffled weights", SHUFFLED_WEIGHTS, Some(point)),
        ("embed", RIDGE, embed),
        ("shuffled labels", SHUFFLED, Some(point)),
        ("oracle: the group's mean", CENTROID, None),
    ];
    let words = all.into_iter().filter_map(|(name, method, point)| {
        let score = test_score(scores, method, point, "r2", "mean")?;
        Some(format!("{name} {:.2}", score.value).replace('-', "−"))
    });
    words.collect::<Vec<String>>().join(", ")
}

/// Draws a sweep's figures; returns the files.
///
/// # Errors
/// Those of drawing and saving.
pub fn draw_sweep(rows: &[SweepRow], canvas: &mut Canvas) -> Result<Vec<PathBuf>> {
    let (points, of) = points(rows);
    let unit = match rows.first().map(|row| row.kind.as_str()) {
        Some("place") => " (degrees)",
        Some("year") => " (years)",
        _ => "",
    };
    let what = match of {
        "names" => "change of log-probability (nats)".to_string(),
        "text" => format!("how far the text moved{unit}"),
        _ => format!("how far the reading moved{unit}"),
    };
    let drawn: Vec<SweepRow> =
        rows.iter().filter(|r| r.direction == "probe" || r.direction == "random").cloned().collect();
    let has_probe = drawn.iter().any(|row| row.direction == "probe");
    let mut files = Vec::new();
    if has_probe {
        files.extend(canvas.save("dose_response", |format| dose_response(&drawn, format))?);
    }
    // Where no unsteered text names anything, there is nothing to move from.
    let is_named = |row: &SweepRow| row.dose == 0.0 && row.named_value.is_some();
    if has_probe && of == "text" && drawn.iter().any(is_named) {
        files.extend(canvas.save("text_by_dose", |format| text_by_dose(&drawn, format))?);
    }
    files.extend(canvas.save("dose_by_layer", |format| dose_by_layer(&points, &what, format))?);
    files.extend(canvas.save("effect_by_kl", |format| effect_by_kl(&points, &what, format))?);
    Ok(files)
}
