//! A byte-pair tokenizer with so small a vocabulary that names split into several tokens.

use crate::error::{Error, Result};
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, TokenizerBuilder, TokenizerImpl};

/// The token that begins and ends a text; its id is 0.
pub(super) const BOUNDARY: &str = "<|text|>";

/// Trains a byte-level BPE tokenizer on lines of text and returns its tokenizer.json.
///
/// A name has the same tokens at the beginning of a text as within it, and BOS comes before each text.
///
/// # Errors
/// [`Error::Internal`] if the tokenizers library refuses the lines.
pub fn train_tokenizer(lines: &[String], d_vocab: usize) -> Result<Vec<u8>> {
    let fault = |e: Box<dyn std::error::Error + Send + Sync>| Error::Internal(e.to_string());
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(d_vocab)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(vec![AddedToken::from(BOUNDARY, true)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut tokenizer: TokenizerImpl<
        BPE,
        tokenizers::NormalizerWrapper,
        ByteLevel,
        TemplateProcessing,
        ByteLevel,
    > = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None)
        .with_pre_tokenizer(Some(ByteLevel::new(true, true, true)))
        .with_post_processor(Some(
            TemplateProcessing::builder()
                .try_single(format!("{BOUNDARY} $A"))
                .map_err(Error::Internal)?
                .special_tokens(vec![(BOUNDARY, 0)])
                .build()
                .map_err(|e| Error::Internal(e.to_string()))?,
        ))
        .with_decoder(Some(ByteLevel::default()))
        .build()
        .map_err(fault)?;
    tokenizer.train(&mut trainer, lines.iter()).map_err(fault)?;
    Ok(tokenizer.to_string(true).map_err(fault)?.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Tokenizer;
    use std::path::Path;

    #[test]
    fn a_name_has_the_same_tokens_anywhere_and_offsets_are_exact() {
        let lines: Vec<String> =
            ["Oslo is near Bergen", "Bergen is near Oslo", "Łódź"].map(String::from).into();
        let bytes = train_tokenizer(&lines, 300).unwrap();
        let tokenizer = Tokenizer::parse(Path::new("tokenizer.json"), &bytes).unwrap();
        let alone = tokenizer.encode("Oslo").unwrap();
        let within = tokenizer.encode("Bergen is near Oslo").unwrap();
        assert_eq!(alone.ids[0], 0);
        assert!(within.ids.ends_with(&alone.ids[1..]));
        assert_eq!(within.offsets.last().unwrap().1, "Bergen is near Oslo".len());
        assert_eq!(tokenizer.decode(&alone.ids).unwrap().trim(), "Oslo");
        assert_eq!(tokenizer.decode(&tokenizer.encode("Łódź").unwrap().ids).unwrap().trim(), "Łódź");
    }
}
