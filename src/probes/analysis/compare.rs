//! Comparison of two sets of predictions for the same entities: paired differences of their scores.

use crate::datasets::TargetKind;
use crate::error::{Error, Result};
use crate::probes::metrics::{Bootstrap, METRICS, Metrics, Predicted, SamplingUnits, values, values_of_each};
use crate::results::{ComparisonRow, PredictionRow, TEST};
use ndarray::Array2;
use std::collections::HashMap;

/// The units of resampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResampledUnits {
    /// Single entities.
    Entities,
    /// Whole groups of entities.
    Groups,
}

/// The resamples of a comparison's intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// The units of resampling.
    pub units: ResampledUnits,
    /// The number of resamples and their seed.
    pub bootstrap: Bootstrap,
}

/// The differences of all scores on test entities, A minus B, with their intervals.
///
/// Both sides use the same resamples, so that errors common to both cancel.
///
/// # Errors
/// [`Error::Invalid`] if the sides differ in their test entities or true values, naming the first difference; if the
/// targets are not those of the kind; or if groups are resampled and there is only one group.
pub fn compare(
    kind: &TargetKind,
    a: &[PredictionRow],
    b: &[PredictionRow],
    resampling: Resampling,
) -> Result<Vec<ComparisonRow>> {
    let (a, b): (Vec<_>, Vec<_>) = (test_rows(a), test_rows(b));
    check(&a, &b)?;
    check_target_order(kind, &a)?;
    let n_targets = kind.names().len();
    let n = a.len() / n_targets;
    let column = |rows: &[&PredictionRow], pick: fn(&PredictionRow) -> f64| {
        Array2::from_shape_fn((n, n_targets), |(i, t)| pick(rows[i * n_targets + t]))
    };
    let truth = column(&a, |row| row.truth);
    let scores = |rows: &[&PredictionRow]| {
        Predicted::of(kind, Metrics::Usual, &truth, &column(rows, |row| row.prediction)).scores(&METRICS)
    };
    let (of_a, of_b) = (scores(&a)?, scores(&b)?);
    let units = units(resampling.units, &a, n_targets)?;
    let intervals = resampling.bootstrap.intervals_of(&units, of_a.len(), |resamples| {
        let both = values_of_each(&of_a, resamples).into_iter().zip(values_of_each(&of_b, resamples));
        both.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a - b).collect()).collect()
    });
    let once = vec![1.0; n];
    let (values_a, values_b) = (values(&of_a, &once), values(&of_b, &once));
    let scored = of_a.iter().zip(values_a).zip(values_b).zip(intervals);
    Ok(scored
        .map(|(((measure, a), b), interval)| ComparisonRow {
            metric: measure.metric.clone(),
            target: measure.target.clone(),
            a,
            b,
            difference: a - b,
            low: interval.low,
            high: interval.high,
        })
        .collect())
}

/// The rows of test entities.
fn test_rows(rows: &[PredictionRow]) -> Vec<&PredictionRow> {
    rows.iter().filter(|row| row.split == TEST).collect()
}

/// Refuses sides whose test rows differ in entity, target, true value or order.
fn check(a: &[&PredictionRow], b: &[&PredictionRow]) -> Result<()> {
    let expected = "the same test entities with the same targets on both sides";
    if a.is_empty() || b.is_empty() {
        return Err(Error::invalid("predictions to compare", "no test rows", expected));
    }
    let describe = |row: &PredictionRow| format!("{} of `{}` ({})", row.target, row.name, row.truth);
    let differs = |(a, b): &(&&PredictionRow, &&PredictionRow)| {
        (&a.name, &a.target, a.truth) != (&b.name, &b.target, b.truth)
    };
    if let Some((a, b)) = a.iter().zip(b).find(differs) {
        let found = format!("{} in A where B has {}", describe(a), describe(b));
        return Err(Error::invalid("predictions to compare", found, expected));
    }
    if a.len() != b.len() {
        let found = format!("{} test rows in A and {} in B", a.len(), b.len());
        return Err(Error::invalid("predictions to compare", found, expected));
    }
    Ok(())
}

/// Refuses rows that do not list the targets of each entity one after another, in their usual order.
fn check_target_order(kind: &TargetKind, rows: &[&PredictionRow]) -> Result<()> {
    let names = kind.names();
    let is_ordered = rows.chunks(names.len()).all(|chunk| {
        chunk.len() == names.len() && chunk.iter().zip(&names).all(|(row, name)| row.target == *name)
    });
    if is_ordered {
        return Ok(());
    }
    let expected = format!("{} of each entity, in consecutive rows", names.join(" and "));
    Err(Error::invalid("targets of predictions", "other targets, or rows in another order", expected))
}

