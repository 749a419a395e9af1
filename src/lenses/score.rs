//! The quality of lenses on held-out rows: cross-entropy, and divergence from the model's own prediction.

use super::lens::Lens;
use super::rows::BatchedRows;
use super::texts::LensTexts;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Tensor, Transformer};
use crate::progress::Observer;
use rayon::prelude::*;

/// Number of rows whose logits are in memory at once.
const ROWS: usize = 64;

/// The scores of a lens at a hook point.
#[derive(Debug, Clone, PartialEq)]
pub struct LensScore {
    /// The hook point.
    pub point: HookPoint,
    /// The mean of minus the logarithm of the next token's probability, in nats.
    pub cross_entropy: f64,
    /// Half the width of its 95 % interval; texts, not tokens, are the independent units.
    pub half_width: f64,
    /// The mean divergence of the model's prediction from the lens's, KL(model ‖ lens), in nats.
    pub kl: f64,
    /// The share of rows at which lens and model have the same most probable token.
    pub agreement: f64,
}

/// Sums over the rows of each text.
#[derive(Debug, Clone, Default)]
struct OfTexts {
    /// The loss and the number of rows of each text.
    losses: Vec<(f64, usize)>,
    kl: f64,
    n_equal: usize,
}

/// One row: its loss, its divergence, and the equality of the most probable tokens.
struct OfRow {
    loss: f64,
    kl: f64,
    is_equal: bool,
}

/// Scores lenses at every depth on held-out rows; the last hook point of the logit lens is the model itself.
///
/// # Errors
/// [`Error::Invalid`] without held-out rows; [`Error::StoppedTraining`] if the observer requests a stop; those of the
/// pass.
pub fn score_lenses(
    model: &Transformer,
    lenses: &[Lens],
    texts: &LensTexts,
    observer: &mut dyn Observer,
) -> Result<Vec<Vec<LensScore>>> {
    if texts.n_held_out() == 0 {
        let expected = "more texts, or a larger --held-out";
        return Err(Error::invalid("held-out texts", "no rows", expected));
    }
    let points = Lens::points(&model.spec);
    let mut all = vec![vec![OfTexts::default(); points.len()]; lenses.len()];
    let rows = BatchedRows::new(model, &texts.held_out);
    rows.each(&points, observer, |texts, streams| {
        let next: Vec<u32> = texts.iter().flat_map(|t| t.rows.clone().map(|at| t.ids[at + 1])).collect();
        let sizes: Vec<usize> = texts.iter().map(|text| text.rows.len()).collect();
        let last = streams.len() - 1;
        let mut found: Vec<Vec<Vec<OfRow>>> =
            lenses.iter().map(|_| points.iter().map(|_| Vec::new()).collect()).collect();
        for start in (0..next.len()).step_by(ROWS) {
            let n = ROWS.min(next.len() - start);
            let own = log_probabilities(&model.logits(&streams[last].narrow(0, start, n)?)?)?;
            for (lens, found) in lenses.iter().zip(&mut found) {
                for ((point, stream), found) in points.iter().zip(streams).zip(found) {
                    let logits = lens.logits(model, *point, &stream.narrow(0, start, n)?)?;
                    found.extend(compared(&own, log_probabilities(&logits)?, &next[start..start + n]));
                }
            }
        }
        let sums = all.iter_mut().flatten().zip(found.iter().flatten());
        sums.for_each(|(sums, found)| sums.add(found, &sizes));
        Ok(())
    })?;
    let of_lens = |sums: &Vec<OfTexts>| points.iter().zip(sums).map(|(p, s)| s.score(*p)).collect();
    Ok(all.iter().map(of_lens).collect())
}

/// Compares rows of log-probabilities with the model's own.
fn compared(own: &[Vec<f32>], lens: Vec<Vec<f32>>, next: &[u32]) -> Vec<OfRow> {
    let of_row = |((own, lens), id): ((&Vec<f32>, &Vec<f32>), &u32)| {
        let term =
            |(p, q): (&f32, &f32)| if *p > -80.0 { f64::from(p.exp()) * f64::from(p - q) } else { 0.0 };
        OfRow {
            loss: -f64::from(lens[*id as usize]),
            kl: own.iter().zip(lens).map(term).sum(),
            is_equal: most(own) == most(lens),
        }
    };
    own.par_iter().zip(&lens).zip(next).map(of_row).collect()
}

/// The logarithm of the probability of each token, for each row of logits.
pub(super) fn log_probabilities(logits: &Tensor) -> Result<Vec<Vec<f32>>> {
    let mut rows = logits.to_vec2::<f32>()?;
    rows.par_iter_mut().for_each(|row| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = row.iter().map(|x| f64::from((x - most).exp())).sum();
        let log_total = total.ln() as f32;
        row.iter_mut().for_each(|x| *x = *x - most - log_total);
    });
    Ok(rows)
}

/// The index of the greatest value, the first of equals.
fn most(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = i;
        }
    }
    best
}

impl OfTexts {
    fn add(&mut self, rows: &[OfRow], sizes: &[usize]) {
        let mut rest = rows;
        for size in sizes {
            let (of_text, after) = rest.split_at(*size);
            self.losses.push((of_text.iter().map(|row| row.loss).sum(), *size));
            rest = after;
        }
        self.kl += rows.iter().map(|row| row.kl).sum::<f64>();
        self.n_equal += rows.iter().filter(|row| row.is_equal).count();
    }

    fn score(&self, point: HookPoint) -> LensScore {
        let n = self.losses.iter().map(|(_, n)| n).sum::<usize>() as f64;
        let mean = self.losses.iter().map(|(loss, _)| loss).sum::<f64>() / n;
        // The ratio estimator's variance over texts.
        let n_texts = self.losses.len() as f64;
        let square = |(loss, n): &(f64, usize)| (loss - mean * *n as f64).powi(2);
        let squares: f64 = self.losses.iter().map(square).sum();
        let half_width = match n_texts {
            texts if texts < 2.0 => f64::NAN,
            texts => 1.96 * (squares * texts / (texts - 1.0)).sqrt() / n,
        };
        let agreement = self.n_equal as f64 / n;
        LensScore { point, cross_entropy: mean, half_width, kl: self.kl / n, agreement }
    }
}
