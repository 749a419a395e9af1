//! The calendar: lengths of years and months, dates as ISO texts, the present time.

use std::time::{SystemTime, UNIX_EPOCH};

/// The number of days in a year.
pub(crate) fn days_in_year(year: i64) -> u32 {
    365 + u32::from(is_leap(year))
}

/// The number of days in a month from 1 to 12; 0 for any other month.
pub(crate) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// The ISO date of a day, counted from 1970-01-01.
pub(crate) fn day_to_iso(day: i64) -> String {
    // 400 years are 146,097 days; 719,528 days lie between the first day of year 0 and 1970.
    let since_year_0 = day + 719_528;
    let (mut left, mut year) = (since_year_0.rem_euclid(146_097), since_year_0.div_euclid(146_097) * 400);
    while left >= i64::from(days_in_year(year)) {
        left -= i64::from(days_in_year(year));
        year += 1;
    }
    let mut month = 1;
    while left >= i64::from(days_in_month(year, month)) {
        left -= i64::from(days_in_month(year, month));
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

/// The present time in UTC, as `2026-01-31T12:00:00Z`.
pub fn date_now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (day, second) = ((seconds / 86_400) as i64, seconds % 86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", day_to_iso(day))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
