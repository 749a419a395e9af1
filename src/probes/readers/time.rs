//! Ridge on transformed years: logarithmic, or linear in pieces; predictions are years again.

use super::regressor::{FitStatistic, MethodPredictions, RegressionTask, Regressor};
use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use crate::probes::metrics::interpolated;
use crate::probes::ridge::Solution;
use ndarray::{Array2, ArrayView2};

/// The offsets that are tried, as shares of the range of the training years.
const OFFSETS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0, 100.0];
/// The numbers of pieces that are tried.
const PIECES: [usize; 5] = [1, 2, 4, 8, 16];

/// Ridge on minus the logarithm of the years before the latest training year, `−ln(1 + (latest − year) / offset)`; the
/// offset is the one with the least leave-one-out error in years.
///
/// Suits years that are dense near the present and sparse in the past, before and after year 1 alike.
#[derive(Debug)]
pub(super) struct LogTime;

/// Ridge on a function of the year that is linear between knots and puts the same number of training years between two
/// knots; the number of pieces is the one with the least leave-one-out error in years.
#[derive(Debug)]
pub(super) struct PiecewiseTime;

impl Regressor for LogTime {
    fn name(&self) -> &'static str {
        "log-time"
    }

    fn about(&self) -> &'static str {
        "ridge on the logarithm of the years before the latest one"
    }

    fn check(&self, kind: &TargetKind, option: Option<f64>) -> Result<()> {
        check_years(self.name(), kind, option)
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        self.check(task.kind, task.option)?;
        let years = Years::of(task);
        let of_share = |share: &f64| {
            let offset = share * (years.latest() - years.earliest());
            (offset, Scale::Logarithm { latest: years.latest(), offset })
        };
        best_of("offset_years", self.name(), task, OFFSETS.iter().map(of_share).collect())
    }
}

impl Regressor for PiecewiseTime {
    fn name(&self) -> &'static str {
        "piecewise-time"
    }

    fn about(&self) -> &'static str {
        "ridge on years that are stretched where they are dense"
    }

    fn check(&self, kind: &TargetKind, option: Option<f64>) -> Result<()> {
        check_years(self.name(), kind, option)
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        self.check(task.kind, task.option)?;
        let years = Years::of(task);
        let of_pieces = |&n: &usize| (n as f64, Scale::Pieces(years.knots(n)));
        best_of("pieces", self.name(), task, PIECES.iter().map(of_pieces).collect())
    }
}

fn check_years(name: &str, kind: &TargetKind, option: Option<f64>) -> Result<()> {
    let method = format!("--method {name}");
    match (kind, option) {
        (TargetKind::Year, None) => Ok(()),
        (TargetKind::Year, Some(_)) => {
            Err(Error::invalid(method, "a number after its name", format!("`{name}`, which takes no number")))
        }
        _ => {
            let found = format!("a dataset of {}", kind.names().join(", "));
            Err(Error::invalid(method, found, "a dataset of years"))
        }
    }
}

/// The training years, ascending.
struct Years(Vec<f64>);

impl Years {
    fn of(task: &RegressionTask) -> Years {
        let mut years: Vec<f64> = task.targets.iter().copied().collect();
        years.sort_by(f64::total_cmp);
        Years(years)
    }

    fn earliest(&self) -> f64 {
        self.0.first().copied().unwrap_or_default()
    }

    fn latest(&self) -> f64 {
        self.0.last().copied().unwrap_or_default()
    }

    /// The ends of `n` pieces with equal numbers of years, or fewer pieces if knots coincide.
    fn knots(&self, n: usize) -> Vec<f64> {
        let last = (self.0.len() - 1) as f64;
        let mut knots: Vec<f64> =
            (0..=n).map(|i| interpolated(&self.0, last * i as f64 / n as f64)).collect();
        knots.dedup();
        knots
    }
}

/// An increasing function of the year.
enum Scale {
    Logarithm {
        latest: f64,
        offset: f64,
    },
    /// The knots: the first has the value 0, the next one 1, and so on.
    Pieces(Vec<f64>),
}

impl Scale {
    fn forward(&self, year: f64) -> f64 {
        match self {
            Scale::Logarithm { latest, offset } => -((latest - year) / offset).ln_1p(),
            Scale::Pieces(knots) => {
                let piece = knots.partition_point(|knot| *knot <= year).clamp(1, knots.len() - 1) - 1;
                piece as f64 + (year - knots[piece]) / (knots[piece + 1] - knots[piece])
            }
        }
    }

    fn backward(&self, value: f64) -> f64 {
        match self {
            Scale::Logarithm { latest, offset } => latest - offset * (-value).exp_m1(),
            Scale::Pieces(knots) => {
                let piece = (value.max(0.0) as usize).min(knots.len() - 2);
                knots[piece] + (value - piece as f64) * (knots[piece + 1] - knots[piece])
            }
        }
    }
}

/// The predictions in years on the scale with the least leave-one-out error in years. A prediction outside the range of
/// the training years becomes its nearest end.
fn best_of(
    metric: &'static str,
    method: &str,
    task: &RegressionTask,
    scales: Vec<(f64, Scale)>,
) -> Result<Vec<MethodPredictions>> {
    let years = Years::of(task);
    let sets: Vec<Array2<f64>> =
        scales.iter().map(|(_, scale)| task.targets.mapv(|year| scale.forward(year))).collect();
    let solutions = task.decomposition.solve_each(&sets.iter().collect::<Vec<_>>(), task.grid)?;
    let in_years = |scale: &Scale, values: ArrayView2<f64>| {
        values.mapv(|value| scale.backward(value).clamp(years.earliest(), years.latest()))
    };
    let error = |scale: &Scale, solution: &Solution| {
        (in_years(scale, solution.leave_one_out.view()) - task.targets).mapv(|e| e * e).sum()
    };
    let errors = scales.iter().zip(&solutions).map(|((_, scale), solution)| error(scale, solution));
    let best = errors.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(best, _)| best);
    let (value, scale) = &scales[best];
    let values = in_years(scale, task.predictions(&solutions[best].probe).view());
    let tried = scales.iter().map(|(value, _)| *value);
    let range = (tried.clone().fold(f64::INFINITY, f64::min), tried.fold(f64::NEG_INFINITY, f64::max));
    let target = task.kind.names().join(", ");
    let statistics = vec![FitStatistic { metric, target, value: *value, range }];
    Ok(vec![MethodPredictions { statistics, ..MethodPredictions::of(method, values) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backward_inverts_forward() {
        let years = Years(vec![-900.0, -44.0, 14.0, 1066.0, 1492.0, 1900.0, 1950.5, 1999.0, 1999.0]);
        let scales = [1, 2, 4, 8, 16].map(|n| Scale::Pieces(years.knots(n)));
        let scales = scales.into_iter().chain([Scale::Logarithm { latest: years.latest(), offset: 3.0 }]);
        for scale in scales {
            let mut before = f64::NEG_INFINITY;
            for year in [-900.0, -500.0, -44.0, 0.0, 1066.0, 1500.0, 1998.0, 1999.0] {
                let value = scale.forward(year);
                assert!(value > before && (scale.backward(value) - year).abs() < 1e-9, "{year}");
                before = value;
            }
        }
        // Beyond the knots, the outer pieces go on.
        let pieces = Scale::Pieces(years.knots(1));
        assert!((pieces.backward(pieces.forward(2100.0)) - 2100.0).abs() < 1e-9);
    }
}
