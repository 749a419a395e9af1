//! Calendar dates and decimal years.

use crate::artefact::{days_in_month, days_in_year};

/// The decimal year of an ISO date: `2001-07-02` is about 2001.5. The time of day, if any, is ignored.
///
/// # Errors
/// A sentence with the text and the expected form.
///
/// # Examples
/// ```
/// let year = mappa::datasets::date_to_year("2001-01-01").unwrap();
/// assert_eq!(year, 2001.0);
/// ```
pub fn date_to_year(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is not a date; expected year-month-day such as 1969-07-20");
    let (day_part, time) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    if !time.chars().all(|c| c.is_ascii_digit() || ":.,+- ZUTCGAPMapm".contains(c)) {
        return Err(wrong());
    }
    let (negative, digits) = match day_part.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, day_part),
    };
    let fields: Vec<u32> =
        digits.split('-').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let [year, month, day] = fields[..] else { return Err(wrong()) };
    let year = i32::try_from(year).map_err(|_| wrong())? * if negative { -1 } else { 1 };
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(i64::from(year), month) {
        return Err(wrong());
    }
    let before: u32 = (1..month).map(|m| days_in_month(i64::from(year), m)).sum::<u32>() + day - 1;
    Ok(f64::from(year) + f64::from(before) / f64::from(days_in_year(i64::from(year))))
}

/// The ISO date of a compact date such as `19690720`, of the years 1000 to 2999; `None` for any other number.
pub(in crate::datasets) fn compact_to_iso(text: &str) -> Option<String> {
    let text = text.trim();
    // Other programs write a column of integers with missing values as floats.
    let digits = text.strip_suffix(".0").unwrap_or(text);
    if digits.len() != 8
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
        || !digits.starts_with(['1', '2'])
    {
        return None;
    }
    let iso = format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]);
    date_to_year(&iso).is_ok().then_some(iso)
}

/// The calendar day of a decimal year: year, month, day.
pub fn year_to_date(year: f64) -> (i32, u32, u32) {
    let whole = year.floor() as i32;
    let length = f64::from(days_in_year(i64::from(whole)));
    let mut days = (((year - f64::from(whole)) * length) + 0.5) as u32;
    for month in 1..=12 {
        let n = days_in_month(i64::from(whole), month);
        if days < n {
            return (whole, month, days + 1);
        }
        days -= n;
    }
    (whole + 1, 1, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_years_converts_there_and_back() {
        for year in 1999..=2003 {
            for month in 1..=12 {
                for day in 1..=days_in_month(i64::from(year), month) {
                    let decimal = date_to_year(&format!("{year}-{month:02}-{day:02}")).unwrap();
                    assert_eq!(year_to_date(decimal), (year, month, day));
                    assert!(decimal >= f64::from(year) && decimal < f64::from(year + 1));
                }
            }
        }
    }

    #[test]
    fn only_dates_of_the_calendar_are_compact_dates() {
        assert_eq!(compact_to_iso(" 19690720 ").as_deref(), Some("1969-07-20"));
        assert_eq!(compact_to_iso("20000229.0").as_deref(), Some("2000-02-29"));
        for text in
            ["19001301", "19000229", "09690720", "30000101", "1969072", "196907200", "-9690720", "1969-7-2"]
        {
            assert_eq!(compact_to_iso(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_date_is_refused() {
        for text in ["", "1969", "1969-13-01", "2001-02-29", "1969-07-xx", "20 July 1969", "1969-07-20 or so"]
        {
            assert!(date_to_year(text).unwrap_err().contains("not a date"), "{text}");
        }
    }
}
