//! Deserialises values of experiment files from the same text format as flags.

use crate::error::Error;
use serde::{Deserialize, Deserializer};
use std::str::FromStr;

/// Reads a value in the format of its flag.
pub(super) fn written<'de, D: Deserializer<'de>, T: FromStr<Err = Error>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

/// Reads an optional value in the format of its flag.
pub(super) fn maybe<'de, D: Deserializer<'de>, T: FromStr<Err = Error>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    written(from).map(Some)
}

/// Reads a list of values, each in the format of its flag.
pub(super) fn each<'de, D: Deserializer<'de>, T: FromStr<Err = Error>>(from: D) -> Result<Vec<T>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    words.iter().map(|word| word.parse().map_err(serde::de::Error::custom)).collect()
}
