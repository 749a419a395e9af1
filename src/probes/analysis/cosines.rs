//! Cosines between probes: of layers, of targets and of datasets.

use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::saved::{ProbeSet, StoredProbe};
use crate::results::CosineRow;
use ndarray::ArrayView1;

/// The cosine of the angle between two vectors; 0 if either is zero.
pub fn cosine(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    let scale = (a.dot(&a) * b.dot(&b)).sqrt();
    if scale > 0.0 { (a.dot(&b) / scale).clamp(-1.0, 1.0) } else { 0.0 }
}

/// One target of a stored probe.
struct ProbeTarget<'a> {
    set: &'a ProbeSet,
    point: HookPoint,
    stored: &'a StoredProbe,
    target: usize,
}

impl<'a> ProbeTarget<'a> {
    /// All targets of the probe at a hook point.
    fn all(set: &'a ProbeSet, point: HookPoint) -> Result<Vec<ProbeTarget<'a>>> {
        let stored = set.get(point)?;
        Ok((0..set.about.targets.len()).map(|target| ProbeTarget { set, point, stored, target }).collect())
    }

    /// The result row with the cosines between this target and another.
    fn row_with(&self, other: &ProbeTarget) -> CosineRow {
        let row = |of: &ProbeTarget| (of.point.to_string(), of.point.label(), of.set.about.dataset.clone());
        let target = |of: &ProbeTarget| of.set.about.targets[of.target].clone();
        let (a, b) = (row(self), row(other));
        let weights = |of: &ProbeTarget<'a>| of.stored.probe.weights.row(of.target).to_owned();
        let patterns = |of: &ProbeTarget<'a>| of.stored.stream.pattern.row(of.target).to_owned();
        let other_weights = other.stored.probe.weights.row(other.target);
        let other_pattern = other.stored.stream.pattern.row(other.target);
        CosineRow {
            model: self.set.about.model.clone(),
            prompt: self.set.about.prompt.clone(),
            dataset_a: a.2,
            hook_point_a: a.0,
            layer_a: a.1,
            target_a: target(self),
            dataset_b: b.2,
            hook_point_b: b.0,
            layer_b: b.1,
            target_b: target(other),
            weights: cosine(weights(self).view(), other_weights),
            pattern: cosine(patterns(self).view(), other_pattern),
        }
    }
}

/// The cosines between the probes of each pair of hook points, for each target.
///
/// # Errors
/// None for a valid probe set.
pub fn cosines_of_layers(set: &ProbeSet) -> Result<Vec<CosineRow>> {
    let points: Vec<HookPoint> = set.points().collect();
    let mut rows = Vec::new();
    for (i, &first) in points.iter().enumerate() {
        for &second in &points[i + 1..] {
            let pairs = ProbeTarget::all(set, first)?.into_iter().zip(ProbeTarget::all(set, second)?);
            rows.extend(pairs.map(|(a, b)| a.row_with(&b)));
        }
    }
    Ok(rows)
}

/// The cosines between the targets of each probe, such as latitude and longitude.
///
/// # Errors
/// None for a valid probe set.
pub fn cosines_of_targets(set: &ProbeSet) -> Result<Vec<CosineRow>> {
    let mut rows = Vec::new();
    for point in set.points() {
        let targets = ProbeTarget::all(set, point)?;
        for (i, a) in targets.iter().enumerate() {
            rows.extend(targets[i + 1..].iter().map(|b| a.row_with(b)));
        }
    }
    Ok(rows)
}

/// The cosines between the probes of two datasets at each common hook point, for all pairs of targets.
///
/// # Errors
/// None for a valid probe set.
pub fn cosines_of_datasets(a: &ProbeSet, b: &ProbeSet) -> Result<Vec<CosineRow>> {
    let theirs: Vec<HookPoint> = b.points().collect();
    let mut rows = Vec::new();
    for point in a.points().filter(|point| theirs.contains(point)) {
        for one in ProbeTarget::all(a, point)? {
            rows.extend(ProbeTarget::all(b, point)?.iter().map(|other| one.row_with(other)));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::{Probe, ProbeSetAbout, StreamMoments};
    use ndarray::{Array1, Array2, array};

    fn set(dataset: &str, weights: &[Array2<f64>]) -> ProbeSet {
        let about = ProbeSetAbout {
            dataset: dataset.into(),
            model: "small".into(),
            prompt: "empty".into(),
            targets: vec!["latitude".into(), "longitude".into()],
            unit: String::new(),
        };
        let mut set = ProbeSet::new(about);
        for (l, weights) in weights.iter().enumerate() {
            let probe = Probe { weights: weights.clone(), bias: Array1::zeros(2), penalty: 1.0 };
            let mean = Array1::zeros(weights.ncols());
            let stream = StreamMoments { mean, pattern: -weights.clone(), resid_rms: 1.0 };
            set.insert(HookPoint::ResidPost(l), StoredProbe { probe, stream });
        }
        set
    }

    #[test]
    fn cosines_equal_those_of_the_vectors_under_their_names() {
        let first = set(
            "first",
            &[array![[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], array![[3.0, 3.0, 0.0], [0.0, -1.0, 0.0]]],
        );
        let layers = cosines_of_layers(&first).unwrap();
        assert_eq!(layers.len(), 2);
        assert!((layers[0].weights - 0.5_f64.sqrt()).abs() < 1e-12 && layers[1].weights == -1.0);
        assert_eq!((layers[1].layer_a.as_str(), layers[1].layer_b.as_str()), ("0", "1"));
        let targets = cosines_of_targets(&first).unwrap();
        assert_eq!(targets.iter().map(|row| row.weights).collect::<Vec<_>>()[0], 0.0);
        assert!((targets[1].pattern + 0.5_f64.sqrt()).abs() < 1e-12, "{targets:?}");
        let second = set("second", &[array![[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]);
        let datasets = cosines_of_datasets(&first, &second).unwrap();
        assert_eq!(datasets.len(), 4, "one common hook point, two targets each");
        assert_eq!((datasets[0].weights, datasets[1].weights), (1.0, 0.0));
        assert_eq!((datasets[0].dataset_a.as_str(), datasets[0].dataset_b.as_str()), ("first", "second"));
    }
}
