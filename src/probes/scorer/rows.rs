//! Result rows: each score with its interval.

use super::held_out::HeldOutPredictions;
use super::settings::{Scorer, baseline_name};
use crate::datasets::numbered;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::metrics::{
    Interval, METRICS, Predicted, SamplingUnits, TargetScore, circular_scores, selectivity, single_counts,
    values,
};
use crate::probes::readers::Circle;
use crate::probes::ridge::Solution;
use crate::results::{LEAVE_ONE_OUT, MEAN, PENALTY, RIDGE, SHUFFLED, ScoreRow, TEST, TRAIN, hook_columns};
use ndarray::{Array2, ArrayView2, Axis};

/// The columns of a score row that do not depend on the score.
pub(super) struct Heading<'a> {
    pub method: &'a str,
    pub point: Option<HookPoint>,
    /// `test`, `train`, `leave-one-out`, or that of a fold.
    pub split: &'a str,
}

impl<'a> Heading<'a> {
    /// The heading of test scores.
    pub(super) fn test(method: &'a str, point: Option<HookPoint>) -> Heading<'a> {
        Heading { method, point, split: TEST }
    }
}

/// A score's value with the ends of its interval.
pub(super) struct Value {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Scorer<'_> {
    /// The test scores of all predictions at a hook point, their selectivity if shuffled targets were fitted, and the
    /// statistics of the fits.
    pub(super) fn prediction_scores(
        &self,
        point: HookPoint,
        held_out: &HeldOutPredictions,
    ) -> Result<Vec<ScoreRow>> {
        let test = self.split.test();
        let truth = self.targets(&test);
        let mut rows = Vec::new();
        for (method, values) in &held_out.methods {
            let heading = Heading::test(method, Some(point));
            let predicted = values.select(Axis(0), &test);
            rows.extend(self.score_predictions(&heading, &test, &predicted)?);
            if let Some(shuffled) = held_out.get(&baseline_name(method, SHUFFLED)) {
                let shuffled = shuffled.select(Axis(0), &test);
                let predicted = Predicted::of(&self.dataset.kind, self.metrics, &truth, &predicted);
                rows.extend(self.rows_of(&heading, &test, selectivity(&predicted, &shuffled)));
            }
        }
        rows.extend(held_out.statistics.iter().map(|(method, statistic)| {
            let heading = Heading { method, point: Some(point), split: TRAIN };
            let (low, high) = statistic.range;
            let value = Value { value: statistic.value, low, high };
            self.row(&heading, statistic.metric, &statistic.target, value)
        }));
        Ok(rows)
    }

    /// The scores of the saved probe on its training entities (fitted and leave-one-out), and its penalty with the
    /// lowest and the highest tried penalty.
    pub(super) fn training_scores(
        &self,
        point: HookPoint,
        activations: ArrayView2<f32>,
        solution: &Solution,
        entities: &[usize],
    ) -> Result<Vec<ScoreRow>> {
        let heading = |split| Heading { method: RIDGE, point: Some(point), split };
        let predicted = solution.probe.predict_rows(activations, entities);
        let mut rows = self.score_predictions(&heading(TRAIN), entities, &predicted)?;
        rows.extend(self.score_predictions(&heading(LEAVE_ONE_OUT), entities, &solution.leave_one_out)?);
        let ends = solution.trials.first().zip(solution.trials.last());
        let (low, high) = ends.map_or((f64::NAN, f64::NAN), |(low, high)| (low.penalty, high.penalty));
        let value = Value { value: solution.probe.penalty, low, high };
        rows.push(self.row(&heading(TRAIN), PENALTY, MEAN, value));
        Ok(rows)
    }

    /// The scores of predictions by all metrics.
    ///
    /// # Shapes
    /// `predicted` is `[n, n_targets]` for `n` entities.
    pub(super) fn score_predictions(
        &self,
        heading: &Heading,
        entities: &[usize],
        predicted: &Array2<f64>,
    ) -> Result<Vec<ScoreRow>> {
        let truth = self.targets(entities);
        let predicted = Predicted::of(&self.dataset.kind, self.metrics, &truth, predicted);
        let mut scores = predicted.scores(&METRICS)?;
        if let Some(Circle { target, period }) = self.circle() {
            scores.extend(circular_scores(&predicted, target, period));
        }
        Ok(self.rows_of(heading, entities, scores))
    }

    /// The rows of the given scores with their intervals. For the split `train`, both ends are the score itself,
    /// because fitted scores do not estimate anything for new entities.
    pub(super) fn rows_of(
        &self,
        heading: &Heading,
        entities: &[usize],
        scores: Vec<TargetScore>,
    ) -> Vec<ScoreRow> {
        let units = self.units(entities);
        let counts = single_counts(&units);
        let values = values(&scores, &counts);
        let intervals = match heading.split {
            TRAIN => values.iter().map(|&value| Interval { low: value, high: value }).collect(),
            _ => self.bootstrap.intervals(&units, &scores),
        };
        let with_values = scores.iter().zip(values.into_iter().zip(intervals));
        with_values
            .map(|(score, (value, Interval { low, high }))| {
                self.row(heading, &score.metric, &score.target, Value { value, low, high })
            })
            .collect()
    }

    /// The units of resampling for the given entities.
    pub(super) fn units(&self, entities: &[usize]) -> SamplingUnits {
        match &self.clusters {
            None => SamplingUnits::Rows(entities.len()),
            Some(clusters) => {
                let labels: Vec<String> = entities.iter().map(|&i| clusters[i].to_string()).collect();
                let (of, names) = numbered(&labels);
                SamplingUnits::Groups(of, names.len())
            }
        }
    }

    pub(super) fn row(&self, heading: &Heading, metric: &str, target: &str, value: Value) -> ScoreRow {
        let (hook_point, layer) = heading.point.map(hook_columns).unwrap_or_default();
        ScoreRow {
            dataset: self.dataset.name.to_string(),
            model: heading.point.map(|_| self.model.clone()).unwrap_or_default(),
            prompt: self.prompt.clone(),
            hook_point,
            layer,
            method: heading.method.to_string(),
            split: heading.split.to_string(),
            metric: metric.to_string(),
            target: target.to_string(),
            value: value.value,
            low: value.low,
            high: value.high,
        }
    }
}
