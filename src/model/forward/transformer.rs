//! A transformer: its parameters, and the pass over a forest.

use super::block::Block;
use super::embedding::EmbeddingLayer;
use super::head::HeadLayer;
use super::hook::Hook;
use super::kv_cache::KvCache;
use super::parts::Parts;
use super::pass::Pass;
use super::token_cache::TokenCache;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::forest::Forest;
use crate::model::kernels::Weight;
use crate::model::spec::{AttentionDirection, BlockKind, PositionEmbedding, Spec};
use crate::model::weights::{Param, list};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// A transformer: its spec and its weights.
#[derive(Debug, Clone)]
pub struct Transformer {
    /// The spec that it was built from.
    pub spec: Spec,
    embedding: EmbeddingLayer,
    blocks: Vec<Block>,
    head: Option<HeadLayer>,
}

/// The input of a block.
#[derive(Debug, Clone)]
pub struct BlockInput {
    /// The block; the number of blocks stands for the end of the pass.
    pub block: usize,
    /// The residual stream before it, `[n_new, d_model]`.
    pub stream: Tensor,
}

impl Transformer {
    /// A transformer whose parameters come from `param`, which is called with each name and shape.
    ///
    /// # Errors
    /// Those of `param`.
    pub fn new(spec: Spec, param: &mut dyn FnMut(Param, &[usize]) -> Result<Weight>) -> Result<Transformer> {
        let all = list(&spec)
            .into_iter()
            .map(|(name, shape)| Ok((name, param(name, &shape)?)))
            .collect::<Result<HashMap<Param, Weight>>>()?;
        let mut parts = Parts { all, eps: spec.norm_eps, device: Device::Cpu };
        let embedding = EmbeddingLayer::new(&spec, &mut parts)?;
        let blocks = (0..spec.n_layers).map(|l| Block::new(&spec, l, &mut parts)).collect::<Result<_>>()?;
        let head = match spec.head {
            Some(head) => Some(HeadLayer::new(&spec, head, &embedding.tokens, &mut parts)?),
            None => None,
        };
        Ok(Transformer { spec, embedding, blocks, head })
    }

    /// The weights by which each MLP neuron of a block reads the stream, and those by which it writes to it, as they
    /// are stored: a neuron reads the stream after the block's norm, a gated neuron through its gate.
    ///
    /// # Shapes
    /// Both `[d_mlp, d_model]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such block.
    pub fn mlp_weights(&self, layer: usize) -> Result<(Tensor, Tensor)> {
        let block = self.blocks.get(layer).ok_or_else(|| {
            Error::invalid("block", layer, format!("one from 0 to {}", self.spec.n_layers - 1))
        })?;
        block.mlp_weights()
    }

    /// The device of its weights and passes.
    pub fn device(&self) -> Device {
        self.embedding.tokens.device()
    }

    /// True if it can continue a text: its attention is causal, and it has a head.
    pub fn generates(&self) -> bool {
        self.spec.attention.direction == AttentionDirection::Causal && self.head.is_some()
    }

    /// The forest of several texts as this model reads them, and each text's last node: prefixes are shared if
    /// attention is causal.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a text has no tokens.
    pub fn forest(&self, texts: &[Vec<u32>]) -> Result<(Forest, Vec<u32>)> {
        match self.spec.attention.direction {
            AttentionDirection::Causal => Forest::of_texts(texts),
            AttentionDirection::Bidirectional => Forest::of_chains(texts),
        }
    }

    /// Runs the forest's new nodes through the blocks; the hook may stop it early.
    ///
    /// # Shapes
    /// The stream after the last block that ran, `[n_new, d_model]`, or only the rows of [`Hook::last_rows`] if the
    /// hook stops the pass after a block.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a token id outside the vocabulary or a text longer than the context.
    pub fn forward(
        &self,
        forest: &Forest,
        cache: Option<&mut KvCache>,
        hook: &mut dyn Hook,
    ) -> Result<Tensor> {
        self.pass(forest, None, cache, hook)
    }

    /// The same as [`Transformer::forward`], with cached outputs of block 0; they are used if the hook neither
    /// changes the input of the block nor sees its neurons.
    ///
    /// # Shapes
    /// Those of [`Transformer::forward`].
    ///
    /// # Errors
    /// Those of [`Transformer::forward`].
    pub fn forward_with_cache(
        &self,
        forest: &Forest,
        tokens: Option<&TokenCache>,
        hook: &mut dyn Hook,
    ) -> Result<Tensor> {
        self.pass(forest, tokens, None, hook)
    }

    /// Continues a pass from the input of a block. The cache has the keys and values of earlier nodes.
    ///
    /// # Shapes
    /// Those of [`Transformer::forward`].
    ///
    /// # Errors
    /// Those of [`Transformer::forward`].
    pub fn forward_from(
        &self,
        input: BlockInput,
        forest: &Forest,
        cache: Option<&mut KvCache>,
        hook: &mut dyn Hook,
    ) -> Result<Tensor> {
        self.check(forest)?;
        hook.begin(forest)?;
        self.blocks_from(input, Pass::new(&self.spec, Arc::new(forest.clone()), cache, hook), None)
    }

