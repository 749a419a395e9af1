//! Rows whose cells are set apart by a sign: CSV with quoting, TSV without.

use super::cells::{Cells, Commas, bad_row, check_names};
use super::quotes::{self, is_line_end};
use super::separator;
use crate::error::Result;
use std::path::Path;

/// Reads CSV: cells between quote signs as RFC 4180 has it, set apart by commas, semicolons, tabs or bars.
pub(super) fn csv(path: &Path, text: &str) -> Result<Cells> {
    let (declared, text, before) = match separator::declared(text) {
        Some((sign, rest)) => (Some(sign), rest, 1),
        None => (None, text, 0),
    };
    let sign = declared.map_or_else(|| separator::find(path, text), Ok)?;
    quotes::check(path, text, (sign, before + 1))?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(sign)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let lines = LineStarts::of(text);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| bad_row(path, rows.len() as u64, e))?;
        let at = record.position().map_or(0, |position| position.byte() as usize);
        // The reader begins a row at the blank lines before it.
        let at = at + text[at..].bytes().take_while(|byte| b"\r\n".contains(byte)).count();
        rows.push((lines.line(at) + before, record.iter().map(str::to_string).collect()));
    }
    let commas = if sign == b';' { Commas::Either } else { Commas::DotIsDecimal };
    Ok(Cells { commas, ..table(path, rows, sign)? })
}

/// Reads TSV: a row a line, tabs between cells, and quote signs that mean themselves.
pub(super) fn tsv(path: &Path, text: &str) -> Result<Cells> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines = text.split('\n').zip(1..).filter(|(line, _)| !line.is_empty());
    let rows = lines.map(|(line, n)| (n, line.split('\t').map(str::to_string).collect())).collect();
    let mut cells = table(path, rows, b'\t')?;
    let is_quoted = |cell: &&String| cell.len() > 1 && cell.starts_with('"') && cell.ends_with('"');
    let n_quoted = cells.rows.iter().flatten().filter(is_quoted).count();
    if n_quoted > 0 {
        cells.note = Some(format!(
            "{n_quoted} cells stand between quote signs, which belong to them in a TSV file; where they are quoting, \
             call the file .csv"
        ));
    }
    Ok(cells)
}

/// The table of a header and rows, each with its line: without the columns and rows that are empty altogether.
fn table(path: &Path, rows: Vec<(usize, Vec<String>)>, sign: u8) -> Result<Cells> {
    let is_blank = |cell: &String| cell.trim().is_empty();
    let mut rows = rows.into_iter().filter(|(_, row)| !row.iter().all(is_blank));
    let Some((_, header)) = rows.next() else { return Ok(Cells::default()) };
    let mut columns: Vec<String> = header.iter().map(|name| name.trim().to_string()).collect();
    check_names(path, &columns)?;
    let (mut lines, mut all) = (Vec::new(), Vec::new());
    for ((line, mut row), n) in rows.zip(1u64..) {
        // Excel writes fewer or more of the cells at a row's end that nothing is in.
        while row.len() > columns.len() && row.last().is_some_and(is_blank) {
            row.pop();
        }
        while row.len() < columns.len() && columns[row.len()..].iter().all(String::is_empty) {
            row.push(String::new());
        }
        if row.len() != columns.len() {
            return Err(ragged(path, (n, line), (&row, columns.len()), sign));
        }
        if sign != b'\t' && quotes::swallows(&row, sign) {
            let problem =
                format!("line {line}: a quoted cell that holds whole rows; is a quote sign too many?");
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
    // A column of numbers without a name is what pandas writes for its index, and calls so.
    for (place, column) in columns.iter_mut().enumerate().filter(|(_, column)| column.is_empty()) {
        *column = format!("Unnamed: {place}");
    }
    let mut kept = is_kept.iter();
    columns.retain(|_| kept.next() == Some(&true));
    Ok(Cells { columns, rows: all, lines, ..Cells::default() })
}

/// The error about a row of more or fewer cells than the header has.
fn ragged(
    path: &Path,
    (row, line): (u64, usize),
    (cells, n): (&[String], usize),
    sign: u8,
) -> crate::error::Error {
    let sign = match sign {
        b'\t' => "tabs".to_string(),
        sign => format!("`{}`", char::from(sign)),
    };
    let hint = match cells.iter().any(|cell| cell.contains('"')) {
        true => "; a cell is quoted only where a quote sign is its first character",
        false => "",
    };
    let line = if line as u64 == row + 1 { String::new() } else { format!("line {line}: ") };
    let found = cells.len();
    bad_row(
        path,
        row,
        format!("{line}{found} fields where the header has {n}, with {sign} between them{hint}"),
    )
}

/// The places at which lines begin.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> LineStarts {
        let bytes = text.as_bytes();
        LineStarts((0..bytes.len()).filter(|at| is_line_end(bytes, *at)).map(|at| at + 1).collect())
    }

    /// The line, counted from 1, of a place.
    fn line(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at) + 1
    }
}
