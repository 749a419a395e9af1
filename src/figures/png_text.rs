//! A text inside a PNG: a tEXt chunk after the header, which image viewers ignore.

/// The bytes before the text: the magic number of PNGs, and the chunk with width and height.
const BEFORE: usize = 8 + 25;
/// The type of the chunk, and the keyword of the text.
const BEGIN: &[u8] = b"tEXtdrawing\0";

/// A PNG with a text added.
pub fn with_text(png: &[u8], text: &str) -> Vec<u8> {
    let body = [BEGIN, text.as_bytes()].concat();
    // The length counts neither itself nor the type nor the checksum.
    let length = (body.len() - 4) as u32;
    let chunk = [&length.to_be_bytes(), &body[..], &crc32fast::hash(&body).to_be_bytes()].concat();
    let (before, after) = png.split_at(BEFORE.min(png.len()));
    [before, &chunk, after].concat()
}

/// The PNG without its added text of `length` bytes; `None` if the file is too short.
pub fn without_text(png: &[u8], length: usize) -> Option<Vec<u8>> {
    let after = png.get(BEFORE + 4 + BEGIN.len() + length + 4..)?;
    Some([&png[..BEFORE], after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn a_text_is_read_by_the_decoder_and_can_be_removed() {
        let mut plain = Vec::new();
        let mut encoder = png::Encoder::new(&mut plain, 2, 1);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&[1, 2, 3, 4, 5, 6]).unwrap();
        let marked = with_text(&plain, "0123abc");
        let mut reader = png::Decoder::new(Cursor::new(&marked)).read_info().unwrap();
        let text = &reader.info().uncompressed_latin1_text;
        assert_eq!((text[0].keyword.as_str(), text[0].text.as_str()), ("drawing", "0123abc"));
        let mut pixels = [0; 6];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, [1, 2, 3, 4, 5, 6]);
        assert_eq!(without_text(&marked, 7).unwrap(), plain);
        assert!(without_text(b"short", 7).is_none());
    }
}
