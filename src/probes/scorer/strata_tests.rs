//! Laws of strata: contributions add up to the surplus, and a signal is found where it was planted.

use super::*;
use crate::datasets::{Dataset, parse};
use crate::probes::fixture::noise;
use crate::probes::metrics::Bootstrap;
use crate::probes::strata::script_of;
use crate::results::{SURPLUS, ScoreKey, TEXT, WORD_VECTORS};
use crate::word_vectors::NameVectors;
use ndarray::{Array2, Axis};
use std::path::Path;

const POINT: HookPoint = HookPoint::ResidPost(1);
const N: usize = 1600;
/// The width of a word vector; a row has three vectors.
const WIDTH: usize = 4;

/// Entities of which a third are rare. Word vectors explain a half of the target; the rest is in the activations of rare
/// entities only.
struct Planted {
    dataset: Dataset,
    vectors: NameVectors,
    activations: Array2<f32>,
}

/// The rank of an entity's name.
fn rank(i: usize) -> u64 {
    if i % 12 < 4 { 50_000 } else { 5 + (i % 2) as u64 * 500 }
}

impl Planted {
    fn new(seed: u64) -> Planted {
        let rows = noise([N, 3 * WIDTH], 10 * seed + 1).mapv(|value| value as f32);
        let explained = rows.mapv(f64::from).dot(&noise([3 * WIDTH, 1], 10 * seed + 2));
        let explained = &explained / explained.std(0.0);
        let rest = noise([N, 1], 10 * seed + 3);
        let rest = &rest / rest.std(0.0);
        let target = &explained + &rest;
        let line = |i: usize| {
            let (year, is_test) = (target[[i, 0]], i.is_multiple_of(4) || i % 4 == 1);
            format!("n{} x{i},{year:.6},{is_test},g{}\n", i * 7919 % 1000, i % 40)
        };
        let text: String = (0..N).map(line).collect();
        let text = format!("name,size [target],is_test,part\n{text}");
        let dataset = parse(Path::new("planted.csv"), text.as_bytes()).unwrap();
        let mut known = rest;
        for (i, mut row) in known.axis_iter_mut(Axis(0)).enumerate() {
            row *= f64::from(rank(i) == 50_000);
        }
        let activations = known.dot(&noise([1, 16], seed + 90)) + noise([N, 16], seed + 91) * 0.05;
        let vectors = NameVectors { rows, rarest: vec![Some(1); N] };
        Planted { dataset, vectors, activations: activations.mapv(|value| value as f32) }
    }

    fn scorer(&self) -> Scorer<'_> {
        let scorer = Scorer::with_dataset_split(&self.dataset, "small", "empty").unwrap();
        let bootstrap = Bootstrap { n_resamples: 300, seed: 3 };
        Scorer { bootstrap, vectors: Some(self.vectors.clone()), ..scorer }
    }

    fn strata(&self, scorer: &Scorer) -> Vec<Strata> {
        let test = scorer.test_entities();
        let ranks: Vec<Option<u64>> = test.iter().map(|&i| Some(rank(i))).collect();
        let parts: Vec<String> = test.iter().map(|&i| format!("g{}", i % 40)).collect();
        let scripts: Vec<String> = test.iter().map(|&i| script_of(&self.dataset.entities[i].name)).collect();
        vec![Strata::by_rank(&ranks), Strata::by_label("part", &parts), Strata::by_label("script", &scripts)]
    }
}

#[test]
fn contributions_add_up_to_the_surplus_of_the_scores() {
    let planted = Planted::new(1);
    let scorer = planted.scorer();
    let text = scorer.text_scores().unwrap().unwrap();
    let rows =
        scorer.strata_scores(&text, POINT, planted.activations.view(), &planted.strata(&scorer)).unwrap();
    let scores = scorer.surplus(&text, POINT, planted.activations.view()).unwrap();
    for kind in ["names-only", WORD_VECTORS, TEXT] {
        for target in ["size", MEAN] {
            let of = |by: &'static str| {
                rows.iter().filter(move |row| row.text == kind && row.by == by && row.target == target)
            };
            let surplus =
                ScoreKey::test(&format!("ridge+{kind}"), SURPLUS, target).at(&scores, Some(POINT)).unwrap();
            let whole = of(ALL).next().unwrap();
            assert!((whole.surplus - surplus.value).abs() < 1e-12, "{} {}", whole.surplus, surplus.value);
            assert!((whole.surplus_low - surplus.low).abs() < 1e-9, "{} {}", whole.surplus_low, surplus.low);
            assert!((whole.surplus_high - surplus.high).abs() < 1e-9);
            assert!(whole.against_rest.is_nan() && whole.n_test == N / 2);
            for by in ["rank", "part", "script"] {
                let sum = |value: fn(&StratumRow) -> f64| of(by).map(value).sum::<f64>();
                assert!((sum(|row| row.contribution) - surplus.value).abs() < 1e-12, "{kind} {by}");
                assert!((sum(|row| row.share) - 1.0).abs() < 1e-12);
                // R² of all is the mean of the R² of the strata, each weighted by its share.
                assert!((sum(|row| row.share * row.r2_text) - whole.r2_text).abs() < 1e-12);
                assert_eq!(of(by).map(|row| row.n_test).sum::<usize>(), N / 2);
            }
        }
    }
}

#[test]
fn a_signal_of_rare_names_is_found_there_and_nowhere_else() {
    for seed in 2..4 {
        let planted = Planted::new(seed);
        let scorer = planted.scorer();
        let text = scorer.text_scores().unwrap().unwrap();
        let rows =
            scorer.strata_scores(&text, POINT, planted.activations.view(), &planted.strata(&scorer)).unwrap();
        let of = |by: &str| -> Vec<StratumRow> {
            let is_meant = |row: &&StratumRow| row.text == TEXT && row.target == MEAN && row.by == by;
            rows.iter().filter(is_meant).cloned().collect()
        };
        let [small, middle, rare] = &of("rank")[..] else { panic!("{rows:?}") };
        assert_eq!(
            [&small.stratum, &middle.stratum, &rare.stratum],
            ["1 to 10", "101 to 1,000", "10,001 to 100,000"]
        );
        // Half of the variance of rare names is in the activations alone.
        assert!((rare.surplus - 0.5).abs() < 0.1 && rare.surplus_low > 0.3, "{rare:?}");
        assert!(rare.against_rest_low > 0.2, "{rare:?}");
        assert!(rare.contribution / of(ALL)[0].contribution > 0.9, "{rare:?}");
        for other in [small, middle] {
            assert!(other.surplus.abs() < 0.05 && other.against_rest_high < 0.0, "{other:?}");
        }
    }
}

#[test]
fn few_units_have_no_interval() {
    let planted = Planted::new(7);
    let scorer = planted.scorer();
    // Forty groups, and strata of one group each.
    let scorer = Scorer { clusters: Some((0..N).map(|i| i % 40).collect()), ..scorer };
    let text = scorer.text_scores().unwrap().unwrap();
    let rows =
        scorer.strata_scores(&text, POINT, planted.activations.view(), &planted.strata(&scorer)).unwrap();
    for row in rows.iter().filter(|row| row.by == "part") {
        assert!(row.n_units == 1 && row.surplus_low.is_nan() && row.contribution_high.is_nan(), "{row:?}");
        assert!(row.surplus.is_finite() && row.contribution.is_finite());
    }
    assert!(rows.iter().filter(|row| row.by == "rank").all(|row| row.surplus_low < row.surplus_high));
}
