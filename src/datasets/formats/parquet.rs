//! Parquet files, column by column, through the row interface of the `parquet` crate, which needs no Arrow.

use super::cells::{Cells, LeftOut, check_table};
use super::parquet_sizes;
use crate::artefact::{self, day_to_iso};
use crate::error::{Error, Result};
use crate::limits::check_memory;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};
use std::fs::File;
use std::path::Path;

const READABLE: &str = "a complete Parquet file, uncompressed or compressed with snappy or zstd";
const NANOSECONDS_PER_DAY: i64 = 86_400_000_000_000;

/// Reads the columns of `file` that have one value per row, with a text form; other columns are left out. `path` names
/// the file in errors.
pub(super) fn read(path: &Path, file: &Path) -> Result<Cells> {
    let bad = |found: String| Error::bad_file(path, found, READABLE);
    artefact::guarded(path, READABLE, || {
        let length = std::fs::metadata(file).map_err(Error::io("read", file))?.len();
        let mut opened = artefact::open_regular(file)?;
        parquet_sizes::check_metadata(&mut opened, length).map_err(bad)?;
        let again = artefact::open_regular(file)?;
        let reader = SerializedFileReader::new(again).map_err(|e| bad(e.to_string()))?;
        parquet_sizes::check_pages(&mut opened, reader.metadata(), length).map_err(bad)?;
        let n_rows = parquet_sizes::n_rows(reader.metadata(), length).map_err(bad)?;
        read_columns(path, &reader, n_rows)
    })
}

/// The values of the first column as texts; `path` is the name in messages.
pub(crate) fn first_column(path: &Path, file: &Path) -> Result<Vec<String>> {
    let cells = read(path, file)?;
    Ok(cells.rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
}

fn read_columns(path: &Path, reader: &SerializedFileReader<File>, n_rows: usize) -> Result<Cells> {
    let metadata = reader.metadata().file_metadata();
    let fields = metadata.schema().get_fields();
    // A column of equal values takes few bytes in a file, but its rows take as much memory as others.
    check_table(n_rows, n_rows.saturating_mul(fields.len()))?;
    let empty = || Vec::with_capacity(fields.len());
    let mut cells = Cells { rows: std::iter::repeat_with(empty).take(n_rows).collect(), ..Cells::default() };
    let mut bytes = TextBytes::default();
    for field in fields {
        match column(reader, field, n_rows, &mut bytes) {
            Ok(texts) => {
                cells.columns.push(field.name().to_string());
                cells.rows.iter_mut().zip(texts).for_each(|(row, text)| row.push(text));
            }
            Err(_) if bytes.refusal.is_some() => break,
            Err(holds) => cells.left_out.push(LeftOut { column: field.name().to_string(), holds }),
        }
    }
    if let Some(refusal) = bytes.refusal {
        return Err(refusal);
    }
    match &cells.left_out[..] {
        // A table without a readable column is refused.
        [first, ..] if cells.columns.is_empty() => {
            Err(Error::bad_file(path, format!("no column that can be read; {first}"), READABLE))
        }
        _ => Ok(cells),
    }
}

/// The bytes of all texts, compared with the free memory now and then: a long text that is stored once may be the value of
/// each row.
#[derive(Default)]
struct TextBytes {
    since_check: usize,
    refusal: Option<Error>,
}

impl TextBytes {
    fn add(&mut self, n: usize) -> Result<(), String> {
        const EACH: usize = 64 << 20;
        self.since_check += n;
        if self.since_check < EACH {
            return Ok(());
        }
        self.since_check = 0;
        // The texts, until the next check, and their copies in entities.
        let checked = check_memory("the table's texts", 4 * EACH as u64, "import a smaller file");
        checked.map_err(|refusal| {
            let words = refusal.to_string();
            self.refusal = Some(refusal);
            words
        })
    }
}

/// The values of one column as texts, or the kind of its values if they have no text form.
fn column(
    reader: &SerializedFileReader<File>,
    field: &TypePtr,
    n_rows: usize,
    bytes: &mut TextBytes,
) -> Result<Vec<String>, String> {
    let info = field.get_basic_info();
    if !field.is_primitive() || (info.has_repetition() && info.repetition() == Repetition::REPEATED) {
        return Err("lists or records".into());
    }
    if info.converted_type() == ConvertedType::INTERVAL {
        return Err("intervals".into());
    }
    let unreadable = |e: parquet::errors::ParquetError| format!("cannot be read: {e}; expected {READABLE}");
    let name = reader.metadata().file_metadata().schema().name();
    let projection =
        Type::group_type_builder(name).with_fields(vec![field.clone()]).build().map_err(unreadable)?;
    let mut texts = Vec::with_capacity(n_rows);
    for record in reader.get_row_iter(Some(projection)).map_err(unreadable)? {
        let record = record.map_err(unreadable)?;
        let (_, value) = record.get_column_iter().next().ok_or("no values")?;
        let text = text(value, field)?;
        bytes.add(text.len())?;
        texts.push(text);
    }
    match texts.len() == n_rows {
        true => Ok(texts),
        false => Err(format!("{} values for {n_rows} rows", texts.len())),
    }
}

/// A value as text: numbers in their shortest exact form, dates as ISO dates.
fn text(value: &Field, column: &TypePtr) -> Result<String, String> {
    Ok(match value {
        Field::Null => String::new(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(text) => text.clone(),
        // Old writers do not mark columns of bytes as text.
        Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec()).map_err(|_| "bytes".to_string())?,
        Field::Date(day) => day_to_iso(i64::from(*day)),
        Field::TimestampMillis(time) => day_to_iso(time.div_euclid(NANOSECONDS_PER_DAY / 1_000_000)),
        Field::TimestampMicros(time) => day_to_iso(time.div_euclid(NANOSECONDS_PER_DAY / 1_000)),
        Field::Long(time) if is_nanoseconds(column) => day_to_iso(time.div_euclid(NANOSECONDS_PER_DAY)),
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            return Err("lists or records".into());
        }
        // The crate prints a decimal without a fraction with a point at its end.
        Field::Decimal(_) => value.to_string().trim_end_matches('.').to_string(),
        other => other.to_string(),
    })
}

/// True for a column of times in nanoseconds, whose values come as plain numbers.
fn is_nanoseconds(column: &TypePtr) -> bool {
    let kind = column.get_basic_info().logical_type_ref();
    matches!(kind, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
}
