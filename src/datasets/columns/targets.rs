//! The columns of a file's target, by their marks, otherwise by their names.

use super::heading::{ColumnRole, Heading};
use super::known_headings::{LATITUDE, LONGITUDE, YEAR};
use super::sheet::Sheet;
use crate::datasets::entity::{Quantity, TargetKind};
use crate::error::{Error, Result};
use std::path::Path;

/// The columns of the target.
pub(in crate::datasets) enum TargetColumns {
    /// Degrees north and degrees east.
    Place { lat: usize, lon: usize },
    /// Years or dates.
    Year(usize),
    /// Another number.
    Quantity(Quantity, usize),
}

impl TargetColumns {
    /// The target of a file.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] if there is none; [`Error::BadFile`] if there are several.
    pub(super) fn find(sheet: &Sheet) -> Result<TargetColumns> {
        match marked(sheet.path, sheet.headings)? {
            Some(target) => Ok(target),
            None => named(sheet),
        }
    }

    /// The kind of the targets.
    pub(super) fn kind(&self) -> TargetKind {
        match self {
            TargetColumns::Place { .. } => TargetKind::Place,
            TargetColumns::Year(_) => TargetKind::Year,
            TargetColumns::Quantity(quantity, _) => TargetKind::Quantity(quantity.clone()),
        }
    }

    /// Their positions.
    pub(super) fn places(&self) -> Vec<usize> {
        match self {
            TargetColumns::Place { lat, lon } => vec![*lat, *lon],
            TargetColumns::Year(place) | TargetColumns::Quantity(_, place) => vec![*place],
        }
    }
}

/// The target by the usual names of columns.
fn named(sheet: &Sheet) -> Result<TargetColumns> {
    let find = |known: &super::known_headings::Known, what: &str| {
        known.find(sheet.headings).map_err(|several| sheet.several(what, &several))
    };
    let is_usual = |name: &str| sheet.headings.iter().any(|heading| heading.name == name);
    match (find(&LATITUDE, "latitude")?, find(&LONGITUDE, "longitude")?) {
        (Some(lat), Some(lon)) => return Ok(TargetColumns::Place { lat, lon }),
        // Alone, `lat` and `long` may mean anything; only the usual names are reported.
        (Some(_), None) if is_usual("latitude") => return Err(sheet.missing("longitude".into())),
        (None, Some(_)) if is_usual("longitude") => return Err(sheet.missing("latitude".into())),
        _ => {}
    }
    match find(&YEAR, "year")? {
        Some(place) => Ok(TargetColumns::Year(place)),
        None => Err(sheet.missing(format!("latitude` and `longitude`, or a year: `{}", YEAR.names()))),
    }
}

/// The target that headings mark, if any.
fn marked(path: &Path, headings: &[Heading]) -> Result<Option<TargetColumns>> {
    let is_target = |h: &Heading| {
        matches!(
            &h.role,
            Some(ColumnRole::Latitude | ColumnRole::Longitude | ColumnRole::Year | ColumnRole::Target { .. })
        )
    };
    let marked: Vec<(usize, &Heading)> = headings.iter().enumerate().filter(|(_, h)| is_target(h)).collect();
    let place =
        |role: ColumnRole| marked.iter().find(|(_, h)| h.role.as_ref() == Some(&role)).map(|(i, _)| *i);
    let found = || marked.iter().map(|(_, h)| format!("`{h}`")).collect::<Vec<_>>().join(", ");
    match &marked[..] {
        [] => Ok(None),
        [(i, Heading { role: Some(ColumnRole::Year), .. })] => Ok(Some(TargetColumns::Year(*i))),
        [(i, Heading { name, role: Some(ColumnRole::Target { unit }) })] => {
            let quantity = Quantity { name: name.clone(), unit: unit.clone() };
            Ok(Some(TargetColumns::Quantity(quantity, *i)))
        }
        [_, _] => match (place(ColumnRole::Latitude), place(ColumnRole::Longitude)) {
            (Some(lat), Some(lon)) => Ok(Some(TargetColumns::Place { lat, lon })),
            _ => Err(Error::bad_file(path, found(), ONE_TARGET)),
        },
        _ => Err(Error::bad_file(path, found(), ONE_TARGET)),
    }
}

const ONE_TARGET: &str =
    "one target: [target], [year], or [latitude] with [longitude]; make a dataset for each further one";
