//! Entities through the model, packed as forests: each distinct token prefix is computed once.

use super::placement::{holds_unknown, place_all};
use super::span::{Span, SpanRow};
use crate::datasets::{Dataset, Prompt};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Capture, Direction, Tokenizer, Transformer};
use candle_core::Tensor;
use ndarray::Array2;
use std::collections::BTreeMap;

/// Distinct tokens in one pass: enough for dense products, few enough for a small memory.
const GROUP_NODES: usize = 4096;

/// What reads the texts: a transformer and the tokenizer it was trained with.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The weights, and the forward pass.
    pub transformer: &'a Transformer,
    /// Texts to tokens.
    pub tokenizer: &'a Tokenizer,
}

/// How far an extraction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Entities done.
    pub n_done: usize,
    /// Entities in all.
    pub n_entities: usize,
}

/// What was extracted, in dataset order.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// One array a hook point, `[n_entities, width]`.
    pub arrays: BTreeMap<HookPoint, Array2<f32>>,
    /// Each entity's tokens.
    pub spans: Vec<SpanRow>,
    /// Tokens of all texts: up to each entity's last, or whole where a token sees both ways.
    pub n_tokens: usize,
    /// Tokens that went through the model.
    pub n_computed: usize,
    /// Entities with a part that the tokenizer does not know, such as `[UNK]`.
    pub n_unknown: usize,
}

/// Reads the stream at each entity's last token.
///
/// # Errors
/// [`Error::EntityNotPlaced`] naming the row; [`Error::NonFinite`] naming hook point and entity.
pub fn extract(
    reader: Reader,
    (dataset, prompt): (&Dataset, &Prompt),
    points: &[HookPoint],
    progress: &mut dyn FnMut(Progress),
) -> Result<Extraction> {
    let direction = reader.transformer.spec.attention.direction;
    let spans = place_all(reader, dataset, prompt)?.all_of(dataset)?;
    let seen: Vec<&[u32]> = spans.iter().map(|span| span.seen(direction)).collect();
    // Sorted by tokens, texts that begin alike stand together and share their beginnings.
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by(|a, b| seen[*a].cmp(seen[*b]));
    let mut out = Extraction {
        arrays: BTreeMap::new(),
        n_tokens: seen.iter().map(|ids| ids.len()).sum(),
        n_computed: 0,
        n_unknown: spans.iter().filter(|span| holds_unknown(reader.tokenizer, span)).count(),
        spans: rows(reader.tokenizer, dataset, &spans)?,
    };
    let mut n_done = 0;
    for group in groups(&order, &seen, direction) {
        let texts: Vec<Vec<u32>> = group.iter().map(|&i| seen[i].to_vec()).collect();
        let (forest, ends) = reader.transformer.forest(&texts)?;
        let nodes: Vec<u32> =
            group.iter().zip(ends).map(|(&i, end)| forest.path(end)[spans[i].last]).collect();
        let mut capture = Capture::nodes(points, &nodes)?;
        reader.transformer.forward(&forest, None, &mut capture)?;
        for &point in points {
            let values = capture.get(point)?;
            let width = values.dim(1)?;
            let array = out.arrays.entry(point).or_insert_with(|| Array2::zeros((spans.len(), width)));
            scatter(values, group, array)
                .map_err(|entity| overflow(point, &dataset.entities[entity].name))?;
        }
        out.n_computed += forest.len();
        n_done += group.len();
        progress(Progress { n_done, n_entities: spans.len() });
    }
    Ok(out)
}

/// Cuts the sorted texts where a group has enough tokens to compute.
fn groups<'a>(order: &'a [usize], seen: &[&[u32]], direction: Direction) -> Vec<&'a [usize]> {
    let (mut groups, mut from, mut n_nodes) = (Vec::new(), 0, 0);
    for at in 0..order.len() {
        let ids = seen[order[at]];
        let before = at.checked_sub(1).filter(|_| at > from && direction == Direction::Causal);
        let shared = match before {
            Some(before) => seen[order[before]].iter().zip(ids).take_while(|(a, b)| a == b).count(),
            None => 0,
        };
        n_nodes += ids.len() - shared;
        if n_nodes >= GROUP_NODES {
            groups.push(&order[from..=at]);
            (from, n_nodes) = (at + 1, 0);
        }
    }
    if from < order.len() {
        groups.push(&order[from..]);
    }
    groups
}

/// Writes a group's rows to their places; answers the first entity with a value that is not finite.
fn scatter(values: &Tensor, group: &[usize], array: &mut Array2<f32>) -> Result<(), usize> {
    let rows = values.to_vec2::<f32>().unwrap_or_default(); // [n_group, width]
    for (&entity, row) in group.iter().zip(&rows) {
        if row.iter().any(|x| !x.is_finite()) {
            return Err(entity);
        }
        array.row_mut(entity).iter_mut().zip(row).for_each(|(to, from)| *to = *from);
    }
    if rows.len() == group.len() { Ok(()) } else { Err(group[0]) }
}

fn overflow(point: HookPoint, entity: &str) -> Error {
    Error::NonFinite {
        place: format!("{point} of `{entity}`"),
        found: f64::NAN,
        advice: "the model's weights or its config may be wrong; compare with transformers".into(),
    }
}

fn rows(tokenizer: &Tokenizer, dataset: &Dataset, spans: &[Span]) -> Result<Vec<SpanRow>> {
    dataset
        .entities
        .iter()
        .zip(spans)
        .map(|(entity, span)| {
            let ids: Vec<String> = span.tokens().iter().map(u32::to_string).collect();
            Ok(SpanRow {
                row: entity.row,
                name: entity.name.clone(),
                token_ids: ids.join(" "),
                decoded: tokenizer.spell(span.tokens())?,
                n_tokens: span.tokens().len(),
                position: span.last,
            })
        })
        .collect()
}
