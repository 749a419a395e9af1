//! Contrast pairs: directions from texts that differ in one property, as pairs or as two sets.

use super::vectors::Vectors;
use crate::artefact;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Capture, Model};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

/// Texts of two kinds; if both kinds have equally many, the `i`-th texts are a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContrastPairs {
    /// The texts toward which the direction points.
    pub positive: Vec<String>,
    /// The texts from which it points away.
    pub negative: Vec<String>,
}

/// The method that computes a direction from two sets of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContrastMethod {
    /// The difference of their means.
    MeanDifference,
    /// The first principal component of the uncentred differences of pairs, scaled to the mean difference along it.
    FirstComponent,
}

impl FromStr for ContrastMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<ContrastMethod> {
        match text {
            "mean" => Ok(ContrastMethod::MeanDifference),
            "pca" => Ok(ContrastMethod::FirstComponent),
            _ => Err(Error::invalid("--method", text, "mean or pca")),
        }
    }
}

/// The expected line of a file of pairs, for errors.
const LINE: &str = "lines such as {\"positive\": \"…\", \"negative\": \"…\"}";

impl ContrastPairs {
    /// Loads pairs from a JSONL file with `positive` and `negative` in each line.
    ///
    /// # Errors
    /// [`Error::BadRow`] naming the line.
    pub fn load(path: &Path) -> Result<ContrastPairs> {
        let mut pairs = ContrastPairs { positive: vec![], negative: vec![] };
        for (line, row) in
            artefact::load_text(path)?.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty())
        {
            let bad = |problem: String| Error::BadRow { path: path.to_path_buf(), row, problem };
            let value: serde_json::Value =
                serde_json::from_str(line).map_err(|e| bad(format!("{e}; expected {LINE}")))?;
            let text = |field: &str| match value[field].as_str() {
                Some(text) if !text.is_empty() => Ok(text.to_string()),
                _ => Err(bad(format!("no text `{field}`; expected {LINE}"))),
            };
            pairs.positive.push(text("positive")?);
            pairs.negative.push(text("negative")?);
        }
        pairs.checked(path)
    }

    /// Loads texts from two files, one text per line.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a file without lines.
    pub fn load_two(positive: &Path, negative: &Path) -> Result<ContrastPairs> {
        ContrastPairs { positive: lines(positive)?, negative: lines(negative)? }.checked(negative)
    }

    fn checked(self, path: &Path) -> Result<ContrastPairs> {
        if self.positive.is_empty() || self.negative.is_empty() {
            return Err(Error::bad_file(path, "no texts", "at least one text of each kind"));
        }
        Ok(self)
    }

    /// The direction from negative to positive at each hook point, at each text's last token.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a first component of texts without pairs, or for activations that do not differ.
    pub fn vectors(&self, model: &Model, points: &[HookPoint], contrast: ContrastMethod) -> Result<Vectors> {
        let (positive, negative) =
            (read(model, &self.positive, points)?, read(model, &self.negative, points)?);
        let mut at = BTreeMap::new();
        for point in points {
            let vector = contrast.of(positive[point].view(), negative[point].view())?;
            at.insert(*point, vector.to_vec());
        }
        Ok(Vectors::new(at))
    }
}

fn lines(path: &Path) -> Result<Vec<String>> {
    Ok(artefact::load_text(path)?.lines().filter(|line| !line.trim().is_empty()).map(String::from).collect())
}

/// The activations at each text's last token.
///
/// # Shapes
/// `[n_texts, width]` per hook point.
fn read(model: &Model, texts: &[String], points: &[HookPoint]) -> Result<BTreeMap<HookPoint, Array2<f64>>> {
    let ids = texts.iter().map(|text| Ok(model.tokenizer.encode_prompt(text, 0..text.len())?.encoded.ids));
    let (forest, last) = model.transformer.forest(&ids.collect::<Result<Vec<_>>>()?)?;
    let mut capture = Capture::nodes(points, &last)?;
    model.transformer.forward(&forest, None, &mut capture)?;
    let mut all = BTreeMap::new();
    for point in points {
        let rows = capture.get(*point)?;
        let shape = rows.dims2()?;
        let values = rows.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        all.insert(
            *point,
            Array2::from_shape_vec(shape, values).map_err(|e| Error::Internal(e.to_string()))?,
        );
    }
    Ok(all)
}

