//! The outputs of block 0 that depend on the token alone, computed once for many passes.
//!
//! If attention and MLP are parallel and positions enter through attention alone, then queries, keys, values and the
//! whole MLP of block 0 are functions of the token id, and many texts consist of few distinct token ids.

use crate::error::Result;
use candle_core::{Device, Tensor};
use std::collections::{BTreeSet, HashMap};

/// Minimum number of distinct token ids for the cache to pay off.
const MIN_TOKENS: usize = 16;
/// Maximum number of tokens that are computed at a time.
const CHUNK: usize = 2048;
/// Maximum size of the cache in bytes.
const MAX_BYTES: usize = 1 << 28;

/// The outputs of a parallel block that depend on a row of the stream alone.
#[derive(Debug, Clone)]
pub(super) struct TokenwiseOutput {
    /// Queries, keys and values before the rotation, heads concatenated.
    pub(super) qkv: [Tensor; 3],
    /// The output of the MLP, `[n, d_model]`.
    pub(super) mlp_out: Tensor,
}

impl TokenwiseOutput {
    fn map(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<TokenwiseOutput> {
        let [q, k, v] = &self.qkv;
        Ok(TokenwiseOutput { qkv: [f(q)?, f(k)?, f(v)?], mlp_out: f(&self.mlp_out)? })
    }

    /// The rows of several outputs, concatenated.
    fn concat(parts: &[TokenwiseOutput]) -> Result<TokenwiseOutput> {
        let all = |of: &dyn Fn(&TokenwiseOutput) -> Tensor| {
            let tensors: Vec<Tensor> = parts.iter().map(of).collect();
            Tensor::cat(&tensors, 0) // [n, width] each, to [sum of n, width]
        };
        let head = |at: usize| all(&|part| part.qkv[at].clone());
        Ok(TokenwiseOutput {
            qkv: [head(0)?, head(1)?, head(2)?],
            mlp_out: all(&|part| part.mlp_out.clone())?,
        })
    }
}

/// The cached outputs of block 0, one row per token.
#[derive(Debug)]
pub struct TokenCache {
    /// The row of each token.
    rows: HashMap<u32, u32>,
    outputs: TokenwiseOutput,
}

impl TokenCache {
    /// Computes the outputs of tokens, each once; `None` if they are too few to pay off, or too many for the memory.
    ///
    /// `width` is the number of values per token; `compute` returns the outputs of tokens, one row per token.
    pub(super) fn build(
        tokens: impl IntoIterator<Item = u32>,
        width: usize,
        compute: impl Fn(&[u32]) -> Result<TokenwiseOutput>,
    ) -> Result<Option<TokenCache>> {
        let tokens: Vec<u32> = BTreeSet::from_iter(tokens).into_iter().collect();
        if tokens.len() < MIN_TOKENS || tokens.len() * width * 4 > MAX_BYTES {
            return Ok(None);
        }
        // Chunks of nearly equal size: for a last chunk of few rows, another kernel would round differently.
        let chunk = tokens.len().div_ceil(tokens.len().div_ceil(CHUNK));
        let parts = tokens.chunks(chunk).map(compute).collect::<Result<Vec<_>>>()?;
        let rows = tokens.into_iter().zip(0..).collect();
        Ok(Some(TokenCache { rows, outputs: TokenwiseOutput::concat(&parts)? }))
    }

    /// The outputs for a list of tokens, one row per token; `None` if a token is not in the cache.
    pub(super) fn get(&self, tokens: &[u32]) -> Result<Option<TokenwiseOutput>> {
        let rows: Option<Vec<u32>> = tokens.iter().map(|token| self.rows.get(token).copied()).collect();
        let Some(rows) = rows else { return Ok(None) };
        let index = Tensor::from_slice(&rows, rows.len(), &Device::Cpu)?;
        self.outputs.map(|all| all.index_select(&index, 0)).map(Some)
    }
}
