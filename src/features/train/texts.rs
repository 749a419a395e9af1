//! Training rows from texts: the model's activations at one hook point, one row per token.

use super::row_source::RowSource;
use crate::activations::{Batches, batch_tokens};
use crate::artefact;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{AttentionDirection, Capture, Spec, Transformer};
use crate::progress::{Observer, Progress, ProgressUnit};
use crate::tokenizer::Encoded;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// The number of parallel passes on the CPU.
const SIDE_BY_SIDE: usize = 4;

/// A text's tokens, and the range of tokens that become rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Text {
    ids: Vec<u32>,
    rows: (usize, usize),
}

/// Distinct tokenised texts, sorted by their tokens.
#[derive(Debug, Clone)]
pub struct TokenizedTexts {
    texts: Vec<Text>,
    shares: bool,
    /// The number of texts longer than the model's context, which are cut there.
    pub n_cut: usize,
    /// The number of repeated and empty texts, which were dropped.
    pub n_repeated: usize,
}

impl TokenizedTexts {
    /// Texts for a model. Special tokens, such as BOS, do not become rows.
    pub fn new(spec: &Spec, texts: Vec<Encoded>) -> TokenizedTexts {
        let (n, mut n_cut) = (texts.len(), 0);
        let one = |encoded: Encoded| {
            let is_special = |(start, end): &&(usize, usize)| start == end;
            let n_after = encoded.offsets.iter().rev().take_while(is_special).count();
            let rows = (encoded.n_special(), encoded.ids.len() - n_after);
            let mut ids = encoded.ids;
            n_cut += usize::from(ids.len() > spec.n_context);
            ids.truncate(spec.n_context);
            Text { rows: (rows.0, rows.1.min(ids.len())), ids }
        };
        let mut texts: Vec<Text> =
            texts.into_iter().map(one).filter(|text| text.rows.0 < text.rows.1).collect();
        texts.sort();
        texts.dedup();
        let shares = spec.attention.direction == AttentionDirection::Causal;
        TokenizedTexts { n_repeated: n - texts.len(), texts, shares, n_cut }
    }

    /// The number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// True if there is no text.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// A hash of all tokens.
    pub fn sha256(&self) -> String {
        let numbers =
            self.texts.iter().flat_map(|text| [text.ids.len() as u32].into_iter().chain(text.ids.clone()));
        artefact::hash(&numbers.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
    }

    /// Splits the texts into training rows and held-out rows.
    ///
    /// Every token of a training text is a row, except special tokens: a prefix that texts share is computed once, and
    /// its rows count once per text. In a causal model such a prefix has the same rows in every text, so held-out rows
    /// leave out prefixes shared with a training text, and use prefixes shared by held-out texts once. In an encoder no
    /// two texts have a row in common.
    ///
    /// # Errors
    /// [`Error::Invalid`] if one of the two sets would have no rows, or the model has no such hook point.
    pub fn split(
        self,
        model: &Transformer,
        point: HookPoint,
        held_out: f64,
        seed: u64,
    ) -> Result<(TextRows<'_>, TextRows<'_>)> {
        let width = model.spec.width_at(point);
        let width = width.ok_or_else(|| Error::invalid("hook point", point, "a hook point of this model"))?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut train, mut out): (Vec<Text>, Vec<Text>) = (Vec::new(), Vec::new());
        // In this order, a text shares its longest prefix with a neighbour.
        let is_out: Vec<bool> = self.texts.iter().map(|_| rng.random::<f64>() < held_out).collect();
        let mut next_kept = None;
        let mut after = vec![0; is_out.len()];
        for i in (0..is_out.len()).rev() {
            after[i] = next_kept.map_or(0, |next: usize| shared_prefix(&self.texts[i], &self.texts[next]));
            next_kept = if is_out[i] { next_kept } else { Some(i) };
        }
        for (i, mut text) in self.texts.into_iter().enumerate() {
            if is_out[i] && self.shares {
                let before = [train.last(), out.last()]
                    .into_iter()
                    .flatten()
                    .map(|last| shared_prefix(last, &text))
                    .max();
                text.rows.0 = text.rows.0.max(after[i]).max(before.unwrap_or(0));
            }
            if is_out[i] { out.push(text) } else { train.push(text) }
        }
        let rows = |texts: Vec<Text>| TextRows::new(Site { model, point, width }, texts);
        let (train, out) = (rows(train), rows(out));
        match (train.n_rows(), out.n_rows()) {
            (0, _) => Err(Error::invalid("training texts", "no rows", "more texts")),
            (_, 0) => Err(Error::invalid("held-out texts", "no rows", "more texts, or a larger --held-out")),
            _ => Ok((train, out)),
        }
    }
}

