//! GGUF files without a language model: errors that name the kind of file, and say how to get a model.

use super::header::{Header, Value};
use super::split::PartName;
use crate::error::{Error, Result};
use crate::model::weights::mmap;
use std::path::Path;

/// A kind of file that is not a model: its description, and the advice.
struct Other {
    found: &'static str,
    expected: &'static str,
}

const PROJECTOR: Other = Other {
    found: "a projector (mmproj), which turns images or sounds into a language model's inputs",
    expected: "the language model of the projector, which is another GGUF file of the same repository",
};
const ADAPTER: Other = Other {
    found: "a LoRA adapter, which changes a model's weights and is not a model itself",
    expected: "a model; merge the adapter into the model for which it was trained: \
               llama-export-lora -m MODEL.gguf --lora ADAPTER.gguf -o MERGED.gguf",
};
const CONTROL_VECTOR: Other = Other {
    found: "a control vector, which is added to a model's stream",
    expected: "a model; pass the control vector to a model with `mappa steer --direction FILE`",
};
const IMPORTANCE: Other = Other {
    found: "an importance matrix (imatrix), which llama-quantize reads",
    expected: "a model that was quantised with it, which is another GGUF file",
};
const VOCABULARY: Other = Other {
    found: "a vocabulary without weights: the file has no tensors",
    expected: "a model; convert it again without --vocab-only",
};

/// Refuses a file that is not a model.
///
/// # Errors
/// [`Error::BadFile`] with the kind of file, and the advice.
pub(super) fn check(path: &Path, header: &Header) -> Result<()> {
    if let Some(Other { found, expected }) = other(header) {
        return Err(Error::bad_file(path, found, expected));
    }
    match text(header, "general.type").filter(|kind| *kind != "model") {
        None => Ok(()),
        Some(kind) => Err(Error::bad_file(path, format!("`general.type` `{kind}`"), "`model`")),
    }
}

/// True for a readable GGUF file that is not a model; false for a part of a model.
pub(crate) fn is_no_model(path: &Path) -> bool {
    let header = mmap::map(path).and_then(|bytes| Header::parse(path, &bytes));
    // A later part of a model has no metadata, and may have no tensors.
    header.is_ok_and(|header| PartName::of(path).is_none() && other(&header).is_some())
}

fn other(header: &Header) -> Option<Other> {
    let (kind, architecture) = (text(header, "general.type"), text(header, "general.architecture"));
    let has = |prefix: &str| header.metadata.keys().any(|key| key.starts_with(prefix));
    let all = |prefix: &str| header.tensors.keys().all(|name| name.starts_with(prefix));
    if architecture == Some("controlvector") || (!header.tensors.is_empty() && all("direction.")) {
        return Some(CONTROL_VECTOR);
    }
    let lora = |name: &String| name.ends_with(".lora_a") || name.ends_with(".lora_b");
    match kind {
        Some("mmproj") => Some(PROJECTOR),
        Some("adapter") => Some(ADAPTER),
        Some("imatrix") => Some(IMPORTANCE),
        _ if matches!(architecture, Some("clip" | "mmproj")) => Some(PROJECTOR),
        _ if has("adapter.") || header.tensors.keys().any(lora) => Some(ADAPTER),
        _ if has("imatrix.") => Some(IMPORTANCE),
        _ if header.tensors.is_empty() => Some(VOCABULARY),
        _ => None,
    }
}

fn text<'a>(header: &'a Header, key: &str) -> Option<&'a str> {
    match header.metadata.get(key) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}
