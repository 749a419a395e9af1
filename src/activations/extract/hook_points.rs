//! The hook points of a model, and their widths.

use crate::hook_point::HookPoint;
use crate::model::Spec;

/// The hook points that a model has, in the order of the pass.
pub fn hook_points(spec: &Spec) -> Vec<HookPoint> {
    HookPoint::all(spec.n_layers).into_iter().filter(|point| spec.width_at(*point).is_some()).collect()
}

/// The width of a hook point that the model has.
pub(crate) fn width(spec: &Spec, point: HookPoint) -> usize {
    spec.width_at(point).unwrap_or(spec.d_model)
}