/// The units of resampling; refuses a single group, because all its resamples are equal.
fn units(units: ResampledUnits, rows: &[&PredictionRow], n_targets: usize) -> Result<SamplingUnits> {
    let n = rows.len() / n_targets;
    if units == ResampledUnits::Entities {
        return Ok(SamplingUnits::Rows(n));
    }
    let mut known: HashMap<&str, usize> = HashMap::new();
    let of: Vec<usize> = (0..n)
        .map(|i| {
            let next = known.len();
            *known.entry(rows[i * n_targets].group.as_str()).or_insert(next)
        })
        .collect();
    if known.len() < 2 {
        let found = format!("one group, `{}`", rows[0].group);
        let expected = "at least two groups among the test entities; otherwise resample single entities";
        return Err(Error::invalid("groups to resample", found, expected));
    }
    Ok(SamplingUnits::Groups(of, known.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::Quantity;
    use crate::probes::fixture::noise;

    fn rows(n: usize, spread: f64, seed: u64) -> Vec<PredictionRow> {
        let (truth, error) = (noise([n, 1], 1), noise([n, 1], seed));
        let row = |i: usize| PredictionRow {
            dataset: "own".into(),
            name: format!("entity {i}"),
            group: format!("group {}", i % 7),
            split: if i.is_multiple_of(3) { "train" } else { "test" }.into(),
            hook_point: "blocks.0.hook_resid_post".into(),
            target: "size".into(),
            truth: truth[[i, 0]],
            prediction: truth[[i, 0]] + spread * error[[i, 0]],
        };
        (0..n).map(row).collect()
    }

    fn r2(rows: &[ComparisonRow]) -> &ComparisonRow {
        rows.iter().find(|row| row.metric == "r2" && row.target == "size").unwrap()
    }

    fn size() -> TargetKind {
        TargetKind::Quantity(Quantity { name: "size".into(), unit: "square km".into() })
    }

    const fn resampling(units: ResampledUnits) -> Resampling {
        Resampling { units, bootstrap: Bootstrap { n_resamples: 400, seed: 0 } }
    }

    const ENTITIES: Resampling = resampling(ResampledUnits::Entities);
    const GROUPS: Resampling = resampling(ResampledUnits::Groups);

    #[test]
    fn equal_sides_have_no_difference_and_swapped_sides_the_opposite_sign() {
        let (a, b) = (rows(300, 0.2, 2), rows(300, 0.5, 3));
        for row in compare(&size(), &a, &a, ENTITIES).unwrap() {
            assert_eq!((row.difference, row.low, row.high), (0.0, 0.0, 0.0), "{}", row.metric);
        }
        let (forward, backward) =
            (compare(&size(), &a, &b, ENTITIES).unwrap(), compare(&size(), &b, &a, ENTITIES).unwrap());
        for (forward, backward) in forward.iter().zip(&backward) {
            assert!((forward.difference + backward.difference).abs() < 1e-12);
            assert!(
                (forward.low + backward.high).abs() < 1e-12 && (forward.high + backward.low).abs() < 1e-12
            );
        }
        assert!(forward.iter().any(|row| row.metric == "mae_square_km"), "the unit is in the metric's name");
        let row = r2(&forward);
        assert!(row.low > 0.0 && row.difference > row.low && row.high > row.difference, "{row:?}");
    }

    #[test]
    fn common_errors_cancel_and_groups_change_the_interval() {
        // B has the errors of A and a small extra error: the interval of B's score is far wider than that of the
        // difference.
        let a = rows(400, 0.6, 2);
        let mut b = a.clone();
        b.iter_mut()
            .zip(rows(400, 0.05, 9))
            .for_each(|(b, extra)| b.prediction += extra.prediction - extra.truth);
        let paired = compare(&size(), &a, &b, ENTITIES).unwrap();
        let exact: Vec<PredictionRow> =
            a.iter().map(|row| PredictionRow { prediction: row.truth, ..row.clone() }).collect();
        let alone = compare(&size(), &exact, &b, ENTITIES).unwrap();
        let width = |rows: &[ComparisonRow]| r2(rows).high - r2(rows).low;
        assert!(width(&paired) < width(&alone) / 3.0, "{} {}", width(&paired), width(&alone));
        let grouped = compare(&size(), &a, &b, GROUPS).unwrap();
        assert_eq!(r2(&grouped).difference, r2(&paired).difference);
        assert_ne!(width(&grouped), width(&paired));
    }

    #[test]
    fn different_entities_are_refused_by_name() {
        let a = rows(30, 0.1, 2);
        let refusal = |b: &[PredictionRow]| compare(&size(), &a, b, ENTITIES).unwrap_err().to_string();
        let mut renamed = a.clone();
        renamed[4].name = "another".into();
        assert!(refusal(&renamed).contains("`entity 4`") && refusal(&renamed).contains("`another`"));
        let mut moved = a.clone();
        moved[4].truth += 1.0;
        assert!(refusal(&moved).contains("size of `entity 4`"));
        assert!(refusal(&a[..20]).contains("20 test rows in A"));
        assert!(refusal(&a[..1]).contains("no test rows"));
        let mut alike = a.clone();
        alike.iter_mut().for_each(|row| row.group = "all".into());
        let error = compare(&size(), &alike, &alike, GROUPS).unwrap_err().to_string();
        assert!(error.contains("one group, `all`"), "{error}");
        let error = compare(&TargetKind::Year, &a, &a, ENTITIES).unwrap_err().to_string();
        assert!(error.contains("year of each entity"), "{error}");
    }
}
