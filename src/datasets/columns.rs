//! Which of a file's columns hold what: by their headings' marks, else by their names.

use super::date::date_to_year;
use super::entity::{Entity, Lat, Lon, Quantity, Target, TargetKind};
use super::heading::{Heading, Role};
use crate::artefact;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// Columns that may hold the name, in order of preference.
pub(super) const NAME_COLUMNS: [&str; 4] = ["name", "title", "headline", "entity"];
/// Columns that may hold a time, in order of preference.
pub(super) const YEAR_COLUMNS: [&str; 4] = ["death_year", "release_date", "pub_date", "year"];
/// Columns that group entities; the first that a file has serves the centroid baseline, unless headings name
/// others.
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

enum TargetColumns {
    Place { lat: usize, lon: usize },
    Year(usize),
    Date(usize),
    YearOrDate(usize),
    Quantity(Quantity, usize),
}

/// Where name, target, groups and split of each entity stand.
pub(super) struct Columns {
    /// The name's column.
    pub name: usize,
    creator: Option<usize>,
    target: TargetColumns,
    /// Names and places of the group columns.
    pub groups: Vec<(String, usize)>,
    is_test: Option<usize>,
}

impl Columns {
    /// The columns of a file with these headings; `path` names it in errors.
    pub fn of(path: &Path, headings: &[Heading]) -> Result<Columns> {
        let at: HashMap<&str, usize> = headings.iter().map(|h| h.name.as_str()).zip(0..).collect();
        let marked = |role: &Role| headings.iter().position(|h| h.role.as_ref() == Some(role));
        let by_name = || NAME_COLUMNS.iter().find_map(|c| at.get(c).copied());
        let name = marked(&Role::Name)
            .or_else(by_name)
            .ok_or_else(|| missing(path, headings, NAME_COLUMNS.join("` or `")))?;
        let target = match marked_target(path, headings)? {
            Some(target) => target,
            None => named_target(path, headings, &at)?,
        };
        let is_group = |h: &&Heading| h.role == Some(Role::Group);
        let mut groups: Vec<(String, usize)> =
            headings.iter().filter(is_group).map(|h| (h.name.clone(), at[h.name.as_str()])).collect();
        for column in GROUP_COLUMNS {
            let is_free = |i: &&usize| headings[**i].role.is_none();
            groups.extend(at.get(column).filter(is_free).map(|&i| (column.to_string(), i)));
        }
        // A name that a heading marks is meant as it stands.
        let creator = at.get("creator").copied().filter(|_| headings[name].role.is_none());
        Ok(Columns {
            name,
            creator,
            target,
            groups,
            is_test: marked(&Role::Test).or_else(|| at.get("is_test").copied()),
        })
    }

    /// The kind of the targets.
    pub fn kind(&self) -> TargetKind {
        match &self.target {
            TargetColumns::Place { .. } => TargetKind::Place,
            TargetColumns::Quantity(quantity, _) => TargetKind::Quantity(quantity.clone()),
            _ => TargetKind::Year,
        }
    }

    /// The columns that an entity must have something in: its name's, then its target's.
    pub fn needed(&self) -> Vec<usize> {
        match self.target {
            TargetColumns::Place { lat, lon } => vec![self.name, lat, lon],
            TargetColumns::Year(i)
            | TargetColumns::Date(i)
            | TargetColumns::YearOrDate(i)
            | TargetColumns::Quantity(_, i) => vec![self.name, i],
        }
    }

    /// The entity of a row, or what is wrong with it.
    pub fn entity(&self, record: &csv::StringRecord, row: u64) -> Result<Entity, String> {
        let title = record[self.name].trim();
        if title.is_empty() {
            return Err("the name is empty".into());
        }
        let name = match self.creator.map(|c| record[c].trim()) {
            Some(creator) if !creator.is_empty() => format!("{creator}'s {title}"),
            _ => title.to_string(),
        };
        Ok(Entity {
            row,
            name,
            target: self.target(record)?,
            groups: self
                .groups
                .iter()
                .map(|(_, i)| record[*i].replace('_', " ").trim().to_string())
                .collect(),
            is_test: match self.is_test {
                Some(column) => flag(&record[column])?,
                None => hashed_fifth(title),
            },
        })
    }

