//! Nested choice of the layer: with several folds, each fold's layer is chosen by its own training entities.
//!
//! The layer that is reported for all folds was chosen on all entities, so that its score, too, has seen the test
//! entities of each fold. These scores have not.

use super::held_out::HeldOutPredictions;
use super::rows::{Heading, Value};
use super::settings::Scorer;
use super::surplus::{MAX_FOLDS, TextScores};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::probes::metrics::{Predicted, gain, r2_scores, values};
use crate::probes::ridge::{Decomposition, Solution};
use crate::probes::splits::Fold;
use crate::probes::text::With;
use crate::results::{LEAVE_ONE_OUT, MEAN, NESTED, R2, RIDGE, SCORES_FILE, SURPLUS, ScoreRow};
use ndarray::{Array2, ArrayView2, Axis};
use std::collections::BTreeMap;

/// The activations at a hook point, `[n_entities, d_model]`.
type ActivationsAt<'a> = dyn FnMut(HookPoint) -> Result<Array2<f32>> + 'a;

impl Scorer<'_> {
    /// True if each fold chooses a layer: with 2 to 20 folds.
    pub fn has_nested_choice(&self) -> bool {
        (2..=MAX_FOLDS).contains(&self.split.folds.len())
    }

    /// The leave-one-out R² of a fold's training entities, from which its layer is chosen.
    pub(super) fn fold_score(
        &self,
        point: HookPoint,
        fold: &Fold,
        solution: &Solution,
    ) -> Result<Option<ScoreRow>> {
        let index = self.split.folds.iter().position(|one| std::ptr::eq(one, fold));
        let Some(index) = index.filter(|_| self.has_nested_choice()) else { return Ok(None) };
        let truth = self.targets(&fold.train);
        let predicted = Predicted::of(&self.dataset.kind, self.metrics, &truth, &solution.leave_one_out);
        let scores = r2_scores(&predicted)?;
        let value = values(&scores, &vec![1.0; fold.train.len()]).pop();
        let value = value.ok_or_else(|| Error::Internal("a fold has no R²".into()))?;
        let split = split_name(index);
        let heading = Heading { method: RIDGE, point: Some(point), split: &split };
        Ok(Some(self.row(&heading, R2, MEAN, Value { value, low: value, high: value })))
    }

    /// Scores the probe, alone and with each text baseline, where each fold uses the layer that its own training
    /// entities chose; no rows without a nested choice.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `rows` lack a fold's leave-one-out R²; those of the fits and of `activations`.
    pub fn nested(
        &self,
        rows: &[ScoreRow],
        text: Option<&TextScores>,
        activations: &mut ActivationsAt,
    ) -> Result<Vec<ScoreRow>> {
        if !self.has_nested_choice() {
            return Ok(Vec::new());
        }
        let mut held_out = HeldOutPredictions::new(self.dataset);
        for (point, folds) in self.chosen(rows)? {
            let activations = activations(point)?;
            for index in folds {
                self.fit_chosen(index, activations.view(), text, &mut held_out)?;
            }
        }
        let test = self.split.test();
        let of = |method: &str| held_out.get(method).map(|all| all.select(Axis(0), &test));
        let alone = of(RIDGE).ok_or_else(|| Error::Internal("no nested predictions".into()))?;
        let mut scored = self.score_predictions(&Heading::test(NESTED, None), &test, &alone)?;
        let truth = self.targets(&test);
        for (kind, without) in text.map(|text| &text.predictions[..]).unwrap_or_default() {
            let Some(both) = of(kind.name()) else { continue };
            let predicted = Predicted::of(&self.dataset.kind, self.metrics, &truth, &both);
            let mut scores = r2_scores(&predicted)?;
            scores.extend(gain(SURPLUS, &predicted, &without.select(Axis(0), &test)));
            let method = format!("{NESTED}+{}", kind.name());
            scored.extend(self.rows_of(&Heading::test(&method, None), &test, scores));
        }
        Ok(scored)
    }

    /// The chosen hook points, each with the indices of its folds.
    fn chosen(&self, rows: &[ScoreRow]) -> Result<BTreeMap<HookPoint, Vec<usize>>> {
        let mut chosen = BTreeMap::<HookPoint, Vec<usize>>::new();
        for index in 0..self.split.folds.len() {
            let split = split_name(index);
            let of_fold = rows.iter().filter(|row| row.split == split && row.method == RIDGE);
            let best =
                of_fold.filter(|row| row.value.is_finite()).fold(None, |best: Option<&ScoreRow>, row| {
                    best.filter(|best| best.value >= row.value).or(Some(row))
                });
            let best = best.ok_or_else(|| {
                Error::invalid(SCORES_FILE, format!("no rows of the split {split}"), "one per hook point")
            })?;
            chosen.entry(best.hook_point.parse()?).or_default().push(index);
        }
        Ok(chosen)
    }

    /// Adds a fold's predictions for its test entities at its chosen layer: of the probe, and of each text baseline
    /// together with the activations.
    fn fit_chosen(
        &self,
        index: usize,
        activations: ArrayView2<f32>,
        text: Option<&TextScores>,
        held_out: &mut HeldOutPredictions,
    ) -> Result<()> {
        let fold = &self.split.folds[index];
        let decomposition = Decomposition::of_rows(activations.view(), &fold.train)?;
        let solution = decomposition.solve(&self.targets(&fold.train), &self.grid)?;
        held_out.put(RIDGE, &fold.test, &solution.probe.predict_rows(activations.view(), &fold.test));
        let Some(text) = text else { return Ok(()) };
        let data = self.baseline_data();
        for (kind, _) in &text.predictions {
            let with = With { activations: Some(activations.view()), weight: None };
            if let Some(fit) = text.folds[index].fit(*kind, &data, fold, with)? {
                held_out.put(kind.name(), &fold.test, &fit.predictions.select(Axis(0), &fold.test));
            }
        }
        Ok(())
    }
}

