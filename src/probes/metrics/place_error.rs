//! The error of predicted places: mean and median great-circle distance.

use super::great_circle::great_circle_km;
use super::predicted::Predicted;
use super::quantiles::SortedValues;
use super::score::{GREAT_CIRCLE, TargetScore};
use crate::datasets::TargetKind;
use crate::error::Result;

/// The mean and the median distance between true and predicted places.
pub(super) fn scores(predicted: &Predicted) -> Result<Vec<TargetScore>> {
    if *predicted.kind != TargetKind::Place {
        return Ok(Vec::new());
    }
    let (truth, predicted) = predicted.places()?;
    let km: Vec<f64> =
        truth.iter().zip(&predicted).map(|(t, p)| great_circle_km(t.0, t.1, p.0, p.1)).collect();
    let sorted = SortedValues::of(&km);
    Ok(vec![
        TargetScore::mean_of("mean_km", GREAT_CIRCLE, km),
        TargetScore::new("median_km", GREAT_CIRCLE, move |counts| sorted.median(counts)),
    ])
}
