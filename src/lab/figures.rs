//! Figures as files, each as SVG and PNG, drawn from saved or computed rows.

use super::drawn::{Drawn, captioned_classes, captioned_neurons, captioned_predictions, captioned_sparse};
use super::folders::Lab;
use super::picture::{is_signed, signed};
use super::placed::check_place;
use crate::artefact::{self, Card, FolderName};
use crate::datasets::BUNDLED;
use crate::error::Result;
use crate::figures::{Captioned, FIGURES, FigureKind, Format, SavedRows, Subject, letters_without_glyph};
use crate::probes::{StrataFinding, best_point, test_r2};
use crate::progress::Observer;
use crate::results::{
    ALL, LENS_SCORES_FILE, LensScoreRow, MEAN, NeuronRow, RIDGE, SCORES_FILE, ScoreRow, StratumRow, SweepRow,
    load_unchanged_rows,
};
use crate::steering::points;
use std::path::{Path, PathBuf};

/// The file extension of an SVG.
const SVG: &str = "svg";
/// The file extension of a PNG.
const PNG: &str = "png";

/// The paths of a figure's files in a folder.
fn figure_files(folder: &Path, name: &str) -> [PathBuf; 2] {
    // Not `with_extension`, because a name may contain dots.
    [SVG, PNG].map(|ending| folder.join(format!("{name}.{ending}")))
}

/// The folder for figures, and the observer, which receives a line if a PNG lacks letters.
pub struct Canvas<'a> {
    folder: PathBuf,
    observer: &'a mut dyn Observer,
    n_drawn: usize,
    /// The scores of other datasets, to show in the figures of all datasets; if given, the datasets have a fixed order.
    beside: Option<Vec<Scored>>,
}

/// The scores of a dataset.
pub struct Scored {
    /// The dataset.
    pub dataset: String,
    /// Its scores.
    pub scores: Vec<ScoreRow>,
}

impl<'a> Canvas<'a> {
    /// A canvas without figures.
    pub fn new(folder: PathBuf, observer: &'a mut dyn Observer) -> Canvas<'a> {
        Canvas { folder, observer, n_drawn: 0, beside: None }
    }

    /// Also shows these scores in the figures of all datasets, so that a figure of one dataset does not replace a
    /// figure of several.
    pub fn with_beside(self, beside: Vec<Scored>) -> Canvas<'a> {
        Canvas { beside: Some(beside), ..self }
    }

    /// The scores for a figure of all datasets.
    fn of_all(&self, datasets: &[Drawn]) -> Vec<ScoreRow> {
        let mut all: Vec<(&str, &[ScoreRow])> =
            datasets.iter().map(|one| (one.dataset.as_str(), &one.scores[..])).collect();
        if let Some(beside) = &self.beside {
            let others =
                beside.iter().filter(|other| datasets.iter().all(|one| one.dataset != other.dataset));
            all.extend(others.map(|one| (one.dataset.as_str(), &one.scores[..])));
            all.sort_by_key(|(dataset, _)| place(dataset));
        }
        all.into_iter().flat_map(|(_, scores)| scores.to_vec()).collect()
    }

    /// The number of figures that were drawn now, because their files were missing or differed.
    pub fn n_drawn(&self) -> usize {
        self.n_drawn
    }

