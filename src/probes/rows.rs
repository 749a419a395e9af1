//! Result rows from what was read: each score with its interval.

use super::bootstrap::{Interval, Units, once};
use super::measure::{MEAN, Measure, measures, selectivity, values};
use super::ridge::Solution;
use super::score::{HeldOut, Scorer, baseline_name, tried};
use crate::datasets::numbered;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::results::{RIDGE, SHUFFLED, ScoreRow, hook_columns};
use ndarray::{Array2, ArrayView2, Axis};

/// The columns of a score row that do not depend on the score.
pub(super) struct Heading<'a> {
    pub method: &'a str,
    pub point: Option<HookPoint>,
    /// `test`, `train` or `leave-one-out`.
    pub split: &'static str,
}

impl Scorer<'_> {
    /// The scores of everything that was read at a hook point, on test entities; where a fit to shuffled
    /// targets stands beside, how much better the true ones do.
    pub(super) fn reading_rows(&self, point: HookPoint, held_out: &HeldOut) -> Result<Vec<ScoreRow>> {
        let test = self.split.test();
        let truth = self.targets(&test);
        let mut rows = Vec::new();
        for (method, readings) in &held_out.methods {
            let heading = Heading { method, point: Some(point), split: "test" };
            let predicted = readings.select(Axis(0), &test);
            rows.extend(self.rows(&heading, &test, &predicted)?);
            if let Some(shuffled) = held_out.get(&baseline_name(method, SHUFFLED)) {
                let shuffled = shuffled.select(Axis(0), &test);
                let measures = selectivity(&self.dataset.kind, &truth, (&predicted, &shuffled));
                rows.extend(self.score_rows(&heading, &test, measures));
            }
        }
        rows.extend(held_out.facts.iter().map(|(method, fact)| {
            let heading = Heading { method, point: Some(point), split: "train" };
            let (low, high) = fact.tried;
            self.row(&heading, (fact.metric, &fact.target), (fact.value, Interval { low, high }))
        }));
        Ok(rows)
    }

    /// The scores of the kept probe on the entities that it learnt from, as they are and each left out, and its
    /// penalty; that row's ends are the lowest and the highest penalty that were tried.
    pub(super) fn learnt_rows(
        &self,
        point: HookPoint,
        activations: ArrayView2<f32>,
        (solution, entities): (&Solution, &[usize]),
    ) -> Result<Vec<ScoreRow>> {
        let heading = |split| Heading { method: RIDGE, point: Some(point), split };
        let read = solution.probe.readings_of(activations, entities);
        let mut rows = self.rows(&heading("train"), entities, &read)?;
        rows.extend(self.rows(&heading("leave-one-out"), entities, &solution.leave_one_out)?);
        let (low, high) = tried(&solution.trials);
        let value = (solution.probe.penalty, Interval { low, high });
        rows.push(self.row(&heading("train"), ("penalty", MEAN), value));
        Ok(rows)
    }

    /// All scores of some predictions.
    ///
    /// # Shapes
    /// `predicted` is `[n, n_targets]` for `n` entities.
    pub(super) fn rows(
        &self,
        heading: &Heading,
        entities: &[usize],
        predicted: &Array2<f64>,
    ) -> Result<Vec<ScoreRow>> {
        let measures = measures((&self.dataset.kind, self.metrics), &self.targets(entities), predicted)?;
        Ok(self.score_rows(heading, entities, measures))
    }

    /// Scores with their intervals; the score on what was fitted estimates nothing beyond it and has none.
    pub(super) fn score_rows(
        &self,
        heading: &Heading,
        entities: &[usize],
        measures: Vec<Measure>,
    ) -> Vec<ScoreRow> {
        let units = self.units(entities);
        let counts = once(&units);
        let values = values(&measures, &counts);
        let intervals = match heading.split {
            "train" => values.iter().map(|&value| Interval { low: value, high: value }).collect(),
            _ => self.bootstrap.intervals(&units, &measures),
        };
        let scores = measures.iter().zip(values.into_iter().zip(intervals));
        scores.map(|(m, score)| self.row(heading, (&m.metric, &m.target), score)).collect()
    }

    /// What of some entities is drawn as a whole.
    fn units(&self, entities: &[usize]) -> Units {
        match &self.clusters {
            None => Units::Rows(entities.len()),
            Some(clusters) => {
                let labels: Vec<String> = entities.iter().map(|&i| clusters[i].to_string()).collect();
                let (of, names) = numbered(&labels);
                Units::Groups(of, names.len())
            }
        }
    }

    fn row(
        &self,
        heading: &Heading,
        (metric, target): (&str, &str),
        (value, interval): (f64, Interval),
    ) -> ScoreRow {
        let (hook_point, layer) = heading.point.map(hook_columns).unwrap_or_default();
        ScoreRow {
            dataset: self.dataset.name.clone(),
            model: heading.point.map(|_| self.model.clone()).unwrap_or_default(),
            prompt: self.prompt.clone(),
            hook_point,
            layer,
            method: heading.method.to_string(),
            split: heading.split.to_string(),
            metric: metric.to_string(),
            target: target.to_string(),
            value,
            low: interval.low,
            high: interval.high,
        }
    }
}
