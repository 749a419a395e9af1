//! Parsing of numbers with decimal points or commas and thousands separators; the decimal mark of a column.

use std::fmt;

/// The decimal mark of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::datasets) enum Mark {
    /// `8,336,817.5`
    #[default]
    Point,
    /// `8.336.817,5`
    Comma,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mark::Point => "a decimal point",
            Mark::Comma => "a decimal comma",
        })
    }
}

/// The number in a text, given the decimal mark; `None` if the text is not a finite number.
///
/// Thousands may be separated by the other mark, by spaces or by apostrophes, in groups of three; the first group has
/// no leading zero.
pub(in crate::datasets) fn read(text: &str, mark: Mark) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix(['-', '−']) {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (decimal, other) = match mark {
        Mark::Point => ('.', ','),
        Mark::Comma => (',', '.'),
    };
    let end = digits.find(['e', 'E']).unwrap_or(digits.len());
    let (digits, exponent) = digits.split_at(end);
    let (whole, part) = match digits.split_once(decimal) {
        // Programs write `5.` and `.5`; nobody writes `5,` or `,5`.
        Some((whole, part)) if mark == Mark::Point || !(whole.is_empty() || part.is_empty()) => (whole, part),
        Some(_) => return None,
        None => (digits, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_apart = |c: char| c == other || matches!(c, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\'' | '’');
    let joined = match whole.find(is_apart) {
        None => whole.to_string(),
        Some(at) => {
            let apart = whole[at..].chars().next()?;
            let groups: Vec<&str> = whole.split(apart).collect();
            let is_first =
                (1..=3).contains(&groups[0].len()) && is_digits(groups[0]) && !groups[0].starts_with('0');
            if !is_first || !groups[1..].iter().all(|group| group.len() == 3 && is_digits(group)) {
                return None;
            }
            groups.concat()
        }
    };
    if !is_digits(&joined) || !is_digits(part) || (joined.is_empty() && part.is_empty()) {
        return None;
    }
    let value: f64 = format!("{sign}{joined}.{part}0{exponent}").parse().ok()?;
    Some(value).filter(|value| value.is_finite())
}

/// Evidence for a decimal mark, by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::datasets) struct Evidence {
    /// A row whose cell is a number only with a decimal point.
    pub point: Option<u64>,
    /// A row whose cell is a number only with a decimal comma.
    pub comma: Option<u64>,
    /// A row whose cell is a different number with either mark.
    pub either: Option<u64>,
    /// A row as in `either` whose cell has a comma.
    pub either_with_comma: Option<u64>,
    /// True if at least one cell is not a number with either mark.
    pub has_others: bool,
}

impl Evidence {
    /// The evidence in cells, each given with its row; blank cells are ignored.
    pub(crate) fn of<'a>(cells: impl Iterator<Item = (u64, &'a str)>) -> Evidence {
        let mut evidence = Evidence::default();
        for (row, cell) in cells {
            let found = match (read(cell, Mark::Point), read(cell, Mark::Comma)) {
                (Some(_), None) => &mut evidence.point,
                (None, Some(_)) => &mut evidence.comma,
                (Some(a), Some(b)) if a != b => {
                    if cell.contains(',') {
                        evidence.either_with_comma.get_or_insert(row);
                    }
                    &mut evidence.either
                }
                (Some(_), Some(_)) => continue,
                (None, None) => {
                    evidence.has_others |= !cell.trim().is_empty();
                    continue;
                }
            };
            found.get_or_insert(row);
        }
        evidence
    }

    /// The mark that all cells allow and some require.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match (self.point, self.comma) {
            (Some(_), None) => Some(Mark::Point),
            (None, Some(_)) => Some(Mark::Comma),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_the_decimal_mark_that_allows_them() {
        for (text, point, comma) in [
            ("59.9", Some(59.9), None),
            ("59,9", None, Some(59.9)),
            (" -12 ", Some(-12.0), Some(-12.0)),
            ("−3", Some(-3.0), Some(-3.0)),
            ("+4", Some(4.0), Some(4.0)),
            ("8,336,817", Some(8_336_817.0), None),
            ("8.336.817", None, Some(8_336_817.0)),
            ("8,336,817.5", Some(8_336_817.5), None),
            ("8.336.817,5", None, Some(8_336_817.5)),
            ("59,900", Some(59_900.0), Some(59.9)),
            ("8.336", Some(8.336), Some(8336.0)),
            ("0.336", Some(0.336), None),
            ("0,336", None, Some(0.336)),
            ("8 336 817", Some(8_336_817.0), Some(8_336_817.0)),
            ("1\u{a0}234,5", None, Some(1234.5)),
            ("1'234.5", Some(1234.5), None),
            ("1e3", Some(1000.0), Some(1000.0)),
            ("1.5e-3", Some(0.0015), None),
            (".5", Some(0.5), None),
            ("5.", Some(5.0), None),
        ] {
            assert_eq!((read(text, Mark::Point), read(text, Mark::Comma)), (point, comma), "{text}");
        }
        for text in [
            "",
            "-",
            "N/A",
            "NaN",
            "inf",
            "1e999",
            "12 34",
            "1,23,456",
            "8.336,817.2",
            "12 km",
            "1e",
            "--1",
            "52°30′N",
            "1,,2",
            "e5",
            "5,",
        ] {
            assert_eq!((read(text, Mark::Point), read(text, Mark::Comma)), (None, None), "{text}");
        }
    }

    #[test]
    fn a_column_has_the_decimal_mark_that_some_cell_requires() {
        let of = |cells: &[&str]| Evidence::of((1..).zip(cells.iter().copied()));
        assert_eq!(of(&["8,336,817", "59,900"]).mark(), Some(Mark::Point));
        assert_eq!(of(&["59,9", "59,900", ""]).mark(), Some(Mark::Comma));
        assert_eq!(of(&["59,900"]).mark(), None);
        let mixed = of(&["1", "59,9", "59.9", "big"]);
        assert_eq!(
            (mixed.mark(), mixed.comma, mixed.point, mixed.has_others),
            (None, Some(2), Some(3), true)
        );
    }
}
