//! Subspaces of the stream by their orthonormal bases, and the principal angles between them.

use crate::artefact::save_bytes;
use crate::error::{Error, Result};
use crate::model::tensors_of_file;
use faer::Mat;
use ndarray::{Array2, ArrayView2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// The name of the tensor in a file.
const BASIS: &str = "basis";
/// The smallest share of a vector's length that must remain after the directions before it are removed.
const INDEPENDENT: f64 = 1e-9;

/// A subspace of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Subspace {
    /// Orthonormal rows, `[rank, d_model]`.
    basis: Array2<f64>,
}

/// The principal angles between random subspaces, over many draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomAngles {
    /// The mean.
    pub mean: f64,
    /// The quantile at 2.5 %.
    pub low: f64,
    /// The quantile at 97.5 %.
    pub high: f64,
}

impl Subspace {
    /// The subspace that vectors span, in the order of the vectors (Gram and Schmidt).
    ///
    /// # Shapes
    /// `[rank, d_model]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for vectors that are not finite, or of which one depends on the others.
    pub fn spanned_by(vectors: ArrayView2<f64>) -> Result<Subspace> {
        let mut basis = vectors.to_owned();
        for i in 0..basis.nrows() {
            let before = length(&basis, i);
            // Twice, because the first pass leaves rounding errors of nearly dependent vectors.
            for _ in 0..2 {
                for j in 0..i {
                    let along = basis.row(i).dot(&basis.row(j));
                    let removed = &basis.row(j) * along;
                    basis.row_mut(i).zip_mut_with(&removed, |x, r| *x -= r);
                }
            }
            let after = length(&basis, i);
            if !(after.is_finite() && after > INDEPENDENT * before) {
                let found = format!("vector {i}, which is not finite or depends on the others");
                return Err(Error::invalid("directions of a subspace", found, "independent vectors"));
            }
            basis.row_mut(i).mapv_inplace(|x| x / after);
        }
        Ok(Subspace { basis })
    }

    /// A random subspace, uniform over all of this rank.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the rank exceeds the width.
    pub fn random(rank: usize, d_model: usize, seed: u64) -> Result<Subspace> {
        if rank > d_model {
            let expected = format!("at most {d_model}, the width of the stream");
            return Err(Error::invalid("rank of a subspace", rank, expected));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let vectors = Array2::from_shape_simple_fn((rank, d_model), || StandardNormal.sample(&mut rng));
        Subspace::spanned_by(vectors.view())
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.basis.nrows()
    }

    /// The orthonormal basis.
    ///
    /// # Shapes
    /// `[rank, d_model]`.
    pub fn basis(&self) -> ArrayView2<'_, f64> {
        self.basis.view()
    }

    /// The part of each row that lies in the subspace.
    ///
    /// # Shapes
    /// `[n, d_model]`, in and out.
    pub fn project(&self, rows: &Array2<f32>) -> Array2<f32> {
        let basis = self.basis.mapv(|x| x as f32);
        rows.dot(&basis.t()).dot(&basis)
    }

    /// Writes the basis as a safetensors file with the tensor `basis`, `[rank, d_model]` in f64.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes: Vec<u8> = self.basis.iter().flat_map(|x| x.to_le_bytes()).collect();
        let fault = |e: safetensors::SafeTensorError| Error::Internal(e.to_string());
        let shape = vec![self.basis.nrows(), self.basis.ncols()];
        let view = TensorView::new(Dtype::F64, shape, &bytes).map_err(fault)?;
        save_bytes(path, &safetensors::serialize([(BASIS, view)], None).map_err(fault)?)
    }

    /// Reads a file of [`Subspace::save`].
    ///
    /// # Errors
    /// [`Error::BadFile`] naming the file.
    pub fn load(path: &Path) -> Result<Subspace> {
        let expected = "a file of `mappa cause`; move it away, and the same command makes it again";
        let wrong = |found: String| Error::bad_file(path, found, expected);
        let tensors = tensors_of_file(path, expected)?;
        let basis = tensors.get(BASIS).ok_or_else(|| wrong(format!("no tensor `{BASIS}`")))?;
        let rows = basis.to_vec2::<f64>().map_err(|e| wrong(e.to_string()))?;
        let shape = (rows.len(), rows.first().map_or(0, Vec::len));
        let basis = Array2::from_shape_vec(shape, rows.concat()).map_err(|e| wrong(e.to_string()))?;
        // Orthonormal already, so that only rounding changes.
        Subspace::spanned_by(basis.view()).map_err(|e| wrong(e.to_string()))
    }

    /// The principal angles to another subspace, smallest first; as many as the smaller rank.
    ///
    /// # Units
    /// Degrees, 0 to 90.
    ///
    /// # Errors
    /// [`Error::Internal`] if the singular values cannot be computed.
    pub fn angles(&self, other: &Subspace) -> Result<Vec<f64>> {
        angles_of(&self.basis.dot(&other.basis.t()))
    }
}

