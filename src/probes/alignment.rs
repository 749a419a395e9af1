//! The geometry of what was found: how many components it lies in, and how probes lie to each other.

use super::probe::Probe;
use super::ridge::Decomposition;
use super::store::{ProbeSet, StoredProbe};
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::results::{CosineRow, ParticipationRow};
use ndarray::ArrayView1;

/// The participation ratio of some variances: their sum squared over the sum of their squares.
///
/// It is 1 where one of them is all there is and their number where all are alike; 0 where there are none.
pub fn participation(variances: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, squares) = variances.into_iter().fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
    ratio(sum, squares)
}

fn ratio(sum: f64, squares: f64) -> f64 {
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// The cosine of the angle between two vectors; 0 where either is zero.
pub fn cosine(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    let scale = (a.dot(&a) * b.dot(&b)).sqrt();
    if scale > 0.0 { (a.dot(&b) / scale).clamp(-1.0, 1.0) } else { 0.0 }
}

impl Decomposition<'_> {
    /// How many principal components the stream lies in, as a participation ratio.
    pub fn participation(&self) -> f64 {
        let (sum, squares) = self.eigenvalue_sums();
        ratio(sum, squares)
    }

    /// How many principal components each reading of a probe is made of: the participation ratio of the
    /// variances that it has along them.
    ///
    /// # Errors
    /// As [`Decomposition::principal`].
    pub fn participation_of(&self, probe: &Probe) -> Result<Vec<f64>> {
        let squares = self.principal_squares(probe)?;
        Ok(squares.rows().into_iter().map(|row| participation(row.iter().copied())).collect())
    }
}

/// A probe set's rows of participation at one hook point, one a target.
///
/// # Errors
/// [`crate::Error::Invalid`] if the hook point has no probe.
pub fn participation_rows(
    set: &ProbeSet,
    point: HookPoint,
    decomposition: &Decomposition,
) -> Result<Vec<ParticipationRow>> {
    let of_probe = decomposition.participation_of(&set.get(point)?.probe)?;
    let row = |(target, probe): (&String, f64)| ParticipationRow {
        dataset: set.about.dataset.clone(),
        model: set.about.model.clone(),
        prompt: set.about.prompt.clone(),
        hook_point: point.to_string(),
        layer: point.label(),
        target: target.clone(),
        d_model: decomposition.mean().len(),
        stream: decomposition.participation(),
        probe,
    };
    Ok(set.about.targets.iter().zip(of_probe).map(row).collect())
}

/// One reading of a stored probe, with what it is called.
struct Reading<'a> {
    set: &'a ProbeSet,
    point: HookPoint,
    stored: &'a StoredProbe,
    target: usize,
}

impl<'a> Reading<'a> {
    fn all(set: &'a ProbeSet, point: HookPoint) -> Result<Vec<Reading<'a>>> {
        let stored = set.get(point)?;
        Ok((0..set.about.targets.len()).map(|target| Reading { set, point, stored, target }).collect())
    }

    fn against(&self, other: &Reading) -> CosineRow {
        let row = |of: &Reading| (of.point.to_string(), of.point.label(), of.set.about.dataset.clone());
        let target = |of: &Reading| of.set.about.targets[of.target].clone();
        let (a, b) = (row(self), row(other));
        let weights = |of: &Reading<'a>| of.stored.probe.weights.row(of.target).to_owned();
        let patterns = |of: &Reading<'a>| of.stored.stream.pattern.row(of.target).to_owned();
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

/// Cosines between the probes of each two hook points, target by target.
///
/// # Errors
/// None that a probe set can cause.
pub fn cosines_of_layers(set: &ProbeSet) -> Result<Vec<CosineRow>> {
    let points: Vec<HookPoint> = set.points().collect();
    let mut rows = Vec::new();
    for (i, &first) in points.iter().enumerate() {
        for &second in &points[i + 1..] {
            let pairs = Reading::all(set, first)?.into_iter().zip(Reading::all(set, second)?);
            rows.extend(pairs.map(|(a, b)| a.against(&b)));
        }
    }
    Ok(rows)
}

/// Cosines between the targets of one probe, such as latitude and longitude, at each hook point.
///
/// # Errors
/// None that a probe set can cause.
pub fn cosines_of_targets(set: &ProbeSet) -> Result<Vec<CosineRow>> {
    let mut rows = Vec::new();
    for point in set.points() {
        let readings = Reading::all(set, point)?;
        for (i, a) in readings.iter().enumerate() {
            rows.extend(readings[i + 1..].iter().map(|b| a.against(b)));
        }
    }
    Ok(rows)
}

/// Cosines between the probes of two datasets at each hook point that both have, each target with each.
///
/// # Errors
/// None that a probe set can cause.
pub fn cosines_of_datasets(a: &ProbeSet, b: &ProbeSet) -> Result<Vec<CosineRow>> {
    let theirs: Vec<HookPoint> = b.points().collect();
    let mut rows = Vec::new();
    for point in a.points().filter(|point| theirs.contains(point)) {
        for one in Reading::all(a, point)? {
            rows.extend(Reading::all(b, point)?.iter().map(|other| one.against(other)));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::noise;
    use super::super::{ProbeSetAbout, StreamMoments};
    use super::*;
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
    fn participation_counts_components() {
        assert_eq!(participation([3.0, 3.0, 3.0, 3.0]), 4.0);
        assert_eq!(participation([5.0, 0.0]), 1.0);
        assert_eq!(participation([]), 0.0);
        // Columns that do not vary together, two of them alike: two components, each reading in one or both.
        let x = Array2::from_shape_fn((8, 3), |(i, j)| match j {
            0 => {
                if i % 2 == 0 {
                    1.0
                } else {
                    -1.0
                }
            }
            1 => {
                if i % 4 < 2 {
                    1.0
                } else {
                    -1.0
                }
            }
            _ => 0.0,
        });
        let decomposition = Decomposition::of(x).unwrap();
        assert!((decomposition.participation() - 2.0).abs() < 1e-12);
        let probe = Probe { weights: array![[1.0, 1.0, 9.0]], bias: array![0.0], penalty: 0.0 };
        assert!((decomposition.participation_of(&probe).unwrap()[0] - 2.0).abs() < 1e-9);
        let rows =
            participation_rows(&set("d", &[noise((2, 3), 1)]), HookPoint::ResidPost(0), &decomposition);
        assert_eq!(rows.unwrap().len(), 2);
    }

    #[test]
    fn cosines_are_those_of_the_vectors_and_know_their_names() {
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
        assert_eq!(datasets.len(), 4, "one hook point that both have, two targets each");
        assert_eq!((datasets[0].weights, datasets[1].weights), (1.0, 0.0));
        assert_eq!((datasets[0].dataset_a.as_str(), datasets[0].dataset_b.as_str()), ("first", "second"));
    }
}
