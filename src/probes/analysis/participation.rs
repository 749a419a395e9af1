//! Participation ratios: the effective number of principal components.

use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::probe::Probe;
use crate::probes::ridge::Decomposition;
use crate::probes::saved::ProbeSet;
use crate::results::ParticipationRow;

/// The participation ratio of a list of variances: the square of their sum divided by the sum of their squares.
///
/// It is 1 if exactly one variance is nonzero, `n` if all `n` are equal, and 0 if there is no nonzero variance.
pub fn participation(variances: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, squares) = variances.into_iter().fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
    ratio(sum, squares)
}

fn ratio(sum: f64, squares: f64) -> f64 {
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

impl Decomposition<'_> {
    /// The number of principal components of the stream, as a participation ratio.
    pub fn participation(&self) -> f64 {
        let (sum, squares) = self.eigenvalue_sums();
        ratio(sum, squares)
    }

    /// The number of principal components of each prediction of a probe: the participation ratio of its variances
    /// along them.
    ///
    /// # Errors
    /// As [`Decomposition::principal`].
    pub fn participation_of(&self, probe: &Probe) -> Result<Vec<f64>> {
        let squares = self.principal_squares(probe)?;
        Ok(squares.rows().into_iter().map(|row| participation(row.iter().copied())).collect())
    }
}

/// The participation rows of a probe set at one hook point, one per target.
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn it_counts_components() {
        assert_eq!(participation([3.0, 3.0, 3.0, 3.0]), 4.0);
        assert_eq!(participation([5.0, 0.0]), 1.0);
        assert_eq!(participation([]), 0.0);
        // Two uncorrelated columns of equal variance and one of zeros: two components, and a prediction from both.
        let x = Array2::from_shape_fn((8, 3), |(i, j)| match j {
            0 => [1.0, -1.0][i % 2],
            1 => [1.0, -1.0][i / 2 % 2],
            _ => 0.0,
        });
        let decomposition = Decomposition::of(x).unwrap();
        assert!((decomposition.participation() - 2.0).abs() < 1e-12);
        let probe = Probe { weights: array![[1.0, 1.0, 9.0]], bias: array![0.0], penalty: 0.0 };
        assert!((decomposition.participation_of(&probe).unwrap()[0] - 2.0).abs() < 1e-9);
    }
}
