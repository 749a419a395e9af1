//! Classes instead of numbers: which country, which kind; their scores and their baselines.

use super::measure::Measure;
use super::names::name_features;
use super::readers::ClassTraining;
use super::rows::Heading;
use super::score::{Beside, Scorer};
use super::sparse_ridge::SparseRidge;
use crate::datasets::{Dataset, labels, numbered};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::results::{MAJORITY, NAMES_ONLY, SHUFFLED, ScoreRow};
use ndarray::{Array2, ArrayView2, Axis};
use std::sync::Arc;

/// How many classes the names-only baseline fits at a time: each takes a weight for every n-gram.
const CLASSES_AT_ONCE: usize = 16;

/// Learns from some entities and names a class for each of others.
type Naming<'a> = dyn Fn(&[usize], &[usize]) -> Result<Vec<usize>> + 'a;

/// The class of each entity, by a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// The column.
    pub column: String,
    /// The classes' names.
    pub names: Vec<String>,
    /// The class of each entity.
    pub of: Vec<usize>,
}

impl Classes {
    /// The classes of a column, as [`labels`] finds it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such column, or only one class in it.
    pub fn of(dataset: &Dataset, column: &str) -> Result<Classes> {
        Classes::by_labels(column, &labels(dataset, column)?)
    }

    /// The classes of entities that have these labels.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is only one class.
    pub fn by_labels(column: &str, labels: &[String]) -> Result<Classes> {
        let (of, names) = numbered(labels);
        let classes = Classes { column: column.into(), names, of };
        match classes.names.len() {
            0 | 1 => Err(classes.one_class(classes.of.iter())),
            _ => Ok(classes),
        }
    }

    fn one_class<'a>(&self, mut of: impl Iterator<Item = &'a usize>) -> Error {
        let name = of.next().map_or("none", |class| self.names[*class].as_str());
        let found = format!("one class, `{name}`");
        let expected = "entities of at least two classes to learn from; choose another column or split";
        Error::invalid(format!("--classes {}", self.column), found, expected)
    }

    fn select(&self, entities: &[usize]) -> Vec<usize> {
        entities.iter().map(|&i| self.of[i]).collect()
    }
}

impl Scorer<'_> {
    /// The scores of the readers of classes at a hook point, under their own names or that of a baseline; under
    /// their own also those of the same fits to shuffled classes.
    pub(super) fn class_rows(
        &self,
        point: HookPoint,
        activations: ArrayView2<f32>,
        baseline: Option<&str>,
    ) -> Result<Vec<ScoreRow>> {
        let Some(classes) = &self.classes else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        let with_shuffled = baseline.is_none() && self.beside == Beside::Baselines;
        for classifier in &self.classifiers {
            let named = |train: &[usize], of: &[usize], reads: &[usize]| {
                let (of, n_classes) = (classes.select(of), classes.names.len());
                let activations = activations.view();
                let training = ClassTraining { activations, train, classes: &of, n_classes, reads };
                classifier.classify(&training)
            };
            let name = |baseline: &str| format!("{}/{baseline}", classifier.name());
            let own = baseline.map_or(classifier.name().into(), name);
            let heading = |method| Heading { method, point: Some(point), split: "test" };
            let read = self.classes_of_folds(classes, &|train, reads| named(train, train, reads))?;
            rows.extend(self.class_scores(&heading(&own), classes, read));
            if with_shuffled {
                let by_chance = |train: &[usize], reads: &[usize]| named(train, &self.shuffled(train), reads);
                let read = self.classes_of_folds(classes, &by_chance)?;
                rows.extend(self.class_scores(&heading(&name(SHUFFLED)), classes, read));
            }
        }
        Ok(rows)
    }

    /// The baselines of classes that read no model: the commonest class, and a ridge on the names.
    ///
    /// # Errors
    /// As [`SparseRidge::fit`].
    pub fn class_baselines(&self) -> Result<Vec<ScoreRow>> {
        let Some(classes) = &self.classes else { return Ok(Vec::new()) };
        let heading = |method| Heading { method, point: None, split: "test" };
        let commonest = self.classes_of_folds(classes, &|train, reads| {
            let mut sizes = vec![0; classes.names.len()];
            classes.select(train).iter().for_each(|&class| sizes[class] += 1);
            let most = (0..sizes.len()).rev().max_by_key(|&class| sizes[class]).unwrap_or(0);
            Ok(vec![most; reads.len()])
        })?;
        let mut rows = self.class_scores(&heading(MAJORITY), classes, commonest);
        let by_name =
            self.classes_of_folds(classes, &|train, reads| self.named_alone(classes, train, reads))?;
        rows.extend(self.class_scores(&heading(NAMES_ONLY), classes, by_name));
        Ok(rows)
    }

    /// The class that a ridge on the names to each class's yes or no speaks most for.
    fn named_alone(&self, classes: &Classes, train: &[usize], reads: &[usize]) -> Result<Vec<usize>> {
        let names: Vec<&str> = self.dataset.entities.iter().map(|e| e.name.as_str()).collect();
        let features = name_features(&names);
        let (seen, unseen) = (features.select(train), features.select(reads));
        let settings = SparseRidge { seed: self.bootstrap.seed, ..self.names.clone() };
        let of = classes.select(train);
        let mut best = vec![(f64::NEG_INFINITY, 0); reads.len()];
        let all: Vec<usize> = (0..classes.names.len()).collect();
        for some in all.chunks(CLASSES_AT_ONCE) {
            let is_class = |(i, c): (usize, usize)| f64::from(u8::from(of[i] == some[c]));
            let targets = Array2::from_shape_fn((train.len(), some.len()), is_class);
            let votes = settings.fit(&seen, &targets)?.readings(&unseen);
            for (best, row) in best.iter_mut().zip(votes.axis_iter(Axis(0))) {
                let vote = row.iter().zip(some).map(|(vote, class)| (*vote, *class));
                *best = vote.fold(*best, |best, vote| if vote.0 > best.0 { vote } else { best });
            }
        }
        Ok(best.into_iter().map(|(_, class)| class).collect())
    }

    /// The classes that are named for test entities, in ascending order, fold by fold.
    fn classes_of_folds(&self, classes: &Classes, named: &Naming) -> Result<Vec<usize>> {
        let mut read = vec![usize::MAX; self.dataset.entities.len()];
        for fold in &self.split.folds {
            let mut seen = fold.train.iter().map(|&i| classes.of[i]);
            let first = seen.next();
            if seen.all(|class| Some(class) == first) {
                return Err(classes.one_class(first.iter()));
            }
            let found = named(&fold.train, &fold.test)?;
            fold.test.iter().zip(found).for_each(|(&entity, class)| read[entity] = class);
        }
        Ok(self.split.test().into_iter().map(|entity| read[entity]).collect())
    }

    fn class_scores(&self, heading: &Heading, classes: &Classes, read: Vec<usize>) -> Vec<ScoreRow> {
        let test = self.split.test();
        let measures = measures(&classes.column, classes.names.len(), (classes.select(&test), read));
        self.score_rows(heading, &test, measures)
    }
}

