//! The most probable tokens that a lens reads at each layer and token of a text.

use super::lens::Lens;
use super::score::log_probabilities;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Capture, Forest, Transformer};

/// Number of rows whose logits are in memory at once.
const ROWS: usize = 64;

/// A lens's prediction of the token after one token of a text, at one hook point.
#[derive(Debug, Clone, PartialEq)]
pub struct LensCell {
    /// The hook point.
    pub point: HookPoint,
    /// The index of the token in the text, from 0.
    pub position: usize,
    /// The most probable tokens with their probabilities, most probable first.
    pub top: Vec<(u32, f64)>,
}

/// The `n` most probable next tokens at each of some hook points and each token of a text.
///
/// # Errors
/// As [`Transformer::forward`] and [`Transformer::logits`].
pub fn lens_words(
    model: &Transformer,
    lens: &Lens,
    ids: &[u32],
    points: &[HookPoint],
    n: usize,
) -> Result<Vec<LensCell>> {
    let mut capture = Capture::all(points);
    model.forward(&Forest::of_text(ids)?, None, &mut capture)?;
    let mut cells = Vec::with_capacity(points.len() * ids.len());
    for point in points {
        let stream = capture.get(*point)?;
        for start in (0..ids.len()).step_by(ROWS) {
            let rows = stream.narrow(0, start, ROWS.min(ids.len() - start))?;
            let found = log_probabilities(&lens.logits(model, *point, &rows)?)?;
            for (row, position) in found.iter().zip(start..) {
                if let Some(found) = row.iter().copied().find(|x| !x.is_finite()) {
                    let place = format!("logits of the lens `{}` at {point}, token {position}", lens.name);
                    let advice = "the lens may belong to another model".into();
                    return Err(Error::NonFinite { place, found: found.into(), advice });
                }
                cells.push(LensCell { point: *point, position, top: top(row, n) });
            }
        }
    }
    Ok(cells)
}

/// The `n` greatest entries of a row of log-probabilities, as probabilities.
fn top(row: &[f32], n: usize) -> Vec<(u32, f64)> {
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    let by = |a: &u32, b: &u32| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b));
    let n = n.min(order.len());
    if n > 0 && n < order.len() {
        order.select_nth_unstable_by(n - 1, by);
    }
    order.truncate(n);
    order.sort_by(by);
    order.into_iter().map(|id| (id, f64::from(row[id as usize]).exp())).collect()
}
