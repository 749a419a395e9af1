//! Fits the maps of a ridge lens: from the stream at each depth to the stream after the last block, on rows of texts.

use super::lens::{Lens, Translator};
use super::rows::{BatchedRows, stopped};
use super::texts::LensTexts;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::limits::{check_memory, product};
use crate::model::{Spec, Tensor, Transformer};
use crate::probes::{Edge, MapRows, PenaltyGrid, StreamMap};
use crate::progress::{Observer, Progress};
use ndarray::{Array2, ArrayView2};
use std::collections::BTreeMap;

/// Settings of a ridge lens.
#[derive(Debug, Clone)]
pub struct RidgeLensSettings {
    /// The penalties.
    pub grid: PenaltyGrid,
    /// Memory for rows, in bytes; if the rows of all layers do not fit, layers are fitted in groups, with one pass of the
    /// texts each.
    pub memory: usize,
}

/// A fitted lens.
#[derive(Debug, Clone)]
pub struct FittedLens {
    /// The lens.
    pub lens: Lens,
    /// The penalty at each hook point, and its position in the grid.
    pub penalties: BTreeMap<HookPoint, (f64, Edge)>,
}

/// The number of training rows below which a map of a model's width is poorly determined.
pub fn least_rows(spec: &Spec) -> usize {
    4 * spec.d_model
}

/// Fits a ridge lens.
///
/// A row's weight is the inverse of the mean square that the model's final norm divides it by, so that an error counts
/// as it does after the norm, and a few tokens with a huge stream do not decide the fit.
///
/// # Errors
/// [`Error::Invalid`] for fewer than 3 rows, or if the rows of one layer do not fit into the memory;
/// [`Error::StoppedTraining`] if the observer requests a stop; those of the pass.
pub fn fit_ridge_lens(
    model: &Transformer,
    texts: &LensTexts,
    settings: &RidgeLensSettings,
    observer: &mut dyn Observer,
) -> Result<FittedLens> {
    let rows = BatchedRows::new(model, &texts.train);
    let (spec, n) = (&model.spec, rows.n_rows());
    let (points, last) = (Lens::mapped_points(spec), HookPoint::ResidPost(spec.n_layers - 1));
    let bytes_of_layer = product([n, spec.d_model, size_of::<f32>()]).max(1);
    let n_layers = (settings.memory as u64 / bytes_of_layer).saturating_sub(1).clamp(1, points.len() as u64);
    let needed = (n_layers + 1).saturating_mul(bytes_of_layer);
    check_memory("the rows of a lens", needed, "lower --memory or --tokens")?;
    let groups: Vec<&[HookPoint]> = points.chunks(n_layers as usize).collect();
    let mut fitted =
        FittedLens { lens: Lens { name: "ridge".into(), ..Lens::logit() }, penalties: BTreeMap::new() };
    for (group, number) in groups.iter().zip(1..) {
        let stage = match groups.len() {
            1 => "rows".to_string(),
            of => format!("rows, pass {number} of {of}"),
        };
        let wanted: Vec<HookPoint> = group.iter().copied().chain([last]).collect();
        let mut found = rows.at(&wanted, &stage, observer)?;
        let target = found.pop().unwrap_or_default();
        let target = Array2::from_shape_vec((n, spec.d_model), target).map_err(internal)?;
        let weights = weights(spec, target.view());
        for (point, values) in group.iter().zip(found) {
            let done = fitted.penalties.len() as u64;
            observer.progress(&Progress::counted("maps", done, points.len() as u64));
            if observer.should_stop() {
                return Err(stopped());
            }
            let x = Array2::from_shape_vec((n, spec.d_model), values).map_err(internal)?;
            let rows = MapRows { x: x.view(), y: target.view(), weights: &weights };
            let map = StreamMap::fit(rows, &settings.grid)?;
            fitted.penalties.insert(*point, (map.penalty, map.edge));
            fitted.lens.translators.insert(*point, translator(&map, model)?);
        }
    }
    observer.progress(&Progress::counted("maps", points.len() as u64, points.len() as u64));
    Ok(fitted)
}

/// The weight of each row, with a mean of 1.
fn weights(spec: &Spec, last: ArrayView2<f32>) -> Vec<f64> {
    if !spec.head.is_some_and(|head| head.norm) {
        return vec![1.0; last.nrows()];
    }
    let square = |row: ndarray::ArrayView1<f32>| {
        let wide = row.mapv(f64::from);
        let centre = if spec.norm.is_centred() { wide.mean().unwrap_or(0.0) } else { 0.0 };
        let mean_square = wide.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / wide.len() as f64;
        1.0 / (mean_square + spec.norm_eps)
    };
    let weights: Vec<f64> = last.rows().into_iter().map(square).collect();
    let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
    weights.into_iter().map(|weight| weight / mean).collect()
}

fn translator(map: &StreamMap, model: &Transformer) -> Result<Translator> {
    let (d, device) = (map.bias.len(), model.device());
    let values = |values: &mut dyn Iterator<Item = &f64>| values.map(|v| *v as f32).collect::<Vec<f32>>();
    Ok(Translator {
        change: Tensor::from_vec(values(&mut map.change.iter()), (d, d), &device)?,
        bias: Tensor::from_vec(values(&mut map.bias.iter()), d, &device)?,
    })
}

fn internal(error: ndarray::ShapeError) -> Error {
    Error::Internal(error.to_string())
}
