//! From the stream to logits.

use super::parts::Parts;
use crate::error::Result;
use crate::model::kernels::{Linear, Matrix, Norm};
use crate::model::spec::{Head, Spec};
use crate::model::weights::Place;
use candle_core::Tensor;

/// The parameters between the stream after the last block and the logits.
#[derive(Debug, Clone)]
pub(super) struct HeadLayer {
    spec: Head,
    norm: Option<Norm>,
    project_out: Option<Linear>,
    transform: Option<(Linear, Norm)>,
    unembed: Linear,
}

impl HeadLayer {
    /// Takes the head's parameters; a tied head shares the matrix of the embedding, `embed`.
    pub(super) fn new(spec: &Spec, head: Head, embed: &Matrix, parts: &mut Parts) -> Result<HeadLayer> {
        let transform = match head.transform {
            Some(_) => {
                let norm = |parts: &mut Parts| parts.norm(Place::HeadNorm, spec.norm, spec.d_model);
                Some((parts.linear(Place::HeadDense)?, norm(parts)?))
            }
            None => None,
        };
        let bias = parts.dense(Place::Unembed.bias())?;
        let weight = if head.tied { embed.clone() } else { parts.matrix(Place::Unembed)? };
        let norm = head.norm.then(|| parts.norm(Place::FinalNorm, spec.norm, spec.d_model)).transpose()?;
        Ok(HeadLayer {
            spec: head,
            norm,
            project_out: parts.maybe_linear(Place::ProjectOut)?,
            transform,
            unembed: Linear { weight, bias },
        })
    }

    /// The logits of each row of the stream, of some tokens or of all.
    ///
    /// # Shapes
    /// `[n, d_model]` to `[n, n_tokens]`, or `[n, d_vocab]`.
    pub(super) fn logits_of(&self, tokens: Option<&[u32]>, stream: &Tensor) -> Result<Tensor> {
        let mut x = match &self.norm {
            Some(norm) => norm.forward(stream)?,
            None => stream.clone(),
        };
        if let Some(project_out) = &self.project_out {
            x = project_out.forward(&x)?; // [n, d_model] -> [n, d_embed]
        }
        if let (Some((dense, norm)), Some(activation)) = (&self.transform, self.spec.transform) {
            x = norm.forward(&dense.activated(activation, &x)?)?;
        }
        let mut logits = match tokens {
            Some(tokens) => self.rows_of_unembed(tokens)?.forward(&x)?, // [n, d_embed] -> [n, n_tokens]
            None => self.unembed.forward(&x)?,                          // [n, d_embed] -> [n, d_vocab]
        };
        if self.spec.scale != 1.0 {
            logits = (logits * self.spec.scale)?;
        }
        Ok(match self.spec.soft_cap {
            Some(cap) => ((logits / cap)?.tanh()? * cap)?,
            None => logits,
        })
    }
    /// The part of the unembedding that gives the logits of some tokens.
    fn rows_of_unembed(&self, tokens: &[u32]) -> Result<Linear> {
        let index = Tensor::from_slice(tokens, tokens.len(), &self.unembed.weight.device())?;
        let bias = self.unembed.bias.as_ref().map(|bias| bias.index_select(&index, 0)).transpose()?;
        Ok(Linear { weight: Matrix::Dense(self.unembed.weight.rows(&index)?), bias })
    }
}
