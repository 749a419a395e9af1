//! Ridge regression with exact leave-one-out errors, streamed from stored activations.
//!
//! - `fit`: the fit of a probe: [`Ridge`], [`Solution`]
//! - `penalty`: the grid of penalties and the search for the best: [`PenaltyGrid`]
//! - `leave_one_out`: the errors that choose the penalty
//! - `decomposition`: `XᵀX = B M Bᵀ`, shared by all fits to the same rows: [`Decomposition`]
//! - `gram`: the inner matrix `M`, diagonal or a band
//! - `band`, `band_solve`: band matrices, and leverages and fitted values of rows
//! - `band_reduction`: `B` and `M` from a Gram matrix
//! - `moments`: stored rows, their mean and Gram matrix
//! - `stream_map`: the map from one stream to another, with as many targets as columns: [`StreamMap`]
//! - `symmetric`: products and eigenvectors of dense matrices

mod band;
mod band_reduction;
mod band_solve;
mod decomposition;
mod fit;
mod gram;
mod leave_one_out;
mod moments;
mod penalty;
mod stream_map;
mod symmetric;

pub use decomposition::Decomposition;
pub use fit::{Ridge, Solution};
pub(in crate::probes) use moments::{ActivationRows, Moments};
pub use penalty::{Edge, PenaltyGrid, Trial};
pub use stream_map::{MapRows, StreamMap};
