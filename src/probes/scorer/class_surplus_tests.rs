//! Laws of the surplus for classes: 0 for a function of the text, and the size of a planted signal.

use super::*;
use crate::datasets::{Dataset, parse};
use crate::probes::ClassVerdict;
use crate::probes::baselines::name_features;
use crate::probes::fixture::noise;
use crate::probes::metrics::Bootstrap;
use crate::results::{
    ACCURACY, LOG_LOSS, MCFADDEN_R2, SURPLUS_OF_ACCURACY, SURPLUS_OF_LOG_LOSS, ScoreKey, TEXT, WORD_VECTORS,
};
use crate::word_vectors::NameVectors;
use rayon::prelude::*;
use std::path::Path;

const POINT: HookPoint = HookPoint::ResidPost(1);
const COLUMN: &str = "kind";
/// The width of a word vector; a row has three vectors.
const WIDTH: usize = 4;

/// Entities of two or three classes, cut from a number of which word vectors explain half; the other half is `rest`.
struct Planted {
    dataset: Dataset,
    vectors: NameVectors,
    /// The part of the number that is not in the text, `[n, 1]`.
    rest: Array2<f64>,
}

impl Planted {
    fn of(n: usize, n_classes: usize, seed: u64) -> Planted {
        let rows = noise([n, 3 * WIDTH], 10 * seed + 1).mapv(|value| value as f32);
        let explained = rows.mapv(f64::from).dot(&noise([3 * WIDTH, 1], 10 * seed + 2));
        let rest = normal(n, 10 * seed + 3);
        let explained = &explained / explained.std(0.0);
        let number = &explained + &rest;
        let class = |value: f64| match n_classes {
            2 => usize::from(value > 0.0),
            _ => usize::from(value > -0.6) + usize::from(value > 0.6),
        };
        let of_name = noise([n, 1], 10 * seed + 4);
        let line = |i: usize| {
            let name = (of_name[[i, 0]].to_bits() >> 20) % 1_000_000;
            let (value, class) = (number[[i, 0]], class(number[[i, 0]]));
            format!("n{name:06} x{i},{value:.6},k{class},{}\n", i.is_multiple_of(4))
        };
        let text: String = (0..n).map(line).collect();
        let text = format!("name,size [target],{COLUMN},is_test\n{text}");
        let dataset = parse(Path::new("planted.csv"), text.as_bytes()).unwrap();
        Planted { dataset, vectors: NameVectors { rows, rarest: vec![Some(1); n] }, rest }
    }

    fn rows(&self, activations: &Array2<f64>) -> Vec<ScoreRow> {
        let scorer = Scorer::with_dataset_split(&self.dataset, "small", "empty").unwrap();
        let bootstrap = Bootstrap { n_resamples: 200, seed: 3 };
        let classes = Some(Classes::of(&self.dataset, COLUMN).unwrap());
        let scorer = Scorer { bootstrap, classes, vectors: Some(self.vectors.clone()), ..scorer };
        let features = name_features(&scorer.baseline_data().entity_names());
        let texts = scorer.class_texts(&features).unwrap().unwrap();
        let activations = activations.mapv(|value| value as f32);
        let rows = scorer.class_surplus(&texts, POINT, activations.view()).unwrap();
        [rows, texts.rows].concat()
    }
}

/// Sums of twelve uniform numbers: nearly normal, of variance 1.
fn normal(n: usize, seed: u64) -> Array2<f64> {
    noise([n, 12], seed).sum_axis(Axis(1)).insert_axis(Axis(1))
}

fn value(rows: &[ScoreRow], method: &str, metric: &str) -> f64 {
    let point = method.starts_with("ridge+").then_some(POINT);
    ScoreKey::test(method, metric, COLUMN).at(rows, point).unwrap().value
}

#[test]
fn a_function_of_the_text_has_no_surplus() {
    let beyond = |seed: u64| {
        let planted = Planted::of(300, if seed.is_multiple_of(2) { 2 } else { 3 }, seed);
        let text = planted.vectors.rows.mapv(f64::from);
        // A linear plus a nonlinear function of the vectors.
        let activations = text.dot(&noise([3 * WIDTH, 16], seed + 7_000)).mapv(|value| value + value.tanh());
        let verdict = ClassVerdict::of(&planted.rows(&activations), POINT, COLUMN).unwrap();
        verdict.to_string().contains("beyond its text")
    };
    let n = (0..100u64).into_par_iter().filter(|seed| beyond(*seed)).count();
    assert!(n <= 5, "{n} of 100 seeds");
}

#[test]
fn a_planted_signal_has_the_surplus_of_its_size() {
    let planted = Planted::of(4000, 2, 500);
    let exact = planted.rest.dot(&noise([1, 16], 1)) + noise([4000, 16], 2) * 0.01;
    let rows = planted.rows(&exact);
    // The sign of the sum of two independent normal parts is that of one part in three of four cases.
    for text in [WORD_VECTORS, TEXT] {
        let both = format!("ridge+{text}");
        let alone = value(&rows, text, ACCURACY);
        assert!((alone - 0.75).abs() < 0.04, "{text}: {alone}");
        assert!(value(&rows, &both, ACCURACY) > 0.97, "{}", value(&rows, &both, ACCURACY));
        let surplus = value(&rows, &both, SURPLUS_OF_ACCURACY);
        assert!((surplus - (value(&rows, &both, ACCURACY) - alone)).abs() < 1e-12);
        let loss = value(&rows, text, LOG_LOSS) - value(&rows, &both, LOG_LOSS);
        assert!((value(&rows, &both, SURPLUS_OF_LOG_LOSS) - loss).abs() < 1e-12 && loss > 0.3, "{loss}");
        // The probability of the positive class given the text is the normal distribution function of the text's part:
        // its mean entropy is 0.5 nats, out of ln 2.
        let explained = value(&rows, text, MCFADDEN_R2);
        assert!((explained - 0.279).abs() < 0.05, "{text}: {explained}");
    }
    let verdict = ClassVerdict::of(&rows, POINT, COLUMN).unwrap().to_string();
    assert!(verdict.starts_with("beyond its text: accuracy 0.9"), "{verdict}");
}

#[test]
fn activations_without_signal_have_no_surplus() {
    let planted = Planted::of(600, 3, 501);
    let rows = planted.rows(&noise([600, 16], 3));
    let surplus = value(&rows, "ridge+text", SURPLUS_OF_LOG_LOSS);
    assert!(surplus < 0.02, "{surplus}");
}
