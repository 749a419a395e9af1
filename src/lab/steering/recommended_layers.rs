//! The blocks to steer at by default: those that a sweep found best, else a guess.

use super::super::folders::Lab;
use super::super::saved_probes::SavedProbes;
use crate::artefact::Card;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::Observer;
use crate::results::{SWEEP_FILE, SweepRow, load_rows};
use crate::steering::{LayerSet, recommend};

/// Divergence of the next token that a sweep's best dose may cost, in nats.
const BUDGET: f64 = 2.0;

/// The blocks after which to steer, with a note of where that comes from.
///
/// # Errors
/// [`Error::Invalid`] if no sweep says anything and no probe is where a block would be guessed.
pub(super) fn recommended(
    lab: &Lab,
    model: &Model,
    saved: &SavedProbes,
    observer: &mut dyn Observer,
) -> Result<Vec<usize>> {
    let (layers, why) = match of_sweep(lab, model, saved)? {
        Some(found) => found,
        None => guessed(model, saved)?,
    };
    observer.note(&format!("steering after block {layers}, {why}; --layer takes others"));
    Ok(layers.blocks().to_vec())
}

/// The blocks that the newest sweep along one of the probes' targets found best.
fn of_sweep(lab: &Lab, model: &Model, saved: &SavedProbes) -> Result<Option<(LayerSet, String)>> {
    let folder = lab.sweeps(&model.name);
    let mut newest: Option<(String, LayerSet, String)> = None;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = entry.path().join(SWEEP_FILE);
        if !file.is_file() {
            continue;
        }
        let rows: Vec<SweepRow> = load_rows(&file)?;
        let is_of_probe = |row: &SweepRow| saved.set.about.targets.contains(&row.target);
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

/// Five blocks up to a third of the depth, which have probes: a guess.
///
/// A change that is written early and again is carried on, while a single late block's change is taken back or breaks the
/// text: so it is with the bundled model and with SmolLM2 (docs/steering.md, docs/smollm2.md).
fn guessed(model: &Model, saved: &SavedProbes) -> Result<(LayerSet, String)> {
    let n = model.spec().n_layers;
    let mut blocks: Vec<usize> = (1..=5).map(|fifteenths| fifteenths * n / 15).collect();
    blocks.dedup();
    blocks.retain(|block| saved.set.get(HookPoint::ResidPost(*block)).is_ok());
    if blocks.is_empty() {
        let expected = format!("--layer with blocks from 0 to {}", n - 1);
        return Err(Error::invalid(
            "place to steer at",
            "none, nor probes where one would be guessed",
            expected,
        ));
    }
    let written: Vec<String> = blocks.iter().map(usize::to_string).collect();
    let why = "a guess from the depth; `mappa steer sweep` looks for better ones";
    Ok((written.join("+").parse()?, why.into()))
}

/// The block for a direction of a file, which is mostly made to be added once: a third of the depth, a guess.
pub(super) fn of_direction(model: &Model, observer: &mut dyn Observer) -> usize {
    let block = model.spec().n_layers / 3;
    observer.note(&format!("steering after block {block}, a guess from the depth; --layer takes others"));
    block
}
