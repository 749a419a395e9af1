//! Where in a text units are most active.

use super::list::Listed;
use mappa::features::Windows;
use mappa::results::FeatureTokenRow;
use mappa::{Error, Result, artefact};
use std::path::Path;

/// Tokens that are shown on either side.
const AROUND: usize = 8;

/// The top tokens of every unit in a text file.
pub fn top(listed: &Listed, (file, n): (&Path, usize)) -> Result<Vec<FeatureTokenRow>> {
    let model = listed.model;
    let text = artefact::load_text(file)?;
    let windows = Windows::of_lines(model, &text).map_err(|e| Error::bad_file(file, e, "lines of text"))?;
    let top = windows.top(model, listed.dictionary, n)?;
    let alive = top.iter().filter(|tokens| !tokens.is_empty()).count();
    println!("on the {} tokens of {}: {alive} units are active on some", windows.n_tokens(), file.display());
    let mut rows = Vec::new();
    for (unit, tokens) in top.iter().enumerate() {
        for (token, rank) in tokens.iter().zip(1..) {
            let [before, text, after] = windows.around(model, token, AROUND)?;
            let activation = f64::from(token.activation);
            rows.push(FeatureTokenRow { unit, rank, activation, before, token: text, after });
        }
    }
    Ok(rows)
}

/// Prints a unit's top tokens in their context, or the first of some units.
pub fn print(rows: &[FeatureTokenRow], unit: Option<usize>, n: usize) {
    println!("\ntop tokens in the text");
    let is_shown = |row: &&FeatureTokenRow| unit.map_or(row.rank == 1, |unit| row.unit == unit);
    for row in rows.iter().filter(is_shown).take(n) {
        let FeatureTokenRow { unit, activation, before, token, after, .. } = row;
        println!("{unit:>7} {activation:>8.2}  {before}⟦{}⟧{after}", token.trim_start());
    }
}
