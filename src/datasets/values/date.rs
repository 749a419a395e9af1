//! Calendar dates and decimal years.

const MONTH_DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

fn is_leap(year: i32) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn month_days(year: i32, month: u32) -> u32 {
    MONTH_DAYS[month as usize - 1] + u32::from(month == 2 && is_leap(year))
}

/// The decimal year of an ISO date: `2001-07-02` is about 2001.5. The time of day, if any, is ignored.
///
/// # Errors
/// A sentence that says what is wrong with the text.
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
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) {
        return Err(wrong());
    }
    let before: u32 = (1..month).map(|m| month_days(year, m)).sum::<u32>() + day - 1;
    Ok(f64::from(year) + f64::from(before) / if is_leap(year) { 366.0 } else { 365.0 })
}

/// The ISO date of a compact one, `19690720`, of the years 1000 to 2999; none of what is another number.
pub(in crate::datasets) fn compact_to_iso(text: &str) -> Option<String> {
    let text = text.trim();
    // A column of numbers that lacks some is one of floats for other programs.
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

/// The ISO date of a day counted from 1970-01-01.
pub(in crate::datasets) fn day_to_iso(day: i64) -> String {
    // 400 years are 146,097 days; 719,528 lie between the first day of year 0 and 1970.
    let (mut left, mut year) =
        ((day + 719_528).rem_euclid(146_097), (day + 719_528).div_euclid(146_097) * 400);
    let length = |year: i64| if is_leap((year.rem_euclid(400)) as i32) { 366 } else { 365 };
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let mut month = 1;
    while left >= i64::from(month_days(year.rem_euclid(400) as i32, month)) {
        left -= i64::from(month_days(year.rem_euclid(400) as i32, month));
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

/// The calendar day of a decimal year: year, month, day.
pub fn year_to_date(year: f64) -> (i32, u32, u32) {
    let whole = year.floor() as i32;
    let length = if is_leap(whole) { 366.0 } else { 365.0 };
    let mut days = (((year - f64::from(whole)) * length) + 0.5) as u32;
    for month in 1..=12 {
        let n = month_days(whole, month);
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
    fn every_day_of_four_years_comes_back() {
        for year in 1999..=2003 {
            for month in 1..=12 {
                for day in 1..=month_days(year, month) {
                    let decimal = date_to_year(&format!("{year}-{month:02}-{day:02}")).unwrap();
                    assert_eq!(year_to_date(decimal), (year, month, day));
                    assert!(decimal >= f64::from(year) && decimal < f64::from(year + 1));
                }
            }
        }
    }

    #[test]
    fn compact_dates_are_those_of_the_calendar() {
        assert_eq!(compact_to_iso(" 19690720 ").as_deref(), Some("1969-07-20"));
        assert_eq!(compact_to_iso("20000229.0").as_deref(), Some("2000-02-29"));
        for text in
            ["19001301", "19000229", "09690720", "30000101", "1969072", "196907200", "-9690720", "1969-7-2"]
        {
            assert_eq!(compact_to_iso(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_counted_from_1970() {
        // Python: datetime.date(1970, 1, 1) + datetime.timedelta(days).
        for (day, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_722, "2023-12-31"),
            (-25_509, "1900-02-28"),
            (-25_508, "1900-03-01"),
            (-719_162, "0001-01-01"),
        ] {
            assert_eq!(day_to_iso(day), date);
        }
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        for text in ["", "1969", "1969-13-01", "2001-02-29", "1969-07-xx", "20 July 1969", "1969-07-20 or so"]
        {
            assert!(date_to_year(text).unwrap_err().contains("not a date"), "{text}");
        }
    }
}
