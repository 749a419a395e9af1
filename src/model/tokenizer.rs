//! Texts to tokens, with each token's place in the text.

use super::bos::Bos;
use super::chat::{ChatTemplate, Turn};
use super::chat_date::ChatDate;
use super::tokenizer_files::{Around, Chat, TokenizerFiles};
use super::vocabulary::{self, Opened};
use crate::artefact;
use crate::error::{Error, Result};
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokenizers::{DecoderWrapper, NormalizedString, Normalizer};

/// The space of SentencePiece.
const SPACE: char = '\u{2581}';

/// A Hugging Face tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    pub(super) inner: tokenizers::Tokenizer,
    pub(super) files: TokenizerFiles,
    /// What was chosen of BOS, other than what the model does, and which token it is.
    pub(super) bos: Option<(Bos, u32)>,
    pub(super) chat: Option<Arc<ChatTemplate>>,
    unknown: Option<u32>,
    /// SHA-256 of `tokenizer.json`, or of the older files that were read.
    pub sha256: String,
}

/// A tokenised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The token ids, with whatever the tokenizer puts before and after a text.
    pub ids: Vec<u32>,
    /// Each token's bytes in the text; empty ranges for tokens that stand for no text.
    pub spans: Vec<(usize, usize)>,
}

/// A text as the model is given it, with its tokens, and where in it a part stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framed {
    /// The whole text; in a chat with all that the template puts around the user's words.
    pub text: String,
    /// The part's bytes in it.
    pub part: Range<usize>,
    /// The text's tokens.
    pub encoded: Encoded,
}

/// The part of a tokenizer.json that says which token stands for what has none.
#[derive(Deserialize)]
struct Described {
    model: DescribedModel,
}

#[derive(Deserialize)]
struct DescribedModel {
    unk_token: Option<String>,
    unk_id: Option<u32>,
}

impl Encoded {
    /// How many tokens at the beginning stand for no text, such as BOS.
    pub fn n_special(&self) -> usize {
        self.spans.iter().take_while(|(start, end)| start == end).count()
    }
}

