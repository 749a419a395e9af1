//! Bounds on the memory that parts of a tokenizer.json take, checked before the library takes it.

use tokenizers::{DecoderWrapper, NormalizedString, Normalizer, NormalizerWrapper, Tokenizer};

/// Decoders and normalisers that lengthen a text by at most this factor are not examined.
const USUAL: usize = 1 << 16;
/// Bytes that a normalised text may have per byte of the original text.
const BYTES_PER_BYTE: usize = 64;
/// Bytes that a normalised text may have in addition.
const MORE_BYTES: usize = 1 << 16;
/// The name of the table of character normalisation in a tokenizer.json.
const TABLE: &str = "\"precompiled_charsmap\"";

/// Checks the tables of character normalisation in a tokenizer.json: each begins with its length, and the library
/// allocates that much memory before it reads on.
pub(super) fn check_tables(text: &str) -> Result<(), String> {
    let tables = text.split(TABLE).skip(1).filter_map(|rest| {
        let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        value.split('"').next()
    });
    for table in tables {
        // In base 64, the first six letters contain the four bytes of the length, the lowest byte first.
        let bits = table.bytes().take(6).fold(0_u64, |bits, letter| bits << 6 | u64::from(sextet(letter)));
        check_table(&(bits << 28).to_be_bytes()[..4], table.len() / 4 * 3)?;
    }
    Ok(())
}

/// Refuses a table of character normalisation that states more bytes than its `length`.
pub(super) fn check_table(table: &[u8], length: usize) -> Result<(), String> {
    let stated = table.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes) as usize);
    match stated {
        Some(stated) if stated > length => {
            Err(format!("a table of character normalisation of {stated} bytes in {length}"))
        }
        _ => Ok(()),
    }
}

fn sextet(letter: u8) -> u8 {
    match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    }
}

/// Refuses a tokenizer whose decoder may lengthen a text by a factor above [`USUAL`].
pub(super) fn check_decoder(tokenizer: &Tokenizer) -> Result<(), String> {
    let growth = tokenizer.get_decoder().map_or(1, decoder_growth);
    if growth > USUAL { Err("a decoder that replaces texts by much longer ones".into()) } else { Ok(()) }
}

fn decoder_growth(decoder: &DecoderWrapper) -> usize {
    match decoder {
        DecoderWrapper::Sequence(all) => product(all.get_decoders().iter().map(decoder_growth)),
        DecoderWrapper::Replace(replace) => replace.content.len().max(1),
        _ => 1,
    }
}

/// Refuses a text that normalisation makes much longer. Only a normaliser that may lengthen a text by a factor above
/// [`USUAL`] is tried.
pub(super) fn check_text(tokenizer: &Tokenizer, text: &str) -> Result<(), String> {
    let Some(normalizer) = tokenizer.get_normalizer() else { return Ok(()) };
    if growth(normalizer) <= USUAL {
        return Ok(());
    }
    let most = text.len().saturating_mul(BYTES_PER_BYTE).saturating_add(MORE_BYTES);
    step(normalizer, &mut NormalizedString::from(text), most)
}

fn growth(normalizer: &NormalizerWrapper) -> usize {
    match normalizer {
        NormalizerWrapper::Sequence(all) => product(all.as_ref().iter().map(growth)),
        NormalizerWrapper::Replace(replace) => replace.content.len().max(1),
        _ => 1,
    }
}

fn product(factors: impl Iterator<Item = usize>) -> usize {
    factors.fold(1, usize::saturating_mul)
}

fn step(normalizer: &NormalizerWrapper, text: &mut NormalizedString, most: usize) -> Result<(), String> {
    if let NormalizerWrapper::Sequence(all) = normalizer {
        return all.as_ref().iter().try_for_each(|one| step(one, text, most));
    }
    let longest = text.get().len().saturating_add(1).saturating_mul(growth(normalizer));
    if longest > most.saturating_mul(BYTES_PER_BYTE) {
        return Err(format!("a normaliser that may lengthen the text to {longest} bytes"));
    }
    normalizer.normalize(text).map_err(|e| e.to_string())?;
    match text.get().len() {
        length if length > most => Err(format!("a normaliser that lengthens the text to {length} bytes")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_tables_are_compared_with_the_tables() {
        let file = |table: &str| format!("{{\"type\": \"Precompiled\", {TABLE} : \"{table}\"}}");
        check_tables(&file("BAAAAAAAAAA=")).unwrap();
        check_tables(&file("")).unwrap();
        let error = check_tables(&file("/////wAAAAA=")).unwrap_err();
        assert!(error.contains("4294967295 bytes in 9"), "{error}");
        assert!(check_tables(&file("CgAAAAAA")).unwrap_err().contains("of 10 bytes in 6"));
    }
}
