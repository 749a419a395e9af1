//! A causal test with all its rows, for printing and drawing.

use super::super::figures::Canvas;
use super::super::folders::Lab;
use super::super::prompted::Prompted;
use super::super::saved_probes::ProbeFinder;
use super::drawing::draw_cause;
use super::job::{CauseJob, CauseRows, OwnAnswers, Prepared};
use super::settings::CauseSettings;
use super::verdict::UseVerdict;
use crate::activations::Recording;
use crate::error::{Error, Result};
use crate::limits::{CHOICES, EPOCHS, PAIRS, RANDOM, RESAMPLES};
use crate::model::{Compute, Model};
use crate::progress::Observer;
use crate::results::{AngleRow, InterchangeRow, SCORES_FILE, ScoreRow, SubspaceAblationRow, load_rows};
use crate::steering::RequiredTarget;
use std::path::PathBuf;

/// A causal test with all its rows.
pub struct CauseReport {
    /// One row per layer and exchange, then those of the controls.
    pub interchange: Vec<InterchangeRow>,
    /// One row per layer and angle.
    pub angles: Vec<AngleRow>,
    /// One row per ablation at the reported layer.
    pub ablations: Vec<SubspaceAblationRow>,
    /// The scores of the probes; empty if there are none next to them.
    pub scores: Vec<ScoreRow>,
    /// The reported layer: where the search succeeded best on training pairs.
    pub layer: usize,
    /// The answers among which the model chose.
    pub words: Vec<String>,
    /// The model's own answers about the test entities.
    pub own: OwnAnswers,
    /// The number of test pairs, and of those whose two questions the model answers correctly.
    pub n_pairs: [usize; 2],
    /// The number of layers computed by this run.
    pub n_new: usize,
    /// The verdict.
    pub verdict: Option<UseVerdict>,
    /// The folder of the rows.
    pub folder: PathBuf,
    /// The files of the figure.
    pub figures: Vec<PathBuf>,
}

/// Tests which part of the stream at an entity is used for the model's answer, at every layer.
///
/// # Errors
/// [`Error::Invalid`] if the lab has no probes of the dataset, or the settings do not suit it; those of the passes.
pub fn cause(
    lab: &Lab,
    model: &Model,
    settings: &CauseSettings,
    observer: &mut dyn Observer,
) -> Result<CauseReport> {
    check(model, settings)?;
    let finder = ProbeFinder::new(lab, model, &settings.probes);
    let probes = finder.first(&RequiredTarget::Anything)?;
    probes.note_changes(&finder, observer);
    let dataset = finder.dataset(&probes, observer)?;
    let prompted: Prompted =
        settings.prompting.apply(dataset, Recording::default(), &model.tokenizer, model.spec())?;
    let job = CauseJob { lab, model, prompted: &prompted, probes: &probes, settings };
    job.check()?;
    let prepared = job.prepare(observer)?;
    prepared.asked.notes.iter().for_each(|note| observer.note(note));
    let CauseRows { interchange, angles, ablations, layer, n_new } = job.rows(&prepared, observer)?;
    let scores_file = probes.folder.join(SCORES_FILE);
    let scores: Vec<ScoreRow> = if scores_file.is_file() { load_rows(&scores_file)? } else { vec![] };
    let folder = job.folder()?;
    let figures = draw_cause(&interchange, &scores, &mut Canvas::new(folder.clone(), observer))?;
    let Prepared { asked, test: _, own, n_all, n_right_pairs, .. } = prepared;
    Ok(CauseReport {
        verdict: UseVerdict::of(&interchange, layer, own),
        interchange,
        angles,
        ablations,
        scores,
        layer,
        words: asked.words,
        own,
        n_pairs: [n_all, n_right_pairs],
        n_new,
        folder,
        figures,
    })
}

/// Refuses settings that suit no test, before any work.
fn check(model: &Model, settings: &CauseSettings) -> Result<()> {
    RANDOM.check("--random", settings.random)?;
    EPOCHS.check("--epochs", settings.epochs as u64)?;
    RESAMPLES.check("--resamples", settings.resamples as u64)?;
    PAIRS.check("--pairs", settings.pairs as u64)?;
    CHOICES.check("--choices", settings.choices as u64)?;
    if model.compute != Compute::F32 {
        let expected = "f32: a search needs gradients, which other products lack";
        return Err(Error::invalid("--compute", model.compute, expected));
    }
    if settings.prompting.chat {
        let expected = "a prompt without a chat template, which ends where the answer begins";
        return Err(Error::invalid("--chat", "a chat template", expected));
    }
    if !model.transformer.generates() {
        let found = "an encoder, or a checkpoint without a language-model head";
        return Err(Error::invalid("model to ask", found, "a causal language model"));
    }
    Ok(())
}
