//! A prepared dataset: the tokens of every entity's text, and the batches in which they are computed.

use super::batches::{Batches, batch_tokens};
use super::hook_points::width;
use super::placement::{holds_unknown, place_all};
use super::recording::Recording;
use super::shard::Shard;
use super::span::{Span, SpanRow};
use super::text_model::{PromptedDataset, TextModel};
use crate::artefact::Card;
use crate::datasets::Dataset;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::{Spec, TokenCache, Transformer, memory};
use crate::progress::{Observer, Progress, ProgressUnit};
use std::collections::BTreeMap;
use std::ops::Range;

/// The size of the batches, and the shard that is extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    /// The maximum number of distinct tokens in a batch; a longer text has a batch of its own.
    pub batch_tokens: usize,
    /// The shard of the entities; `None` for all entities.
    pub shard: Option<Shard>,
}

/// A dataset prepared for one model: tokenised, and divided into batches.
pub struct Prepared<'a> {
    pub(super) model: TextModel<'a>,
    pub(crate) recording: Recording,
    dataset: &'a Dataset,
    /// The stage in progress reports.
    stage: String,
    spans: Vec<Span>,
    all: Batches,
    /// The batches of the shard.
    batches: Range<usize>,
}

impl Division {
    /// All batches, of the size that suits a model.
    pub fn of(transformer: &Transformer) -> Division {
        Division { batch_tokens: batch_tokens(transformer), shard: None }
    }

    /// Adds the division to a card, because the batch size may change the last bit of an activation.
    pub fn describe(self, card: Card) -> Card {
        let card = card.input("group_nodes", self.batch_tokens);
        match self.shard {
            Some(shard) => card.input("shard", shard),
            None => card,
        }
    }
}

