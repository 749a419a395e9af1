//! The operations on one row of the stream.

use super::direction::UnitDirection;
use crate::error::{Error, Result};
use crate::features::Dictionary;
use crate::hook_point::HookPoint;
use crate::probes::{Probe, StoredProbe};
use std::str::FromStr;
use std::sync::Arc;

/// An operation on a row `h` of the stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// `h + vector`.
    Add(Vec<f64>),
    /// Sets the probe's predictions to `target`: `h + Σ (target_t − prediction_t(h)) · basis_t`.
    Set {
        /// The probe.
        probe: Probe,
        /// Vectors that each move one prediction by 1, `[n_targets][d_model]`.
        basis: Vec<Vec<f64>>,
        /// The predictions to set, one value per target.
        target: Vec<f64>,
    },
    /// `h − d dᵀ h`: the stream without its component along the direction.
    Remove(UnitDirection),
    /// Clamps a latent of a sparse dictionary: `h + (target − activation(h)) · direction`. The error of the
    /// dictionary's reconstruction of `h` is kept.
    Clamp {
        /// The dictionary.
        dictionary: Arc<Dictionary>,
        /// The latent.
        latent: usize,
        /// The activation at which it is clamped.
        target: f64,
    },
}

/// The vectors along which a probe's predictions are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The smallest change: `Wᵀ(WWᵀ)⁻¹δ`.
    Weights,
    /// The probe's pattern: the change of the stream in the data when the target changes.
    Pattern,
}

impl FromStr for Basis {
    type Err = Error;

    fn from_str(text: &str) -> Result<Basis> {
        match text {
            "weights" => Ok(Basis::Weights),
            "pattern" => Ok(Basis::Pattern),
            _ => Err(Error::invalid("--along", text, "weights or pattern")),
        }
    }
}

/// The length of a row after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// The length after the change, unscaled.
    Free,
    /// The length before the change: the changed row is scaled to it.
    Kept,
}

impl Op {
    /// The smallest change that moves the probe's predictions by `deltas`: `h + Wᵀ(WWᵀ)⁻¹ δ`.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless there is one delta per target, or if the targets' weights are linearly dependent.
    pub fn shift(probe: &Probe, deltas: &[f64]) -> Result<Op> {
        Ok(shift(&least_changes(probe, deltas.len())?, deltas))
    }

    /// The smallest change that sets the probe's predictions to `target`.
    ///
    /// # Errors
    /// As [`Op::shift`].
    pub fn set(probe: &Probe, target: &[f64]) -> Result<Op> {
        Ok(Op::Set {
            basis: least_changes(probe, target.len())?,
            probe: probe.clone(),
            target: target.to_vec(),
        })
    }

    /// Moves the probe's predictions by `deltas` along its weights or its pattern.
    ///
    /// Both move the predictions by the same amount; the pattern also changes the rest of the stream, as in the data.
    ///
    /// # Source
    /// Haufe et al. 2014, "On the interpretation of weight vectors of linear models".
    ///
    /// # Errors
    /// As [`Op::shift`].
    pub fn shift_along(basis: Basis, stored: &StoredProbe, deltas: &[f64]) -> Result<Op> {
        Ok(shift(&vectors_of(basis, stored, deltas.len())?, deltas))
    }

    /// Sets the probe's predictions to `target` along its weights or its pattern.
    ///
    /// # Errors
    /// As [`Op::shift`].
    pub fn set_along(basis: Basis, stored: &StoredProbe, target: &[f64]) -> Result<Op> {
        let basis = vectors_of(basis, stored, target.len())?;
        Ok(Op::Set { basis, probe: stored.probe.clone(), target: target.to_vec() })
    }

    /// `h + dose · rms · direction`: the dose is in multiples of the layer's residual RMS norm.
    pub fn add(direction: &UnitDirection, dose: f64, resid_rms: f64) -> Op {
        Op::Add(direction.times(dose * resid_rms))
    }

    /// Clamps a latent of a sparse dictionary to an activation.
    ///
    /// Let `r` be the latent's pre-activation, `a` its activation, and `c` the product of its encoder weights and its
    /// direction. Its pre-activation becomes `r + (target − a) c`, which is the target if it was active and `c` is 1.
    ///
    /// # Source
    /// Bricken et al. 2023, "Towards Monosemanticity": the reconstruction error is kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a latent that the dictionary lacks.
    pub fn clamp(dictionary: &Arc<Dictionary>, latent: usize, target: f64) -> Result<Op> {
        dictionary.check_latent(latent)?;
        Ok(Op::Clamp { dictionary: dictionary.clone(), latent, target })
    }

