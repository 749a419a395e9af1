//! The blocks to steer at by default: the best of a sweep, otherwise a guess from the depth.

use super::super::folders::Lab;
use super::super::saved_probes::SavedProbes;
use crate::artefact::Card;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::Model;
use crate::progress::Observer;
use crate::results::{SWEEP_FILE, SweepRow, load_unchanged_rows};
use crate::steering::{LayerSet, recommend};

/// Maximum KL divergence of the next token at a sweep's best dose, in nats.
const BUDGET: f64 = 2.0;

/// The blocks after which to steer; reports the origin of the choice.
///
/// # Errors
/// [`Error::Invalid`] if no sweep recommends blocks, and the guessed blocks have no probes.
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
    observer.note(&format!("steering after block {layers}, {why}; --layer chooses others"));
    Ok(layers.blocks().to_vec())
}

/// The best blocks of the newest sweep along one of the probes' targets.
fn of_sweep(lab: &Lab, model: &Model, saved: &SavedProbes) -> Result<Option<(LayerSet, String)>> {
    let folder = lab.sweeps(&model.name);
    let mut newest: Option<(String, LayerSet, String)> = None;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = entry.path().join(SWEEP_FILE);
        if !file.is_file() {
            continue;
        }
        let card = Card::load(&entry.path().join("card.json"))?.unwrap_or_default();
        let weights = card.inputs.get("weights_sha256");
        if weights.is_some_and(|weights| *weights != model.weights_sha256) {
            continue; // A sweep of another model that had this name.
        }
        let rows: Vec<SweepRow> = load_unchanged_rows(&file)?;
        let is_of_probe = |row: &SweepRow| saved.set.about.targets.contains(&row.target);
        let Some(best) = recommend(&rows, BUDGET).filter(|_| rows.iter().all(is_of_probe)) else { continue };
        let date = card.record.get("date").cloned().unwrap_or_default();
        if newest.as_ref().is_none_or(|(before, ..)| *before < date) {
            let name = entry.file_name().to_string_lossy().into_owned();
            newest = Some((date, best.layers.parse()?, format!("the best of the sweep `{name}`")));
        }
    }
    Ok(newest.map(|(_, layers, why)| (layers, why)))
}

/// A guess: up to five blocks with probes, in the first third of the depth.
///
/// In the bundled model and in SmolLM2, a change at several early blocks lasts; a change at a single late block is
/// undone by the blocks after it, or breaks the text (docs/steering.md, docs/smollm2.md).
fn guessed(model: &Model, saved: &SavedProbes) -> Result<(LayerSet, String)> {
    let n = model.spec().n_layers;
    let mut blocks: Vec<usize> = (1..=5).map(|fifteenths| fifteenths * n / 15).collect();
    blocks.dedup();
    blocks.retain(|block| saved.set.get(HookPoint::ResidPost(*block)).is_ok());
    if blocks.is_empty() {
        let expected = format!("--layer with blocks from 0 to {}", n - 1);
        return Err(Error::invalid(
            "hook point to steer at",
            "no block from a sweep, and no probes at the default blocks",
            expected,
        ));
    }
    let written: Vec<String> = blocks.iter().map(usize::to_string).collect();
    let why = "a guess from the depth; `mappa steer sweep` searches for better ones";
    Ok((written.join("+").parse()?, why.into()))
}

/// A guess of the block for a direction from a file: a third of the depth. One block, because such directions are
/// mostly made to be added once.
pub(super) fn of_direction(model: &Model, observer: &mut dyn Observer) -> usize {
    let block = model.spec().n_layers / 3;
    observer.note(&format!("steering after block {block}, a guess from the depth; --layer chooses others"));
    block
}