/// The angles whose cosines are the singular values of a matrix.
fn angles_of(products: &Array2<f64>) -> Result<Vec<f64>> {
    let matrix = Mat::from_fn(products.nrows(), products.ncols(), |i, j| products[[i, j]]);
    let mut cosines = matrix.singular_values().map_err(|e| Error::Internal(format!("{e:?}")))?;
    cosines.sort_by(|a, b| b.total_cmp(a));
    Ok(cosines.into_iter().map(|cosine| cosine.clamp(0.0, 1.0).acos().to_degrees()).collect())
}

impl RandomAngles {
    /// The distribution of each principal angle between random subspaces of two ranks, smallest angle first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a rank exceeds the width.
    pub fn between(ranks: [usize; 2], d_model: usize, draws: u64) -> Result<Vec<RandomAngles>> {
        let [fixed, drawn] = ranks;
        let mut all: Vec<Vec<f64>> = vec![vec![]; fixed.min(drawn)];
        for seed in 0..draws {
            let random = Subspace::random(drawn, d_model, seed)?;
            // The other subspace may be fixed: that of the first coordinates.
            let products = random.basis.slice(ndarray::s![.., ..fixed]).to_owned();
            all.iter_mut().zip(angles_of(&products)?).for_each(|(all, angle)| all.push(angle));
        }
        Ok(all.into_iter().map(RandomAngles::of).collect())
    }

    fn of(mut angles: Vec<f64>) -> RandomAngles {
        angles.sort_by(f64::total_cmp);
        let quantile = |share: f64| angles[((angles.len() - 1) as f64 * share).round() as usize];
        let mean = angles.iter().sum::<f64>() / angles.len() as f64;
        RandomAngles { mean, low: quantile(0.025), high: quantile(0.975) }
    }
}

fn length(basis: &Array2<f64>, row: usize) -> f64 {
    basis.row(row).dot(&basis.row(row)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn angles_of_known_planes_are_found() {
        let (s, c) = 30f64.to_radians().sin_cos();
        let plane = Subspace::spanned_by(array![[2.0, 0.0, 0.0, 0.0], [1.0, 3.0, 0.0, 0.0]].view()).unwrap();
        let tilted = Subspace::spanned_by(array![[1.0, 0.0, 0.0, 0.0], [0.0, c, s, 0.0]].view()).unwrap();
        let angles = plane.angles(&tilted).unwrap();
        assert!(angles[0] < 1e-6 && (angles[1] - 30.0).abs() < 1e-9, "{angles:?}");
        let line = Subspace::spanned_by(array![[0.0, 0.0, 0.0, 1.0]].view()).unwrap();
        assert_eq!(plane.angles(&line).unwrap(), [90.0]);
        assert!(Subspace::spanned_by(array![[1.0, 2.0], [2.0, 4.0]].view()).is_err());
        assert!(Subspace::spanned_by(array![[0.0, 0.0]].view()).is_err());
        assert!(Subspace::spanned_by(array![[f64::NAN, 0.0]].view()).is_err());
    }

    #[test]
    fn a_projection_is_idempotent_and_random_angles_are_near_a_right_angle() {
        let subspace = Subspace::random(3, 40, 1).unwrap();
        let rows = Array2::from_shape_fn((5, 40), |(i, j)| ((i * 40 + j) as f32).sin());
        let once = subspace.project(&rows);
        assert!((&subspace.project(&once) - &once).iter().all(|off| off.abs() < 1e-6));
        let random = RandomAngles::between([2, 3], 400, 200).unwrap();
        assert_eq!(random.len(), 2);
        assert!(random[1].mean > random[0].mean && random[0].low < random[0].mean && random[0].mean > 80.0);
        // The squared cosine of a line and a random line in d dimensions is 1/d on average.
        let line = RandomAngles::between([1, 1], 100, 4000).unwrap()[0].mean;
        assert!((line - 85.4).abs() < 0.3, "{line}");
        assert!(Subspace::random(5, 4, 0).is_err());
    }

    #[test]
    fn a_saved_subspace_is_loaded_and_a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("3.safetensors");
        let subspace = Subspace::random(3, 40, 1).unwrap();
        subspace.save(&path).unwrap();
        let largest = subspace.angles(&Subspace::load(&path).unwrap()).unwrap()[2];
        assert!(largest < 1e-5, "{largest}");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        assert!(Subspace::load(&path).unwrap_err().to_string().contains("3.safetensors"));
    }
}
