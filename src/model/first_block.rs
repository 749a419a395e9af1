//! What block 0 makes of a token by itself, computed once for all passes of a run.
//!
//! Where blocks are parallel and a position comes in with attention alone, queries, keys, values and all of the MLP of
//! block 0 depend on nothing but the token, and many texts are made of few tokens.

use super::block::Block;
use super::forest::Forest;
use super::spec::{BlockKind, Positions};
use super::transformer::Transformer;
use crate::error::Result;
use candle_core::{Device, Tensor};
use std::collections::{BTreeSet, HashMap};

/// Of fewer tokens it is not worth it.
const FEWEST: usize = 16;
/// Tokens that are computed at a time.
const AT_ONCE: usize = 2048;
/// Bytes that all of it may take.
const MOST_BYTES: usize = 1 << 28;

/// What a parallel block makes of rows by themselves.
#[derive(Debug, Clone)]
pub(super) struct ByItself {
    /// Queries, keys and values, not turned yet, heads side by side.
    pub heads: [Tensor; 3],
    /// What the MLP adds to the stream, `[n, d_model]`.
    pub mlp_out: Tensor,
}

/// What block 0 makes of some tokens.
#[derive(Debug)]
pub struct FirstBlock {
    places: HashMap<u32, u32>,
    known: ByItself,
}

impl ByItself {
    fn each(&self, of: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<ByItself> {
        let [q, k, v] = &self.heads;
        Ok(ByItself { heads: [of(q)?, of(k)?, of(v)?], mlp_out: of(&self.mlp_out)? })
    }

    /// The rows of several, one after the other.
    fn joined(parts: &[ByItself]) -> Result<ByItself> {
        let all = |of: &dyn Fn(&ByItself) -> Tensor| {
            let tensors: Vec<Tensor> = parts.iter().map(of).collect();
            Tensor::cat(&tensors, 0) // [n, width] each, to [sum of n, width]
        };
        let head = |at: usize| all(&|part| part.heads[at].clone());
        Ok(ByItself { heads: [head(0)?, head(1)?, head(2)?], mlp_out: all(&|part| part.mlp_out.clone())? })
    }
}

impl FirstBlock {
    /// The rows of some tokens; nothing if one of them is not known.
    pub(super) fn rows(&self, tokens: &[u32]) -> Result<Option<ByItself>> {
        let places: Option<Vec<u32>> = tokens.iter().map(|token| self.places.get(token).copied()).collect();
        let Some(places) = places else { return Ok(None) };
        let index = Tensor::from_slice(&places, places.len(), &Device::Cpu)?;
        self.known.each(|all| all.index_select(&index, 0)).map(Some)
    }
}

impl Transformer {
    /// What block 0 makes of these tokens, for [`Transformer::forward_knowing`]; nothing where it depends on more than
    /// the token, or is not worth its memory.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a token id outside the vocabulary.
    pub fn first_block(&self, tokens: impl IntoIterator<Item = u32>) -> Result<Option<FirstBlock>> {
        let spec = &self.spec;
        let depends_on_more =
            spec.block == BlockKind::Sequential || spec.embedding.positions != Positions::Nothing;
        let tokens: Vec<u32> = BTreeSet::from_iter(tokens).into_iter().collect();
        let width = (spec.n_heads + 2 * spec.n_kv_heads) * spec.d_head + spec.d_model;
        if depends_on_more || tokens.len() < FEWEST || tokens.len() * width * 4 > MOST_BYTES {
            return Ok(None);
        }
        let Some(block) = self.blocks.first().filter(|_| self.device().is_cpu()) else { return Ok(None) };
        let some = |tokens: &[u32]| self.by_themselves(block, tokens);
        // Even parts: a last one of a few rows would be multiplied in another way, to other bits.
        let at_once = tokens.len().div_ceil(tokens.len().div_ceil(AT_ONCE));
        let parts = tokens.chunks(at_once).map(some).collect::<Result<Vec<_>>>()?;
        let places = tokens.into_iter().zip(0..).collect();
        Ok(Some(FirstBlock { places, known: ByItself::joined(&parts)? }))
    }

    fn by_themselves(&self, block: &Block, tokens: &[u32]) -> Result<ByItself> {
        let texts: Vec<Vec<u32>> = tokens.iter().map(|token| vec![*token]).collect();
        let (forest, _) = Forest::of_chains(&texts)?;
        self.check(&forest)?;
        block.by_itself(&self.embed(&forest)?, &self.spec)
    }
}