/// The share that is right, the mean over classes of that share, and the mean over classes of F1.
fn measures(column: &str, n_classes: usize, (truth, read): (Vec<usize>, Vec<usize>)) -> Vec<Measure> {
    let is_right: Vec<f64> = truth.iter().zip(&read).map(|(t, r)| f64::from(u8::from(t == r))).collect();
    let both = Arc::new((truth, read));
    let again = both.clone();
    vec![
        Measure::new("accuracy", column, move |counts| super::metrics::mean_counted(&is_right, counts)),
        Measure::new("balanced_accuracy", column, move |counts| {
            let hits = Hits::of(n_classes, &both, counts);
            let shares = (0..n_classes).filter(|&c| hits.there[c] > 0.0);
            super::metrics::mean(&shares.map(|c| hits.right[c] / hits.there[c]).collect::<Vec<f64>>())
        }),
        Measure::new("macro_f1", column, move |counts| {
            let hits = Hits::of(n_classes, &again, counts);
            let any = (0..n_classes).filter(|&c| hits.there[c] + hits.named[c] > 0.0);
            let f1 = |c: usize| 2.0 * hits.right[c] / (hits.there[c] + hits.named[c]);
            super::metrics::mean(&any.map(f1).collect::<Vec<f64>>())
        }),
    ]
}

/// By class: how many there are, how many were named so, and how many of them rightly.
struct Hits {
    there: Vec<f64>,
    named: Vec<f64>,
    right: Vec<f64>,
}

impl Hits {
    fn of(n_classes: usize, (truth, read): &(Vec<usize>, Vec<usize>), counts: &[f64]) -> Hits {
        let zeros = vec![0.0; n_classes];
        let mut hits = Hits { there: zeros.clone(), named: zeros.clone(), right: zeros };
        for ((&truth, &read), count) in truth.iter().zip(read).zip(counts) {
            hits.there[truth] += count;
            hits.named[read] += count;
            if truth == read {
                hits.right[truth] += count;
            }
        }
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, assert_close};
    use super::*;
    use crate::datasets::bundled;

    #[test]
    fn scores_equal_those_of_scikit_learn() {
        for case in Fixture::load().classes {
            let truth = case.labels[case.n_train..].to_vec();
            let counts = vec![1.0; truth.len()];
            let measures = measures("kind", 4, (truth, case.logistic.clone()));
            let expected = [case.accuracy, case.balanced_accuracy, case.macro_f1];
            let found = crate::probes::measure::values(&measures, &counts);
            found.into_iter().zip(expected).for_each(|(found, expected)| assert_close(found, expected));
        }
    }

    #[test]
    fn one_class_only_is_refused() {
        let same = vec!["same".to_string(); 20];
        let error = Classes::by_labels("kind", &same).unwrap_err().to_string();
        assert!(error.contains("--classes kind") && error.contains("`same`"), "{error}");
        // Two classes, of which the training entities have but one.
        let dataset = bundled("us_place").unwrap();
        let labels: Vec<String> = dataset.entities.iter().map(|e| e.is_test.to_string()).collect();
        let mut scorer = Scorer::official(&dataset, "small", "empty").unwrap();
        scorer.classes = Some(Classes::by_labels("is_test", &labels).unwrap());
        let error = scorer.class_baselines().unwrap_err().to_string();
        assert!(error.contains("`false`") && error.contains("two classes"), "{error}");
        assert!(Classes::of(&dataset, "moon").unwrap_err().to_string().contains("state_name"));
    }

    #[test]
    fn names_tell_more_than_the_commonest_class() {
        let dataset = bundled("world_place").unwrap();
        let mut scorer = Scorer::official(&dataset, "small", "empty").unwrap();
        scorer.bootstrap.n_resamples = 50;
        scorer.classes = Some(Classes::of(&dataset, "continent").unwrap());
        let rows = scorer.class_baselines().unwrap();
        assert_eq!(rows.len(), 6);
        let accuracy = |method: &str| {
            let row = rows.iter().find(|r| r.method == method && r.metric == "accuracy").unwrap();
            assert!(row.low <= row.value && row.value <= row.high && row.low < row.high, "{row:?}");
            assert_eq!((row.target.as_str(), row.hook_point.as_str()), ("continent", ""));
            row.value
        };
        assert!(accuracy(NAMES_ONLY) > accuracy(MAJORITY) + 0.1);
    }
}
