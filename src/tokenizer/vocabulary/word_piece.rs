//! BERT's WordPiece: vocab.txt.

use super::class::Class;
use super::recipe::{PostProcessor, Recipe, Refusal, default_tokens, part};
use super::special::Settings;
use serde_json::json;
use tokenizers::models::wordpiece::WordPiece;

/// The recipe of BERT, from the bytes of vocab.txt.
///
/// # Errors
/// The error, as a sentence.
pub(super) fn recipe(settings: &Settings, vocabulary: &[u8]) -> Result<Recipe, Refusal> {
    let vocabulary = WordPiece::read_bytes(vocabulary).map_err(|e| format!("vocab.txt: {e}"))?;
    let unknown = settings.text("unk_token", Class::Bert.tokens()).ok_or("no `unk_token`")?;
    if !vocabulary.contains_key(&unknown) {
        return Err(format!("vocab.txt: no line `{unknown}`").into());
    }
    Ok(Recipe {
        model: WordPiece::builder().vocab(vocabulary).unk_token(unknown).build()?.into(),
        normalizer: Some(part(json!({
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": settings.flag("tokenize_chinese_chars").unwrap_or(true),
            // Unless `strip_accents` is given, accents are removed if letters are lowercased.
            "strip_accents": settings.flag("strip_accents"),
            "lowercase": settings.flag("do_lower_case").unwrap_or(true),
        }))?),
        pre_tokenizer: Some(json!({ "type": "BertPreTokenizer" })),
        decoder: json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
        post_processor: PostProcessor::Bert,
        defaults: default_tokens(Class::Bert),
        extra: Vec::new(),
    })
}
