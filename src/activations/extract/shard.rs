//! Shards: parts of a dataset's entities, for extraction on several machines.

use crate::error::{Error, Result};
use crate::limits::SHARDS;
use std::fmt;
use std::str::FromStr;

/// One of several parts of a dataset's entities that are extracted separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    /// The `index`-th of `of` parts, counted from 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such part.
    pub fn new(index: usize, of: usize) -> Result<Shard> {
        if index == 0 || index > of || SHARDS.size(of as u64).is_none() {
            let expected = format!(
                "a number from 1 to the number of shards, such as 2/4; at most {} shards",
                SHARDS.most
            );
            return Err(Error::invalid("shard", format!("{index}/{of}"), expected));
        }
        Ok(Shard { index, of })
    }

    /// The part's number, counted from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// The number of parts.
    pub fn of(self) -> usize {
        self.of
    }

    /// The folder's name.
    pub(crate) fn folder(self) -> String {
        format!("{}-of-{}", self.index, self.of)
    }

    /// Parses a folder's name; `None` if it is not a shard's.
    pub(crate) fn from_folder(name: &str) -> Option<Shard> {
        let (index, of) = name.split_once("-of-")?;
        let shard = Shard::new(index.parse().ok()?, of.parse().ok()?).ok()?;
        (shard.folder() == name).then_some(shard)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Shard> {
        let parts =
            text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        let (index, of) =
            parts.ok_or_else(|| Error::invalid("shard", text, "i/n, such as 2/4 for the second of four"))?;
        Shard::new(index, of)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_parses_from_flag_and_folder_and_from_nothing_else() {
        assert_eq!("2/4".parse::<Shard>().unwrap(), Shard::new(2, 4).unwrap());
        let shard = Shard::new(12, 30).unwrap();
        assert_eq!(Shard::from_folder(&shard.folder()), Some(shard));
        assert_eq!(shard.to_string(), "12/30");
        for bad in ["0/4", "5/4", "2", "a/b", "-1/2", "1/0", ""] {
            assert!(bad.parse::<Shard>().unwrap_err().to_string().contains("2/4"), "{bad}");
        }
        for bad in ["0-of-4", "02-of-4", "2-of-4.tmp", "x"] {
            assert_eq!(Shard::from_folder(bad), None);
        }
    }
}
