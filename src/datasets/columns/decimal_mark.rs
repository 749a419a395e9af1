//! The decimal mark of a file's target, inferred from its cells.

use super::sheet::Sheet;
use crate::datasets::formats::Commas;
use crate::datasets::values::number::{Evidence, Mark, read};
use crate::error::Result;

/// The common decimal mark of the numbers in the given columns.
///
/// `is_possible` is true for a plausible number, such as a latitude of at most 90 degrees.
///
/// # Errors
/// [`crate::Error::BadRow`] if rows contradict each other, or if the mark cannot be inferred.
pub(in crate::datasets) fn mark(
    sheet: &Sheet,
    columns: &[usize],
    is_possible: impl Fn(f64) -> bool,
) -> Result<Mark> {
    let cells = || columns.iter().flat_map(|place| sheet.column(*place));
    let evidence = Evidence::of(cells());
    if let (Some(point), Some(comma)) = (evidence.point, evidence.comma) {
        let found = |row: u64, mark: Mark| {
            let other = if mark == Mark::Point { Mark::Comma } else { Mark::Point };
            let is_one =
                |at: u64, cell: &str| at == row && read(cell, mark).is_some() && read(cell, other).is_none();
            cells()
                .find(|(at, cell)| is_one(*at, cell))
                .map_or(String::new(), |(_, cell)| cell.trim().to_string())
        };
        let (earlier, later) = if point < comma {
            ((point, Mark::Point), (comma, Mark::Comma))
        } else {
            ((comma, Mark::Comma), (point, Mark::Point))
        };
        let problem = format!(
            "found `{}`, with {}, where row {} has `{}`, with {}; expected the same mark in all rows",
            found(later.0, later.1),
            later.1,
            earlier.0,
            found(earlier.0, earlier.1),
            earlier.1
        );
        return Err(sheet.cells.bad_row(sheet.path, later.0, problem));
    }
    let Some(row) = evidence.either.filter(|_| evidence.mark().is_none()) else {
        return Ok(evidence.mark().unwrap_or_default());
    };
    if sheet.cells.commas == Commas::DotIsDecimal && evidence.either_with_comma.is_none() {
        return Ok(Mark::Point);
    }
    let fits = |mark: Mark| cells().filter_map(|(_, cell)| read(cell, mark)).all(&is_possible);
    match (fits(Mark::Point), fits(Mark::Comma)) {
        (true, false) => return Ok(Mark::Point),
        (false, true) => return Ok(Mark::Comma),
        _ => {}
    }
    // The columns are ambiguous, so the other numeric columns of the file decide.
    let others = (0..sheet.headings.len()).filter(|place| !columns.contains(place));
    let votes = others.map(|place| Evidence::of(sheet.column(place))).filter(|one| !one.has_others);
    let votes: Vec<Mark> = votes.filter_map(|one| one.mark()).collect();
    if let Some(first) = votes.first().filter(|first| votes.iter().all(|vote| vote == *first)) {
        return Ok(*first);
    }
    let cell = cells().find(|(at, cell)| *at == row && read(cell, Mark::Point) != read(cell, Mark::Comma));
    let cell = cell.map_or("", |(_, cell)| cell.trim());
    let values = [Mark::Point, Mark::Comma].map(|mark| read(cell, mark).unwrap_or_default());
    let problem = format!(
        "found `{cell}`, which may be {} or {}; expected numbers without thousands separators",
        values[0], values[1]
    );
    Err(sheet.cells.bad_row(sheet.path, row, problem))
}
