//! One model's work on one dataset: the tokens of every entity, and the passes in which they are computed.

use super::extract::{Progress, Reader};
use super::placement::{holds_unknown, place_all};
use super::plan::{Plan, Shard, group_nodes, node_bytes};
use super::recording::{Recording, hook_points, width};
use super::span::{Span, SpanRow};
use crate::artefact::Card;
use crate::datasets::{Dataset, Prompt};
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::{Spec, TokenCache, Transformer};
use std::collections::BTreeMap;
use std::ops::Range;

/// How the entities are cut into passes, and which part of them is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    /// Distinct tokens in one pass; a longer text has a pass of its own.
    pub group_nodes: usize,
    /// The part that is done; `None` is all.
    pub shard: Option<Shard>,
}

/// One model's work on one dataset.
pub struct Work<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) recording: Recording,
    dataset: &'a Dataset,
    spans: Vec<Span>,
    plan: Plan,
    groups: Range<usize>,
}

impl Division {
    /// Passes of the size that suits a model, all of them.
    pub fn of(transformer: &Transformer) -> Division {
        Division { group_nodes: group_nodes(transformer), shard: None }
    }

    /// Adds to a card what decides the content: the size of a pass may change the last bit of a number.
    pub fn describe(self, card: Card) -> Card {
        let card = card.input("group_nodes", self.group_nodes);
        match self.shard {
            Some(shard) => card.input("shard", shard),
            None => card,
        }
    }
}

impl<'a> Work<'a> {
    /// Tokenises all texts and plans the passes.
    ///
    /// # Errors
    /// [`Error::EntityNotPlaced`](crate::Error::EntityNotPlaced) naming the row.
    pub fn new(
        reader: Reader<'a>,
        (dataset, prompt): (&'a Dataset, &Prompt),
        recording: Recording,
        division: Division,
    ) -> Result<Work<'a>> {
        let spans = place_all(reader, (dataset, prompt), recording)?.all_of(dataset)?;
        let direction = reader.transformer.spec.attention.direction;
        let seen: Vec<&[u32]> = spans.iter().map(|span| recording.seen(span, direction)).collect();
        let plan = Plan::new(&seen, direction, division.group_nodes);
        let groups = plan.part(division.shard);
        Ok(Work { reader, recording, dataset, spans, plan, groups })
    }

    /// The model's spec.
    pub(super) fn spec(&self) -> &Spec {
        &self.reader.transformer.spec
    }

    /// Refuses places that the model does not have.
    pub(super) fn check(&self, points: &[HookPoint]) -> Result<()> {
        let present = hook_points(self.spec());
        points.iter().try_for_each(|point| HookPoint::choose(&point.to_string(), &present).map(drop))
    }

    /// The groups that are done.
    pub(super) fn groups(&self) -> Range<usize> {
        self.groups.clone()
    }

    /// The entities of a group.
    pub(super) fn group(&self, group: usize) -> &[usize] {
        self.plan.group(group)
    }

    /// The distinct tokens of a group.
    pub(super) fn group_tokens(&self, group: usize) -> usize {
        self.plan.n_nodes(group..group + 1)
    }

    /// The progress of the work when some groups are done, and so many tokens of others.
    pub(super) fn progress(&self, done: &[usize], n_under_way: usize) -> Progress {
        Progress {
            n_done: done.iter().map(|group| self.group(*group).len()).sum(),
            n_entities: self.n_entities(),
            n_tokens_done: done.iter().map(|group| self.group_tokens(*group)).sum::<usize>() + n_under_way,
            n_tokens: self.n_computed(),
        }
    }

    /// Bytes that a group's pass takes beside the weights.
    pub(super) fn group_bytes(&self, group: usize) -> usize {
        self.plan.n_nodes(group..group + 1) * node_bytes(self.spec())
    }

    /// What block 0 makes of the tokens of all entities, be they done here or not, so that every part of the work
    /// has the same; nothing where that does not help.
    pub(super) fn token_cache(&self, points: &[HookPoint]) -> Result<Option<TokenCache>> {
        let sees_neurons = points.contains(&HookPoint::MlpPost(0));
        if sees_neurons || points.iter().all(|point| point.layer() == 0) {
            return Ok(None);
        }
        let tokens = (0..self.spans.len()).flat_map(|entity| self.seen(entity)).copied();
        self.reader.transformer.token_cache(tokens)
    }

