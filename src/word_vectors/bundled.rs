//! The bundled vectors: those of all words in the names of the bundled datasets.

use super::table::{Entry, WordVectors};
use crate::artefact::hash;
use crate::error::{Error, Result};
use half::f16;
use safetensors::SafeTensors;
use std::collections::{HashMap, HashSet};

/// The file's name in cards.
const NAME: &str = "glove.6B.50d";
/// `tests/scripts/bundle_word_vectors.py` writes this file.
const BYTES: &[u8] = include_bytes!("../../datasets/glove.6B.50d.safetensors");

impl WordVectors {
    /// The vectors of the needed words from the bundled file; `None` if the file neither has a needed word nor lists it
    /// as absent from GloVe.
    ///
    /// # Source
    /// GloVe 6B, 50 dimensions (Pennington, Socher, Manning, 2014), public domain (PDDL 1.0); rounded to f16.
    ///
    /// # Errors
    /// [`Error::Internal`] if the bundled file is damaged.
    pub fn bundled(needed: &HashSet<String>) -> Result<Option<WordVectors>> {
        read(needed).map_err(|problem| Error::Internal(format!("bundled word vectors: {problem}")))
    }
}

fn read(needed: &HashSet<String>) -> Result<Option<WordVectors>, String> {
    let file = SafeTensors::deserialize(BYTES).map_err(|e| e.to_string())?;
    let tensor = |name: &str| file.tensor(name).map_err(|e| e.to_string());
    let lines = |name: &str| -> Result<Vec<String>, String> {
        let text = String::from_utf8(tensor(name)?.data().to_vec()).map_err(|e| e.to_string())?;
        Ok(text.lines().map(String::from).collect())
    };
    let (words, absent) = (lines("words")?, lines("absent")?);
    let absent: HashSet<&str> = absent.iter().map(String::as_str).collect();
    let at: HashMap<&str, usize> = words.iter().map(String::as_str).zip(0..).collect();
    let is_known = |word: &String| at.contains_key(word.as_str()) || absent.contains(word.as_str());
    if !needed.iter().all(is_known) {
        return Ok(None);
    }
    let (vectors, ranks) = (tensor("vectors")?, tensor("ranks")?);
    let [_, width] = vectors.shape() else { return Err("vectors without two dimensions".into()) };
    let mut table = WordVectors::new(NAME, hash(BYTES), *width);
    let mut found: Vec<usize> = needed.iter().filter_map(|word| at.get(word.as_str()).copied()).collect();
    found.sort_unstable();
    let rows: Vec<&[u8]> = vectors.data().chunks_exact(2 * width).collect();
    let ranks: Vec<&[u8]> = ranks.data().chunks_exact(4).collect();
    for i in found {
        let (Some(row), Some(rank)) = (rows.get(i), ranks.get(i)) else { return Err("too few rows".into()) };
        let halves = row.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32());
        let rank = u64::from(u32::from_le_bytes([rank[0], rank[1], rank[2], rank[3]]));
        table.add(Entry { word: &words[i], vector: &halves.collect::<Vec<f32>>(), rank });
    }
    Ok(Some(table))
}
