//! Times one exact ridge fit for `benches/peer/ridge.py`: reads `x [n, d]` (f32), `y [n, t]` and `penalties` (f64) from a
//! safetensors file, fits, writes coefficients and leave-one-out errors to another, and prints one line of JSON.
//!
//! `cargo bench --bench ridge -- IN.safetensors OUT.safetensors REPEATS`
#![allow(clippy::expect_used, clippy::panic, reason = "bad input ends a benchmark")]

use mappa::probes::{Decomposition, PenaltyGrid, Solution};
use ndarray::{Array2, ArrayView2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;
use std::time::Instant;

fn main() {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let [from, to, repeats] = &words[..] else {
        println!(
            "cargo bench --bench ridge -- IN.safetensors OUT.safetensors REPEATS; see benches/peer/ridge.py"
        );
        return;
    };
    let (x, y, penalties) = load(Path::new(from));
    let rows: Vec<usize> = (0..x.nrows()).collect();
    let before = resident("VmRSS");
    // Resets the peak of the resident set (VmHWM).
    std::fs::write("/proc/self/clear_refs", "5").expect("/proc/self/clear_refs takes a 5");
    let grid = PenaltyGrid::Fixed(penalties);
    let (mut seconds, mut processor, mut solution) = (Vec::new(), Vec::new(), None);
    for _ in 0..repeats.parse::<usize>().expect("REPEATS is a number") {
        let (clock, begun) = (Instant::now(), processor_seconds());
        solution = Some(fit(x.view(), &rows, &y, &grid));
        seconds.push(clock.elapsed().as_secs_f64());
        processor.push(processor_seconds() - begun);
    }
    let peak = resident("VmHWM");
    let Solution { probe, leave_one_out, trials, .. } = solution.expect("at least one repeat");
    save(Path::new(to), &[("coefficients", &probe.weights), ("errors", &(&y - &leave_one_out))]);
    let errors: Vec<f64> = trials.iter().map(|trial| trial.error).collect();
    println!(
        "{{\"seconds\": {seconds:?}, \"processor\": {processor:?}, \"peak_bytes\": {peak}, \"before_bytes\": {before}, \"penalty\": {}, \"errors\": {errors:?}}}",
        probe.penalty
    );
}

fn fit<'a>(x: ArrayView2<'a, f32>, rows: &'a [usize], y: &Array2<f64>, grid: &PenaltyGrid) -> Solution {
    Decomposition::of_rows(x, rows).and_then(|decomposition| decomposition.solve(y, grid)).expect("a fit")
}

/// Loads rows, targets and penalties; the file's bytes are freed before it returns.
fn load(path: &Path) -> (Array2<f32>, Array2<f64>, Vec<f64>) {
    let bytes = std::fs::read(path).expect("IN.safetensors");
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let tensor = |name: &str| file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let shape = |name: &str| (tensor(name).shape()[0], tensor(name).shape()[1]);
    let wide = |name: &str| -> Vec<f64> {
        tensor(name)
            .data()
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes")))
            .collect()
    };
    let x = tensor("x")
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")))
        .collect();
    let x = Array2::from_shape_vec(shape("x"), x).expect("as many values as the shape says");
    let y = Array2::from_shape_vec(shape("y"), wide("y")).expect("as many values as the shape says");
    (x, y, wide("penalties"))
}

fn save(path: &Path, arrays: &[(&str, &Array2<f64>)]) {
    let bytes: Vec<Vec<u8>> =
        arrays.iter().map(|(_, array)| array.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = arrays.iter().zip(&bytes).map(|((name, array), bytes)| {
        (*name, TensorView::new(Dtype::F64, array.shape().to_vec(), bytes).expect("bytes of the shape"))
    });
    safetensors::serialize_to_file(views, None, path).expect("OUT.safetensors");
}

/// The processor time of all threads of this process so far, in seconds.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    // After the name in parentheses, the twelfth and thirteenth fields are user and system time, in 1/100 s.
    let fields = stat.rsplit(") ").next().expect("a name in parentheses");
    let hundredths = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().expect("a number"));
    hundredths.sum::<f64>() / 100.0
}

/// A line of /proc/self/status, in bytes.
fn resident(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line of memory");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<usize>().ok()).expect("a number") * 1024
}
