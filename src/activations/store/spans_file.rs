//! `spans.csv`: each entity's tokens and rows.

use super::files::Files;
use super::layout::SPANS;
use crate::activations::extract::SpanRow;
use crate::artefact;
use crate::error::{Error, Result};

/// Reads the file.
pub(super) fn load(files: &Files) -> Result<Vec<SpanRow>> {
    let bytes = files.load(SPANS)?;
    let text = artefact::text_of(&files.path(SPANS), &bytes)?;
    let rows = csv::Reader::from_reader(text.as_bytes()).into_deserialize();
    rows.collect::<Result<_, csv::Error>>().map_err(|e| {
        let expected = "spans as mappa extract writes them; move the folder away and extract again";
        Error::bad_file(files.path(SPANS), e, expected)
    })
}

/// The bytes of the file.
pub(super) fn bytes_of(spans: &[SpanRow]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in spans {
        writer.serialize(row).map_err(|e| Error::Internal(e.to_string()))?;
    }
    writer.into_inner().map_err(|e| Error::Internal(e.to_string()))
}