impl ContrastMethod {
    /// The vector from the rows numbered `from` to the rows numbered `to`: one class against the rest.
    ///
    /// # Shapes
    /// `[n_rows, width]` and row numbers, to `[width]`.
    ///
    /// # Errors
    /// As [`ContrastMethod::of`].
    pub fn of_rows(self, rows: ArrayView2<f32>, to: &[usize], from: &[usize]) -> Result<Vec<f64>> {
        let of = |chosen: &[usize]| rows.select(Axis(0), chosen).mapv(f64::from);
        Ok(self.of(of(to).view(), of(from).view())?.to_vec())
    }

    /// The vector from negative to positive rows.
    ///
    /// # Shapes
    /// `[n, width]` each, to `[width]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for rows without pairs if the method needs pairs, or for rows that do not differ.
    pub fn of(self, positive: ArrayView2<f64>, negative: ArrayView2<f64>) -> Result<Array1<f64>> {
        let mean = |rows: ArrayView2<f64>| rows.sum_axis(Axis(0)) / rows.nrows() as f64;
        let difference = mean(positive) - mean(negative);
        let vector = match self {
            ContrastMethod::MeanDifference => difference,
            ContrastMethod::FirstComponent => {
                if positive.nrows() != negative.nrows() {
                    let found = format!("{} and {}", positive.nrows(), negative.nrows());
                    return Err(Error::invalid(
                        "positive and negative texts for the first component",
                        found,
                        "equal numbers, as the texts are pairs",
                    ));
                }
                let component = first_component(&(&positive - &negative));
                let along = component.dot(&difference);
                component * along
            }
        };
        let length = vector.dot(&vector).sqrt();
        if !(length.is_finite() && length > 0.0) {
            return Err(Error::invalid(
                "direction between positive and negative texts",
                format!("length {length}"),
                "texts with different activations",
            ));
        }
        Ok(vector)
    }
}

/// The unit vector with the largest sum of squared projections of the rows, by power iteration.
///
/// # Shapes
/// `[n, width]` to `[width]`.
fn first_component(rows: &Array2<f64>) -> Array1<f64> {
    let unit = |v: Array1<f64>| {
        let length = v.dot(&v).sqrt();
        if length > 0.0 { v / length } else { v }
    };
    // The mean is a good start: unless it is zero, it is not orthogonal to all rows.
    let mut at = unit(rows.sum_axis(Axis(0)) + 1e-9);
    for _ in 0..1000 {
        let next = unit(rows.t().dot(&rows.dot(&at)));
        let moved = (&next - &at).mapv(f64::abs).sum();
        at = next;
        if moved < 1e-12 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn both_contrasts_point_from_negative_to_positive() {
        let positive = array![[5.0, 1.0, 0.1], [7.0, -1.0, 0.0], [6.0, 0.0, -0.1]];
        let negative = array![[1.0, 0.9, 0.0], [-1.0, -1.1, 0.0], [0.0, 0.2, 0.0]];
        let mean = ContrastMethod::MeanDifference.of(positive.view(), negative.view()).unwrap();
        let component = ContrastMethod::FirstComponent.of(positive.view(), negative.view()).unwrap();
        assert!((mean[0] - 6.0).abs() < 1e-12 && (component[0] - 6.0).abs() < 0.01, "{mean} {component}");
        assert!(component[1].abs() < 0.05);
        let back = ContrastMethod::FirstComponent.of(negative.view(), positive.view()).unwrap();
        assert!((&back + &component).iter().all(|x| x.abs() < 1e-9));
        assert!(ContrastMethod::MeanDifference.of(positive.view(), positive.view()).is_err());
        assert!(
            ContrastMethod::FirstComponent.of(positive.view(), negative.slice(ndarray::s![..2, ..])).is_err()
        );
    }

    #[test]
    fn files_without_pairs_are_refused_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.jsonl");
        std::fs::write(&path, "{\"positive\": \"a\", \"negative\": \"b\"}\n{\"positive\": \"a\"}\n").unwrap();
        let error = ContrastPairs::load(&path).unwrap_err().to_string();
        assert!(error.contains("pairs.jsonl: row 2") && error.contains("negative"), "{error}");
        std::fs::write(&path, "\n").unwrap();
        assert!(ContrastPairs::load(&path).is_err());
        let empty = folder.path().join("none.txt");
        std::fs::write(&empty, "").unwrap();
        assert!(ContrastPairs::load_two(&path, &empty).unwrap_err().to_string().contains("none.txt"));
    }
}
