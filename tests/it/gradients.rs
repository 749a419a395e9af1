//! Gradients of the forward pass against torch's, on each family's checkpoint, with a change of the stream between two
//! blocks (fixture: tests/fixtures/models/gradients.py).

use super::families::checkpoints;
use super::root;
use candle_core::{Device, Tensor, Var};
use mappa::hook_point::HookPoint;
use mappa::model::{Forest, Hook, Model, Precision, Transformer};
use std::collections::HashMap;

/// Largest allowed difference, relative to the largest gradient.
const TOLERANCE: f32 = 1e-4;
const TEXT: [u32; 6] = [3, 17, 5, 9, 2, 28];
const ROW: usize = 3;

/// The sines of the fixture.
fn waves(shape: &[usize], pace: f64, shift: f64) -> Tensor {
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|i: usize| (pace * i as f64 + shift).sin() as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Makes the input of block 0 a variable, and changes a row after a block.
struct Change {
    stream: Option<Var>,
    basis: Var,
    after: HookPoint,
}

impl Hook for Change {
    fn at(&mut self, point: HookPoint, stream: Tensor) -> mappa::Result<Tensor> {
        if point == HookPoint::ResidPre(0) {
            let stream = Var::from_tensor(&stream)?;
            self.stream = Some(stream.clone());
            return Ok(stream.as_tensor().clone());
        }
        if point != self.after {
            return Ok(stream);
        }
        let row = stream.narrow(0, ROW, 1)?;
        let source = waves(&[1, row.dim(1)?], 1.3, 0.1);
        let moved = (source - &row)?.matmul(&self.basis.t()?)?.matmul(&self.basis)?;
        let (before, rest) = (stream.narrow(0, 0, ROW)?, TEXT.len() - ROW - 1);
        Ok(Tensor::cat(&[before, (row + moved)?, stream.narrow(0, ROW + 1, rest)?], 0)?)
    }
}

fn gradients(model: &Transformer) -> [Tensor; 2] {
    let d = model.spec.d_model;
    let basis = Var::from_tensor(&(waves(&[2, d], 0.7, 0.4) / (d as f64).sqrt()).unwrap()).unwrap();
    let mut hook = Change { stream: None, basis, after: HookPoint::ResidPost((model.spec.n_layers - 1) / 2) };
    let stream = model.forward(&Forest::of_text(&TEXT).unwrap(), None, &mut hook).unwrap();
    let logits = model.logits(&stream).unwrap();
    let loss = (&logits * waves(logits.dims(), 0.37, 0.0)).unwrap().sum_all().unwrap();
    let grads = (loss / TEXT.len() as f64).unwrap().backward().unwrap();
    let of = |var: &Var| grads.get(var).unwrap().clone();
    [of(hook.stream.as_ref().unwrap()), of(&hook.basis)]
}

fn largest(of: &Tensor) -> f32 {
    of.abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

#[test]
fn gradients_of_each_family_equal_torch() {
    let path = root("tests/fixtures/models/gradients.safetensors");
    let theirs: HashMap<String, Tensor> = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let names = checkpoints();
    let mut worst = 0f32;
    for name in &names {
        let model =
            Model::load_transformer(&root("tests/fixtures/models").join(name), Precision::F32).unwrap();
        for (ours, part) in gradients(&model).iter().zip(["stream", "basis"]) {
            let theirs = theirs.get(&format!("{name}.{part}"));
            let theirs = theirs.unwrap_or_else(|| panic!("no gradients of {name}; run gradients.py"));
            let off = largest(&(ours - theirs).unwrap()) / largest(theirs);
            println!("{name}: {part}: largest relative error {off:.1e}");
            assert!(off < TOLERANCE, "{name}: {part}: {off:e}");
            worst = worst.max(off);
        }
    }
    println!("{} checkpoints: largest relative error {worst:.1e}", names.len());
}
