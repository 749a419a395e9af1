//! The tokens of texts on which the latents of a dictionary are most active.

use super::dictionary::Dictionary;
use crate::error::{Error, Result};
use crate::model::{Capture, Model};
use ndarray::Array2;

/// Maximum number of tokens in one pass; a longer window has a pass of its own.
const AT_ONCE: usize = 4096;

/// Tokenised texts, none longer than the model's context.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    ids: Vec<Vec<u32>>,
    /// Number of special tokens, such as BOS, at the beginning of each window.
    n_special: usize,
}

/// A window's number and a position in it.
type Place = (usize, usize);

/// A token of a text and a latent's activation there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopToken {
    /// The window's number.
    pub window: usize,
    /// The token's position in it.
    pub at: usize,
    /// The activation.
    pub activation: f32,
}

impl Windows {
    /// The windows of a text's lines; a line with more tokens than the model's context is divided into several, each
    /// with the special tokens (such as BOS) that begin a text.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text without words.
    pub fn of_lines(model: &Model, text: &str) -> Result<Windows> {
        let mut windows = Windows { ids: vec![], n_special: 0 };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let encoded = model.tokenizer.encode(line)?;
            windows.n_special = encoded.n_special();
            let (special, ids) = encoded.ids.split_at(windows.n_special);
            let room = model.spec().n_context.saturating_sub(special.len()).max(1);
            windows.ids.extend(ids.chunks(room).map(|ids| [special, ids].concat()));
        }
        match windows.ids.is_empty() {
            true => Err(Error::invalid("text", "no words", "lines of text")),
            false => Ok(windows),
        }
    }

    /// The number of tokens, without special tokens.
    pub fn n_tokens(&self) -> usize {
        self.ids.iter().map(|ids| ids.len() - self.n_special).sum()
    }

    /// A token in its context: at most `n` tokens before it, the token, at most `n` tokens after it.
    ///
    /// # Errors
    /// As [`crate::tokenizer::Tokenizer::decode`].
    pub fn around(&self, model: &Model, token: &TopToken, n: usize) -> Result<[String; 3]> {
        let (ids, at) = (&self.ids[token.window], token.at);
        let from = at.saturating_sub(n).max(self.n_special.min(at));
        let parts = [&ids[from..at], &ids[at..at + 1], &ids[at + 1..(at + 1 + n).min(ids.len())]];
        let [before, token, after] = parts.map(|ids| model.tokenizer.decode(ids));
        Ok([before?, token?, after?])
    }

    /// For each latent the `n` tokens on which it is most active, the greatest activation first.
    ///
    /// # Errors
    /// As [`crate::model::Transformer::forward`] and [`Dictionary::encode`].
    pub fn top(&self, model: &Model, dictionary: &Dictionary, n: usize) -> Result<Vec<Vec<TopToken>>> {
        let mut top: Vec<Vec<TopToken>> = vec![vec![]; dictionary.d_sae()];
        let mut first = 0;
        while first < self.ids.len() {
            let mut after = first + 1;
            let mut n_nodes = self.ids[first].len();
            while after < self.ids.len() && n_nodes + self.ids[after].len() <= AT_ONCE {
                n_nodes += self.ids[after].len();
                after += 1;
            }
            let (places, activations) = self.encode(model, dictionary, first..after)?;
            for ((row, latent), activation) in activations.indexed_iter().filter(|(_, a)| **a > 0.0) {
                let of_latent = &mut top[latent];
                let place = of_latent.partition_point(|other| other.activation >= *activation);
                if place < n {
                    let (window, at) = places[row];
                    of_latent.insert(place, TopToken { window, at, activation: *activation });
                    of_latent.truncate(n);
                }
            }
            first = after;
        }
        Ok(top)
    }

    /// Window and position of each token of the given windows, and the activations, `[n_tokens, d_sae]`.
    fn encode(
        &self,
        model: &Model,
        dictionary: &Dictionary,
        windows: std::ops::Range<usize>,
    ) -> Result<(Vec<Place>, Array2<f32>)> {
        let (forest, last) = model.transformer.forest(&self.ids[windows.clone()])?;
        let (mut places, mut nodes) = (vec![], vec![]);
        for (window, last) in windows.zip(last) {
            let path = forest.path(last).into_iter().enumerate().skip(self.n_special);
            path.for_each(|(at, node)| {
                places.push((window, at));
                nodes.push(node);
            });
        }
        let mut capture = Capture::nodes(&[dictionary.hook_point], &nodes)?;
        model.transformer.forward(&forest, None, &mut capture)?;
        let rows = capture.get(dictionary.hook_point)?; // [n_tokens, d_in]
        let (shape, values) = (rows.dims2()?, rows.flatten_all()?.to_vec1::<f32>()?);
        let rows = Array2::from_shape_vec(shape, values).map_err(|e| Error::Internal(e.to_string()))?;
        Ok((places, dictionary.encode(rows.view())?))
    }
}
