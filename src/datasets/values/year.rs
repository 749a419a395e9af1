//! Years in cells: numbers, ISO dates, and compact dates such as `19690720`.

use super::date::{compact_to_iso, date_to_year};
use super::number::{self, Mark};
use std::ops::RangeInclusive;

/// The accepted years; a number outside is probably something else, such as a compact date.
const YEARS: RangeInclusive<f64> = -1_000_000.0..=9_999.0;

/// The decimal year in a cell; the error is a sentence about the cell.
pub(in crate::datasets) fn year(text: &str, mark: Mark) -> Result<f64, String> {
    let text = text.trim();
    if let Some(iso) = compact_to_iso(text) {
        return date_to_year(&iso);
    }
    match number::read(text, mark) {
        Some(year) if YEARS.contains(&year) => Ok(year),
        Some(_) => {
            let (first, last) = (YEARS.start(), YEARS.end());
            Err(format!(
                "found `{text}`; expected a year from {first} to {last}, or a date such as 1969-07-20"
            ))
        }
        // A first `-` is a sign.
        None if text.is_ascii() && text.len() > 1 && text[1..].contains('-') => {
            date_to_year(text).map_err(|problem| format!("{problem}, or a year as a number"))
        }
        None => Err(format!(
            "found `{text}`; expected a number such as 1969, or -44 before the common era, or a date such as 1969-07-20"
        )),
    }
}

/// Refuses a column that mixes compact dates and plain years, since its numbers may be either; the error is a row's
/// number and a sentence about it.
pub(in crate::datasets) fn check<'a>(
    cells: impl Iterator<Item = (u64, &'a str)>,
    mark: Mark,
) -> Result<(), (u64, String)> {
    let (mut compact, mut plain) = (None, None);
    for (row, cell) in cells {
        let found = match compact_to_iso(cell) {
            Some(_) => &mut compact,
            None if number::read(cell, mark).is_some() => &mut plain,
            None => continue,
        };
        found.get_or_insert((row, cell.trim()));
    }
    match (compact, plain) {
        (Some((row, date)), Some((other, year))) => Err((
            row,
            format!(
                "found `{date}`, which looks like a date, and `{year}` in row {other}; expected one kind in the column: \
                 years, or dates such as 1969-07-20"
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_and_dates_are_read_and_other_numbers_refused() {
        let read = |text: &str| year(text, Mark::Point);
        for (text, expected) in [("1969", 1969.0), ("-44", -44.0), (" 1986.5 ", 1986.5), ("20010101", 2001.0)]
        {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        assert_eq!(read("19690720"), read("1969-07-20"));
        for text in [
            "20000000", "1e300", "-1e7", "10000", "19691332", "inf", "44 BC", "c. 1850", "é-1", "1969-7x", "",
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(&format!("`{text}`")) && problem.contains("1969-07-20"), "{problem}");
        }
    }

    #[test]
    fn a_mix_of_compact_dates_and_years_is_refused_with_both_rows() {
        let of = |cells: &[&str]| check((1..).zip(cells.iter().copied()), Mark::Point);
        assert_eq!(of(&["19690720", "1900-01-01", ""]), Ok(()));
        assert_eq!(of(&["1969", "1900-01-01"]), Ok(()));
        let (row, problem) = of(&["1900", "x", "19690720"]).unwrap_err();
        assert!(
            row == 3 && problem.contains("`1900` in row 1") && problem.contains("`19690720`"),
            "{problem}"
        );
    }
}
