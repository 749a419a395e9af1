//! The choice of a token at the beginning of a text.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// The choice of BOS before a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bos {
    /// As the model's tokenizer does when transformers loads it; in a chat, as the template does.
    #[default]
    AsModel,
    /// Always: added, unless the tokens already begin with it.
    Always,
    /// Never.
    Never,
}

impl FromStr for Bos {
    type Err = Error;

    fn from_str(text: &str) -> Result<Bos> {
        match text {
            "as-model" => Ok(Bos::AsModel),
            "always" => Ok(Bos::Always),
            "never" => Ok(Bos::Never),
            _ => Err(Error::invalid("bos", text, "as-model, always or never")),
        }
    }
}

impl fmt::Display for Bos {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Bos::AsModel => "as-model",
            Bos::Always => "always",
            Bos::Never => "never",
        })
    }
}
