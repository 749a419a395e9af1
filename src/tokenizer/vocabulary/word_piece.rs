//! BERT's WordPiece: vocab.txt.

use super::class::Class;
use super::recipe::{Around, Recipe, Refusal, part, usual};
use super::special::Settings;
use serde_json::json;
use tokenizers::models::wordpiece::WordPiece;

/// The recipe of BERT, from the bytes of vocab.txt.
///
/// # Errors
/// A sentence on a file that cannot be read.
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
            // Without a word on accents, they go with the capitals.
            "strip_accents": settings.flag("strip_accents"),
            "lowercase": settings.flag("do_lower_case").unwrap_or(true),
        }))?),
        pre_tokenizer: Some(json!({ "type": "BertPreTokenizer" })),
        decoder: json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
        around: Around::Bert,
        usual: usual(Class::Bert),
        extra: Vec::new(),
    })
}
