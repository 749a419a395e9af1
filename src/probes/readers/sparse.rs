//! Ridge on the best few dimensions: shows how many units of a hook point a target needs.

use super::regressor::{FitStatistic, MethodPredictions, RegressionTask, Regressor};
use super::scale::Scale;
use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use crate::limits::SPARSE_UNITS;
use crate::probes::ridge::{Decomposition, Solution};
use crate::results::K_SPARSE;
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// The largest number of dimensions if none is given.
const USUAL_LIMIT: usize = 64;
/// The first of the dimensions that are removed by their weights, as a multiple of the limit.
const CANDIDATES: usize = 4;

/// Ridge on `k` dimensions, for `k` = 1, 2, 4, … up to a limit (`k-sparse:LIMIT`), each a fit of its own.
///
/// Two rankings of the dimensions on training entities give two candidate sets for each `k`, of which the one with the
/// lesser leave-one-out error is used: the correlations with the targets, and the weights of a ridge on standardised
/// dimensions that is fitted again to the better half, until `k` are left.
///
/// # Source
/// W. Gurnee et al., "Finding neurons in a haystack: case studies with sparse probing" (2023), section 3 and appendix A:
/// ranking by mean difference (here the correlation), and adaptive thresholding.
#[derive(Debug)]
pub(super) struct KSparse;

impl Regressor for KSparse {
    fn name(&self) -> &'static str {
        K_SPARSE
    }

    fn about(&self) -> &'static str {
        "ridge on the best 1, 2, 4, … dimensions; k-sparse:16 for at most 16"
    }

    fn check(&self, _: &TargetKind, option: Option<f64>) -> Result<()> {
        limit(option).map(drop)
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        let width = task.activations.ncols();
        let limit = limit(task.option)?.min(width);
        let sizes: Vec<usize> =
            (0..).map(|power| 1_usize << power).take_while(|size| *size <= limit).collect();
        let columns = Columns::of(task);
        let by_correlation = columns.by_correlation(task);
        let mut kept = columns.by_weight(task)?;
        kept.truncate(CANDIDATES * limit);
        let mut all = Vec::new();
        for &size in sizes.iter().rev() {
            kept = columns.best(task, kept, size)?;
            let mut candidates = vec![kept.clone()];
            let correlated = by_correlation[..size].to_vec();
            if sorted(&correlated) != sorted(&kept) {
                candidates.push(correlated);
            }
            all.push(columns.predictions(task, &candidates, self.name())?);
        }
        all.reverse();
        Ok(all)
    }
}

/// The largest number of dimensions.
fn limit(option: Option<f64>) -> Result<usize> {
    let Some(limit) = option else { return Ok(USUAL_LIMIT) };
    if limit.fract() != 0.0 || limit < 0.0 {
        return Err(Error::invalid("--method k-sparse", limit, "a whole number, such as k-sparse:16"));
    }
    SPARSE_UNITS.check("--method k-sparse", limit as u64)?;
    Ok(limit as usize)
}

fn sorted(columns: &[usize]) -> Vec<usize> {
    let mut columns = columns.to_vec();
    columns.sort_unstable();
    columns
}

/// Mean and standard deviation of the columns over the training entities.
struct Columns {
    scale: Scale,
}

impl Columns {
    fn of(task: &RegressionTask) -> Columns {
        Columns { scale: Scale::of(task.activations, task.train) }
    }

    /// All columns by the sum of their squared correlations with the targets, the greatest first.
    fn by_correlation(&self, task: &RegressionTask) -> Vec<usize> {
        let centred =
            task.targets - &task.targets.sum_axis(Axis(0)).mapv(|sum| sum / task.train.len() as f64);
        let spread = task.targets.std_axis(Axis(0), 0.0).mapv(|std| if std > 0.0 { std } else { 1.0 });
        let centred = centred / spread;
        let mut products = Array2::zeros((self.scale.mean.len(), task.targets.ncols()));
        for (&entity, target) in task.train.iter().zip(centred.rows()) {
            let row = task.activations.row(entity).mapv(f64::from) - &self.scale.mean;
            for (mut products, target) in products.columns_mut().into_iter().zip(target) {
                products.scaled_add(*target, &row);
            }
        }
        let products = products / self.scale.std_dev.view().insert_axis(Axis(1));
        ranked(&products.map_axis(Axis(1), |row| row.dot(&row)))
    }

    /// All columns by their standardised weights in a fit to all columns, the greatest first.
    fn by_weight(&self, task: &RegressionTask) -> Result<Vec<usize>> {
        let probe = task.decomposition.solve(task.targets, task.grid)?.probe;
        let all: Vec<usize> = (0..self.scale.mean.len()).collect();
        Ok(self.sizes(task, &all, probe.weights.view()))
    }

    /// Halves the columns by their weights until `size` are left.
    fn best(&self, task: &RegressionTask, mut columns: Vec<usize>, size: usize) -> Result<Vec<usize>> {
        while columns.len() > size {
            let x = self.standardised(task.activations, task.train, &columns);
            let probe = Decomposition::of(x)?.solve(task.targets, task.grid)?.probe;
            let weights = probe.weights / self.scale.std_dev.select(Axis(0), &columns);
            let mut ordered = self.sizes(task, &columns, weights.view());
            ordered.truncate(size.max(columns.len() / 2));
            columns = ordered;
        }
        Ok(columns)
    }