    /// Adds the direction of a sparse dictionary's latent, multiplied by an activation.
    ///
    /// # Errors
    /// As [`Op::clamp`].
    pub fn add_latent(dictionary: &Dictionary, latent: usize, activation: f64) -> Result<Op> {
        dictionary.check_latent(latent)?;
        Ok(Op::Add(dictionary.direction(latent).iter().map(|x| activation * f64::from(*x)).collect()))
    }

    /// The length of the change, if it is the same for every row.
    pub fn length(&self) -> Option<f64> {
        match self {
            Op::Add(vector) => Some(vector.iter().map(|x| x * x).sum::<f64>().sqrt()),
            Op::Set { .. } | Op::Remove(_) | Op::Clamp { .. } => None,
        }
    }

    /// True if every row stays bit-identical.
    pub fn is_identity(&self) -> bool {
        self.length() == Some(0.0)
    }

    /// The width of the rows.
    pub fn width(&self) -> usize {
        match self {
            Op::Add(vector) => vector.len(),
            Op::Set { probe, .. } => probe.d_model(),
            Op::Remove(direction) => direction.unit().len(),
            Op::Clamp { dictionary, .. } => dictionary.d_in(),
        }
    }

    /// Checks that all its values are finite.
    ///
    /// # Errors
    /// [`Error::NonFinite`] naming the hook point and the value.
    pub fn check(&self, point: HookPoint) -> Result<()> {
        let (vectors, values): (Vec<&[f64]>, &[f64]) = match self {
            Op::Add(vector) => (vec![vector], &[]),
            Op::Set { basis, target, .. } => (basis.iter().map(Vec::as_slice).collect(), target),
            Op::Remove(direction) => (vec![direction.unit()], &[]),
            // A dictionary's numbers are checked when it is loaded.
            Op::Clamp { target, .. } => (vec![], std::slice::from_ref(target)),
        };
        let all = vectors.into_iter().flatten().chain(values);
        match all.copied().find(|value| !value.is_finite()) {
            None => Ok(()),
            Some(found) => Err(Error::NonFinite {
                place: format!("change of the stream at {point}"),
                found,
                advice: "compute the vector again, or choose a smaller dose".into(),
            }),
        }
    }

    /// Changes one row.
    pub fn apply(&self, row: &mut [f32], norm: Norm) {
        let before = length(row);
        match self {
            Op::Add(vector) => add(row, 1.0, vector),
            Op::Set { probe, basis, target } => {
                let reading = probe.predict_row(row);
                for ((row_of_basis, target), reading) in basis.iter().zip(target).zip(reading) {
                    add(row, target - reading, row_of_basis);
                }
            }
            Op::Remove(direction) => {
                let along: f64 = row.iter().zip(direction.unit()).map(|(h, d)| f64::from(*h) * d).sum();
                add(row, -along, direction.unit());
            }
            Op::Clamp { dictionary, latent, target } => {
                let change = target - dictionary.encode_latent(row, *latent);
                for (h, d) in row.iter_mut().zip(dictionary.direction(*latent)) {
                    *h = (f64::from(*h) + change * f64::from(*d)) as f32;
                }
            }
        }
        if norm == Norm::Kept {
            let scale = (before / length(row).max(f64::MIN_POSITIVE)) as f32;
            row.iter_mut().for_each(|h| *h *= scale);
        }
    }
}

fn length(row: &[f32]) -> f64 {
    row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

fn add(row: &mut [f32], factor: f64, vector: &[f64]) {
    for (h, v) in row.iter_mut().zip(vector) {
        *h = (f64::from(*h) + factor * v) as f32;
    }
}

fn shift(basis: &[Vec<f64>], deltas: &[f64]) -> Op {
    let mut vector = vec![0.0; basis[0].len()];
    for (row, delta) in basis.iter().zip(deltas) {
        vector.iter_mut().zip(row).for_each(|(v, w)| *v += delta * w);
    }
    Op::Add(vector)
}

fn vectors_of(basis: Basis, stored: &StoredProbe, n: usize) -> Result<Vec<Vec<f64>>> {
    match basis {
        Basis::Weights => least_changes(&stored.probe, n),
        Basis::Pattern => {
            check_targets(&stored.probe, n)?;
            Ok(stored.stream.pattern.rows().into_iter().map(|row| row.to_vec()).collect())
        }
    }
}

fn check_targets(probe: &Probe, n: usize) -> Result<()> {
    if n == probe.n_targets() {
        return Ok(());
    }
    let expected = format!("one for each of the probe's {} targets", probe.n_targets());
    Err(Error::invalid("values to steer to", n, expected))
}

fn least_changes(probe: &Probe, n: usize) -> Result<Vec<Vec<f64>>> {
    check_targets(probe, n)?;
    Ok(probe.least_changes()?.rows().into_iter().map(|row| row.to_vec()).collect())
}