/// The number of tokens of two texts' common prefix.
fn shared_prefix(a: &Text, b: &Text) -> usize {
    a.ids.iter().zip(&b.ids).take_while(|(a, b)| a == b).count()
}

/// A hook point of a model, and its width.
#[derive(Clone, Copy)]
struct Site<'a> {
    model: &'a Transformer,
    point: HookPoint,
    width: usize,
}

/// The rows of texts at one hook point, computed each time they are read.
pub struct TextRows<'a> {
    site: Site<'a>,
    texts: Vec<Text>,
    /// The batches: texts that go through the model in one pass.
    parts: Vec<Range<usize>>,
}

impl<'a> TextRows<'a> {
    fn new(site: Site<'a>, mut texts: Vec<Text>) -> TextRows<'a> {
        texts.retain(|text| text.rows.0 < text.rows.1);
        let ids: Vec<&[u32]> = texts.iter().map(|text| &text.ids[..]).collect();
        // The texts are already sorted, so the batches keep their order.
        let batches = Batches::new(&ids, site.model.spec.attention.direction, batch_tokens(site.model));
        let parts = batches.runs().collect();
        TextRows { site, texts, parts }
    }

    /// The rows of one batch.
    fn pass(&self, part: usize) -> Result<Vec<f32>> {
        let Site { model, point, .. } = self.site;
        let texts = &self.texts[self.parts[part].clone()];
        let ids: Vec<Vec<u32>> = texts.iter().map(|text| text.ids.clone()).collect();
        let (forest, last) = model.forest(&ids)?;
        let rows = |(text, last): (&Text, u32)| forest.path(last)[text.rows.0..text.rows.1].to_vec();
        let nodes: Vec<u32> = texts.iter().zip(last).flat_map(rows).collect();
        let mut capture = Capture::nodes(&[point], &nodes)?;
        model.forward(&forest, None, &mut capture)?;
        let values = capture.get(point)?.flatten_all()?.to_vec1::<f32>()?; // [n_nodes, width]
        match values.iter().find(|x| !x.is_finite()) {
            None => Ok(values),
            Some(&found) => Err(Error::NonFinite {
                place: format!("{} of {} texts, the first with tokens {:?}", point, ids.len(), ids[0]),
                found: found.into(),
                advice: "the model's weights or its config may be wrong: compare with transformers".into(),
            }),
        }
    }
}

impl RowSource for TextRows<'_> {
    fn width(&self) -> usize {
        self.site.width
    }

    fn parts(&self) -> Vec<usize> {
        let of_text = |text: &Text| text.rows.1 - text.rows.0;
        self.parts.iter().map(|part| self.texts[part.clone()].iter().map(of_text).sum()).collect()
    }

    fn read(&self, parts: &[usize], observer: &mut dyn Observer) -> Result<Vec<f32>> {
        let sizes = self.parts();
        let n: usize = parts.iter().map(|part| sizes[*part]).sum();
        let mut all = Vec::with_capacity(n * self.site.width);
        let at_once = if self.site.model.device().is_cpu() { SIDE_BY_SIDE } else { 1 };
        for parts in parts.chunks(at_once) {
            if observer.should_stop() {
                return Err(Error::StoppedTraining { kept: 0, of: 0 });
            }
            let passes = parts.par_iter().map(|part| self.pass(*part)).collect::<Result<Vec<_>>>()?;
            all.extend(passes.into_iter().flatten());
            observer.progress(&Progress {
                stage: "rows",
                done: (all.len() / self.site.width) as u64,
                total: n as u64,
                unit: ProgressUnit::Count,
                detail: "",
            });
        }
        Ok(all)
    }
}
