//! From tokens to the stream: token and position embeddings.

use super::parts::Parts;
use crate::error::Result;
use crate::model::forest::Forest;
use crate::model::kernels::{Linear, Matrix, Norm};
use crate::model::spec::{Embedding, PositionEmbedding, Spec};
use crate::model::weights::Place;
use candle_core::{Device, Tensor};

/// The parameters of the embedding.
#[derive(Debug, Clone)]
pub(super) struct EmbeddingLayer {
    spec: Embedding,
    pub(super) tokens: Matrix,
    project_in: Option<Linear>,
    positions: Option<Tensor>,
    token_type: Option<Tensor>,
    norm: Option<Norm>,
}

impl EmbeddingLayer {
    /// Takes the embedding's parameters, and sets the device of `parts` to theirs.
    pub(super) fn new(spec: &Spec, parts: &mut Parts) -> Result<EmbeddingLayer> {
        let tokens = parts.matrix(Place::Embed)?;
        parts.device = tokens.device();
        let norm = spec.embedding.norm.then(|| parts.norm(Place::EmbedNorm, spec.norm, spec.d_model));
        let positions = match spec.embedding.positions {
            PositionEmbedding::Sinusoidal { offset } => {
                Some(sinusoids(offset + spec.n_context, spec.d_model)?.to_device(&parts.device)?)
            }
            _ => parts.dense(Place::Positions.weight())?,
        };
        let token_types = parts.dense(Place::TokenTypes.weight())?;
        Ok(EmbeddingLayer {
            spec: spec.embedding,
            tokens,
            project_in: parts.maybe_linear(Place::ProjectIn)?,
            positions,
            token_type: token_types.map(|table| table.narrow(0, 0, 1)).transpose()?,
            norm: norm.transpose()?,
        })
    }

    /// The input of block 0 for a forest's new nodes.
    ///
    /// # Shapes
    /// `[n_new, d_model]`.
    pub(super) fn forward(&self, forest: &Forest) -> Result<Tensor> {
        let device = self.tokens.device();
        let ids = |ids: &[u32]| Tensor::from_slice(ids, ids.len(), &device);
        let mut stream = self.tokens.rows(&ids(forest.new_tokens())?)?; // [n_new, d_embed]
        if self.spec.scale != 1.0 {
            stream = (stream * self.spec.scale)?;
        }
        if let Some(project_in) = &self.project_in {
            stream = project_in.forward(&stream)?; // [n_new, d_embed] -> [n_new, d_model]
        }
        if let Some(table) = &self.positions {
            let rows = position_rows(self.spec.positions, forest);
            stream = (stream + table.index_select(&ids(&rows)?, 0)?)?;
        }
        if let Some(row) = &self.token_type {
            stream = stream.broadcast_add(row)?;
        }
        Ok(match &self.norm {
            Some(norm) => norm.forward(&stream)?,
            None => stream,
        })
    }
}

/// The row of the position table for each new token.
fn position_rows(positions: PositionEmbedding, forest: &Forest) -> Vec<u32> {
    let offset = match positions {
        PositionEmbedding::Learned { offset } | PositionEmbedding::Sinusoidal { offset } => offset as u32,
        PositionEmbedding::AfterPadding { padding } => return rows_after_padding(padding as u32, forest),
        PositionEmbedding::Nothing => 0,
    };
    forest.new_positions().iter().map(|position| position + offset).collect()
}

/// Rows of the position table, counted over a text's tokens that are not padding.
fn rows_after_padding(padding: u32, forest: &Forest) -> Vec<u32> {
    let is_padding: Vec<bool> = forest.new_tokens().iter().map(|token| *token == padding).collect();
    let mut n_counted: Vec<u32> = Vec::with_capacity(is_padding.len());
    for (node, is_padding) in is_padding.iter().enumerate() {
        let before = forest.parent(node as u32).map_or(0, |parent| n_counted[parent as usize]);
        n_counted.push(before + u32::from(!is_padding));
    }
    let row = |(is_padding, n): (&bool, u32)| if *is_padding { padding } else { padding + n };
    is_padding.iter().zip(n_counted).map(row).collect()
}

/// Sinusoidal positions: half of each row sines, half cosines, of geometric frequencies.
///
/// # Shapes
/// `[n_positions, d_model]`.
///
/// # Source
/// Vaswani et al., "Attention Is All You Need", section 3.5, in the layout of XGLM.
fn sinusoids(n_positions: usize, d_model: usize) -> Result<Tensor> {
    let half = d_model / 2;
    let step = -(10_000f64.ln() / (half as f64 - 1.0)) as f32;
    let mut rows = Vec::with_capacity(n_positions * d_model);
    for position in 0..n_positions {
        let angles: Vec<f32> = (0..half).map(|i| position as f32 * (i as f32 * step).exp()).collect();
        rows.extend(angles.iter().map(|angle| angle.sin()));
        rows.extend(angles.iter().map(|angle| angle.cos()));
        rows.resize((position + 1) * d_model, 0.0); // an odd width ends in a zero
    }
    Ok(Tensor::from_vec(rows, (n_positions, d_model), &Device::Cpu)?)
}
