//! The widths of a model's hook points.

use crate::hook_point::HookPoint;
use crate::model::Spec;

/// The width of a hook point; `d_model` if the model lacks it.
pub(crate) fn width(spec: &Spec, point: HookPoint) -> usize {
    spec.width_at(point).unwrap_or(spec.d_model)
}