impl<'a> Prepared<'a> {
    /// Tokenises all texts and divides them into batches.
    ///
    /// # Errors
    /// [`Error::EntityNotPlaced`](crate::Error::EntityNotPlaced) naming the row.
    pub fn new(
        model: TextModel<'a>,
        texts: PromptedDataset<'a>,
        recording: Recording,
        division: Division,
    ) -> Result<Prepared<'a>> {
        let dataset = texts.dataset;
        let spans = place_all(model, texts, recording)?.require_all(dataset)?;
        let direction = model.transformer.spec.attention.direction;
        let contexts: Vec<&[u32]> = spans.iter().map(|span| recording.context(span, direction)).collect();
        let all = Batches::new(&contexts, direction, division.batch_tokens);
        let batches = all.of_shard(division.shard);
        let stage = format!("{}: activations", dataset.name);
        Ok(Prepared { model, recording, dataset, stage, spans, all, batches })
    }

    /// Sets the name of the stage in progress reports.
    pub fn with_stage(self, stage: &str) -> Prepared<'a> {
        Prepared { stage: stage.into(), ..self }
    }

    /// The model's spec.
    pub(crate) fn spec(&self) -> &Spec {
        &self.model.transformer.spec
    }

    /// Refuses hook points that the model lacks.
    pub(crate) fn check(&self, points: &[HookPoint]) -> Result<()> {
        let present = self.spec().hook_points();
        points.iter().try_for_each(|point| HookPoint::choose(&point.to_string(), &present).map(drop))
    }

    /// The batches of the shard.
    pub(crate) fn batches(&self) -> Range<usize> {
        self.batches.clone()
    }

    /// The entities of a batch.
    pub(crate) fn batch(&self, batch: usize) -> &[usize] {
        self.all.entities(batch)
    }

    /// The number of distinct tokens of a batch.
    pub(super) fn n_batch_tokens(&self, batch: usize) -> usize {
        self.all.n_tokens(batch..batch + 1)
    }

    /// The number of entities in the given batches.
    pub(super) fn n_entities_of(&self, batches: &[usize]) -> usize {
        batches.iter().map(|batch| self.batch(*batch).len()).sum()
    }

    /// Reports progress: the finished batches, and the number of tokens computed in unfinished ones.
    pub(crate) fn report(&self, done: &[usize], n_under_way: usize, observer: &mut dyn Observer) {
        let n_done = done.iter().map(|batch| self.n_batch_tokens(*batch)).sum::<usize>() + n_under_way;
        observer.progress(&Progress {
            stage: &self.stage,
            done: n_done as u64,
            total: self.n_computed() as u64,
            unit: ProgressUnit::Count,
            detail: &format!("{} of {} entities", self.n_entities_of(done), self.n_entities()),
        });
    }

    /// Estimates the bytes of memory for a batch's pass, without the weights.
    pub(super) fn batch_bytes(&self, batch: usize) -> usize {
        self.n_batch_tokens(batch) * memory::token_bytes(self.spec())
    }

    /// The cached output of block 0 for the tokens of all entities; `None` if a cache cannot be used or saves nothing.
    /// Other shards' tokens are included, so that all shards compute with the same cache.
    pub(super) fn token_cache(&self, points: &[HookPoint]) -> Result<Option<TokenCache>> {
        let sees_skipped = points.iter().any(|point| point.is_skipped_by_token_cache());
        if sees_skipped || points.iter().all(|point| point.layer() == 0) {
            return Ok(None);
        }
        let tokens = (0..self.spans.len()).flat_map(|entity| self.context(entity)).copied();
        self.model.transformer.token_cache(tokens)
    }

    /// True if the passes run on the CPU.
    pub(super) fn is_on_cpu(&self) -> bool {
        self.model.transformer.device().is_cpu()
    }

    /// A batch's rows at a hook point, entity by entity.
    pub(crate) fn by_entity<'v>(
        &self,
        batch: usize,
        point: HookPoint,
        values: &'v [f32],
    ) -> impl Iterator<Item = (usize, &'v [f32])> {
        let (width, mut rest) = (width(self.spec(), point), values);
        self.batch(batch).iter().map(move |&entity| {
            let (rows, others) = rest.split_at(self.n_rows(entity) * width);
            rest = others;
            (entity, rows)
        })
    }

    /// The tokens of an entity's text that the model computes.
    pub(super) fn context(&self, entity: usize) -> &[u32] {
        self.recording.context(&self.spans[entity], self.spec().attention.direction)
    }

    /// The tokens of an entity's text that are pooled.
    pub(super) fn pooled_tokens(&self, entity: usize) -> Range<usize> {
        self.recording.pooled_tokens(&self.spans[entity])
    }

    /// Describes an entity and one of its text's tokens, for messages.
    pub(super) fn token_words(&self, entity: usize, token: usize) -> String {
        let id = self.spans[entity].ids[token];
        let spelled = self.model.tokenizer.spell(&[id]).unwrap_or_default();
        format!("{}, token {token} `{spelled}`", self.entity_words(entity))
    }

    /// Describes an entity, for messages.
    pub(crate) fn entity_words(&self, entity: usize) -> String {
        let entity = &self.dataset.entities[self.spans[entity].entity];
        format!("`{}` (row {})", entity.name, entity.row)
    }

    /// The entities of the shard, in dataset order.
    fn entities(&self) -> Vec<usize> {
        let mut entities: Vec<usize> = self.batches().flat_map(|batch| self.batch(batch)).copied().collect();
        entities.sort_unstable();
        entities
    }

    /// The number of the shard's entities.
    pub fn n_entities(&self) -> usize {
        self.batches().map(|batch| self.batch(batch).len()).sum()
    }

    /// The number of tokens of the shard's texts: up to the last pooled token, or all tokens for an encoder.
    pub fn n_tokens(&self) -> usize {
        self.entities().into_iter().map(|entity| self.context(entity).len()).sum()
    }

    /// The number of tokens that the model computes; a prefix that texts of one batch share counts once.
    pub fn n_computed(&self) -> usize {
        self.all.n_tokens(self.batches())
    }

    /// The number of entities that contain the token for unknown text, such as `[UNK]`.
    pub fn n_unknown(&self) -> usize {
        let is_unknown = |entity: &usize| holds_unknown(self.model.tokenizer, &self.spans[*entity]);
        self.entities().iter().filter(|entity| is_unknown(entity)).count()
    }

    /// The number of an entity's rows.
    pub(crate) fn n_rows(&self, entity: usize) -> usize {
        self.recording.n_rows(&self.spans[entity])
    }

    /// The first row of each entity of the shard; rows are consecutive, in dataset order.
    pub(crate) fn first_rows(&self) -> BTreeMap<usize, usize> {
        let mut next = 0;
        let mut rows = BTreeMap::new();
        for entity in self.entities() {
            rows.insert(entity, next);
            next += self.n_rows(entity);
        }
        rows
    }

    /// The lines of `spans.csv`.
    pub(crate) fn span_rows(&self) -> Result<Vec<SpanRow>> {
        let line = |(entity, first_row): (usize, usize)| {
            let span = &self.spans[entity];
            let of = &self.dataset.entities[span.entity];
            let ids: Vec<String> = span.tokens().iter().map(u32::to_string).collect();
            Ok(SpanRow {
                row: of.row,
                name: of.name.clone(),
                token_ids: ids.join(" "),
                decoded: self.model.tokenizer.spell(span.tokens())?,
                n_tokens: span.tokens().len(),
                position: span.last,
                first_row,
                n_rows: self.n_rows(entity),
            })
        };
        self.first_rows().into_iter().map(line).collect()
    }
}
