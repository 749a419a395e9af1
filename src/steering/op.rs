//! The change at one row of the stream.

use super::direction::Direction;
use crate::error::{Error, Result};
use crate::features::Dictionary;
use crate::hook_point::HookPoint;
use crate::probes::{Probe, StoredProbe};
use std::str::FromStr;
use std::sync::Arc;

/// What is done to a row `h` of the stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// `h + vector`.
    Add(Vec<f64>),
    /// A change after which the probe reads `target`: `h + Σ (target_t − reading_t(h)) · basis_t`.
    Set {
        /// The probe.
        probe: Probe,
        /// Vectors that each move one reading by one unit, `[n_targets][d_model]`.
        basis: Vec<Vec<f64>>,
        /// What it shall read, one value a target.
        target: Vec<f64>,
    },
    /// `h − d dᵀ h`: the stream without its part along the direction.
    Remove(Direction),
    /// A unit of a sparse dictionary clamped: `h + (target − activation(h)) · direction`. What the dictionary does
    /// not explain of `h` stays as it is.
    Clamp {
        /// The dictionary.
        dictionary: Arc<Dictionary>,
        /// Its unit.
        unit: usize,
        /// The activation that the unit shall have.
        target: f64,
    },
}

/// Along which vectors a probe's readings are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Along {
    /// The least change: `Wᵀ(WWᵀ)⁻¹δ`.
    Weights,
    /// The probe's pattern: as the stream itself moves when the target does.
    Pattern,
}

impl FromStr for Along {
    type Err = Error;

    fn from_str(text: &str) -> Result<Along> {
        match text {
            "weights" => Ok(Along::Weights),
            "pattern" => Ok(Along::Pattern),
            _ => Err(Error::invalid("--along", text, "weights or pattern")),
        }
    }
}

/// What happens to a row's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// The change decides.
    Free,
    /// The row is scaled back to the length it had.
    Kept,
}

impl Op {
    /// The least change that moves the probe's readings by `deltas`: `h + Wᵀ(WWᵀ)⁻¹ δ`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is not one change a target, or the targets are read alike.
    pub fn shift(probe: &Probe, deltas: &[f64]) -> Result<Op> {
        Ok(shift(&basis(probe, deltas.len())?, deltas))
    }

    /// The least change after which the probe reads `target`.
    ///
    /// # Errors
    /// As [`Op::shift`].
    pub fn set(probe: &Probe, target: &[f64]) -> Result<Op> {
        Ok(Op::Set { basis: basis(probe, target.len())?, probe: probe.clone(), target: target.to_vec() })
    }

    /// Moves the probe's readings by `deltas` along its weights or its pattern.
    ///
    /// Both move the readings alike; the pattern moves the rest of the stream as the data does.
    ///
    /// # Source
    /// Haufe et al. 2014, "On the interpretation of weight vectors of linear models".
    ///
    /// # Errors
    /// As [`Op::shift`].
    pub fn shift_along(along: Along, stored: &StoredProbe, deltas: &[f64]) -> Result<Op> {
        Ok(shift(&basis_along(along, stored, deltas.len())?, deltas))
    }

    /// Sets the probe's readings to `target` along its weights or its pattern.
    ///
    /// # Errors
    /// As [`Op::shift`].
    pub fn set_along(along: Along, stored: &StoredProbe, target: &[f64]) -> Result<Op> {
        let basis = basis_along(along, stored, target.len())?;
        Ok(Op::Set { basis, probe: stored.probe.clone(), target: target.to_vec() })
    }

    /// `h + dose · rms · direction`, the dose in multiples of the layer's residual RMS norm.
    pub fn add(direction: &Direction, dose: f64, resid_rms: f64) -> Op {
        Op::Add(direction.times(dose * resid_rms))
    }

    /// A unit of a sparse dictionary clamped to an activation.
    ///
    /// A unit whose encoder reads `c` of its own direction then reads `r + (target − a) c`, where `r` is its reading
    /// before the activation function and `a` its activation: the target itself where it was active and `c` is 1.
    ///
    /// # Source
    /// Bricken et al. 2023, "Towards Monosemanticity": the error of the reconstruction is kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a unit that the dictionary does not have.
    pub fn clamp(dictionary: &Arc<Dictionary>, unit: usize, target: f64) -> Result<Op> {
        check_unit(dictionary, unit)?;
        Ok(Op::Clamp { dictionary: dictionary.clone(), unit, target })
    }

    /// What a unit of a sparse dictionary writes, added as by this activation.
    ///
    /// # Errors
    /// As [`Op::clamp`].
    pub fn add_unit(dictionary: &Dictionary, unit: usize, activation: f64) -> Result<Op> {
        check_unit(dictionary, unit)?;
        Ok(Op::Add(dictionary.direction(unit).iter().map(|x| activation * f64::from(*x)).collect()))
    }

    /// The length of what is added, where it is the same for every row.
    pub fn length(&self) -> Option<f64> {
        match self {
            Op::Add(vector) => Some(vector.iter().map(|x| x * x).sum::<f64>().sqrt()),
            Op::Set { .. } | Op::Remove(_) | Op::Clamp { .. } => None,
        }
    }

    /// Whether the op leaves every row as it is, to the bit.
    pub fn is_identity(&self) -> bool {
        self.length() == Some(0.0)
    }

    /// The width of the rows that it changes.
    pub fn width(&self) -> usize {
        match self {
            Op::Add(vector) => vector.len(),
            Op::Set { probe, .. } => probe.d_model(),
            Op::Remove(direction) => direction.unit().len(),
            Op::Clamp { dictionary, .. } => dictionary.d_in(),
        }
    }

    /// Whether all its numbers are numbers.
    ///
    /// # Errors
    /// [`Error::NonFinite`] naming the hook point and the value.
    pub fn check(&self, point: HookPoint) -> Result<()> {
        let (vectors, values): (Vec<&[f64]>, &[f64]) = match self {
            Op::Add(vector) => (vec![vector], &[]),
            Op::Set { basis, target, .. } => (basis.iter().map(Vec::as_slice).collect(), target),
            Op::Remove(direction) => (vec![direction.unit()], &[]),
            // Its own numbers were looked at when it was read.
            Op::Clamp { target, .. } => (vec![], std::slice::from_ref(target)),
        };
        let all = vectors.into_iter().flatten().chain(values);
        match all.copied().find(|value| !value.is_finite()) {
            None => Ok(()),
            Some(found) => Err(Error::NonFinite {
                place: format!("what steers at {point}"),
                found,
                advice: "make the vector anew, or take a smaller dose".into(),
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
            Op::Clamp { dictionary, unit, target } => {
                let change = target - dictionary.encode_unit(row, *unit);
                for (h, d) in row.iter_mut().zip(dictionary.direction(*unit)) {
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

fn check_unit(dictionary: &Dictionary, unit: usize) -> Result<()> {
    match unit < dictionary.d_sae() {
        true => Ok(()),
        false => Err(Error::invalid("unit", unit, format!("0 to {}", dictionary.d_sae() - 1))),
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

fn basis_along(along: Along, stored: &StoredProbe, n: usize) -> Result<Vec<Vec<f64>>> {
    match along {
        Along::Weights => basis(&stored.probe, n),
        Along::Pattern => {
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

fn basis(probe: &Probe, n: usize) -> Result<Vec<Vec<f64>>> {
    check_targets(probe, n)?;
    Ok(probe.least_changes()?.rows().into_iter().map(|row| row.to_vec()).collect())
}
