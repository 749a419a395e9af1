//! The baselines without a model on the paper's real files, compared with reference values.

use super::root;
use mappa::datasets::load;
use mappa::probes::{GroupCentroid, NamesOnly, Scorer, test_r2};
use mappa::results::{CENTROID, NAMES_ONLY, ScoreRow};

/// The test R² of the baselines of a dataset, on the file's own split.
struct Reference {
    dataset: &'static str,
    names_only: f64,
    /// A penalty near the result of the search, to save its time; none if the search is short.
    penalty: Option<f64>,
    centroid: Option<f64>,
}

/// The reference values. For places the penalty is given, because the search takes minutes in a build with checks; with
/// the search, the names-only baseline has 0.621, 0.527 and 0.360. For artworks, the reference is the best R² of any
/// penalty (λ = 1), although a penalty that is chosen on training rows alone can miss it.
const REFERENCES: [Reference; 4] = [
    Reference { dataset: "world_place", names_only: 0.625, penalty: Some(0.316), centroid: Some(0.962) },
    Reference { dataset: "us_place", names_only: 0.533, penalty: Some(0.316), centroid: Some(0.964) },
    Reference { dataset: "nyc_place", names_only: 0.374, penalty: Some(0.1), centroid: Some(0.774) },
    Reference { dataset: "art", names_only: 0.162, penalty: None, centroid: None },
];
/// The allowed difference below a reference. It is small, because a weak baseline makes every model look good.
const SLACK: f64 = 0.02;

#[test]
fn baselines_without_a_model_are_as_strong_as_the_references() {
    let folder = root("../shared/data");
    let mut n_skipped = 0;
    for Reference { dataset: name, names_only, penalty, centroid } in REFERENCES {
        let path = folder.join(format!("{name}.csv"));
        if !path.is_file() {
            n_skipped += 1;
            continue;
        }
        let dataset = load(&path).unwrap();
        let mut scorer = Scorer::with_dataset_split(&dataset, "", "").unwrap();
        scorer.bootstrap.n_resamples = 0;
        if let Some(penalty) = penalty {
            scorer.name_ridge.penalties = vec![penalty];
        }
        let check = |rows: &[ScoreRow], method: &str, reference: f64| {
            let found = test_r2(rows, method, None).unwrap().value;
            println!("{name}: {method} {found:.3}, reference {reference}");
            assert!(found > reference - SLACK, "{name}: {method} {found:.3} against {reference}");
        };
        check(&scorer.baseline(&NamesOnly).unwrap().rows, NAMES_ONLY, names_only);
        if let Some(reference) = centroid {
            check(&scorer.baseline(&GroupCentroid).unwrap().rows, CENTROID, reference);
        }
    }
    println!("{n_skipped} of {} real files skipped: not in {}", REFERENCES.len(), folder.display());
}