    fn pass(
        &self,
        forest: &Forest,
        tokens: Option<&TokenCache>,
        cache: Option<&mut KvCache>,
        hook: &mut dyn Hook,
    ) -> Result<Tensor> {
        self.check(forest)?;
        hook.begin(forest)?;
        let forest = Arc::new(forest.clone());
        let embedded = self.embedding.forward(&forest)?;
        let input = BlockInput { block: 0, stream: embedded };
        self.blocks_from(input, Pass::new(&self.spec, forest, cache, hook), tokens)
    }

    /// Runs the blocks from the one of `input` on; `tokens` has cached outputs of block 0.
    fn blocks_from(&self, input: BlockInput, mut pass: Pass, tokens: Option<&TokenCache>) -> Result<Tensor> {
        let stop = pass.hook.last_layer();
        let BlockInput { block: first, stream: embedded } = input;
        let mut stream = embedded.clone();
        for (l, block) in self.blocks.iter().enumerate().skip(first) {
            stream = pass.at(HookPoint::ResidPre(l), stream)?;
            if stop == Some(l) {
                if pass.hook.stops_before_block() {
                    break;
                }
                pass.query_rows = pass.hook.last_rows().map(Arc::new);
            }
            if let (Some(tokens), 0, None, true) = (tokens, l, &pass.query_rows, stream.id() == embedded.id())
                && !sees_skipped(pass.hook)
            {
                pass.tokenwise = tokens.get(pass.forest.new_tokens())?;
            }
            stream = block.forward(l, stream, &mut pass)?;
            stream = pass.at(HookPoint::ResidPost(l), stream)?;
            if stop == Some(l) {
                break;
            }
        }
        Ok(stream)
    }

    /// The cached outputs of block 0 for [`Transformer::forward_with_cache`]; `None` if they depend on more than the
    /// token, or do not pay off.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a token id outside the vocabulary.
    pub fn token_cache(&self, tokens: impl IntoIterator<Item = u32>) -> Result<Option<TokenCache>> {
        let spec = &self.spec;
        let depends_on_more = spec.block == BlockKind::Sequential
            || spec.embedding.positions != PositionEmbedding::Nothing
            || !self.device().is_cpu();
        let Some(block) = self.blocks.first().filter(|_| !depends_on_more) else { return Ok(None) };
        let width = spec.d_queries() + 2 * spec.d_keys() + spec.d_model;
        TokenCache::build(tokens, width, |tokens| {
            let texts: Vec<Vec<u32>> = tokens.iter().map(|token| vec![*token]).collect();
            let (forest, _) = Forest::of_chains(&texts)?;
            self.check(&forest)?;
            block.tokenwise(&self.embedding.forward(&forest)?, spec)
        })
    }

    /// The logits for the token after each row of a last-layer stream; for a masked-language model, for
    /// the row's own token.
    ///
    /// # Shapes
    /// `[n, d_model]` to `[n, d_vocab]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the checkpoint has no unembedding.
    pub fn logits(&self, stream: &Tensor) -> Result<Tensor> {
        self.head.as_ref().ok_or_else(no_head)?.logits_of(None, stream)
    }

    /// The logits of some tokens of the vocabulary, in their order, after each row of a last-layer stream.
    ///
    /// # Shapes
    /// `[n, d_model]` to `[n, n_tokens]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the checkpoint has no unembedding.
    pub fn logits_of(&self, tokens: &[u32], stream: &Tensor) -> Result<Tensor> {
        let head = self.head.as_ref().ok_or_else(no_head)?;
        head.logits_of(Some(tokens), stream)
    }

    /// Refuses a forest with tokens outside the vocabulary, texts longer than the context, or, for an encoder, shared
    /// or continued texts.
    pub(super) fn check(&self, forest: &Forest) -> Result<()> {
        if let Some(token) = forest.new_tokens().iter().find(|t| **t as usize >= self.spec.d_vocab) {
            let expected = format!("below {}; the tokenizer may belong to another model", self.spec.d_vocab);
            return Err(Error::invalid("token id", token, expected));
        }
        let longest = forest.new_positions().iter().max().map_or(0, |p| *p as usize + 1);
        if longest > self.spec.n_context {
            let expected = format!("at most {} tokens, the model's context", self.spec.n_context);
            return Err(Error::invalid("text", format!("{longest} tokens"), expected));
        }
        let is_encoder = self.spec.attention.direction == AttentionDirection::Bidirectional;
        if is_encoder && (forest.n_past() > 0 || !forest.is_chains()) {
            let expected = "whole texts without shared nodes, since an encoder attends in both directions; \
                            an encoder does not generate";
            return Err(Error::invalid("forest", "a continued text or texts with a shared prefix", expected));
        }
        Ok(())
    }
}

/// The error for a checkpoint without a head.
fn no_head() -> Error {
    Error::invalid("unembedding", "none", "a checkpoint with a language-model head; this one has none")
}

/// True if a hook sees values that a pass with cached outputs of block 0 does not compute.
fn sees_skipped(hook: &dyn Hook) -> bool {
    HookPoint::all(1).into_iter().any(|point| point.is_skipped_by_token_cache() && hook.sees(point))
}
