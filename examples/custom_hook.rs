//! A custom hook: sets the MLP output of one block to zero, and prints the next token.
//!
//! Run with `cargo run --release --example custom_hook`.

use mappa::hook_point::HookPoint;
use mappa::model::{Forest, Hook, Model, NoHook, Tensor};
use mappa::{Lab, Result};

/// Sets the MLP's output of one block to zero.
struct WithoutMlp {
    block: usize,
}

impl Hook for WithoutMlp {
    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        match self.sees(point) {
            true => Ok(stream.zeros_like()?),
            false => Ok(stream),
        }
    }

    // The pass may skip computations that no hook sees.
    fn sees(&self, point: HookPoint) -> bool {
        point == HookPoint::MlpOut(self.block)
    }
}

/// The most probable token after a prompt.
fn next_token(model: &Model, prompt: &str, hook: &mut dyn Hook) -> Result<String> {
    let ids = model.tokenizer.encode(prompt)?.ids;
    let stream = model.transformer.forward(&Forest::of_text(&ids)?, None, hook)?; // [n_tokens, d_model]
    let last = stream.narrow(0, ids.len() - 1, 1)?;
    let logits = model.transformer.logits(&last)?.squeeze(0)?; // [d_vocab]
    model.tokenizer.decode(&[logits.argmax(0)?.to_scalar()?])
}

/// Prints the next token without the MLP of each block in turn.
pub(crate) fn run(lab: &Lab) -> Result<()> {
    let (model, prompt) = (lab.model("atlas")?, "Nairobi is in");
    println!("{prompt}{}", next_token(&model, prompt, &mut NoHook)?);
    for block in 0..model.spec().n_layers {
        let next = next_token(&model, prompt, &mut WithoutMlp { block })?;
        println!("{prompt}{next}   (without the MLP of block {block})");
    }
    Ok(())
}

fn main() -> Result<()> {
    run(&Lab::open(".")?)
}
