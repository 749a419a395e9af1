//! Entities through the model, packed as forests: each distinct token prefix is computed once.

use super::span::{Span, SpanRow, place};
use crate::datasets::{Dataset, Prompt};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Capture, Forest, Spec, Tokenizer, Transformer};
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
    /// Tokens of all texts, up to each entity's last.
    pub n_tokens: usize,
    /// Tokens that went through the model.
    pub n_computed: usize,
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
    let spans: Vec<Span> = dataset
        .entities
        .iter()
        .map(|entity| {
            let prompted = prompt.fill(entity);
            let span = place(reader.tokenizer, &dataset.name, entity, &prompted)?;
            fits(reader.transformer, &span).map_err(|problem| Error::EntityNotPlaced {
                dataset: dataset.name.clone(),
                row: entity.row,
                name: entity.name.clone(),
                text: prompted.text,
                problem,
            })?;
            Ok(span)
        })
        .collect::<Result<_>>()?;
    // Sorted by tokens, texts that begin alike stand together and share their beginnings.
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by(|a, b| spans[*a].ids.cmp(&spans[*b].ids));
    let mut out = Extraction {
        arrays: BTreeMap::new(),
        n_tokens: spans.iter().map(|s| s.ids.len()).sum(),
        n_computed: 0,
        spans: rows(reader.tokenizer, dataset, &spans)?,
    };
    let mut n_done = 0;
    for group in groups(&order, &spans) {
        let texts: Vec<Vec<u32>> = group.iter().map(|&i| spans[i].ids.clone()).collect();
        let (forest, last) = Forest::of_texts(&texts)?;
        let mut capture = Capture::nodes(points, &last)?;
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

/// Whether the model can read a span; asked before the first pass, so that a long run does not end at
/// one entity.
fn fits(transformer: &Transformer, span: &Span) -> Result<(), String> {
    let Spec { n_context, d_vocab, .. } = transformer.spec;
    if span.ids.len() > n_context {
        return Err(format!(
            "found {} tokens; expected at most {n_context}, the model's context",
            span.ids.len()
        ));
    }
    match span.ids.iter().find(|id| **id as usize >= d_vocab) {
        Some(id) => {
            let advice = "the tokenizer may belong to another model";
            Err(format!("found token id {id}; expected below {d_vocab}; {advice}"))
        }
        None => Ok(()),
    }
}

/// Cuts the sorted texts where a group has enough distinct tokens.
fn groups<'a>(order: &'a [usize], spans: &[Span]) -> Vec<&'a [usize]> {
    let (mut groups, mut from, mut n_nodes) = (Vec::new(), 0, 0);
    for at in 0..order.len() {
        let ids = &spans[order[at]].ids;
        let shared = match at.checked_sub(1).filter(|_| at > from) {
            Some(before) => spans[order[before]].ids.iter().zip(ids).take_while(|(a, b)| a == b).count(),
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
                decoded: tokenizer.decode(span.tokens())?,
                n_tokens: span.tokens().len(),
                position: span.ids.len() - 1,
            })
        })
        .collect()
}