/// The split of a fold's leave-one-out score.
fn split_name(index: usize) -> String {
    format!("{LEAVE_ONE_OUT} of fold {}", index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{Dataset, parse};
    use crate::probes::fixture::noise;
    use crate::probes::splits::SplitPlan;
    use crate::results::TEST;
    use std::path::Path;

    const POINTS: [HookPoint; 2] = [HookPoint::ResidPost(0), HookPoint::ResidPost(1)];
    const N: usize = 200;

    /// Places of two countries, in turn.
    fn places() -> Dataset {
        let at = noise([N, 2], 1);
        let row =
            |i: usize| format!("p{i},{},{},{}\n", at[[i, 0]] * 80.0, at[[i, 1]] * 80.0, ["a", "b"][i % 2]);
        let rows: String = (0..N).map(row).collect();
        parse(Path::new("p.csv"), format!("name,latitude,longitude,country\n{rows}").as_bytes()).unwrap()
    }

    fn scorer(dataset: &Dataset) -> Scorer<'_> {
        let split = SplitPlan::Groups { column: "country".into(), n_folds: None }.divide(dataset).unwrap();
        Scorer { split, ..Scorer::with_dataset_split(dataset, "small", "empty").unwrap() }
    }

    /// Random activations with the places planted for one country (0 or 1), or for both.
    fn planted(dataset: &Dataset, country: Option<usize>) -> Array2<f32> {
        let targets = dataset.targets();
        let targets = Array2::from_shape_fn((N, 2), |(i, t)| {
            if country.is_none_or(|country| i % 2 == country) { targets[t][i] / 100.0 } else { 0.0 }
        });
        (targets.dot(&noise([2, 8], 2)) + noise([N, 8], 3) * 0.05).mapv(|value| value as f32)
    }

    fn rows(scorer: &Scorer, of: &[(HookPoint, Array2<f32>)]) -> Vec<ScoreRow> {
        of.iter().flat_map(|(point, x)| scorer.fit_and_score(*point, x.view()).unwrap().rows).collect()
    }

    #[test]
    fn with_one_layer_the_scores_are_those_of_the_layer() {
        let dataset = places();
        let (scorer, layer) = (scorer(&dataset), (POINTS[0], planted(&dataset, None)));
        let rows = rows(&scorer, std::slice::from_ref(&layer));
        let nested = scorer.nested(&rows, None, &mut |_| Ok(layer.1.clone())).unwrap();
        assert!(!nested.is_empty());
        for row in nested {
            let is_same = |one: &&ScoreRow| {
                one.method == RIDGE
                    && one.split == TEST
                    && one.metric == row.metric
                    && one.target == row.target
            };
            let plain = rows.iter().find(is_same).unwrap();
            assert!((plain.value - row.value).abs() < 1e-9 * plain.value.abs().max(1.0), "{row:?} {plain:?}");
        }
    }

    #[test]
    fn each_fold_chooses_by_its_own_training_entities() {
        let dataset = places();
        let scorer = scorer(&dataset);
        let layers = [0, 1].map(|country| (POINTS[country], planted(&dataset, Some(country))));
        let rows = rows(&scorer, &layers);
        // The fold that tests one country trains on the other, which only one of the layers contains.
        let chosen = scorer.chosen(&rows).unwrap();
        for (country, (point, _)) in layers.iter().enumerate() {
            let [fold] = chosen[point][..] else { panic!("{chosen:?}") };
            assert!(scorer.split.folds[fold].train.iter().all(|i| i % 2 == country), "{chosen:?}");
        }
        let mut asked = Vec::new();
        let nested = scorer.nested(&rows, None, &mut |point| {
            asked.push(point);
            Ok(layers.iter().find(|(one, _)| *one == point).unwrap().1.clone())
        });
        let r2 = nested.unwrap().into_iter().find(|row| row.metric == R2 && row.target == MEAN).unwrap();
        assert_eq!(asked, POINTS);
        // The tested country is not in the chosen layer.
        assert!(r2.method == NESTED && r2.value < 0.2, "{r2:?}");
        let error = scorer.chosen(&rows[..3]).unwrap_err().to_string();
        assert!(error.contains("scores.csv") && error.contains("of fold 1"), "{error}");
    }

    #[test]
    fn one_fold_chooses_nothing() {
        let dataset = places();
        let split = SplitPlan::Random { seed: 1 }.divide(&dataset).unwrap();
        let scorer = Scorer { split, ..scorer(&dataset) };
        let rows = rows(&scorer, &[(POINTS[0], planted(&dataset, None))]);
        assert!(rows.iter().all(|row| !row.split.contains("of fold")));
        let none = scorer.nested(&rows, None, &mut |_| Err(Error::Internal("not asked".into())));
        assert!(none.unwrap().is_empty());
    }
}
