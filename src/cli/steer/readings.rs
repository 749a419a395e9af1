//! Readings of the probes at a token of the prompt, without and with the change.

use super::chosen::Change;
use mappa::Result;
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Chain, Forest, Framed, Hook, Model, NoHook};
use mappa::probes::StoredProbe;
use mappa::steering::Positions;
use std::path::Path;

/// Prints what the probes that steer read at the last token of the prompt that is changed, where it is changed and
/// after the last block; nothing where no probe has to do with the change.
pub fn print(lab: &Path, (model, prompt): (&Model, &Framed), change: &Change) -> Result<()> {
    let positions = Positions::new(&change.positions, prompt)?;
    let ids = &prompt.encoded.ids;
    let Some(token) = (0..ids.len() as u32).rev().find(|position| positions.contains(*position)) else {
        return Ok(());
    };
    let last = HookPoint::ResidPost(model.spec().n_layers - 1);
    let mut points = change.points(model)?;
    points.retain(|point| *point != last);
    points.push(last);
    for probed in change.probes(lab, model)? {
        let about = &probed.set.about;
        let spelled = model.tokenizer.spell(&ids[token as usize..=token as usize])?;
        let title = format!("probe of {} at {spelled:?}, token {token} of the prompt", about.dataset);
        println!("\n{title:<52} {:>10} {:>10}", "unsteered", "steered");
        for &at in &points {
            let Ok(stored) = probed.set.get(at) else { continue };
            let plain = reading(model, (ids, token), (at, stored), &mut NoHook)?;
            let mut hook = change.steers(lab, model, prompt)?;
            let steered = reading(model, (ids, token), (at, stored), &mut hook)?;
            for (t, name) in about.targets.iter().enumerate() {
                println!("  {:<50} {:>10.1} {:>10.1}", format!("{at} {name}"), plain[t], steered[t]);
            }
        }
        println!("  ({})", probed.folder.display());
    }
    Ok(())
}

fn reading(
    model: &Model,
    (ids, token): (&[u32], u32),
    (at, stored): (HookPoint, &StoredProbe),
    hook: &mut dyn Hook,
) -> Result<Vec<f64>> {
    let mut capture = Capture::nodes(&[at], &[token])?;
    model.transformer.forward(&Forest::of_text(ids)?, None, &mut Chain(hook, &mut capture))?;
    Ok(stored.probe.read_row(&capture.get(at)?.squeeze(0)?.to_vec1::<f32>()?))
}
