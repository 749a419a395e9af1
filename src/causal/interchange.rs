//! Interchange interventions: the answers after a part of the stream is exchanged between base and source.

use super::pair_batch::{LayerChange, PairBatch};
use super::pairs::Pair;
use super::question::Question;
use super::streams::{SourceStreams, array_of, values};
use super::subspace::Subspace;
use crate::error::{Error, Result};
use crate::limits::{check_memory, product};
use crate::model::{Spec, Tensor, Transformer};
use ndarray::Array2;
use rayon::prelude::*;

/// Pairs that are computed together; a batch belongs to one worker, so that results do not depend on their number.
pub(super) const BATCH: usize = 16;

/// The part of the stream at the changed token that is exchanged.
#[derive(Debug, Clone, Copy)]
pub enum Exchange<'a> {
    /// Nothing: the model's answer about the base.
    Nothing,
    /// The whole stream.
    Stream,
    /// The part in a subspace: `h + QᵀQ (source − h)`.
    Subspace(&'a Subspace),
}

/// The answer about one pair after an exchange.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answered {
    /// The answer, as an index among the question's answers.
    pub answer: usize,
    /// The log-probability of the source's true answer minus that of the base's, in nats.
    pub log_odds: f64,
}

/// Pairs, ready for exchanges after chosen blocks.
pub struct Interchange<'a> {
    pub(super) model: &'a Transformer,
    pub(super) question: &'a Question,
    sources: &'a SourceStreams,
    pub(super) batches: Vec<PairBatch>,
}

impl<'a> Interchange<'a> {
    /// Computes the base texts of all pairs; `sources` must have the same blocks.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the question does not suit the model, or the streams do not fit into the free memory.
    pub fn new(
        model: &'a Transformer,
        question: &'a Question,
        sources: &'a SourceStreams,
        pairs: &[Pair],
    ) -> Result<Interchange<'a>> {
        question.check(model)?;
        let layers = sources.layers();
        check_streams(&model.spec, question, pairs, layers.len())?;
        let batch = |pairs: &[Pair]| PairBatch::new(model, question, pairs, &layers);
        let batches = pairs.par_chunks(BATCH).map(batch).collect::<Result<_>>()?;
        Ok(Interchange { model, question, sources, batches })
    }

    /// The pairs.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.batches.iter().flat_map(|batch| &batch.pairs)
    }

    /// The width of the stream.
    pub fn d_model(&self) -> usize {
        self.model.spec.d_model
    }

    /// The difference between source and base at the changed token of each pair of a batch.
    ///
    /// # Shapes
    /// `[n_pairs, d_model]`.
    pub(super) fn differences(&self, layer: usize, batch: &PairBatch) -> Result<Array2<f32>> {
        let sources: Vec<usize> = batch.pairs.iter().map(|pair| pair.source).collect();
        Ok(self.sources.rows(layer, &sources)? - batch.base_rows(layer)?)
    }

    /// The answer about each pair after an exchange at the output of a block; without an exchange, from the last block
    /// of the sources, which is the cheapest.
    ///
    /// # Errors
    /// Those of [`Transformer::forward`].
    pub fn answers(&self, layer: usize, exchange: Exchange) -> Result<Vec<Answered>> {
        let layer = match exchange {
            Exchange::Nothing => self.sources.layers().last().copied().unwrap_or(layer),
            _ => layer,
        };
        let of_batch = |batch: &PairBatch| {
            let differences = self.differences(layer, batch)?;
            let delta = match exchange {
                Exchange::Nothing => Array2::zeros(differences.dim()),
                Exchange::Stream => differences,
                Exchange::Subspace(subspace) => subspace.project(&differences),
            };
            let delta = tensor_of(&delta, &self.model.device())?;
            let change = LayerChange { layer, delta: &delta };
            let logits = batch.logits(self.model, &self.question.answers, change)?;
            let logits = array_of(values(&logits)?, self.question.answers.len())?;
            let each = batch.pairs.iter().zip(logits.rows());
            let answer_of = |text: usize| self.question.texts[text].answer;
            each.map(|(pair, row)| {
                let log_odds = f64::from(row[answer_of(pair.source)] - row[answer_of(pair.base)]);
                Ok(Answered { answer: largest(&row.to_vec())?, log_odds })
            })
            .collect::<Result<Vec<Answered>>>()
        };
        Ok(self.batches.par_iter().map(of_batch).collect::<Result<Vec<_>>>()?.concat())
    }
}

/// The model's answer about each text.
///
/// # Errors
/// Those of [`Transformer::forward`].
pub fn answers_of(model: &Transformer, question: &Question, texts: &[usize]) -> Result<Vec<usize>> {
    question.check(model)?;
    let some = |texts: &[usize]| {
        let ids: Vec<Vec<u32>> = texts.iter().map(|text| question.texts[*text].ids.clone()).collect();
        let (forest, last) = model.forest(&ids)?;
        let stream = model.forward(&forest, None, &mut crate::model::NoHook)?;
        let rows = stream.index_select(&Tensor::from_slice(&last, last.len(), stream.device())?, 0)?;
        let logits = model.logits_of(&question.answers, &rows)?;
        let logits = array_of(values(&logits)?, question.answers.len())?;
        logits.rows().into_iter().map(|row| largest(&row.to_vec())).collect::<Result<Vec<usize>>>()
    };
    Ok(texts.par_chunks(BATCH).map(some).collect::<Result<Vec<_>>>()?.concat())
}

/// The index of the largest logit.
fn largest(logits: &[f32]) -> Result<usize> {
    if let Some(found) = logits.iter().find(|logit| !logit.is_finite()) {
        let place = "a logit after an exchange".to_string();
        let advice = "check the model's files".to_string();
        return Err(Error::NonFinite { place, found: f64::from(*found), advice });
    }
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    Ok(best.map_or(0, |(answer, _)| answer))
}

/// An array as a tensor on a device.
pub(super) fn tensor_of(array: &Array2<f32>, device: &candle_core::Device) -> Result<Tensor> {
    let values: Vec<f32> = array.iter().copied().collect();
    Ok(Tensor::from_vec(values, array.dim(), device)?)
}

/// Refuses streams that do not fit into the free memory.
fn check_streams(spec: &Spec, question: &Question, pairs: &[Pair], n_layers: usize) -> Result<()> {
    let texts = pairs.iter().map(|pair| &question.texts[pair.base]);
    let (mut before, mut after) = (0, 0);
    for text in texts {
        before += text.position;
        after += text.ids.len() - text.position;
    }
    let past = product([before, spec.n_layers, 2 * spec.d_keys(), size_of::<f32>()]);
    let streams = product([after, n_layers, spec.d_model, size_of::<f32>()]);
    check_memory("the streams of all pairs", past.saturating_add(streams), "choose fewer --pairs or --layers")
}