    fn target(&self, record: &csv::StringRecord) -> Result<Target, String> {
        Ok(match &self.target {
            TargetColumns::Place { lat, lon } => Target::Place {
                lat: Lat::new(number(&record[*lat], "latitude")?).map_err(|e| e.to_string())?,
                lon: Lon::new(number(&record[*lon], "longitude")?).map_err(|e| e.to_string())?,
            },
            TargetColumns::Year(column) => Target::Year(number(&record[*column], "year")?),
            TargetColumns::Date(column) => Target::Year(date_to_year(record[*column].trim())?),
            TargetColumns::YearOrDate(column) => {
                let text = record[*column].trim();
                let year = number(text, "year").or_else(|_| date_to_year(text));
                Target::Year(year.map_err(|problem| format!("year: {problem}, or a year as a number"))?)
            }
            TargetColumns::Quantity(Quantity { name, .. }, column) => {
                Target::Quantity(number(&record[*column], name)?)
            }
        })
    }
}

fn missing(path: &Path, headings: &[Heading], column: String) -> Error {
    let found = headings.iter().map(Heading::to_string).collect::<Vec<_>>().join(", ");
    Error::MissingColumn { path: path.to_path_buf(), column, found }
}

/// The target by the names that columns usually have.
fn named_target(path: &Path, headings: &[Heading], at: &HashMap<&str, usize>) -> Result<TargetColumns> {
    match (at.get("latitude"), at.get("longitude")) {
        (Some(&lat), Some(&lon)) => Ok(TargetColumns::Place { lat, lon }),
        (Some(_), None) => Err(missing(path, headings, "longitude".into())),
        (None, Some(_)) => Err(missing(path, headings, "latitude".into())),
        (None, None) => {
            let years = YEAR_COLUMNS.join("` or `");
            let column = YEAR_COLUMNS.iter().find(|c| at.contains_key(*c)).ok_or_else(|| {
                missing(path, headings, format!("latitude` and `longitude`, or a year: `{years}"))
            })?;
            let is_date = column.ends_with("_date");
            Ok(if is_date { TargetColumns::Date(at[column]) } else { TargetColumns::Year(at[column]) })
        }
    }
}

/// The target that headings mark, if they do.
fn marked_target(path: &Path, headings: &[Heading]) -> Result<Option<TargetColumns>> {
    let is_target = |h: &Heading| {
        matches!(&h.role, Some(Role::Latitude | Role::Longitude | Role::Year | Role::Target { .. }))
    };
    let marked: Vec<(usize, &Heading)> = headings.iter().enumerate().filter(|(_, h)| is_target(h)).collect();
    let place = |role: Role| marked.iter().find(|(_, h)| h.role.as_ref() == Some(&role)).map(|(i, _)| *i);
    let found = || marked.iter().map(|(_, h)| format!("`{h}`")).collect::<Vec<_>>().join(", ");
    match &marked[..] {
        [] => Ok(None),
        [(i, Heading { role: Some(Role::Year), .. })] => Ok(Some(TargetColumns::YearOrDate(*i))),
        [(i, Heading { name, role: Some(Role::Target { unit }) })] => {
            let quantity = Quantity { name: name.clone(), unit: unit.clone() };
            Ok(Some(TargetColumns::Quantity(quantity, *i)))
        }
        [_, _] => match (place(Role::Latitude), place(Role::Longitude)) {
            (Some(lat), Some(lon)) => Ok(Some(TargetColumns::Place { lat, lon })),
            _ => Err(Error::bad_file(path, found(), ONE_TARGET)),
        },
        _ => Err(Error::bad_file(path, found(), ONE_TARGET)),
    }
}

const ONE_TARGET: &str =
    "one target: [target], [year], or [latitude] with [longitude]; a dataset of its own for each";

fn number(text: &str, what: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("{what}: found `{text}`; expected a number")),
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "1.0" | "test" => Ok(true),
        "false" | "0" | "0.0" | "train" => Ok(false),
        _ => Err(format!("is_test: found `{text}`; expected True or False")),
    }
}

/// The split of a file that brings none: a fifth of the names, chosen by SHA-256.
fn hashed_fifth(name: &str) -> bool {
    // The digest read as one number, modulo 5; 16 is 1 modulo 5, so the digits may be summed.
    let sum: u32 = artefact::hash(name.as_bytes()).chars().filter_map(|c| c.to_digit(16)).sum();
    sum.is_multiple_of(5)
}
