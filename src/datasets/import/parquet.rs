//! Parquet files, by the row interface of the `parquet` crate, which needs no Arrow.

use super::cells::{Cells, bad_row};
use crate::datasets::date::day_to_iso;
use crate::error::{Error, Result};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};
use std::fs::File;
use std::path::Path;

const READABLE: &str = "a whole Parquet file, its pages plain or compressed with snappy or zstd";
const NANOSECONDS_A_DAY: i64 = 86_400_000_000_000;

/// Reads the columns that hold one value a row; lists, maps and records are left out.
pub(super) fn read(path: &Path, file: &Path) -> Result<Cells> {
    let bad = |e: parquet::errors::ParquetError| Error::bad_file(path, e, READABLE);
    let file = File::open(file).map_err(Error::io("open", file))?;
    let reader = SerializedFileReader::new(file).map_err(bad)?;
    let schema = reader.metadata().file_metadata().schema();
    let (plain, nested): (Vec<TypePtr>, Vec<TypePtr>) =
        schema.get_fields().iter().cloned().partition(is_plain);
    let name = |field: &TypePtr| field.name().to_string();
    let projection =
        Type::group_type_builder(schema.name()).with_fields(plain.clone()).build().map_err(bad)?;
    let mut rows = Vec::new();
    for (record, row) in reader.get_row_iter(Some(projection)).map_err(bad)?.zip(1..) {
        let record = record.map_err(|e| bad_row(path, row, format!("{e}; expected {READABLE}")))?;
        let cells = record.get_column_iter().zip(&plain).map(|((name, field), column)| {
            text(field, column).map_err(|problem| bad_row(path, row, format!("{name}: {problem}")))
        });
        rows.push(cells.collect::<Result<Vec<String>>>()?);
    }
    let (columns, left_out) = (plain.iter().map(name).collect(), nested.iter().map(name).collect());
    Ok(Cells { columns, rows, left_out })
}

/// Whether a column holds one value a row that can be told as a text.
fn is_plain(field: &TypePtr) -> bool {
    let info = field.get_basic_info();
    field.is_primitive()
        && info.converted_type() != ConvertedType::INTERVAL
        && (!info.has_repetition() || info.repetition() != parquet::basic::Repetition::REPEATED)
}

/// A value as other formats write it: numbers as short as they can be read back, dates as ISO dates.
fn text(field: &Field, column: &TypePtr) -> Result<String, String> {
    Ok(match field {
        Field::Null => String::new(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(text) => text.clone(),
        // Writers of old leave out that a column of bytes is text.
        Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec())
            .map_err(|_| "found bytes; expected a number or a text".to_string())?,
        Field::Date(day) => day_to_iso(i64::from(*day)),
        Field::TimestampMillis(time) => day_to_iso(time.div_euclid(NANOSECONDS_A_DAY / 1_000_000)),
        Field::TimestampMicros(time) => day_to_iso(time.div_euclid(NANOSECONDS_A_DAY / 1_000)),
        Field::Long(time) if is_nanoseconds(column) => day_to_iso(time.div_euclid(NANOSECONDS_A_DAY)),
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            return Err("found a list or a record; expected one value".into());
        }
        other => other.to_string(),
    })
}

/// Times in nanoseconds come as plain numbers; only the column tells them.
fn is_nanoseconds(column: &TypePtr) -> bool {
    let kind = column.get_basic_info().logical_type_ref();
    matches!(kind, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
}
