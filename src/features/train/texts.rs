//! Every token of some texts as a row: what a model's stream is there, at one hook point.

use super::source::{Source, Watch};
use crate::activations::group_nodes;
use crate::artefact;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{AttentionDirection, Capture, Spec, Transformer};
use crate::tokenizer::Encoded;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// Passes that run side by side, on a processor.
const SIDE_BY_SIDE: usize = 4;

/// A text's tokens, and which of them are rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Text {
    ids: Vec<u32>,
    rows: (usize, usize),
}

/// Distinct texts as tokens, in order of their tokens.
#[derive(Debug, Clone)]
pub struct Tokenised {
    texts: Vec<Text>,
    shares: bool,
    /// How many texts were longer than the model's context, and are cut there.
    pub n_cut: usize,
    /// How many texts there were before.
    pub n_repeated: usize,
}

impl Tokenised {
    /// Texts for a model. BOS and whatever else stands for no text, before it and after it, is no row.
    pub fn new(spec: &Spec, texts: Vec<Encoded>) -> Tokenised {
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
        Tokenised { n_repeated: n - texts.len(), texts, shares, n_cut }
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// A hash of all tokens.
    pub fn sha256(&self) -> String {
        let numbers =
            self.texts.iter().flat_map(|text| [text.ids.len() as u32].into_iter().chain(text.ids.clone()));
        artefact::hash(&numbers.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
    }

    /// The rows of all texts but a share of them, and those of that share.
    ///
    /// Every token of a text to learn from is a row, so that a beginning counts as often as texts have it; it goes through
    /// the model once. Texts that begin alike are alike there: of the texts kept out, those beginnings are left out
    /// that another text has as well. An encoder sees whole texts, and no two have a row in common.
    ///
    /// # Errors
    /// [`Error::Invalid`] if either would have no rows, or the model has no such hook point.
    pub fn split(
        self,
        (model, point): (&Transformer, HookPoint),
        (share, seed): (f64, u64),
    ) -> Result<(TextRows<'_>, TextRows<'_>)> {
        let width = model.spec.width_at(point);
        let width = width.ok_or_else(|| Error::invalid("hook point", point, "one that this model has"))?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut kept, mut out): (Vec<Text>, Vec<Text>) = (Vec::new(), Vec::new());
        // Of neighbours in this order, the nearest has the longest beginning in common.
        let is_out: Vec<bool> = self.texts.iter().map(|_| rng.random::<f64>() < share).collect();
        let mut next_kept = None;
        let mut after = vec![0; is_out.len()];
        for i in (0..is_out.len()).rev() {
            after[i] = next_kept.map_or(0, |next: usize| alike(&self.texts[i], &self.texts[next]));
            next_kept = if is_out[i] { next_kept } else { Some(i) };
        }
        for (i, mut text) in self.texts.into_iter().enumerate() {
            if is_out[i] && self.shares {
                let before =
                    [kept.last(), out.last()].into_iter().flatten().map(|last| alike(last, &text)).max();
                text.rows.0 = text.rows.0.max(after[i]).max(before.unwrap_or(0));
            }
            if is_out[i] { out.push(text) } else { kept.push(text) }
        }
        let rows = |texts: Vec<Text>| TextRows::new((model, point, width), texts, self.shares);
        let (kept, out) = (rows(kept), rows(out));
        match (kept.n_rows(), out.n_rows()) {
            (0, _) => Err(Error::invalid("texts to learn from", "no rows", "more texts")),
            (_, 0) => Err(Error::invalid("texts kept out", "no rows", "more texts, or a larger --held-out")),
            _ => Ok((kept, out)),
        }
    }
}

/// How many tokens two texts have in common at their beginning.
fn alike(a: &Text, b: &Text) -> usize {
    a.ids.iter().zip(&b.ids).take_while(|(a, b)| a == b).count()
}

/// The rows of some texts at one hook point, computed whenever they are read.
pub struct TextRows<'a> {
    model: &'a Transformer,
    point: HookPoint,
    width: usize,
    texts: Vec<Text>,
    /// Which texts go through the model together.
    parts: Vec<Range<usize>>,
}

impl<'a> TextRows<'a> {
    fn new(
        (model, point, width): (&'a Transformer, HookPoint, usize),
        mut texts: Vec<Text>,
        shares: bool,
    ) -> TextRows<'a> {
        texts.retain(|text| text.rows.0 < text.rows.1);
        let (most, mut parts) = (group_nodes(model), Vec::new());
        let (mut start, mut n_nodes) = (0, 0);
        for (i, text) in texts.iter().enumerate() {
            let shared = if shares && i > start { alike(&texts[i - 1], text) } else { 0 };
            if i > start && n_nodes + text.ids.len() - shared > most {
                parts.push(start..i);
                (start, n_nodes) = (i, text.ids.len());
            } else {
                n_nodes += text.ids.len() - shared;
            }
        }
        parts.extend((start < texts.len()).then_some(start..texts.len()));
        TextRows { model, point, width, texts, parts }
    }

    /// The rows of one part.
    fn pass(&self, part: usize) -> Result<Vec<f32>> {
        let texts = &self.texts[self.parts[part].clone()];
        let ids: Vec<Vec<u32>> = texts.iter().map(|text| text.ids.clone()).collect();
        let (forest, last) = self.model.forest(&ids)?;
        let rows = |(text, last): (&Text, u32)| forest.path(last)[text.rows.0..text.rows.1].to_vec();
        let nodes: Vec<u32> = texts.iter().zip(last).flat_map(rows).collect();
        let mut capture = Capture::nodes(&[self.point], &nodes)?;
        self.model.forward(&forest, None, &mut capture)?;
        let values = capture.get(self.point)?.flatten_all()?.to_vec1::<f32>()?; // [n_nodes, width]
        match values.iter().find(|x| !x.is_finite()) {
            None => Ok(values),
            Some(&found) => Err(Error::NonFinite {
                place: format!("{} of {} texts, the first with tokens {:?}", self.point, ids.len(), ids[0]),
                found: found.into(),
                advice: "the model's weights or its config may be wrong: compare with transformers".into(),
            }),
        }
    }
}

impl Source for TextRows<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn parts(&self) -> Vec<usize> {
        let of_text = |text: &Text| text.rows.1 - text.rows.0;
        self.parts.iter().map(|part| self.texts[part.clone()].iter().map(of_text).sum()).collect()
    }

    fn read(&self, parts: &[usize], watch: &mut dyn Watch) -> Result<Vec<f32>> {
        let sizes = self.parts();
        let n: usize = parts.iter().map(|part| sizes[*part]).sum();
        let mut all = Vec::with_capacity(n * self.width);
        let at_once = if self.model.device().is_cpu() { SIDE_BY_SIDE } else { 1 };
        for parts in parts.chunks(at_once) {
            if watch.stops() {
                return Err(Error::StoppedTraining { kept: 0, of: 0 });
            }
            let passes = parts.par_iter().map(|part| self.pass(*part)).collect::<Result<Vec<_>>>()?;
            all.extend(passes.into_iter().flatten());
            watch.rows(all.len() / self.width, n);
        }
        Ok(all)
    }
}