    /// Draws the wanted figures whose required rows exist; `dataset` is part of the file names.
    ///
    /// # Errors
    /// Those of drawing and saving.
    pub(super) fn draw(
        &mut self,
        wanted: impl Fn(&FigureKind) -> bool,
        rows: &SavedRows,
        dataset: &str,
    ) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for figure in FIGURES.iter().filter(|figure| wanted(figure) && figure.applies(rows)) {
            files.extend(self.save(&figure.file_name(dataset), |format| figure.draw(rows, format))?);
        }
        Ok(files)
    }

    /// Draws a figure in both formats and saves it, unless its files show the drawing already; returns the paths of the
    /// files.
    ///
    /// # Errors
    /// Those of drawing and saving.
    pub fn save(&mut self, name: &str, draw: impl Fn(Format) -> Result<Vec<u8>>) -> Result<[PathBuf; 2]> {
        let files = figure_files(&self.folder, name);
        let [svg, png] = &files;
        let drawing = draw(Format::Svg)?;
        let (is_drawn, has_png) =
            (artefact::is_there(svg)? && artefact::has_bytes(svg, &drawing), artefact::is_there(png)?);
        if is_drawn && has_png && is_signed(&artefact::load_saved(png)?, &drawing) {
            return Ok(files);
        }
        let picture = draw(Format::Png)?;
        // Earlier versions saved the picture without a signature.
        if is_drawn && artefact::has_bytes(png, &picture) {
            return Ok(files);
        }
        artefact::save_bytes(png, &signed(&picture, &drawing))?;
        artefact::save_bytes(svg, &drawing)?;
        self.n_drawn += 1;
        let missing: String = letters_without_glyph(&drawing).into_iter().take(5).collect();
        if !missing.is_empty() {
            let (png, svg) = (png.display(), svg.display());
            self.observer.info(&format!(
                "{png}: its font lacks letters such as {missing} (empty boxes); {svg} shows them"
            ));
        }
        Ok(files)
    }
}

/// The order of datasets in figures: the bundled ones first, then the others by name.
fn place(dataset: &str) -> (usize, String) {
    (BUNDLED.iter().position(|known| *known == dataset).unwrap_or(BUNDLED.len()), dataset.to_string())
}

/// The datasets of a model with scores in a folder of this name.
pub fn scored_datasets(lab: &Lab, model: &FolderName, results: &FolderName) -> Vec<FolderName> {
    let mut all: Vec<FolderName> = subfolders(&lab.probes_of(model))
        .filter_map(|folder| FolderName::new("dataset", &folder.file_name()?.to_string_lossy()).ok())
        .filter(|dataset| lab.probes(model, dataset, results).join(SCORES_FILE).is_file())
        .collect();
    all.sort_by_key(|dataset| place(dataset));
    all
}

/// The scores of the model's other datasets with the same weights and settings as a folder of probes. Unreadable files
/// are left out: the commands that need them report them.
pub fn saved_beside(folder: &Path) -> Vec<Scored> {
    let weights = |folder: &Path| {
        let card = Card::load(&folder.join("card.json")).ok().flatten()?;
        card.inputs.get("weights_sha256").cloned()
    };
    let (Some(results), Some(of_model)) = (folder.file_name(), folder.parent().and_then(Path::parent)) else {
        return Vec::new();
    };
    let own = weights(folder);
    let others = subfolders(of_model).filter_map(|dataset| {
        let other = dataset.join(results);
        let is_comparable =
            other != folder && own.is_some() && weights(&other) == own && check_place(&other).is_ok();
        let scores = || load_unchanged_rows::<ScoreRow>(&other.join(SCORES_FILE)).ok();
        let scores = is_comparable.then(scores).flatten()?;
        let is_scored = best_point(&scores).is_ok_and(|point| test_r2(&scores, RIDGE, Some(point)).is_some());
        is_scored.then(|| Scored { dataset: scores[0].dataset.clone(), scores })
    });
    others.collect()
}

fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir())
}

/// Draws the figures of each dataset and those of all datasets together; returns the paths of the files.
///
/// # Errors
/// Those of drawing and saving; [`crate::Error::Invalid`] if scores have no leave-one-out rows.
pub fn draw_probes(model: &str, datasets: &[Drawn], canvas: &mut Canvas) -> Result<Vec<PathBuf>> {
    draw_wanted(model, datasets, &|_| true, canvas)
}

fn draw_wanted(
    model: &str,
    datasets: &[Drawn],
    wanted: &dyn Fn(&FigureKind) -> bool,
    canvas: &mut Canvas,
) -> Result<Vec<PathBuf>> {
    let of_dataset =
        |figure: &FigureKind| matches!(figure.subject, Subject::Dataset { .. }) && wanted(figure);
    let mut files = Vec::new();
    for one in datasets {
        let (predictions, neurons) =
            (captioned_predictions(model, one)?, captioned_neurons(model, &one.dataset, &one.neurons));
        let (classes, sparse) = (captioned_classes(model, one), captioned_sparse(model, one)?);
        let strata = captioned_strata(&one.strata);
        let rows = SavedRows { predictions, classes, sparse, neurons, strata, ..SavedRows::default() };
        files.extend(canvas.draw(of_dataset, &rows, &one.dataset)?);
    }
    let scores = canvas.of_all(datasets);
    let of_datasets = |figure: &FigureKind| figure.subject == Subject::Datasets && wanted(figure);
    files.extend(canvas.draw(of_datasets, &SavedRows { scores, ..SavedRows::default() }, "")?);
    Ok(files)
}

