//! A Hugging Face tokenizer: texts to tokens, with each token's byte range in the text.

use super::bos::Bos;
use super::chat::{ChatDate, ChatTemplate, Turn};
use super::encoded::{Encoded, EncodedPrompt};
use super::end_tokens;
use super::tokenizer_files::{ChatSource, SpecialTokens, TokenizerFiles};
use super::vocabulary::{self, Opened};
use crate::artefact;
use crate::error::{Error, Result};
use crate::limits::TEXT_BYTES;
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokenizers::{DecoderWrapper, NormalizedString, Normalizer};

/// The space of SentencePiece.
const SPACE: char = '\u{2581}';
/// The token between training documents, which begins texts for models whose tokenizers name no BOS.
const END_OF_TEXT: &str = "<|endoftext|>";
/// A text that is encoded only to find the special tokens around a text.
const ANY_TEXT: &str = "a";

/// A Hugging Face tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    files: TokenizerFiles,
    /// The chosen use of BOS, and the BOS token; `None` keeps the model's own behaviour.
    bos: Option<(Bos, u32)>,
    chat: Option<Arc<ChatTemplate>>,
    unknown: Option<u32>,
    /// SHA-256 of `tokenizer.json` (for a GGUF file, of the one that is built from it), or of the older files.
    pub sha256: String,
}

/// The part of a tokenizer.json that names the unknown token.
#[derive(Deserialize)]
struct Described {
    model: DescribedModel,
}

#[derive(Deserialize)]
struct DescribedModel {
    unk_token: Option<String>,
    unk_id: Option<u32>,
}

