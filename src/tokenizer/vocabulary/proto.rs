//! A SentencePiece model: the few fields of its protocol buffer that a tokenizer needs.

/// A SentencePiece model.
#[derive(Debug, Default)]
pub(super) struct Proto {
    /// Its pieces, by id.
    pub pieces: Vec<Piece>,
    /// 1 for a unigram model, 2 for BPE.
    pub model_type: u64,
    /// True if text without a piece is encoded as bytes.
    pub byte_fallback: bool,
    /// The ids of its unknown, BOS and EOS piece; negative for none.
    pub ids: [i64; 3],
    /// The names of those pieces.
    pub names: [String; 3],
    /// The compiled table of character normalisation, as stored.
    pub characters: Vec<u8>,
}

/// A piece of a SentencePiece model.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub text: String,
    pub score: f32,
    /// The type in the file: 3 is a control piece such as `<s>`, which no text contains; 4 is user-defined.
    pub class: u64,
}

/// The value of a field.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Float(f32),
    Other,
}

impl Proto {
    /// Reads a model.
    ///
    /// # Errors
    /// The error, as a sentence.
    pub(super) fn parse(bytes: &[u8]) -> Result<Proto, String> {
        let mut proto = Proto {
            model_type: 1,
            ids: [0, 1, 2],
            names: ["<unk>", "<s>", "</s>"].map(String::from),
            ..Proto::default()
        };
        each(bytes, |number, field| {
            match (number, field) {
                (1, Field::Bytes(piece)) => proto.pieces.push(Piece::parse(piece)?),
                (2, Field::Bytes(trainer)) => each(trainer, |number, field| proto.trainer(number, field))?,
                (3, Field::Bytes(normalizer)) => each(normalizer, |number, field| {
                    if let (2, Field::Bytes(table)) = (number, field) {
                        proto.characters = table.to_vec();
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        if proto.pieces.is_empty() {
            return Err("no pieces".into());
        }
        Ok(proto)
    }

    fn trainer(&mut self, number: u64, field: Field) -> Result<(), String> {
        match (number, field) {
            (3, Field::Number(kind)) => self.model_type = kind,
            (35, Field::Number(flag)) => self.byte_fallback = flag != 0,
            (at @ 40..=42, Field::Number(id)) => self.ids[at as usize - 40] = id as i64,
            (at @ 45..=47, Field::Bytes(name)) => self.names[at as usize - 45] = text(name)?,
            _ => {}
        }
        Ok(())
    }
}

impl Piece {
    fn parse(bytes: &[u8]) -> Result<Piece, String> {
        let mut piece = Piece { text: String::new(), score: 0.0, class: 1 };
        each(bytes, |number, field| {
            match (number, field) {
                (1, Field::Bytes(name)) => piece.text = text(name)?,
                (2, Field::Float(score)) => piece.score = score,
                (3, Field::Number(class)) => piece.class = class,
                _ => {}
            }
            Ok(())
        })?;
        Ok(piece)
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())
}

/// Calls a function for each field of a message.
fn each(mut bytes: &[u8], mut take: impl FnMut(u64, Field) -> Result<(), String>) -> Result<(), String> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)?),
            1 => {
                split(&mut bytes, 8)?;
                Field::Other
            }
            2 => {
                let length = varint(&mut bytes)?;
                Field::Bytes(split(&mut bytes, usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => {
                let four = split(&mut bytes, 4)?;
                Field::Float(f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
            }
            other => return Err(format!("a field of the unknown kind {other}")),
        };
        take(key >> 3, field)?;
    }
    Ok(())
}

/// Takes the next bytes.
fn split<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8], String> {
    let (head, rest) = bytes.split_at_checked(n).ok_or("the file ends in the middle of a field")?;
    *bytes = rest;
    Ok(head)
}

/// Reads a varint: seven bits per byte, the lowest first.
fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = split(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err("a number that does not end".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_read_and_other_bytes_are_refused() {
        let piece = [&[0x0a, 3][..], "▁".as_bytes(), &[0x15], &(-2.5_f32).to_le_bytes(), &[0x18, 4]].concat();
        let trainer = [0x18, 2, 0x98, 2, 1, 0xc8, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        let mut bytes = vec![0x0a, piece.len() as u8];
        bytes.extend(piece);
        bytes.extend([0x12, trainer.len() as u8]);
        bytes.extend(trainer);
        bytes.extend([0x1a, 4, 0x12, 2, 7, 8]);
        let proto = Proto::parse(&bytes).unwrap();
        assert_eq!((&proto.pieces[0].text[..], proto.pieces[0].score, proto.pieces[0].class), ("▁", -2.5, 4));
        assert_eq!((proto.model_type, proto.byte_fallback, proto.ids), (2, true, [0, -1, 2]));
        assert_eq!((proto.names[0].as_str(), &proto.characters[..]), ("<unk>", &[7, 8][..]));
        for end in 1..bytes.len() {
            // Only a cut between two fields leaves a valid model.
            assert_eq!(Proto::parse(&bytes[..end]).is_ok(), [14, 33].contains(&end), "{end}");
        }
        assert!(Proto::parse(b"").unwrap_err().contains("no pieces"));
        assert!(Proto::parse(&[0xff; 12]).unwrap_err().contains("does not end"));
        assert!(Proto::parse(b"{\"a\": 1}").is_err());
    }
}