/// The strata over the strongest text, of the mean over the targets.
fn captioned_strata(rows: &[StratumRow]) -> Captioned<StratumRow> {
    let text = StrataFinding::strongest_text(rows).unwrap_or_default();
    let rows: Vec<StratumRow> =
        rows.iter().filter(|row| row.text == text && row.target == MEAN).cloned().collect();
    let Some(whole) = rows.iter().find(|row| row.by == ALL) else { return Captioned::default() };
    let StratumRow { dataset, model, hook_point, surplus, surplus_low, surplus_high, .. } = whole;
    let title = format!("{}, {model}, {hook_point}: where the surplus lies", dataset.replace('_', " "));
    let subtitle = format!("surplus over `{text}` {surplus:.3} (95 % {surplus_low:.3} to {surplus_high:.3})");
    Captioned { rows, title, subtitle: subtitle.replace('-', "−"), baselines: String::new() }
}

/// Draws the figure of the strata of a dataset's test entities; returns the paths of the files.
///
/// # Errors
/// Those of drawing and saving.
pub fn draw_strata(dataset: &str, rows: &[StratumRow], canvas: &mut Canvas) -> Result<Vec<PathBuf>> {
    let rows = SavedRows { strata: captioned_strata(rows), ..SavedRows::default() };
    canvas.draw(|figure| matches!(figure.subject, Subject::Dataset { .. }), &rows, dataset)
}

/// Draws the figures of a dataset's MLP neurons; returns the paths of the files.
///
/// # Errors
/// Those of drawing and saving.
pub fn draw_neurons(
    model: &str,
    dataset: &str,
    rows: &[NeuronRow],
    canvas: &mut Canvas,
) -> Result<Vec<PathBuf>> {
    let rows = SavedRows { neurons: captioned_neurons(model, dataset, rows), ..SavedRows::default() };
    canvas.draw(|figure| matches!(figure.subject, Subject::Dataset { .. }), &rows, dataset)
}

/// Draws the saved rows of a model: its datasets under one prompt, and its sweeps and lenses, whose figures go next to their
/// rows;
/// returns the paths of the files.
///
/// # Errors
/// As [`draw_probes`]; [`crate::Error::Invalid`] if a name is not a valid folder name.
pub fn draw_saved(lab: &Lab, names: &SavedNames, observer: &mut dyn Observer) -> Result<Vec<PathBuf>> {
    let SavedNames { model, results, datasets, .. } = names;
    let wanted = |figure: &FigureKind| {
        names.figures.is_empty() || names.figures.iter().any(|name| name == figure.name)
    };
    let is_of_sweeps = |figure: &FigureKind| figure.subject == Subject::Sweep;
    let is_of_lenses = |figure: &FigureKind| figure.subject == Subject::Lens;
    let is_of_probes =
        |figure: &FigureKind| !matches!(figure.subject, Subject::Sweep | Subject::Lens | Subject::Cause);
    let mut files = Vec::new();
    if FIGURES.iter().any(|figure| wanted(figure) && is_of_probes(figure)) {
        let mut drawn = Vec::new();
        for dataset in datasets {
            drawn.push(Drawn::load(dataset, &lab.probes(model, dataset, results))?);
        }
        let folder = lab.figures(model, results);
        files.extend(draw_wanted(model, &drawn, &wanted, &mut Canvas::new(folder, observer))?);
    }
    for folder in names.sweeps.iter().cloned() {
        check_place(&folder)?;
        let rows = sweep_rows(&load_unchanged_rows::<SweepRow>(&folder.join("sweep.csv"))?);
        let wanted = |figure: &FigureKind| is_of_sweeps(figure) && wanted(figure);
        files.extend(Canvas::new(folder, observer).draw(wanted, &rows, "")?);
    }
    for folder in names.lenses.iter().cloned() {
        let lenses = load_unchanged_rows(&folder.join(LENS_SCORES_FILE))?;
        let rows = SavedRows { lenses, ..SavedRows::default() };
        let wanted = |figure: &FigureKind| is_of_lenses(figure) && wanted(figure);
        files.extend(Canvas::new(folder, observer).draw(wanted, &rows, "")?);
    }
    Ok(files)
}

