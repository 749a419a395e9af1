//! Merges shards without running the model; the arrays and spans equal those of a single run, byte for byte.

use super::activation_store::ActivationStore;
use super::array_file::{ArrayReader, Shape};
use super::checksums::Checksums;
use super::files::hex;
use super::layout::{CARD, SHARDS, SPANS, file_name};
use super::object_store::BLOCK;
use super::spans_file;
use super::staging::Staging;
use super::writer::FillSummary;
use crate::activations::extract::{Shard, SpanRow};
use crate::artefact::{Card, Lock};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::limits::ROWS;
use crate::progress::{Observer, Progress, ProgressUnit};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The card field with the number of a shard.
const SHARD: &str = "shard";

/// One finished shard.
struct Part {
    store: ActivationStore,
    card: Card,
    spans: Vec<SpanRow>,
    /// The rows of each of its entities in the merged files.
    rows: Vec<Range<usize>>,
}

impl ActivationStore {
    /// Merges the store's shards into it; the shards' own folders stay.
    ///
    /// # Errors
    /// [`Error::BadFile`] if a shard is missing, unfinished or changed; [`Error::CardMismatch`] if the shards were made
    /// from different inputs; the file errors of [`ActivationStore::extract`].
    pub fn merge(&self, observer: &mut dyn Observer) -> Result<FillSummary> {
        let mut parts = self.parts()?;
        let points = same_points(&parts)?;
        let spans = placed(&mut parts)?;
        let n_rows = spans.iter().map(|span| span.n_rows).sum();
        let mut shapes = BTreeMap::new();
        for &point in &points {
            let first = ArrayReader::open(&parts[0].store.files, &file_name(point))?;
            shapes.insert(point, Shape { n_rows, ..first.shape() });
        }
        let card = merged_card(&parts)?;
        let lock = Lock::take(&self.folder)?;
        let made_of = format!("{} shards", parts.len());
        let Some(mut staging) = self.begin(&points, &card, &made_of, &|point| shapes[&point])? else {
            self.restore_spans(&spans_file::bytes_of(&spans)?)?;
            return Ok(FillSummary { locked: lock.is_held(), ..FillSummary::default() });
        };
        let n_damaged = staging.verify(&|part| parts.get(part).map(|part| part.rows.clone()))?;
        let n_kept = (0..parts.len()).filter(|part| staging.has(*part)).count();
        let points = staging.points();
        let (mut n_done, n_entities) = (0, spans.len());
        for (at, part) in parts.iter().enumerate() {
            if !staging.has(at) {
                if observer.should_stop() {
                    return Err(Error::Stopped { kept: n_done, of: n_entities });
                }
                points.iter().try_for_each(|point| part.copy(at, *point, shapes[point], &mut staging))?;
                staging.end(at)?;
            }
            n_done += part.spans.len();
            observer.progress(&Progress {
                stage: "shards",
                done: n_done as u64,
                total: n_entities as u64,
                unit: ProgressUnit::Count,
                detail: &format!("{n_done} of {n_entities} entities"),
            });
        }
        staging.confirm(&|part| parts.get(part).map(|part| part.rows.clone()))?;
        staging.finish(&spans_file::bytes_of(&spans)?, &self.with_history(&card)?)?;
        Ok(FillSummary { n_points: points.len(), n_kept, n_damaged, locked: lock.is_held() })
    }

    /// The store's shards: a complete set, made from the same inputs.
    fn parts(&self) -> Result<Vec<Part>> {
        let shards: Vec<Shard> = self.complete_set()?;
        let mut parts: Vec<Part> = Vec::new();
        for shard in shards {
            let store = self.of_shard(shard);
            let path = store.files.path(CARD);
            let Some(card) = store.files.card(CARD)? else {
                return Err(Error::Internal(format!("{} is gone", path.display())));
            };
            // All cards agree with the first, apart from the shard's number.
            let like = parts.first().map_or(&card, |first| &first.card);
            like.clone().input(SHARD, shard).agrees_with(&card, &path)?;
            Checksums::load(&store.files)?.check(&store.files, SPANS, &store.files.sha256(SPANS)?)?;
            let spans = store.spans()?;
            parts.push(Part { store, card, spans, rows: vec![] });
        }
        Ok(parts)
    }

    /// Finds a complete set of shards, `1/n` to `n/n`; refuses if none of the found sets is complete.
    fn complete_set(&self) -> Result<Vec<Shard>> {
        let files = self.files.below(SHARDS);
        let found: Vec<Shard> = files.names()?.iter().filter_map(|name| Shard::from_folder(name)).collect();
        let sizes: BTreeSet<usize> = found.iter().map(|shard| shard.of()).collect();
        let mut wanting = Vec::new();
        for of in sizes {
            let all = (1..=of).map(|index| Shard::new(index, of)).collect::<Result<Vec<Shard>>>()?;
            let mut missing = Vec::new();
            for shard in &all {
                if self.of_shard(*shard).files.size(CARD)?.is_none() {
                    missing.push(shard.to_string());
                }
            }
            if missing.is_empty() {
                return Ok(all);
            }
            wanting.push(missing.join(", "));
        }
        let (found, expected) = match wanting.is_empty() {
            true => ("no shards".into(), "those that `mappa extract --shard 1/n` to `--shard n/n` write"),
            false => (
                format!("missing or unfinished shards: {}", wanting.join("; ")),
                "a complete set; run each of these shards with `mappa extract --shard` and the same flags",
            ),
        };
        Err(Error::bad_file(files.path(""), found, expected))
    }
}

