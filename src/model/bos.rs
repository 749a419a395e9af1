//! The token at the beginning of a text: who decides whether it is there, and which it is.

use super::tokenizer::{Encoded, Tokenizer};
use super::tokenizer_files::Around;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// The token between documents of models whose tokenizers name no BOS.
const END_OF_TEXT: &str = "<|endoftext|>";
/// A text that is made tokens for what stands before it.
const ANY_TEXT: &str = "a";

/// Who decides whether BOS stands before a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bos {
    /// The model's tokenizer, as transformers loads it; in a chat, the template.
    #[default]
    AsModel,
    /// It always does, once.
    Always,
    /// It never does.
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

impl Tokenizer {
    /// The same tokenizer, with or without BOS before each text.
    ///
    /// # Errors
    /// [`Error::Invalid`] if BOS is wanted of a tokenizer that has no such token.
    pub fn with_bos(mut self, bos: Bos) -> Result<Tokenizer> {
        if bos == Bos::Always && self.bos_token().is_none() {
            let expected =
                format!("a tokenizer with bos_token, eos_token or `{END_OF_TEXT}`; leave --bos out");
            return Err(Error::invalid(
                "--bos always",
                "a tokenizer without a token that begins texts",
                expected,
            ));
        }
        self.bos = self.bos_token().filter(|_| bos != Bos::AsModel).map(|token| (bos, token));
        Ok(self)
    }

    /// The token that begins texts: what the model's tokenizer puts there, else its `bos_token`, else
    /// `<|endoftext|>`, else its `eos_token`.
    pub fn bos_token(&self) -> Option<u32> {
        let put = self.encode_bare(ANY_TEXT, Around::PostProcessor).ok();
        let put = put.and_then(|encoded| encoded.ids[..encoded.n_special()].first().copied());
        let named = |name: &str| self.files.named.get(name).and_then(|token| self.id(token));
        put.or_else(|| named("bos_token")).or_else(|| self.id(END_OF_TEXT)).or_else(|| named("eos_token"))
    }

    /// The special tokens that stand before a text, such as `<s>`; in a chat, its BOS alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tokenizer refuses a letter.
    pub fn beginning(&self) -> Result<String> {
        let ids = match &self.chat {
            None => {
                let encoded = self.encode(ANY_TEXT)?;
                encoded.ids[..encoded.n_special()].to_vec()
            }
            Some(_) => {
                let refused = |problem: String| Error::invalid("chat", problem, "a chat of one letter");
                let ids = self.frame(ANY_TEXT, 0..ANY_TEXT.len()).map_err(refused)?.encoded.ids;
                ids.into_iter().take(1).filter(|id| self.bos_token() == Some(*id)).collect()
            }
        };
        let tokens: Vec<String> = ids.into_iter().map(|id| self.token(id)).collect();
        Ok(if tokens.is_empty() { "none".into() } else { tokens.join(" ") })
    }

    /// True if a special token such as BOS stands before a text.
    pub fn begins(&self) -> bool {
        self.beginning().is_ok_and(|token| token != "none")
    }

    /// A sentence for a text that writes the token which stands before every text anyway, so that there are two;
    /// in a chat wherever in the text it is.
    pub fn doubled_bos(&self, text: &str) -> Option<String> {
        let bos = self.bos_token()?;
        let ids = |text: &str| Some(self.frame(text, 0..0).ok()?.encoded.ids);
        let (with, usual) = (ids(text)?, ids(ANY_TEXT)?);
        let n = |ids: &[u32]| ids.iter().filter(|id| **id == bos).count();
        let is_doubled = match self.chat {
            Some(_) => n(&usual) > 0 && n(&with) > n(&usual),
            None => usual.first() == Some(&bos) && with.len() > 1 && with[0] == bos && with[1] == bos,
        };
        is_doubled.then(|| {
            let token = self.token(bos);
            let author = if self.chat.is_some() { "the chat template" } else { "the tokenizer" };
            format!(
                "{author} puts {token} before each text, and {text:?} writes it again: two stand there, as in \
                 transformers; leave it out of the text, or use --bos never where there is that flag"
            )
        })
    }

    /// Whether tokenizer_config.json asks for another beginning than transformers gives, as a sentence.
    pub fn remark(&self) -> Option<String> {
        let asked = self.files.add_bos.filter(|_| self.bos.is_none() && self.chat.is_none())?;
        let begins = self.encode(ANY_TEXT).ok()?.n_special() > 0;
        (asked != begins).then(|| {
            let (says, does) = if asked { ("true", "none") } else { ("false", "one") };
            format!(
                "tokenizer_config.json has add_bos_token {says}, but tokenizer.json puts {does}, \
                 which is what transformers goes by; --bos always or never decides otherwise"
            )
        })
    }

    /// Puts BOS before a text's tokens, or takes it away, as was chosen.
    pub(super) fn with_bos_settled(&self, mut encoded: Encoded) -> Encoded {
        let Some((choice, bos)) = self.bos else { return encoded };
        match (choice, encoded.ids.first() == Some(&bos)) {
            (Bos::Always, false) => {
                encoded.ids.insert(0, bos);
                encoded.spans.insert(0, (0, 0));
            }
            (Bos::Never, true) => {
                encoded.ids.remove(0);
                encoded.spans.remove(0);
            }
            _ => {}
        }
        encoded
    }
}
