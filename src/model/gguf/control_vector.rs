//! Control vectors as GGUF files, in the format of llama.cpp and repeng.
//!
//! The tensor `direction.k` is added to the output of block `k`, counted from 0. llama.cpp refuses `direction.0`:
//! nothing can be added to the output of block 0.

use super::header::Header;
use crate::artefact;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Vectors by the block whose output they are added to.
pub type ControlVector = BTreeMap<usize, Vec<f32>>;

/// The version of the written format.
const VERSION: u32 = 3;
const ALIGNMENT: usize = 32;
/// ggml's codes for a text, a 32-bit count, and f32 tensors.
const TEXT: u32 = 8;
const COUNT: u32 = 4;
const F32: u32 = 0;
/// The description of a control vector, for errors.
const EXPECTED: &str =
    "a control vector: f32 tensors direction.1, direction.2, … as llama.cpp and repeng write them";

/// Writes vectors as a control vector; `architecture` is the name of their model's architecture in GGUF files.
///
/// # Errors
/// [`Error::Invalid`] without any vector, or for a vector of block 0, which the format cannot address; [`Error::Io`].
pub fn save_control_vector(path: &Path, vectors: &ControlVector, architecture: &str) -> Result<()> {
    if vectors.is_empty() || vectors.contains_key(&0) {
        let expected = "vectors of blocks from 1 on: llama.cpp cannot add to the output of block 0";
        return Err(Error::invalid("control vector", format!("blocks {:?}", vectors.keys()), expected));
    }
    let keys: [(&str, u32, Vec<u8>); 3] = [
        ("general.architecture", TEXT, text("controlvector")),
        ("controlvector.model_hint", TEXT, text(architecture)),
        ("controlvector.layer_count", COUNT, (vectors.len() as u32).to_le_bytes().to_vec()),
    ];
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((vectors.len() as u64).to_le_bytes());
    bytes.extend((keys.len() as u64).to_le_bytes());
    for (key, kind, value) in keys {
        bytes.extend(text(key));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(value);
    }
    let mut offset = 0;
    for (block, vector) in vectors {
        bytes.extend(text(&format!("direction.{block}")));
        bytes.extend(1u32.to_le_bytes()); // dimensions
        bytes.extend((vector.len() as u64).to_le_bytes());
        bytes.extend(F32.to_le_bytes());
        bytes.extend((offset as u64).to_le_bytes());
        offset += (4 * vector.len()).next_multiple_of(ALIGNMENT);
    }
    for vector in vectors.values() {
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
    }
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    artefact::save_bytes(path, &bytes)
}

/// A text's length and bytes.
fn text(text: &str) -> Vec<u8> {
    (text.len() as u64).to_le_bytes().into_iter().chain(text.bytes()).collect()
}

/// Reads a control vector.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadFile`] for a file that is not GGUF, has no tensors, or has a tensor (named in the error)
/// that does not belong to a control vector.
pub fn load_control_vector(path: &Path) -> Result<ControlVector> {
    let bytes = artefact::load_bytes(path)?;
    let header = Header::parse(path, &bytes)?;
    let mut vectors = ControlVector::new();
    for (name, entry) in &header.tensors {
        let bad = |found: String| Error::bad_file(path, found, EXPECTED);
        let block = name.strip_prefix("direction.").and_then(|block| block.parse::<usize>().ok());
        let block = block.ok_or_else(|| bad(format!("tensor `{name}`")))?;
        if entry.kind.to_string() != "F32" || entry.rows() != 1 {
            return Err(bad(format!("tensor `{name}`: {} of shape {:?}", entry.kind, entry.shape)));
        }
        let (numbers, _) = bytes[entry.bytes.clone()].as_chunks::<4>();
        vectors.insert(block, numbers.iter().map(|number| f32::from_le_bytes(*number)).collect());
    }
    if vectors.is_empty() {
        return Err(Error::bad_file(path, "no tensors", EXPECTED));
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_vectors_load_again_and_block_0_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.gguf");
        let vectors = ControlVector::from([(1, vec![0.5, -1.0, 2.0]), (3, vec![1e-20, 7.0, f32::MIN])]);
        save_control_vector(&path, &vectors, "llama").unwrap();
        assert_eq!(load_control_vector(&path).unwrap(), vectors);
        let error = save_control_vector(&path, &ControlVector::from([(0, vec![1.0])]), "llama").unwrap_err();
        assert!(error.to_string().contains("block 0"), "{error}");
        let cut = &std::fs::read(&path).unwrap()[..200];
        std::fs::write(&path, cut).unwrap();
        assert!(load_control_vector(&path).unwrap_err().to_string().contains("v.gguf"));
    }
}