    /// Columns by the sum of squares of their weights times their standard deviation, each target in units of its own;
    /// the greatest first.
    fn sizes(&self, task: &RegressionTask, columns: &[usize], weights: ArrayView2<f64>) -> Vec<usize> {
        let spread = task.targets.std_axis(Axis(0), 0.0).mapv(|std| if std > 0.0 { std } else { 1.0 });
        let weights = &weights / &spread.insert_axis(Axis(1));
        let weights = weights * self.scale.std_dev.select(Axis(0), columns);
        let order = ranked(&weights.map_axis(Axis(0), |column| column.dot(&column)));
        order.into_iter().map(|at| columns[at]).collect()
    }

    /// Predictions from the candidate set with the least leave-one-out error.
    fn predictions(
        &self,
        task: &RegressionTask,
        candidates: &[Vec<usize>],
        name: &str,
    ) -> Result<MethodPredictions> {
        let mut best: Option<(f64, &Vec<usize>, Solution)> = None;
        for columns in candidates {
            let x = self.standardised(task.activations, task.train, columns);
            let solution = Decomposition::of(x)?.solve(task.targets, task.grid)?;
            let error = solution.trials.iter().map(|trial| trial.error).fold(f64::INFINITY, f64::min);
            if best.as_ref().is_none_or(|(least, ..)| error < *least) {
                best = Some((error, columns, solution));
            }
        }
        let Some((_, columns, solution)) = best else {
            return Err(Error::Internal("a sparse fit without columns".into()));
        };
        let x = self.standardised(task.activations, task.test, columns);
        let values = x.dot(&solution.probe.weights.t()) + &solution.probe.bias;
        let mut statistics = Vec::new();
        if columns.len() == 1 {
            let unit = columns[0] as f64;
            let target = task.kind.names().join(", ");
            statistics.push(FitStatistic { metric: "unit", target, value: unit, range: (unit, unit) });
        }
        Ok(MethodPredictions {
            statistics,
            ..MethodPredictions::of(format!("{name}-{}", columns.len()), values)
        })
    }

    /// Some columns of some rows, standardised, `[n_rows, n_columns]`.
    fn standardised(&self, values: ArrayView2<f32>, rows: &[usize], columns: &[usize]) -> Array2<f64> {
        let Scale { mean, std_dev } = &self.scale;
        Array2::from_shape_fn((rows.len(), columns.len()), |(i, j)| {
            let column = columns[j];
            (f64::from(values[[rows[i], column]]) - mean[column]) / std_dev[column]
        })
    }
}

/// Positions by their values, the greatest first; of equal ones, the first.
fn ranked(values: &Array1<f64>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::fixture::noise;
    use crate::probes::ridge::PenaltyGrid;

    /// Fits to random activations with the target on the given columns; returns the R² on test entities by method.
    fn fit(used: &[usize], option: Option<f64>) -> Vec<(String, f64, Vec<FitStatistic>)> {
        let x = noise([900, 40], 1).mapv(|v| v as f32);
        let noise = noise([900, 1], 2);
        let target = |i: usize| used.iter().map(|&column| f64::from(x[[i, column]])).sum::<f64>();
        let y = Array2::from_shape_fn((900, 1), |(i, _)| 10.0 * target(i) + 0.1 * noise[[i, 0]]);
        let (train, test): (Vec<usize>, Vec<usize>) = (0..900).partition(|i| *i < 600);
        let targets = y.select(Axis(0), &train);
        let task = RegressionTask {
            decomposition: &Decomposition::of_rows(x.view(), &train).unwrap(),
            activations: x.view(),
            train: &train,
            targets: &targets,
            kind: &TargetKind::Year,
            test: &test,
            grid: &PenaltyGrid::default(),
            seed: 1,
            option,
        };
        let truth = y.select(Axis(0), &test).column(0).to_vec();
        let r2 = |found: &MethodPredictions| crate::probes::r2(&truth, &found.values.column(0).to_vec());
        let all = KSparse.fit_predict(&task).unwrap();
        all.into_iter().map(|found| (found.method.clone(), r2(&found), found.statistics)).collect()
    }

    #[test]
    fn as_many_dimensions_are_needed_as_were_planted() {
        let found = fit(&[31, 4, 17, 8], None);
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(
            names,
            ["k-sparse-1", "k-sparse-2", "k-sparse-4", "k-sparse-8", "k-sparse-16", "k-sparse-32"]
        );
        for ((name, r2, _), expected) in found.iter().zip([0.25, 0.5, 1.0, 1.0, 1.0, 1.0]) {
            assert!((r2 - expected).abs() < 0.09, "{name}: {r2}");
        }
        assert!(found[2].1 > 0.999, "{}", found[2].1);
    }

    #[test]
    fn one_planted_dimension_is_named() {
        let found = fit(&[23], Some(2.0));
        assert_eq!(found.len(), 2);
        assert!(found[0].1 > 0.999);
        assert_eq!((found[0].2[0].metric, found[0].2[0].value), ("unit", 23.0));
        for odd in [0.0, 1.5, -2.0, 1e9] {
            let error = KSparse.check(&TargetKind::Year, Some(odd)).unwrap_err().to_string();
            assert!(error.contains("k-sparse"), "{error}");
        }
    }
}