impl Part {
    /// Copies a hook point's rows to their places, and compares the file with its checksum.
    fn copy(&self, part: usize, point: HookPoint, shape: Shape, staging: &mut Staging) -> Result<()> {
        let (files, name) = (&self.store.files, file_name(point));
        let file = ArrayReader::open(files, &name)?;
        let n_rows = self.rows.iter().map(Range::len).sum();
        if file.shape() != (Shape { n_rows, ..shape }) {
            let found = file.shape().to_string();
            let expected =
                format!("{}, as its spans.csv and the other shards say", Shape { n_rows, ..shape });
            return Err(Error::bad_file(files.path(&name), found, expected));
        }
        let (mut hasher, row_bytes) = (Sha256::new_with_prefix(file.header()?), shape.row_bytes());
        let (mut entity, mut first) = (0, 0);
        while entity < self.rows.len() {
            let (begin, mut n) = (entity, 0);
            while entity < self.rows.len() && (n == 0 || (n + self.rows[entity].len()) * row_bytes <= BLOCK) {
                n += self.rows[entity].len();
                entity += 1;
            }
            let bytes = file.read_rows(&(first..first + n))?;
            hasher.update(&bytes);
            let mut rest = bytes.as_slice();
            for rows in &self.rows[begin..entity] {
                let (own, after) = rest.split_at(rows.len() * row_bytes);
                staging.put(part, point, rows.start, own)?;
                rest = after;
            }
            first += n;
        }
        Checksums::load(files)?.check(files, &name, &hex(hasher))
    }
}

/// The hook points of the shards, which must be the same in all.
fn same_points(parts: &[Part]) -> Result<Vec<HookPoint>> {
    let points = parts[0].store.hook_points()?;
    for part in parts {
        let of_part = part.store.hook_points()?;
        let differs = |point: &&HookPoint| points.contains(point) != of_part.contains(point);
        if let Some(point) = points.iter().chain(&of_part).find(differs) {
            let (with, without) = match of_part.contains(point) {
                true => (part.store.place(), parts[0].store.place()),
                false => (parts[0].store.place(), part.store.place()),
            };
            let expected = format!("the same hook points as in {}; extract it there too", with.display());
            return Err(Error::bad_file(without, format!("no complete {}", file_name(*point)), expected));
        }
    }
    Ok(points)
}

/// The spans of all shards in dataset order, with their rows in the merged files; also sets `rows` of each part.
fn placed(parts: &mut [Part]) -> Result<Vec<SpanRow>> {
    let places = |(at, part): (usize, &Part)| (0..part.spans.len()).map(move |i| (at, i)).collect::<Vec<_>>();
    let mut order: Vec<(usize, usize)> = parts.iter().enumerate().flat_map(places).collect();
    order.sort_by_key(|&(at, i)| parts[at].spans[i].row);
    let (mut spans, mut next): (Vec<SpanRow>, usize) = (Vec::with_capacity(order.len()), 0);
    for (at, i) in order {
        let span = SpanRow { first_row: next, ..parts[at].spans[i].clone() };
        if spans.last().is_some_and(|before| before.row == span.row) {
            let found = format!("row {}, which another shard has too", span.row);
            let expected = "shards of one dataset, each entity in one of them; extract them again";
            return Err(Error::bad_file(parts[at].store.place(), found, expected));
        }
        let end = ROWS.size((next as u64).saturating_add(span.n_rows as u64));
        let end = end.ok_or_else(|| {
            let found = format!("row {} with {} rows of activations", span.row, span.n_rows);
            Error::bad_file(
                parts[at].store.files.path(SPANS),
                found,
                "a spans.csv as mappa extract writes it",
            )
        })?;
        parts[at].rows.push(next..end);
        next = end;
        spans.push(span);
    }
    Ok(spans)
}

/// The card of the merged store: the shards' inputs, and the sums of their counts.
fn merged_card(parts: &[Part]) -> Result<Card> {
    let mut card = Card { inputs: parts[0].card.inputs.clone(), ..Card::new() };
    card.inputs.remove(SHARD);
    for name in parts[0].card.notes.keys() {
        let mut sum = 0u64;
        for part in parts {
            let note = part.card.notes.get(name).and_then(|note| note.parse::<u64>().ok());
            let expected = "a card as mappa extract writes it";
            sum += note.ok_or_else(|| {
                Error::bad_file(part.store.files.path(CARD), format!("no number `{name}`"), expected)
            })?;
        }
        card = card.note(name, sum);
    }
    Ok(card)
}
