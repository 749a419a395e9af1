//! Predictions of the probes at a token of the prompt, without and with the change.

use super::super::saved_probes::ProbeFinder;
use super::change::Change;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::{Capture, Chain, Forest, Hook, Model, NoHook};
use crate::probes::StoredProbe;
use crate::progress::Observer;
use crate::steering::TokenPositions;
use crate::tokenizer::EncodedPrompt;
use std::path::PathBuf;

/// The predictions of one set of probes at a token.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadingTable {
    /// The dataset of the probes.
    pub dataset: String,
    /// The folder of the probes.
    pub folder: PathBuf,
    /// The token's position in the prompt.
    pub position: u32,
    /// The token's text.
    pub token: String,
    /// One row per hook point and target.
    pub rows: Vec<Reading>,
}

/// A prediction without and with the change.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The hook point.
    pub point: HookPoint,
    /// The target.
    pub target: String,
    /// The prediction without the change.
    pub unsteered: f64,
    /// The prediction with the change.
    pub steered: f64,
}

/// Computes the predictions of the steering probes at the last changed token of the prompt, for the changed hook points
/// and the last block; empty if there are no such probes, or if no token of the prompt is changed.
///
/// # Errors
/// Those of the change and of the pass.
pub fn readings(
    change: &Change,
    finder: &ProbeFinder,
    prompt: &EncodedPrompt,
    observer: &mut dyn Observer,
) -> Result<Vec<ReadingTable>> {
    let model = finder.model();
    let positions = TokenPositions::new(&change.positions, prompt)?;
    let ids = &prompt.encoded.ids;
    let Some(position) = (0..ids.len() as u32).rev().find(|position| positions.contains(*position)) else {
        return Ok(Vec::new());
    };
    let last = HookPoint::ResidPost(model.spec().n_layers - 1);
    let mut points = change.points(model, observer)?;
    points.retain(|point| *point != last);
    points.push(last);
    let token = model.tokenizer.spell(&ids[position as usize..=position as usize])?;
    let mut tables = Vec::new();
    for saved in change.probes(finder, observer)? {
        let mut rows = Vec::new();
        for &point in &points {
            let Ok(stored) = saved.set.get(point) else { continue };
            let site = Token { model, ids, position, point, stored };
            let unsteered = site.predict(&mut NoHook)?;
            let steered = site.predict(&mut change.steers(finder, prompt, observer)?)?;
            let both = unsteered.into_iter().zip(steered);
            rows.extend(saved.set.about.targets.iter().zip(both).map(|(target, (unsteered, steered))| {
                Reading { point, target: target.clone(), unsteered, steered }
            }));
        }
        let (dataset, folder) = (saved.set.about.dataset.clone(), saved.folder.clone());
        tables.push(ReadingTable { dataset, folder, position, token: token.clone(), rows });
    }
    Ok(tables)
}

/// A token at a hook point, with its probe.
struct Token<'a> {
    model: &'a Model,
    ids: &'a [u32],
    position: u32,
    point: HookPoint,
    stored: &'a StoredProbe,
}

impl Token<'_> {
    fn predict(&self, hook: &mut dyn Hook) -> Result<Vec<f64>> {
        let mut capture = Capture::nodes(&[self.point], &[self.position])?;
        let forest = Forest::of_text(self.ids)?;
        self.model.transformer.forward(&forest, None, &mut Chain(hook, &mut capture))?;
        Ok(self.stored.probe.predict_row(&capture.get(self.point)?.squeeze(0)?.to_vec1::<f32>()?))
    }
}