impl Tokenizer {
    /// The tokenizer of a Hugging Face folder: tokenizer.json or an older vocabulary, and what stands beside it.
    ///
    /// # Errors
    /// [`Error::BadFile`] if there is none, or a file is not what its name says.
    pub fn open(folder: &Path) -> Result<Tokenizer> {
        let files = TokenizerFiles::read(folder)?;
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            let Opened { tokenizer, named, sha256 } = vocabulary::open(folder)?;
            let unknown = named.get("unk_token").and_then(|token| tokenizer.token_to_id(token));
            // Here what stands around a text is what the files ask for.
            let files = TokenizerFiles { named, add_bos: None, around: Around::PostProcessor, ..files };
            return Ok(Tokenizer::from_parts(tokenizer, unknown, sha256).with_files(files));
        }
        let tokenizer = Tokenizer::parse(&path, &artefact::load_bytes(&path)?)?;
        Ok(tokenizer.with_files(files))
    }

    /// Reads a tokenizer.json; `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it is not one.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Tokenizer> {
        let text = artefact::text_of(path, bytes)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(text).map_err(|e| {
            Error::bad_file(path, e, "a tokenizer.json of the Hugging Face tokenizers library")
        })?;
        // Some files ask for padding or cutting; a probe needs each text whole and nothing else.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| Error::bad_file(path, e, "a tokenizer without truncation"))?;
        let described: Option<Described> = serde_json::from_str(text).ok();
        let unknown = described
            .and_then(|Described { model }| model.unk_id.or_else(|| inner.token_to_id(&model.unk_token?)));
        Ok(Tokenizer::from_parts(inner, unknown, artefact::hash(bytes)))
    }

    /// A tokenizer with nothing beside it; `unknown` stands for what has no token.
    pub(super) fn from_parts(
        inner: tokenizers::Tokenizer,
        unknown: Option<u32>,
        sha256: String,
    ) -> Tokenizer {
        Tokenizer { inner, files: TokenizerFiles::default(), bos: None, chat: None, unknown, sha256 }
    }

    /// The same tokenizer with what its other files say.
    pub(super) fn with_files(self, files: TokenizerFiles) -> Tokenizer {
        Tokenizer { files, ..self }
    }

    /// The tokens of a text, with the special tokens that stand around it (such as BOS).
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Encoded> {
        self.encode_bare(text, self.files.around).map(|encoded| self.with_bos_settled(encoded))
    }

    /// The tokens of a text, with or without what the post-processor puts around it.
    pub(super) fn encode_bare(&self, text: &str, around: Around) -> Result<Encoded> {
        let encoding = self
            .inner
            .encode(text, around == Around::PostProcessor)
            .map_err(|e| Error::invalid(format!("text `{text}`"), e, "a text this tokenizer can encode"))?;
        Ok(Encoded { ids: encoding.get_ids().to_vec(), spans: encoding.get_offsets().to_vec() })
    }

    /// A text as the model is given it, in the user's turn of a chat if that was chosen, and where a part
    /// of it comes to stand.
    ///
    /// # Errors
    /// What stood in the way, as a sentence.
    pub fn frame(&self, text: &str, part: Range<usize>) -> Result<Framed, String> {
        let refused = |error: Error| format!("the tokenizer refuses the text: {error}");
        let Some(chat) = &self.chat else {
            let encoded = self.encode(text).map_err(refused)?;
            return Ok(Framed { text: text.into(), part, encoded });
        };
        let (text, part) = chat.frame(text, part)?;
        // The template writes its own BOS, so that the tokenizer may put none.
        let encoded = self.encode_bare(&text, Around::Nothing).map_err(refused)?;
        Ok(Framed { encoded: self.with_bos_settled(encoded), text, part })
    }

    /// A conversation as the model is given it before it answers.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a chat template ([`Tokenizer::with_chat`]), or for what the template refuses.
    pub fn conversation(&self, turns: &[Turn]) -> Result<Framed> {
        let refused =
            |problem: String| Error::invalid("conversation", problem, "turns that the template takes");
        let chat = self.chat.as_ref().ok_or_else(|| refused("no chat template".into()))?;
        let text = chat.conversation(turns).map_err(refused)?;
        let encoded = self.encode_bare(&text, Around::Nothing)?;
        Ok(Framed { part: 0..text.len(), encoded: self.with_bos_settled(encoded), text })
    }

    /// The same tokenizer, with each text in the user's turn of the model's chat template.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the model has no chat template; [`Error::BadFile`] if it does not serve.
    pub fn with_chat(self, date: ChatDate) -> Result<Tokenizer> {
        let expected =
            "a model with a chat template; leave --chat out, or put chat_template.jinja in its folder";
        match &self.files.chat {
            Chat::Missing => Err(Error::invalid("--chat", "a model without a chat template", expected)),
            Chat::Several(path, names) => {
                let found = format!("chat templates {} and no default", names.join(", "));
                Err(Error::bad_file(path, found, "one that is called default, or chat_template.jinja"))
            }
            Chat::Template(path, source) => {
                let chat = ChatTemplate::parse(path, source, &self.files.named, date)?;
                Ok(Tokenizer { chat: Some(Arc::new(chat)), ..self })
            }
        }
    }

    /// Whether the model has a chat template.
    pub fn chats(&self) -> bool {
        self.files.chat != Chat::Missing
    }

    /// SHA-256 of the chat template that frames each text, if one does.
    pub fn chat_sha256(&self) -> Option<&str> {
        self.chat.as_ref().map(|chat| chat.sha256.as_str())
    }

    /// The date that the chat template is told, if it asks for one.
    pub fn chat_date(&self) -> Option<ChatDate> {
        self.chat.as_ref()?.date
    }

    /// The text of some tokens, special tokens left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an id is unknown.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| Error::invalid("token ids", e, "ids of this tokenizer"))
    }

    /// The text of some tokens, special tokens as they are written: a name that holds `[UNK]` shows it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an id is unknown.
    pub fn spell(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(|e| Error::invalid("token ids", e, "ids of this tokenizer"))
    }

    /// The characters of a text that are left to be made tokens: cleaned, composed or stripped of accents as
    /// the tokenizer does it, and without spaces.
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

    /// Whether tokens decode to all the letters that they stand for, and to nothing else: without a decoder,
    /// or with one that tidies, they may not.
    pub fn decodes_exactly(&self) -> bool {
        self.inner.get_decoder().is_some_and(|decoder| !matches!(decoder, DecoderWrapper::WordPiece(_)))
    }

    /// The tokens that stand for text, in order: the vocabulary without special tokens.
    pub fn ordinary(&self) -> Vec<u32> {
        let added = self.inner.get_added_tokens_decoder();
        let is_special = |id: &u32| added.get(id).is_some_and(|token| token.special);
        let mut ids: Vec<u32> =
            self.inner.get_vocab(true).into_values().filter(|id| !is_special(id)).collect();
        ids.sort_unstable();
        ids
    }

    /// Whether a token is special: it stands for no text.
    pub(super) fn is_special(&self, id: u32) -> bool {
        self.inner.get_added_tokens_decoder().get(&id).is_some_and(|token| token.special)
    }

    /// The token that stands for what has no token, such as `[UNK]`, if there is one.
    pub fn unknown(&self) -> Option<u32> {
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

    /// The largest id that a token has.
    pub fn largest_id(&self) -> Option<u32> {
        self.inner.get_vocab(true).into_values().max()
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A text without white space, nor the mark that stands for it.
pub(crate) fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != SPACE).collect()
}

/// Tokens drawn uniformly from some: the same for the same seed and row, whatever else is drawn.
pub fn draw_tokens(from: &[u32], n: usize, (seed, row): (u64, u64)) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(row);
    (0..n).map(|_| from[rng.random_range(0..from.len())]).collect()
}