    /// Whether the passes run on this machine's processors.
    pub(super) fn is_on_cpu(&self) -> bool {
        self.reader.transformer.device().is_cpu()
    }

    /// A group's rows at a hook point, cut where the next entity's begin.
    pub(super) fn by_entity<'v>(
        &self,
        group: usize,
        (point, values): (HookPoint, &'v [f32]),
    ) -> impl Iterator<Item = (usize, &'v [f32])> {
        let (width, mut rest) = (width(self.spec(), point), values);
        self.group(group).iter().map(move |&entity| {
            let (rows, others) = rest.split_at(self.n_rows(entity) * width);
            rest = others;
            (entity, rows)
        })
    }

    /// The tokens of an entity's text that are computed.
    pub(super) fn seen(&self, entity: usize) -> &[u32] {
        self.recording.seen(&self.spans[entity], self.spec().attention.direction)
    }

    /// The tokens of an entity's text that are read.
    pub(super) fn tokens(&self, entity: usize) -> Range<usize> {
        self.recording.tokens(&self.spans[entity])
    }

    /// An entity, and one of its text's tokens, in words.
    pub(super) fn token_words(&self, entity: usize, token: usize) -> String {
        let id = self.spans[entity].ids[token];
        let spelled = self.reader.tokenizer.spell(&[id]).unwrap_or_default();
        format!("{}, token {token} `{spelled}`", self.entity_words(entity))
    }

    /// An entity in words.
    pub(super) fn entity_words(&self, entity: usize) -> String {
        let entity = &self.dataset.entities[self.spans[entity].entity];
        format!("`{}` (row {})", entity.name, entity.row)
    }

    /// The entities that are done, in dataset order.
    fn entities(&self) -> Vec<usize> {
        let mut entities: Vec<usize> = self.groups().flat_map(|group| self.group(group)).copied().collect();
        entities.sort_unstable();
        entities
    }

    /// How many entities are done.
    pub fn n_entities(&self) -> usize {
        self.groups().map(|group| self.group(group).len()).sum()
    }

    /// Tokens of their texts: up to the last that is read, or whole where a token sees both ways.
    pub fn n_tokens(&self) -> usize {
        self.entities().into_iter().map(|entity| self.seen(entity).len()).sum()
    }

    /// Tokens that go through the model.
    pub fn n_computed(&self) -> usize {
        self.plan.n_nodes(self.groups())
    }

    /// Entities with a part that the tokenizer does not know, such as `[UNK]`.
    pub fn n_unknown(&self) -> usize {
        let is_unknown = |entity: &usize| holds_unknown(self.reader.tokenizer, &self.spans[*entity]);
        self.entities().iter().filter(|entity| is_unknown(entity)).count()
    }

    /// How many rows an entity has.
    pub(super) fn n_rows(&self, entity: usize) -> usize {
        self.recording.n_rows(&self.spans[entity])
    }

    /// The first row of each entity that is done: dataset order, one after the other.
    pub(super) fn first_rows(&self) -> BTreeMap<usize, usize> {
        let mut next = 0;
        let mut rows = BTreeMap::new();
        for entity in self.entities() {
            rows.insert(entity, next);
            next += self.n_rows(entity);
        }
        rows
    }

    /// The lines of `spans.csv`.
    pub(super) fn span_rows(&self) -> Result<Vec<SpanRow>> {
        let line = |(entity, first_row): (usize, usize)| {
            let span = &self.spans[entity];
            let of = &self.dataset.entities[span.entity];
            let ids: Vec<String> = span.tokens().iter().map(u32::to_string).collect();
            Ok(SpanRow {
                row: of.row,
                name: of.name.clone(),
                token_ids: ids.join(" "),
                decoded: self.reader.tokenizer.spell(span.tokens())?,
                n_tokens: span.tokens().len(),
                position: span.last,
                first_row,
                n_rows: self.n_rows(entity),
            })
        };
        self.first_rows().into_iter().map(line).collect()
    }
}
