//! Layer sets: blocks whose outputs are changed together.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// One block, or several that are steered together; written `3`, or `0+1+2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSet {
    /// Ascending, without duplicates, at least one.
    blocks: Vec<usize>,
}

impl LayerSet {
    /// One block.
    pub fn one(block: usize) -> LayerSet {
        LayerSet { blocks: vec![block] }
    }

    /// The blocks, ascending.
    pub fn blocks(&self) -> &[usize] {
        &self.blocks
    }

    /// The first block.
    pub fn first(&self) -> usize {
        self.blocks[0]
    }

    /// Checks that a model with `n_layers` blocks has all of these blocks.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the block that it lacks.
    pub fn check(&self, n_layers: usize) -> Result<()> {
        match self.blocks.iter().find(|block| **block >= n_layers) {
            Some(block) => {
                Err(Error::invalid("--layers", block, format!("blocks from 0 to {}", n_layers - 1)))
            }
            None => Ok(()),
        }
    }
}

impl FromStr for LayerSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<LayerSet> {
        let wrong =
            || Error::invalid("--layers", text, "a block such as 3, or different blocks joined by +: 0+1+2");
        let blocks = text.split('+').map(|block| block.trim().parse().map_err(|_| wrong()));
        let mut blocks = blocks.collect::<Result<Vec<usize>>>()?;
        let n_written = blocks.len();
        blocks.sort_unstable();
        blocks.dedup();
        if blocks.len() == n_written { Ok(LayerSet { blocks }) } else { Err(wrong()) }
    }
}

impl fmt::Display for LayerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.blocks.iter().map(ToString::to_string).collect();
        f.write_str(&words.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_set_prints_as_it_is_written_with_ascending_blocks() {
        for (text, printed) in [("3", "3"), ("0+1+2", "0+1+2"), ("12 + 4", "4+12")] {
            assert_eq!(text.parse::<LayerSet>().unwrap().to_string(), printed);
        }
        for wrong in ["", "+", "1+", "1+1", "-1", "1,2", "x"] {
            assert!(wrong.parse::<LayerSet>().unwrap_err().to_string().contains("0+1+2"), "{wrong}");
        }
        let layers: LayerSet = "2+9".parse().unwrap();
        assert!(layers.check(10).is_ok() && layers.check(6).unwrap_err().to_string().contains("0 to 5"));
        assert_eq!((LayerSet::one(4), layers.first()), ("4".parse().unwrap(), 2));
    }
}
