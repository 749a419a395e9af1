//! A file with its headings, and the errors about missing or ambiguous columns, each with a command that names them.

use super::heading::{ColumnRole, Heading};
use super::known_headings::{EAST, LATITUDE, LONGITUDE, NAME, NORTH, Several, YEAR, key};
use crate::datasets::formats::Cells;
use crate::datasets::values::missing::{is_blank, is_nothing};
use crate::datasets::values::number::{self, Mark};
use crate::datasets::values::year::year;
use crate::error::Error;
use crate::shown::{shell_flag, shell_path, shown_up_to};
use std::collections::HashSet;
use std::path::Path;

/// The command that imports a file.
const IMPORT: &str = "mappa datasets import";

/// A file's cells and headings.
pub(in crate::datasets) struct Sheet<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its headings.
    pub headings: &'a [Heading],
    /// Its cells.
    pub cells: &'a Cells,
}

impl Sheet<'_> {
    /// The non-empty cells of a column, each with its row.
    pub(crate) fn column(&self, place: usize) -> impl Iterator<Item = (u64, &str)> {
        let cells = self.cells.rows.iter().map(move |row| row[place].as_str());
        (1..).zip(cells).filter(|(_, cell)| !is_nothing(cell))
    }

    /// The error about a missing column.
    pub(crate) fn missing(&self, column: String) -> Error {
        let headings: Vec<String> = self.headings.iter().map(Heading::to_string).collect();
        let left_out: Vec<String> = self.cells.left_out.iter().map(ToString::to_string).collect();
        let left_out = match left_out.is_empty() {
            true => String::new(),
            false => format!("; columns without text values: {}", left_out.join(", ")),
        };
        let headings = headings.join(", ").replace(char::is_control, " ");
        let found = format!("{headings}{left_out}; {}", self.way_out());
        Error::MissingColumn { path: self.path.to_path_buf(), column, found }
    }

    /// The error about several candidate columns; `what` is the role.
    pub(crate) fn several(&self, what: &str, several: &Several) -> Error {
        let name = |place: &usize| format!("`{}` (column {})", self.headings[*place], place + 1);
        let names: Vec<String> = several.0.iter().map(name).collect();
        let found = format!("{}, which may each hold the {what}", names.join(" and "));
        Error::bad_file(self.path, found, format!("one of them; {}", self.way_out()))
    }

    /// Advice with an import command that names the columns, as far as they can be guessed from the cells.
    fn way_out(&self) -> String {
        let is_given =
            |role: fn(&ColumnRole) -> bool| self.headings.iter().any(|h| h.role.as_ref().is_some_and(role));
        let mut command = format!("{IMPORT} {}", shell_path(self.path));
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        if stem.is_empty() || stem.starts_with('-') || !stem.chars().all(is_plain) {
            let words: Vec<&str> = stem.split(|c| !is_plain(c)).filter(|word| !word.is_empty()).collect();
            let name = words.join("_");
            let name = name.trim_start_matches('-');
            command += &format!(" --name {}", if name.is_empty() { "my_dataset" } else { name });
        }
        let known = NAME.find(self.headings);
        let name = match &known {
            Ok(Some(place)) => Some(*place),
            Err(Several(several)) => several.first().copied(),
            Ok(None) => (0..self.headings.len()).find(|place| self.is_name(*place)),
        };
        if !is_given(|role| *role == ColumnRole::Name) && known != Ok(name)
            || (known == Ok(None) && name.is_none())
        {
            let name = name.map_or("COLUMN", |place| self.headings[place].name.as_str());
            command += &shell_flag("entity", name);
        }
        let is_target = |role: &ColumnRole| {
            matches!(
                role,
                ColumnRole::Latitude | ColumnRole::Longitude | ColumnRole::Year | ColumnRole::Target { .. }
            )
        };
        let is_place = matches!(
            (LATITUDE.find(self.headings), LONGITUDE.find(self.headings)),
            (Ok(Some(_)), Ok(Some(_)))
        );
        if !is_given(is_target) && !is_place && !matches!(YEAR.find(self.headings), Ok(Some(_))) {
            command += &self.place_flags().unwrap_or_else(|| self.target_flags(name));
        }
        format!("name the columns, for example with `{}`", displayed(command))
    }

    /// The flags for two columns that may hold a place: a word of each heading says so, and the numbers are in range.
    fn place_flags(&self) -> Option<String> {
        let column = |words: &[&str], most: f64| {
            let is_degrees = |cell: &str| {
                let number = number::read(cell, Mark::Point).or_else(|| number::read(cell, Mark::Comma));
                number.is_some_and(|degrees| degrees.abs() <= most)
            };
            let is_called =
                |place: &usize| key(&self.headings[*place].name).split('_').any(|word| words.contains(&word));
            let mut places = (0..self.headings.len()).filter(is_called);
            places.find(|place| self.differs(*place, is_degrees))
        };
        let (north, east) = (column(&NORTH, 90.0)?, column(&EAST, 180.0)?);
        if north == east {
            return None;
        }
        let is_complete =
            [north, east].iter().all(|place| self.column(*place).count() == self.cells.rows.len());
        let skip = if is_complete { "" } else { " --skip-incomplete" };
        let flag = |name: &str, place: usize| shell_flag(name, &self.headings[place].name);
        Some(flag("latitude", north) + &flag("longitude", east) + skip)
    }

    /// The flags for a column that may be the target, other than the column of names.
    fn target_flags(&self, name: Option<usize>) -> String {
        let word = |place: &usize| key(&self.headings[*place].name);
        let others = || (0..self.headings.len()).filter(|place| Some(*place) != name);
        let is_number = |cell: &str| number::read(cell, Mark::Point).is_some();
        let is_year = |cell: &str| year(cell, Mark::Point).is_ok();
        let called = ["year", "date", "born", "died"];
        let time = others()
            .filter(|place| called.iter().any(|name| word(place).contains(name)))
            .find(|place| self.differs(*place, is_year));
        // A column of row numbers is not a target.
        let number = others()
            .filter(|place| !["id", "unnamed_0", "index"].contains(&word(place).as_str()))
            .find(|place| self.differs(*place, is_number));
        let date = || others().find(|place| self.differs(*place, is_year));
        let (place, unit) = match (time, number) {
            (Some(place), _) => (Some(place), " --unit years"),
            (None, Some(place)) => (Some(place), ""),
            (None, None) => (date(), " --unit years"),
        };
        let Some(place) = place else { return " --target COLUMN".into() };
        let is_complete = self.column(place).count() == self.cells.rows.len();
        let skip = if is_complete { "" } else { " --skip-incomplete" };
        format!("{}{unit}{skip}", shell_flag("target", &self.headings[place].name))
    }

    /// True if a column may hold names: no cell is empty or a number, and most are different.
    fn is_name(&self, place: usize) -> bool {
        let mut names = HashSet::new();
        let cells = || self.cells.rows.iter().map(|row| row[place].as_str());
        cells().all(|cell| {
            !is_blank(cell) && year(cell, Mark::Point).is_err() && number::read(cell, Mark::Comma).is_none()
        }) && cells().filter(|cell| names.insert(*cell)).count() * 2 > self.cells.rows.len()
    }

    /// True if all non-empty cells of a column satisfy `is_one`, and not all are equal.
    fn differs(&self, place: usize, is_one: impl Fn(&str) -> bool) -> bool {
        let cells = || self.column(place).map(|(_, cell)| cell);
        let first = cells().next().unwrap_or_default();
        cells().all(&is_one) && cells().any(|cell| cell != first)
    }

    /// The advice to leave out incomplete rows, for a message about such a row.
    pub(crate) fn skipping(&self) -> String {
        let command = displayed(format!("{IMPORT} {} --skip-incomplete", shell_path(self.path)));
        format!("`{command}` leaves such rows out")
    }
}

/// The command, or the one that explains its flags if an error would cut or mask it.
fn displayed(command: String) -> String {
    const LONGEST: usize = 400;
    match shown_up_to(LONGEST, &command) == command.as_str() {
        true => command,
        false => format!("{IMPORT} --help"),
    }
}