/// The folders of a model's sweeps, by name.
///
/// # Errors
/// [`crate::Error::Io`] naming the folder.
pub fn saved_sweeps(lab: &Lab, model: &FolderName) -> Result<Vec<PathBuf>> {
    folders_with(&lab.sweeps(model), "sweep.csv")
}

/// The folders of a model's lenses that have scores, by name.
///
/// # Errors
/// [`crate::Error::Io`] naming the folder.
pub fn saved_lenses(lab: &Lab, model: &FolderName) -> Result<Vec<PathBuf>> {
    folders_with(&lab.lenses(model), LENS_SCORES_FILE)
}

/// The folders within a folder that have a file of this name, sorted.
fn folders_with(folder: &Path, file: &str) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(crate::Error::io("read the folder", folder))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join(file).is_file());
    folders.sort();
    Ok(folders)
}

/// The datasets for which the lab has a folder of a model's probes, by name.
pub fn probed_datasets(lab: &Lab, model: &FolderName) -> Vec<FolderName> {
    let entries = std::fs::read_dir(lab.probes_of(model)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        FolderName::new("dataset", &name).ok().filter(|_| entry.path().is_dir())
    });
    let mut names: Vec<FolderName> = names.collect();
    names.sort();
    names
}

/// The names of saved results.
pub struct SavedNames {
    /// The model's name in folders.
    pub model: FolderName,
    /// The last folder of the results' path.
    pub results: FolderName,
    /// The datasets.
    pub datasets: Vec<FolderName>,
    /// The folders of sweeps.
    pub sweeps: Vec<PathBuf>,
    /// The folders of lenses.
    pub lenses: Vec<PathBuf>,
    /// The names of the figures; if empty, all figures whose required rows exist.
    pub figures: Vec<String>,
}

/// Draws the figures of a lens from its scores; returns the paths of the files.
///
/// # Errors
/// Those of drawing and saving.
pub fn draw_lens(rows: &[LensScoreRow], canvas: &mut Canvas) -> Result<Vec<PathBuf>> {
    let rows = SavedRows { lenses: rows.to_vec(), ..SavedRows::default() };
    canvas.draw(|figure| figure.subject == Subject::Lens, &rows, "")
}

/// Draws a sweep's figures; returns the paths of the files.
///
/// # Errors
/// Those of drawing and saving.
pub fn draw_sweep(rows: &[SweepRow], canvas: &mut Canvas) -> Result<Vec<PathBuf>> {
    canvas.draw(|figure| figure.subject == Subject::Sweep, &sweep_rows(rows), "")
}

/// Returns true if a figure of a sweep shows the direction of a row.
pub(super) fn is_drawn(row: &SweepRow) -> bool {
    row.direction == "probe" || row.direction == "random"
}

/// Converts a sweep's rows for the figures.
fn sweep_rows(rows: &[SweepRow]) -> SavedRows {
    let (points, of) = points(rows);
    let unit = match rows.first().map(|row| row.kind.as_str()) {
        Some("place") => " (degrees)",
        Some("year") => " (years)",
        _ => "",
    };
    let title = match of {
        "names" => "change of log-probability (nats)".to_string(),
        "text" => format!("change of the text{unit}"),
        _ => format!("change of the prediction{unit}"),
    };
    SavedRows {
        sweep: rows.iter().filter(|row| is_drawn(row)).cloned().collect(),
        points: Captioned { rows: points, title, ..Captioned::default() },
        ..SavedRows::default()
    }
}