impl Tokenizer {
    /// Opens the tokenizer of a Hugging Face folder: tokenizer.json or an older vocabulary, and its settings files.
    ///
    /// # Errors
    /// [`Error::BadFile`] if there is no tokenizer, or a file has a wrong format.
    pub fn open(folder: &Path) -> Result<Tokenizer> {
        let files = TokenizerFiles::read(folder)?;
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            let Opened { tokenizer, named, sha256 } = vocabulary::open(folder)?;
            let unknown = named.get("unk_token").and_then(|token| tokenizer.token_to_id(token));
            // Here the files alone decide on the special tokens around a text.
            let files =
                TokenizerFiles { named, add_bos: None, added: SpecialTokens::ByPostProcessor, ..files };
            return Ok(Tokenizer::from_parts(tokenizer, unknown, sha256).with_files(files));
        }
        let tokenizer = Tokenizer::parse(&path, &artefact::load_bytes(&path)?)?;
        Ok(tokenizer.with_files(files))
    }

    /// Reads a tokenizer.json; `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::BadFile`] if the bytes are not a tokenizer.json.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Tokenizer> {
        let text = artefact::text_of(path, bytes)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(text).map_err(|e| {
            Error::bad_file(path, e, "a tokenizer.json of the Hugging Face tokenizers library")
        })?;
        // Some files set padding or truncation; a probe needs each text complete and without padding.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| Error::bad_file(path, e, "a tokenizer without truncation"))?;
        let described: Option<Described> = serde_json::from_str(text).ok();
        let unknown = described
            .and_then(|Described { model }| model.unk_id.or_else(|| inner.token_to_id(&model.unk_token?)));
        Ok(Tokenizer::from_parts(inner, unknown, artefact::hash(bytes)))
    }

    /// A tokenizer without other files; `unknown` is the token for text outside the vocabulary.
    fn from_parts(inner: tokenizers::Tokenizer, unknown: Option<u32>, sha256: String) -> Tokenizer {
        Tokenizer { inner, files: TokenizerFiles::default(), bos: None, chat: None, unknown, sha256 }
    }

    /// The same tokenizer with the settings of its other files.
    pub(crate) fn with_files(self, files: TokenizerFiles) -> Tokenizer {
        Tokenizer { files, ..self }
    }

    /// The tokens of a text, with the special tokens that belong around it (such as BOS).
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Encoded> {
        self.encode_bare(text, self.files.added).map(|encoded| self.with_bos_settled(encoded))
    }

    /// The tokens of a text, with or without the post-processor's special tokens.
    fn encode_bare(&self, text: &str, added: SpecialTokens) -> Result<Encoded> {
        if TEXT_BYTES.size(text.len() as u64).is_none() {
            let begin: String = text.chars().take(40).collect();
            let found = format!("{} bytes, which begin `{begin}`", text.len());
            let expected = format!("at most {} bytes; divide it into several texts", TEXT_BYTES.most);
            return Err(Error::invalid("text", found, expected));
        }
        let encoding = self
            .inner
            .encode(text, added == SpecialTokens::ByPostProcessor)
            .map_err(|e| Error::invalid(format!("text `{text}`"), e, "a text this tokenizer can encode"))?;
        Ok(Encoded { ids: encoding.get_ids().to_vec(), offsets: encoding.get_offsets().to_vec() })
    }

    /// A text as the model receives it (with a chat template, in the user's turn), with the byte range of one part.
    ///
    /// # Errors
    /// The problem, as a sentence.
    pub fn frame(&self, text: &str, part: Range<usize>) -> Result<EncodedPrompt, String> {
        let refused = |error: Error| format!("the tokenizer refuses the text: {error}");
        let Some(chat) = &self.chat else {
            let encoded = self.encode(text).map_err(refused)?;
            return Ok(EncodedPrompt { text: text.into(), part, encoded });
        };
        let (text, part) = chat.frame(text, part)?;
        // The template writes its own BOS, so the tokenizer must not add one.
        let encoded = self.encode_bare(&text, SpecialTokens::Unadded).map_err(refused)?;
        Ok(EncodedPrompt { encoded: self.with_bos_settled(encoded), text, part })
    }

    /// A user's prompt as the model receives it, with the byte range of one part, as in [`Tokenizer::frame`].
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the prompt.
    pub fn encode_prompt(&self, text: &str, part: Range<usize>) -> Result<EncodedPrompt> {
        self.frame(text, part).map_err(|problem| {
            Error::invalid(format!("prompt `{text}`"), problem, "a text that this model can read")
        })
    }

    /// A conversation as the model receives it, up to the beginning of its answer.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a chat template ([`Tokenizer::with_chat`]), or for turns that the template refuses.
    pub fn conversation(&self, turns: &[Turn]) -> Result<EncodedPrompt> {
        let refused =
            |problem: String| Error::invalid("conversation", problem, "turns that the template accepts");
        let chat = self.chat.as_ref().ok_or_else(|| refused("no chat template".into()))?;
        let text = chat.conversation(turns).map_err(refused)?;
        let encoded = self.encode_bare(&text, SpecialTokens::Unadded)?;
        Ok(EncodedPrompt { part: 0..text.len(), encoded: self.with_bos_settled(encoded), text })
    }

    /// The same tokenizer, with each text in the user's turn of the model's chat template.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the model has no chat template; [`Error::BadFile`] for a template that fails.
    pub fn with_chat(self, date: ChatDate) -> Result<Tokenizer> {
        let expected =
            "a model with a chat template; leave --chat out, or put chat_template.jinja in its folder";
        match &self.files.chat {
            ChatSource::Missing => Err(Error::invalid("--chat", "a model without a chat template", expected)),
            ChatSource::Several(path, names) => {
                let found = format!("chat templates {} and no default", names.join(", "));
                Err(Error::bad_file(path, found, "one named default, or chat_template.jinja"))
            }
            ChatSource::Template(path, source) => {
                let chat = ChatTemplate::parse(path, source, &self.files.named, date)?;
                Ok(Tokenizer { chat: Some(Arc::new(chat)), ..self })
            }
        }
    }

    /// True if the model has a chat template.
    pub fn has_chat_template(&self) -> bool {
        self.files.chat != ChatSource::Missing
    }

    /// SHA-256 of the chat template around each text, if one is in use.
    pub fn chat_sha256(&self) -> Option<&str> {
        self.chat.as_ref().map(|chat| chat.sha256.as_str())
    }

    /// The date that the chat template receives, if it asks for one.
    pub fn chat_date(&self) -> Option<ChatDate> {
        self.chat.as_ref()?.date
    }

    /// The same tokenizer, with or without BOS before each text.
    ///
    /// # Errors
    /// [`Error::Invalid`] if BOS is required and the tokenizer has no such token.
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

    /// Adds BOS before a text's tokens or removes it, as chosen.
    fn with_bos_settled(&self, mut encoded: Encoded) -> Encoded {
        let Some((choice, bos)) = self.bos else { return encoded };
        match (choice, encoded.ids.first() == Some(&bos)) {
            (Bos::Always, false) => {
                encoded.ids.insert(0, bos);
                encoded.offsets.insert(0, (0, 0));
            }
            (Bos::Never, true) => {
                encoded.ids.remove(0);
                encoded.offsets.remove(0);
            }
            _ => {}
        }
        encoded
    }

    /// The token that begins texts: the one that the model's tokenizer adds, else its `bos_token`, else
    /// `<|endoftext|>`, else its `eos_token`.
    pub fn bos_token(&self) -> Option<u32> {
        let added = self.encode_bare(ANY_TEXT, SpecialTokens::ByPostProcessor).ok();
        let added = added.and_then(|encoded| encoded.ids[..encoded.n_special()].first().copied());
        let named = |name: &str| self.files.named.get(name).and_then(|token| self.id(token));
        added.or_else(|| named("bos_token")).or_else(|| self.id(END_OF_TEXT)).or_else(|| named("eos_token"))
    }

    /// The special tokens before a text, such as `<s>`, or `none`; in a chat, BOS alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tokenizer refuses a text of one letter.
    pub fn special_prefix(&self) -> Result<String> {
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

    /// True if a special token such as BOS comes before a text.
    pub fn has_special_prefix(&self) -> bool {
        self.special_prefix().is_ok_and(|token| token != "none")
    }

    /// A warning for a text that begins with the BOS that is added anyway, so that the model receives two; in a chat,
    /// for a text that contains it anywhere.
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
                "{author} puts {token} before each text, and {text:?} contains it again: the model receives two, as \
                 in transformers; remove it from the text, or use --bos never if the command has that flag"
            )
        })
    }

    /// A warning if `add_bos_token` in tokenizer_config.json contradicts tokenizer.json, which transformers follows.
    pub fn bos_conflict(&self) -> Option<String> {
        let asked = self.files.add_bos.filter(|_| self.bos.is_none() && self.chat.is_none())?;
        let begins = self.encode(ANY_TEXT).ok()?.n_special() > 0;
        (asked != begins).then(|| {
            let (says, does) = if asked { ("true", "no BOS") } else { ("false", "BOS") };
            format!(
                "tokenizer_config.json has add_bos_token {says}, but tokenizer.json, which is used here as \
                 in transformers, adds {does}; --bos always or --bos never overrides it"
            )
        })
    }

    /// The tokens that end a text, in ascending order.
    ///
    /// They are the ids in generation_config.json and config.json; the end-of-text and end-of-turn tokens named in the
    /// tokenizer's files or the GGUF file; the special tokens with a known spelling of such an end; and BOS, since
    /// another text would follow it.
    pub fn end_tokens(&self) -> Vec<u32> {
        let named = end_tokens::NAMED.into_iter();
        let named = named.filter_map(|name| self.id(self.files.named.get(name)?));
        let spelled = end_tokens::SPELLINGS.into_iter().filter_map(|token| self.id(token));
        let spelled = spelled.filter(|id| self.is_special(*id));
        let mut all: Vec<u32> = self.files.end_ids.iter().copied().chain(named).chain(spelled).collect();
        all.extend(self.bos_token());
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Decodes tokens to a text, without special tokens.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an id is unknown.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| Error::invalid("token ids", e, "ids of this tokenizer"))
    }

    /// Decodes tokens to a text in which special tokens, such as `[UNK]`, are spelled out.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an id is unknown.
    pub fn spell(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(|e| Error::invalid("token ids", e, "ids of this tokenizer"))
    }

    /// The characters of a text after normalisation (cleaned, composed or without accents, as the tokenizer does it),
    /// without spaces.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tokenizer refuses the text.
    pub fn characters(&self, text: &str) -> Result<String> {
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = self.inner.get_normalizer() {
            normalizer.normalize(&mut normalized).map_err(|e| {
                Error::invalid(format!("text `{text}`"), e, "a text this tokenizer can normalize")
            })?;
        }
        Ok(without_spaces(normalized.get()))
    }

    /// True if tokens decode to exactly the letters of their text: the tokenizer has a decoder, and it is not
    /// WordPiece's, which changes spaces and contractions.
    pub fn decodes_exactly(&self) -> bool {
        self.inner.get_decoder().is_some_and(|decoder| !matches!(decoder, DecoderWrapper::WordPiece(_)))
    }

    /// The ids of all tokens that are not special, in ascending order.
    pub fn ordinary_tokens(&self) -> Vec<u32> {
        let added = self.inner.get_added_tokens_decoder();
        let is_special = |id: &u32| added.get(id).is_some_and(|token| token.special);
        let mut ids: Vec<u32> =
            self.inner.get_vocab(true).into_values().filter(|id| !is_special(id)).collect();
        ids.sort_unstable();
        ids
    }

    /// True for a special token, such as BOS.
    fn is_special(&self, id: u32) -> bool {
        self.inner.get_added_tokens_decoder().get(&id).is_some_and(|token| token.special)
    }

    /// The unknown token, such as `[UNK]`, if there is one.
    pub fn unknown_token(&self) -> Option<u32> {
        self.unknown
    }

    /// The id of a token by its exact spelling.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// A token as the vocabulary spells it.
    pub fn token(&self, id: u32) -> String {
        self.inner.id_to_token(id).unwrap_or_else(|| format!("<{id}>"))
    }

    /// The largest token id.
    pub fn largest_id(&self) -> Option<u32> {
        self.inner.get_vocab(true).into_values().max()
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// True if there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A text without white space and without SentencePiece's mark for it.
pub(crate) fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != SPACE).collect()
}
