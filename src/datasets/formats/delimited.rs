//! Delimited files: CSV with quoting, TSV without.

use super::cells::{Cells, Commas, bad_row, check_columns, check_names, check_table};
use super::quotes::{self, is_line_end};
use super::separator;
use crate::error::{Error, Result};
use std::path::Path;

/// Reads CSV with quoting as in RFC 4180; cells are separated by commas, semicolons, tabs or bars.
pub(super) fn csv(path: &Path, text: &str) -> Result<Cells> {
    let (declared, text, before) = match separator::declared(text) {
        Some((sign, rest)) => (Some(sign), rest, 1),
        None => (None, text, 0),
    };
    let sign = declared.map_or_else(|| separator::find(path, text), Ok)?;
    check_size(path, text, sign)?;
    quotes::check(path, text, sign, before + 1)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(sign)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let lines = LineStarts::of(text);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| bad_row(path, rows.len() as u64, e))?;
        check_columns(path, record.len())?;
        let at = record.position().map_or(0, |position| position.byte() as usize);
        // The reader's position of a row includes the blank lines before it.
        let at = at + text[at..].bytes().take_while(|byte| b"\r\n".contains(byte)).count();
        rows.push((lines.line(at) + before, record.iter().map(str::to_string).collect()));
    }
    let commas = if sign == b';' { Commas::Either } else { Commas::DotIsDecimal };
    Ok(Cells { commas, ..table(path, rows, sign)? })
}

/// Reads TSV: one row per line, tabs between cells, no quoting.
pub(super) fn tsv(path: &Path, text: &str) -> Result<Cells> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    check_size(path, &text, b'\t')?;
    let lines = text.split('\n').zip(1..).filter(|(line, _)| !line.is_empty());
    let rows = lines.map(|(line, n)| (n, line.split('\t').map(str::to_string).collect())).collect();
    let mut cells = table(path, rows, b'\t')?;
    let is_quoted = |cell: &&String| cell.len() > 1 && cell.starts_with('"') && cell.ends_with('"');
    let n_quoted = cells.rows.iter().flatten().filter(is_quoted).count();
    if n_quoted > 0 {
        cells.note = Some(format!(
            "{n_quoted} cells are in quote signs, which belong to the text in a TSV file; if they are quoting, \
            name the file .csv"
        ));
    }
    Ok(cells)
}

/// Refuses a text with more columns than a table may have, or with more cells than fit into the free memory.
fn check_size(path: &Path, text: &str, sign: u8) -> Result<()> {
    let count = |text: &str, sign: u8| text.bytes().filter(|byte| *byte == sign).count();
    let longest = text.lines().take(2).filter(|line| !line.contains('"')).map(|line| count(line, sign)).max();
    check_columns(path, longest.map_or(0, |n| n + 1))?;
    let n_rows = count(text, b'\n');
    check_table(n_rows, count(text, sign) + n_rows)
}

/// The table of a header and rows, each with its line, without empty columns and rows.
fn table(path: &Path, rows: Vec<(usize, Vec<String>)>, sign: u8) -> Result<Cells> {
    let is_blank = |cell: &String| cell.trim().is_empty();
    let mut rows = rows.into_iter().filter(|(_, row)| !row.iter().all(is_blank));
    let Some((_, header)) = rows.next() else { return Ok(Cells::default()) };
    let mut columns: Vec<String> = header.iter().map(|name| name.trim().to_string()).collect();
    check_names(path, &columns)?;
    let n_named = columns.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
    let (mut lines, mut all) = (Vec::new(), Vec::new());
    for ((line, mut row), n) in rows.zip(1u64..) {
        // Excel writes a varying number of empty cells at a row's end.
        while row.len() > columns.len() && row.last().is_some_and(is_blank) {
            row.pop();
        }
        if (n_named..columns.len()).contains(&row.len()) {
            row.resize(columns.len(), String::new());
        }
        if row.len() != columns.len() {
            let ragged = RaggedRow { row: n, line, cells: &row, n_columns: columns.len(), sign };
            return Err(ragged.error(path));
        }
        if sign != b'\t' && quotes::swallows(&row, sign) {
            let problem =
                format!("line {line}: a quoted cell contains whole rows; check for an extra quote sign");
            return Err(bad_row(path, n, problem));
        }
        lines.push(line);
        all.push(row);
    }
    let is_kept: Vec<bool> = columns
        .iter()
        .enumerate()
        .map(|(place, name)| !name.is_empty() || all.iter().any(|row: &Vec<String>| !is_blank(&row[place])))
        .collect();
    for row in &mut all {
        let mut kept = is_kept.iter();
        row.retain(|_| kept.next() == Some(&true));
    }
    // pandas writes its index as a column without a name, and reads such a column under this name.
    for (place, column) in columns.iter_mut().enumerate().filter(|(_, column)| column.is_empty()) {
        *column = format!("Unnamed: {place}");
    }
    let mut kept = is_kept.iter();
    columns.retain(|_| kept.next() == Some(&true));
    Ok(Cells { columns, rows: all, lines, ..Cells::default() })
}

/// A row whose number of cells differs from the header's.
struct RaggedRow<'a> {
    row: u64,
    line: usize,
    cells: &'a [String],
    n_columns: usize,
    sign: u8,
}

impl RaggedRow<'_> {
    fn error(&self, path: &Path) -> Error {
        let RaggedRow { row, cells, n_columns, .. } = *self;
        let sign = match self.sign {
            b'\t' => "tabs".to_string(),
            sign => format!("`{}`", char::from(sign)),
        };
        let hint = match cells.iter().any(|cell| cell.contains('"')) {
            true => "; a cell is quoted only where a quote sign is its first character",
            false => "",
        };
        let line = if self.line as u64 == row + 1 { String::new() } else { format!("line {}: ", self.line) };
        let found = cells.len();
        bad_row(
            path,
            row,
            format!("{line}{found} fields where the header has {n_columns}, with {sign} between them{hint}"),
        )
    }
}

/// The positions at which lines begin.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> LineStarts {
        let bytes = text.as_bytes();
        LineStarts((0..bytes.len()).filter(|at| is_line_end(bytes, *at)).map(|at| at + 1).collect())
    }

    /// The line, counted from 1, of a position.
    fn line(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at) + 1
    }
}
