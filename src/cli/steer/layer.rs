//! The blocks to steer at where none is said: those that a sweep found best, else one whose probe reads well early.

use super::super::probed::Probed;
use super::super::stages::loo_by_point;
use super::super::terminal;
use mappa::artefact::Card;
use mappa::hook_point::HookPoint;
use mappa::model::Model;
use mappa::results::{ScoreRow, SweepRow, load_rows};
use mappa::steering::{Layers, recommend};
use mappa::{Error, Result};
use std::path::Path;

/// Divergence of the next token that a sweep's best dose may cost, in nats.
const BUDGET: f64 = 2.0;
/// How much of the best leave-one-out R² the probe of a block must reach to be taken before it.
const NEARLY: f64 = 0.9;

/// The blocks after which to steer, with a note of where that comes from.
///
/// # Errors
/// [`Error::Invalid`] if neither sweeps nor scores say anything.
pub fn recommended(lab: &Path, model: &Model, probed: &Probed) -> Result<Vec<usize>> {
    let (layers, why) = match of_sweep(lab, model, probed)? {
        Some(found) => found,
        None => of_scores(model, probed)?,
    };
    terminal::note(&format!("steering after block {layers}, {why}; --layer takes others"));
    Ok(layers.blocks().to_vec())
}

/// The blocks that the newest sweep along one of the probes' targets found best.
fn of_sweep(lab: &Path, model: &Model, probed: &Probed) -> Result<Option<(Layers, String)>> {
    let folder = lab.join("steering").join(&model.name);
    let mut newest: Option<(String, Layers, String)> = None;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = entry.path().join("sweep.csv");
        if !file.is_file() {
            continue;
        }
        let rows: Vec<SweepRow> = load_rows(&file)?;
        let is_of_probe = |row: &SweepRow| probed.set.about.targets.contains(&row.target);
        let Some(best) = recommend(&rows, BUDGET).filter(|_| rows.iter().all(is_of_probe)) else { continue };
        let card = Card::load(&entry.path().join("card.json"))?.unwrap_or_default();
        let date = card.record.get("date").cloned().unwrap_or_default();
        if newest.as_ref().is_none_or(|(before, ..)| *before < date) {
            let name = entry.file_name().to_string_lossy().into_owned();
            newest = Some((date, best.layers.parse()?, format!("the best of the sweep `{name}`")));
        }
    }
    Ok(newest.map(|(_, layers, why)| (layers, why)))
}

/// The first block whose probe reads nearly as well as the best, two blocks before the last at the latest.
fn of_scores(model: &Model, probed: &Probed) -> Result<(Layers, String)> {
    let expected = || format!("--layer with blocks from 0 to {}", model.spec().n_layers - 1);
    let file = probed.folder.join("scores.csv");
    if !file.is_file() {
        let found = format!("none, nor scores that say one: no {}", file.display());
        return Err(Error::invalid("place to steer at", found, expected()));
    }
    let rows: Vec<ScoreRow> = load_rows(&file)?;
    let latest = model.spec().n_layers.saturating_sub(3);
    let mut blocks: Vec<(usize, f64)> = Vec::new();
    for (point, r2) in loo_by_point(&rows) {
        if let HookPoint::ResidPost(block) = point.parse()? {
            blocks.push((block, r2));
        }
    }
    blocks.sort_by_key(|(block, _)| *block);
    let best = blocks.iter().map(|(_, r2)| *r2).fold(f64::NEG_INFINITY, f64::max);
    let nearly = if best > 0.0 { NEARLY * best } else { best };
    let (block, _) = blocks
        .iter()
        .find(|(_, r2)| *r2 >= nearly)
        .ok_or_else(|| Error::invalid("place to steer at", "none, nor scores that say one", expected()))?;
    let why =
        "the first whose probe reads nearly as well as the best; `mappa steer sweep` looks for a better one";
    Ok((Layers::one((*block).min(latest)), why.into()))
}
