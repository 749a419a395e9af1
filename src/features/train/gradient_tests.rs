//! The gradient equals torch's autograd, and does not depend on the number of threads.

use super::*;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn parameters(value: &Value, d_in: usize, d_sae: usize) -> Parameters {
    let of = |name: &str| numbers(&value[name]);
    Parameters { d_in, d_sae, w_enc: of("w_enc"), b_enc: of("b_enc"), w_dec: of("w_dec"), b_dec: of("b_dec") }
}

/// Random parameters and rows.
fn random(n: usize, d_in: usize, d_sae: usize) -> (Parameters, Vec<f32>) {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let mut params = Parameters::zeros(d_in, d_sae);
    params.arrays_mut().into_iter().flatten().for_each(|x| *x = rng.random_range(-1.0..1.0));
    (params, (0..n * d_in).map(|_| rng.random_range(-2.0..2.0)).collect())
}

#[test]
fn loss_and_gradient_are_those_of_autograd() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/features/topk.json");
    let fixture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let count = |name: &str| fixture[name].as_u64().unwrap() as usize;
    let (d_in, d_sae) = (count("d_in"), count("d_sae"));
    let params = parameters(&fixture["params"], d_in, d_sae);
    let all_dead: Vec<u32> = numbers(&fixture["dead"]).into_iter().map(|latent| latent as u32).collect();
    for (name, dead) in [("alive", &[][..]), ("with_dead", &all_dead)] {
        let aux_weight = fixture["aux_weight"].as_f64().unwrap() as f32;
        let loss = Loss { k: count("k"), dead, k_aux: count("k_aux"), aux_weight };
        let found = loss.gradient(&params, &numbers(&fixture["x"]));
        let expected = &fixture[name];
        for (found, of) in [(found.loss, "loss"), (found.aux, "aux")] {
            let expected = expected[of].as_f64().unwrap();
            assert!((found - expected).abs() <= 1e-5 * expected, "{name} {of}: {found} {expected}");
        }
        let gradient = parameters(&expected["gradient"], d_in, d_sae);
        for (found, expected) in found.gradient.arrays().into_iter().zip(gradient.arrays()) {
            let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
            let worst = found.iter().zip(expected).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(worst < 1e-5 * largest, "{name}: {worst} of {largest}");
        }
        let n_active: u32 = found.n_active.iter().sum();
        assert!(n_active as usize <= count("n") * count("k") && n_active > 0);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (params, x) = random(333, 40, 700);
    let dead: Vec<u32> = (0..700).filter(|latent| latent % 3 == 0).collect();
    let loss = Loss { k: 9, dead: &dead, k_aux: 5, aux_weight: 0.1 };
    let with = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| loss.gradient(&params, &x))
    };
    let one = with(1);
    for n in [2, 3, 8] {
        let more = with(n);
        assert!(more.gradient == one.gradient && more.n_active == one.n_active, "{n} threads");
        assert!(more.loss.to_bits() == one.loss.to_bits() && more.aux.to_bits() == one.aux.to_bits());
    }
}

#[test]
fn a_dead_latent_has_a_gradient_of_the_auxiliary_loss_alone_scaled_by_its_weight() {
    let (mut params, x) = random(20, 6, 10);
    params.b_enc[3] = -100.0; // never active
    params.b_enc[7] = 1.0;
    let gradient =
        |dead: &[u32], aux_weight| Loss { k: 10, dead, k_aux: 4, aux_weight }.gradient(&params, &x);
    assert!(gradient(&[3], 1.0).gradient.w_enc[18..24].iter().all(|g| *g == 0.0));
    let difference = |weight: f32| {
        let (with, without) = (gradient(&[7], weight), gradient(&[], 0.0));
        with.gradient.w_dec[43] - without.gradient.w_dec[43]
    };
    let (one, two) = (difference(1.0), difference(2.0));
    assert!(one != 0.0 && (two - 2.0 * one).abs() < 1e-4 * one.abs(), "{one} {two}");
}
