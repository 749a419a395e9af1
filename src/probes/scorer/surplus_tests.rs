//! Laws of the surplus: 0 for a function of the text, and the size of a planted signal.

use super::*;
use crate::datasets::{Dataset, parse};
use crate::probes::fixture::noise;
use crate::probes::metrics::Bootstrap;
use crate::probes::{MARGIN, Surplus, TextVerdict, r2};
use crate::results::{MEAN, ScoreKey, TEXT, WORD_VECTORS};
use crate::word_vectors::NameVectors;
use rayon::prelude::*;
use std::path::Path;

const POINT: HookPoint = HookPoint::ResidPost(1);
/// The number of entities; `MANY` is for the test that needs precise slopes.
const N: usize = 300;
const MANY: usize = 2000;
/// The width of a word vector; a row has three vectors.
const WIDTH: usize = 4;

/// Entities with a target of which word vectors explain half; the other half is `rest`.
struct Planted {
    dataset: Dataset,
    vectors: NameVectors,
    /// The part of the target that is not in the text, `[n, 1]`.
    rest: Array2<f64>,
    /// The R² of the part in the text, on the test entities.
    text_r2: f64,
}

impl Planted {
    fn of(seed: u64) -> Planted {
        Planted::with(N, seed)
    }

    fn with(n: usize, seed: u64) -> Planted {
        let rows = noise([n, 3 * WIDTH], 10 * seed + 1).mapv(|value| value as f32);
        let slope = noise([3 * WIDTH, 1], 10 * seed + 2);
        let explained = rows.mapv(f64::from).dot(&slope);
        let rest = noise([n, 1], 10 * seed + 3);
        let scaled = |part: &Array2<f64>| part / part.std(0.0);
        let (explained, rest) = (scaled(&explained), scaled(&rest));
        let target = &explained + &rest;
        // Names without any relation to the target.
        let of_name = noise([n, 1], 10 * seed + 4);
        let line = |i: usize| {
            let name = (of_name[[i, 0]].to_bits() >> 20) % 1_000_000;
            format!("n{name:06} x{i},{:.6},{}\n", target[[i, 0]], i.is_multiple_of(4))
        };
        let text: String = (0..n).map(line).collect();
        let text = format!("name,size [target],is_test\n{text}");
        let dataset = parse(Path::new("planted.csv"), text.as_bytes()).unwrap();
        let test: Vec<usize> = (0..n).step_by(4).collect();
        let of_test = |values: &Array2<f64>| values.select(Axis(0), &test).column(0).to_vec();
        let text_r2 = r2(&of_test(&target), &of_test(&explained));
        Planted { dataset, vectors: NameVectors { rows, rarest: vec![Some(1); n] }, rest, text_r2 }
    }

    fn rows(&self, activations: &Array2<f64>) -> Vec<ScoreRow> {
        let scorer = Scorer::with_dataset_split(&self.dataset, "small", "empty").unwrap();
        let bootstrap = Bootstrap { n_resamples: 200, seed: 3 };
        let scorer = Scorer { bootstrap, vectors: Some(self.vectors.clone()), ..scorer };
        let text = scorer.text_scores().unwrap().unwrap();
        let mut rows = scorer.surplus(&text, POINT, activations.mapv(|value| value as f32).view()).unwrap();
        rows.extend(text.rows);
        rows
    }
}

#[test]
fn a_function_of_the_text_has_no_surplus() {
    let beyond = |seed: u64| {
        let planted = Planted::of(seed);
        let text = planted.vectors.rows.mapv(f64::from);
        // A linear plus a nonlinear function of the vectors.
        let activations = text.dot(&noise([3 * WIDTH, 16], seed + 7_000)).mapv(|value| value + value.tanh());
        matches!(TextVerdict::of(&planted.rows(&activations), POINT), Some(TextVerdict::BeyondText(_)))
    };
    let n = (0..100u64).into_par_iter().filter(|seed| beyond(*seed)).count();
    assert!(n <= 5, "{n} of 100 seeds");
}

#[test]
fn a_planted_signal_has_the_surplus_of_its_size() {
    let planted = Planted::with(MANY, 500);
    let exact = planted.rest.dot(&noise([1, 16], 1)) + noise([MANY, 16], 2) * 0.01;
    let rows = planted.rows(&exact);
    for kind in [WORD_VECTORS, TEXT] {
        let Surplus { text, both, value, low, high, .. } = Surplus::over(kind, &rows, POINT).unwrap();
        assert!(
            (text - planted.text_r2).abs() < 0.03 && both > 0.97,
            "{kind}: {text} {both} {}",
            planted.text_r2
        );
        let expected = 1.0 - planted.text_r2;
        assert!(
            (value - expected).abs() < 0.03 && low < value && value < high,
            "{kind}: {low} {value} {high}"
        );
    }
    assert!(matches!(TextVerdict::of(&rows, POINT), Some(TextVerdict::BeyondText(_))));
}

#[test]
fn activations_without_signal_have_no_surplus() {
    let planted = Planted::of(501);
    let rows = planted.rows(&noise([N, 16], 3));
    let surplus = Surplus::over(TEXT, &rows, POINT).unwrap();
    assert!(surplus.value < MARGIN, "{surplus:?}");
    // The n-grams of these names say nothing, so the vectors explain as much as both.
    let r2 = |method: &str| ScoreKey::test(method, "r2", MEAN).at(&rows, None).unwrap().value;
    assert!((r2(TEXT) - r2(WORD_VECTORS)).abs() < 0.05, "{} {}", r2(TEXT), r2(WORD_VECTORS));
}

#[test]
fn without_vectors_only_the_names_are_compared() {
    let planted = Planted::of(502);
    let scorer = Scorer::with_dataset_split(&planted.dataset, "small", "empty").unwrap();
    let text = scorer.text_scores().unwrap().unwrap();
    assert!(text.rows.is_empty());
    let activations = noise([N, 16], 3).mapv(|value| value as f32);
    let rows = scorer.surplus(&text, POINT, activations.view()).unwrap();
    assert!(rows.iter().all(|row| row.method == "ridge+names-only") && !rows.is_empty());
}
