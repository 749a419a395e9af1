//! The columns of a file by their role, and the entity of a row.

use super::decimal_mark::mark;
use super::heading::ColumnRole;
use super::known_headings::{NAME, key};
use super::sheet::Sheet;
use super::targets::TargetColumns;
use crate::artefact;
use crate::datasets::entity::{Entity, Lat, Lon, Quantity, Target, TargetKind};
use crate::datasets::values::compact_to_iso;
use crate::datasets::values::missing::is_nothing;
use crate::datasets::values::number::{self, Mark};
use crate::datasets::values::year::{self, year};
use crate::error::Result;

/// Columns that group entities. The oracle uses the first one of a file, unless headings mark others.
const GROUP_COLUMNS: [&str; 9] = [
    "state_name",
    "borough_name",
    "occupation",
    "country",
    "topic",
    "entity_type",
    "continent",
    "creator",
    "decade",
];

/// The largest number that is accepted: the largest in f32.
const LARGEST: f64 = f32::MAX as f64;

/// The positions of name, target, groups and split, and the decimal mark of the target.
pub(in crate::datasets) struct Columns {
    /// The name's column.
    pub name: usize,
    creator: Option<usize>,
    target: TargetColumns,
    mark: Mark,
    /// Names and positions of the group columns.
    pub groups: Vec<(String, usize)>,
    /// The column that marks the test rows.
    pub is_test: Option<usize>,
}

impl Columns {
    /// Finds the columns of a file.
    pub(crate) fn of(sheet: &Sheet) -> Result<Columns> {
        let headings = sheet.headings;
        let marked = |role: &ColumnRole| headings.iter().position(|h| h.role.as_ref() == Some(role));
        let name = match marked(&ColumnRole::Name) {
            Some(name) => name,
            None => NAME
                .find(headings)
                .map_err(|several| sheet.several("name", &several))?
                .ok_or_else(|| sheet.missing(NAME.names()))?,
        };
        let target = TargetColumns::find(sheet)?;
        let by_key = |name: &str| headings.iter().position(|h| h.name == name || key(&h.name) == name);
        let is_group = |i: &usize| headings[*i].role == Some(ColumnRole::Group);
        let mut groups: Vec<usize> = (0..headings.len()).filter(is_group).collect();
        let named = GROUP_COLUMNS.iter().filter_map(|column| by_key(column));
        groups.extend(named.filter(|i| headings[*i].role.is_none()));
        // If the user marked the name's column, the creator is not put before the name.
        let creator = by_key("creator").filter(|_| headings[name].role.is_none());
        Ok(Columns {
            name,
            creator,
            mark: mark_of(sheet, &target)?,
            target,
            groups: groups.into_iter().map(|i| (headings[i].name.clone(), i)).collect(),
            is_test: marked(&ColumnRole::Test).or_else(|| by_key("is_test")),
        })
    }

    /// The kind of the targets.
    pub(crate) fn kind(&self) -> TargetKind {
        self.target.kind()
    }

    /// The first column of name and target whose cell is empty; neither may be empty.
    pub(crate) fn missing(&self, row: &[String]) -> Option<usize> {
        if row[self.name].trim().is_empty() {
            return Some(self.name);
        }
        self.target.places().into_iter().find(|i| is_nothing(&row[*i]))
    }

    /// The entity of a row, or the row's fault as a sentence.
    pub(crate) fn entity(&self, cells: &[String], row: u64) -> Result<Entity, String> {
        let title = cells[self.name].trim();
        if title.is_empty() {
            return Err("the name is empty".into());
        }
        let name = match self.creator.map(|c| cells[c].trim()) {
            Some(creator) if !creator.is_empty() => format!("{creator}'s {title}"),
            _ => title.to_string(),
        };
        Ok(Entity {
            row,
            name,
            target: self.target(cells)?,
            groups: self.groups.iter().map(|(_, i)| cells[*i].replace('_', " ").trim().to_string()).collect(),
            is_test: match self.is_test {
                Some(column) => flag(&cells[column])?,
                None => hashed_fifth(title),
            },
        })
    }

    fn target(&self, cells: &[String]) -> Result<Target, String> {
        let number = |column: usize, what: &str| {
            let cell = cells[column].trim();
            number::read(cell, self.mark).ok_or_else(|| format!("{what}: found `{cell}`; expected a number"))
        };
        let degrees = |column: usize, what: &str, example: &str| {
            number(column, what).map_err(|problem| format!("{problem} of degrees, such as {example}"))
        };
        Ok(match &self.target {
            TargetColumns::Place { lat, lon } => Target::Place {
                lat: Lat::new(degrees(*lat, "latitude", "-33.92")?).map_err(|e| e.to_string())?,
                lon: Lon::new(degrees(*lon, "longitude", "18.42")?).map_err(|e| e.to_string())?,
            },
            TargetColumns::Year(column) => {
                Target::Year(year(&cells[*column], self.mark).map_err(|problem| format!("year: {problem}"))?)
            }
            TargetColumns::Quantity(Quantity { name, .. }, column) => match number(*column, name)? {
                value if value.abs() <= LARGEST => Target::Quantity(value),
                value => {
                    return Err(format!(
                        "{name}: found {value:e}; expected a number from -{LARGEST:.1e} to {LARGEST:.1e}"
                    ));
                }
            },
        })
    }

    /// A row's cells, with the target in the form that all programs can read: decimal points, no thousands separators,
    /// dates with `-`.
    pub(crate) fn plain(&self, cells: &[String]) -> Vec<String> {
        let mut plain = cells.to_vec();
        for column in self.target.places() {
            let cell = &mut plain[column];
            if let Some(iso) = compact_to_iso(cell).filter(|_| matches!(self.target, TargetColumns::Year(_)))
            {
                *cell = iso;
            } else if let Some(value) = number::read(cell, self.mark)
                && cell.trim().parse::<f64>() != Ok(value)
            {
                *cell = value.to_string();
            }
        }
        plain
    }
}

/// The decimal mark of the target's numbers. A column that mixes compact dates and years is refused.
fn mark_of(sheet: &Sheet, target: &TargetColumns) -> Result<Mark> {
    let columns = target.places();
    match target {
        TargetColumns::Place { .. } => mark(sheet, &columns, |value| value.abs() <= 180.0),
        TargetColumns::Quantity(..) => mark(sheet, &columns, |_| true),
        TargetColumns::Year(column) => {
            let mark = mark(sheet, &columns, |_| true)?;
            let bad = |(row, problem)| sheet.cells.bad_row(sheet.path, row, format!("year: {problem}"));
            year::check(sheet.column(*column), mark).map_err(bad)?;
            Ok(mark)
        }
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "1.0" | "test" => Ok(true),
        "false" | "0" | "0.0" | "train" => Ok(false),
        _ => Err(format!("is_test: found `{text}`; expected True or False")),
    }
}

/// The default split: a fifth of the names, chosen by SHA-256.
fn hashed_fifth(name: &str) -> bool {
    // The digest as one hexadecimal number, modulo 5; as 16 is 1 modulo 5, the sum of the digits suffices.
    let sum: u32 = artefact::hash(name.as_bytes()).chars().filter_map(|c| c.to_digit(16)).sum();
    sum.is_multiple_of(5)
}
