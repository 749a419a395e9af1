//! Times the training of a TopK dictionary for `benches/peer/topk.py`: reads `x [n, d]` (f32) from a safetensors file, takes
//! steps, and prints one line of JSON with the seconds of each step after the first ten.
//!
//! `cargo bench --bench topk -- IN.safetensors UNITS K BATCH STEPS`
#![allow(clippy::expect_used, clippy::panic, reason = "bad input ends a benchmark")]

use mappa::features::train::{DictionaryTrainer, TrainSettings};
use mappa::progress::Silent;
use ndarray::Array2;
use safetensors::tensor::SafeTensors;
use std::time::Instant;

/// Number of steps until memory and threads are warm; they are not timed.
const WARM_UP: usize = 10;

fn main() {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let [from, numbers @ ..] = &words[..] else {
        println!("cargo bench --bench topk -- IN.safetensors UNITS K BATCH STEPS; see benches/peer/topk.py");
        return;
    };
    let numbers: Vec<usize> = numbers.iter().map(|n| n.parse().expect("UNITS, K, BATCH and STEPS")).collect();
    let [d_sae, k, batch, n_steps] = numbers[..] else { panic!("four numbers: UNITS K BATCH STEPS") };
    let file = std::fs::read(from).expect("the file can be read");
    let tensors = SafeTensors::deserialize(&file).expect("a safetensors file");
    let x = tensors.tensor("x").expect("a tensor x");
    let values = x.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let rows = Array2::from_shape_vec((x.shape()[0], x.shape()[1]), values).expect("two dimensions");
    let n_epochs = (n_steps * batch).div_ceil(rows.nrows());
    let settings =
        TrainSettings { n_epochs, batch, memory: usize::MAX, ..TrainSettings::of(rows.ncols(), d_sae, k) };
    let source = rows.view();
    let mut trainer = DictionaryTrainer::begin(&source, settings, &mut Silent).expect("settings in range");
    let (mut seconds, mut fve, mut n_dead) = (Vec::new(), Vec::new(), 0);
    for step in 0..n_steps {
        let clock = Instant::now();
        let Some(progress) = trainer.step(&mut Silent).expect("a step") else { break };
        if step >= WARM_UP {
            seconds.push(clock.elapsed().as_secs_f64());
        }
        fve.push(progress.fve);
        n_dead = progress.n_dead;
    }
    let last = &fve[fve.len().saturating_sub(20)..];
    let fve = last.iter().sum::<f64>() / last.len() as f64;
    println!("{{\"seconds\": {seconds:?}, \"fve\": {fve}, \"n_dead\": {n_dead}}}");
}
