//! The logit lens: the tokens whose logits a vector raises or lowers, without the rest of the model.

use crate::error::Result;
use crate::model::Transformer;
use candle_core::Tensor;

/// The `n` tokens that a vector of the stream raises most and lowers most, strongest first.
///
/// A token's change is half the difference between the logits of the vector and of minus the vector; biases cancel.
///
/// # Errors
/// As [`Transformer::logits`].
pub fn raised_and_lowered(model: &Transformer, vector: &[f64], n: usize) -> Result<(Vec<u32>, Vec<u32>)> {
    let values: Vec<f32> =
        vector.iter().map(|x| *x as f32).chain(vector.iter().map(|x| -*x as f32)).collect();
    let both = Tensor::from_vec(values, (2, vector.len()), &model.device())?; // [2, d_model]
    let logits = model.logits(&both)?.to_vec2::<f32>()?;
    let mut change: Vec<(u32, f32)> =
        (0..).zip(logits[0].iter().zip(&logits[1]).map(|(up, down)| (up - down) / 2.0)).collect();
    change.sort_by(|a, b| b.1.total_cmp(&a.1));
    let raised = change.iter().take(n).map(|(id, _)| *id).collect();
    Ok((raised, change.iter().rev().take(n).map(|(id, _)| *id).collect()))
}
