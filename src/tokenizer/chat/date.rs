//! The date that chat templates receive: chosen, not today's, so that a run is reproducible.

use crate::artefact::{days_in_month, days_in_year};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A calendar date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ChatDate {
    year: u32,
    month: u32,
    day: u32,
}

impl Default for ChatDate {
    /// The default date in the templates of Llama 3.
    fn default() -> ChatDate {
        ChatDate { year: 2024, month: 7, day: 26 }
    }
}

impl FromStr for ChatDate {
    type Err = Error;

    fn from_str(text: &str) -> Result<ChatDate> {
        let digits = |part: &str, n: usize| {
            Some(part)
                .filter(|part| part.len() == n && part.bytes().all(|b| b.is_ascii_digit()))?
                .parse()
                .ok()
        };
        let date = match text.split('-').collect::<Vec<_>>()[..] {
            [year, month, day] => digits(year, 4)
                .zip(digits(month, 2).zip(digits(day, 2)))
                .map(|(year, (month, day))| ChatDate { year, month, day }),
            _ => None,
        };
        date.filter(ChatDate::exists)
            .ok_or_else(|| Error::invalid("chat date", text, "a date such as 2024-07-26"))
    }
}

impl TryFrom<String> for ChatDate {
    type Error = Error;

    fn try_from(text: String) -> Result<ChatDate> {
        text.parse()
    }
}

impl fmt::Display for ChatDate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl ChatDate {
    fn exists(&self) -> bool {
        self.year > 0 && (1..=days_in_month(i64::from(self.year), self.month)).contains(&self.day)
    }

    /// The day of the week, 0 for Sunday (Sakamoto's method).
    fn weekday(&self) -> usize {
        const SHIFT: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = if self.month < 3 { self.year - 1 } else { self.year };
        let days = year + year / 4 - year / 100 + year / 400 + SHIFT[self.month as usize - 1] + self.day;
        days as usize % 7
    }

    /// The day of the year, 1 for the first of January.
    fn day_of_year(&self) -> u32 {
        let days = (1..self.month).map(|month| days_in_month(i64::from(self.year), month));
        days.sum::<u32>() + self.day
    }

    /// Year and week by ISO 8601; the year is that of the week's Thursday.
    fn iso_week(&self) -> (u32, u32) {
        let to_thursday = 3 - (self.weekday() as i64 + 6) % 7;
        let thursday = i64::from(self.day_of_year()) + to_thursday;
        let days = |year: u32| i64::from(days_in_year(i64::from(year)));
        let (year, day) = if thursday < 1 {
            (self.year - 1, thursday + days(self.year - 1))
        } else if thursday > days(self.year) {
            (self.year + 1, thursday - days(self.year))
        } else {
            (self.year, thursday)
        };
        (year, (day as u32 - 1) / 7 + 1)
    }

    /// The date in a format of C's strftime; the time of day is midnight.
    ///
    /// # Errors
    /// A sentence, for a format with an unknown code.
    pub(super) fn format(&self, format: &str) -> Result<String, String> {
        let (mut out, mut letters) = (String::new(), format.chars());
        let (month, weekday) = (MONTHS[self.month as usize - 1], WEEKDAYS[self.weekday()]);
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            let code = letters.next();
            let code =
                if code == Some('-') { letters.next().map(|c| ('-', c)) } else { code.map(|c| (' ', c)) };
            let (week_year, week) = self.iso_week();
            let day = self.day_of_year();
            out += &match code {
                Some((' ', 'Y')) => format!("{:04}", self.year),
                Some((' ', 'y')) => format!("{:02}", self.year % 100),
                Some((' ', 'm')) => format!("{:02}", self.month),
                Some(('-', 'm')) => self.month.to_string(),
                Some((' ', 'd')) => format!("{:02}", self.day),
                Some((' ', 'e')) => format!("{:2}", self.day),
                Some(('-', 'd')) => self.day.to_string(),
                Some((' ', 'B')) => month.into(),
                Some((' ', 'b' | 'h')) => month[..3].into(),
                Some((' ', 'A')) => weekday.into(),
                Some((' ', 'a')) => weekday[..3].into(),
                Some((' ', 'F')) => self.to_string(),
                Some((' ', 'j')) => format!("{day:03}"),
                Some(('-', 'j')) => day.to_string(),
                Some((' ', 'C')) => format!("{:02}", self.year / 100),
                Some((' ', 'D' | 'x')) => format!("{:02}/{:02}/{:02}", self.month, self.day, self.year % 100),
                Some((' ', 'c')) => {
                    format!("{} {} {:2} 00:00:00 {:04}", &weekday[..3], &month[..3], self.day, self.year)
                }
                Some((' ', 'U')) => format!("{:02}", (day + 6 - self.weekday() as u32) / 7),
                Some((' ', 'W')) => format!("{:02}", (day + 6 - (self.weekday() as u32 + 6) % 7) / 7),
                Some((' ', 'V')) => format!("{week:02}"),
                Some((' ', 'G')) => format!("{week_year:04}"),
                Some((' ', 'g')) => format!("{:02}", week_year % 100),
                Some((' ', 'w')) => self.weekday().to_string(),
                Some((' ', 'u')) => ((self.weekday() + 6) % 7 + 1).to_string(),
                Some((' ', 'H' | 'M' | 'S')) => "00".into(),
                Some(('-', 'H' | 'M' | 'S')) => "0".into(),
                Some((' ', 'k')) => " 0".into(),
                Some((' ' | '-', 'I') | (' ', 'l')) => "12".into(),
                Some((' ', 'p')) => "AM".into(),
                Some((' ', 'f')) => "000000".into(),
                Some((' ', 'R')) => "00:00".into(),
                Some((' ', 'T' | 'X')) => "00:00:00".into(),
                Some((' ', 'r')) => "12:00:00 AM".into(),
                // A date without a time zone, as in Python.
                Some((' ', 'Z' | 'z')) => String::new(),
                Some((' ', 'n')) => "\n".into(),
                Some((' ', 't')) => "\t".into(),
                Some((' ', '%')) => "%".into(),
                _ => return Err(format!("`{format}` contains an unknown format code")),
            };
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_written_and_formatted() {
        let date: ChatDate = "2000-02-29".parse().unwrap();
        assert_eq!(date.to_string(), "2000-02-29");
        let formatted = date.format("%A %a %d %-d %e %b %B %m %-m %Y %y %F %H:%M:%S %I %p %%").unwrap();
        assert_eq!(formatted, "Tuesday Tue 29 29 29 Feb February 02 2 2000 00 2000-02-29 00:00:00 12 AM %");
        assert_eq!(ChatDate::default().format("%A, %e").unwrap(), "Friday, 26");
        assert!(date.format("%Q").unwrap_err().contains("%Q"));
        assert!(date.format("%").is_err());
    }

    #[test]
    fn a_text_that_is_no_date_is_refused() {
        for text in [
            "",
            "today",
            "2024-7-26",
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-01-32",
            "0000-01-01",
            "1900-02-29",
        ] {
            let error = text.parse::<ChatDate>().unwrap_err().to_string();
            assert!(error.contains("2024-07-26"), "{text}: {error}");
        }
    }
}
