//! The tokens of a text on which each latent is most active.

use super::listing::Listing;
use crate::artefact;
use crate::error::{Error, Result};
use crate::features::Windows;
use crate::results::LatentTokenRow;
use std::path::Path;

/// Number of context tokens on each side.
const AROUND: usize = 8;

/// The top tokens of every latent in a text.
pub struct TopTokens {
    /// One row per latent and rank.
    pub rows: Vec<LatentTokenRow>,
    /// The number of tokens of the text.
    pub n_tokens: usize,
    /// The number of latents that are active on at least one token.
    pub n_active: usize,
}

/// Finds the `n` tokens of a text file on which each latent is most active.
///
/// # Errors
/// [`Error::BadFile`] naming the file.
pub fn top_tokens(listing: &Listing, file: &Path, n: usize) -> Result<TopTokens> {
    let model = listing.model;
    let text = artefact::load_text(file)?;
    let windows = Windows::of_lines(model, &text).map_err(|e| Error::bad_file(file, e, "lines of text"))?;
    let top = windows.top(model, listing.dictionary, n)?;
    let n_active = top.iter().filter(|tokens| !tokens.is_empty()).count();
    let mut rows = Vec::new();
    for (unit, tokens) in top.iter().enumerate() {
        for (token, rank) in tokens.iter().zip(1..) {
            let [before, text, after] = windows.around(model, token, AROUND)?;
            let activation = f64::from(token.activation);
            rows.push(LatentTokenRow { unit, rank, activation, before, token: text, after });
        }
    }
    Ok(TopTokens { rows, n_tokens: windows.n_tokens(), n_active })
}
