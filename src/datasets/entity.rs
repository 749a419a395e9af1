//! An entity: its name, its target (a place, a year or another number), and its groups.

use super::table::Table;
use crate::artefact::FolderName;
use crate::error::{Error, Result};
use std::sync::Arc;

/// A latitude; cannot be swapped with a [`Lon`].
///
/// # Units
/// Degrees, north positive, −90 to 90.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Lat(f64);

/// A longitude; cannot be swapped with a [`Lat`].
///
/// # Units
/// Degrees, east positive, −180 to 180.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Lon(f64);

impl Lat {
    /// A latitude in degrees.
    ///
    /// # Errors
    /// [`Error::Invalid`] outside −90 to 90.
    pub fn new(degrees: f64) -> Result<Lat> {
        if (-90.0..=90.0).contains(&degrees) {
            Ok(Lat(degrees))
        } else {
            Err(Error::invalid("latitude", degrees, "degrees from -90 to 90"))
        }
    }

    /// The value in degrees.
    pub fn degrees(self) -> f64 {
        self.0
    }
}

impl Lon {
    /// A longitude in degrees.
    ///
    /// # Errors
    /// [`Error::Invalid`] outside −180 to 180.
    pub fn new(degrees: f64) -> Result<Lon> {
        if (-180.0..=180.0).contains(&degrees) {
            Ok(Lon(degrees))
        } else {
            Err(Error::invalid("longitude", degrees, "degrees from -180 to 180"))
        }
    }

    /// The value in degrees.
    pub fn degrees(self) -> f64 {
        self.0
    }
}

/// The value that a probe predicts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// A point on the Earth.
    Place {
        /// Its latitude.
        lat: Lat,
        /// Its longitude.
        lon: Lon,
    },
    /// A time, in decimal years, negative before the common era.
    Year(f64),
    /// Any other number; its name and unit are in the dataset's [`TargetKind`].
    Quantity(f64),
}

/// The kind of a dataset's targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// Latitude and longitude.
    Place,
    /// A decimal year.
    Year,
    /// Another number.
    Quantity(Quantity),
}

/// The name and unit of a target that is neither a place nor a year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// Its name, such as `population`.
    pub name: String,
    /// Its unit, such as `people`; empty for a plain number.
    pub unit: String,
}

impl TargetKind {
    /// The names of the target columns, in the order of [`Target::values`].
    pub fn names(&self) -> Vec<&str> {
        match self {
            TargetKind::Place => vec!["latitude", "longitude"],
            TargetKind::Year => vec!["year"],
            TargetKind::Quantity(quantity) => vec![&quantity.name],
        }
    }

    /// The unit of the values; empty for a plain number.
    pub fn unit(&self) -> &str {
        match self {
            TargetKind::Place => "degrees",
            TargetKind::Year => "years",
            TargetKind::Quantity(quantity) => &quantity.unit,
        }
    }
}

impl Target {
    /// The values: latitude then longitude in degrees, or the year, or the number.
    pub fn values(self) -> Vec<f64> {
        match self {
            Target::Place { lat, lon } => vec![lat.degrees(), lon.degrees()],
            Target::Year(value) | Target::Quantity(value) => vec![value],
        }
    }
}

/// One row of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// The row in its file, counted from 1 without the header.
    pub row: u64,
    /// The name as it appears in a text ("Agatha Christie's Curtain" for a work with its creator).
    pub name: String,
    /// Its place, year or number.
    pub target: Target,
    /// The value of each of the dataset's group columns, in the order of [`Dataset::group_columns`].
    pub groups: Vec<String>,
    /// True if it belongs to the test split.
    pub is_test: bool,
}

/// A dataset: its entities in file order, all with the same kind of target.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The file's stem, such as `world_place`.
    pub name: FolderName,
    /// The kind of its targets.
    pub kind: TargetKind,
    /// The group columns of the file; the oracle uses the first.
    pub group_columns: Vec<String>,
    /// The entities.
    pub entities: Vec<Entity>,
    /// The column of their names, such as `title`.
    pub name_column: String,
    /// All cells of the file; [`Entity::row`] is the row.
    pub table: Arc<Table>,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Remarks on the file, such as the columns that were left out; one sentence each.
    pub notes: Vec<String>,
}

impl Dataset {
    /// The value of an entity's first group column; empty if there is none.
    pub fn group<'a>(&self, entity: &'a Entity) -> &'a str {
        entity.groups.first().map_or("", String::as_str)
    }

    /// The dataset without the entities at the given positions in [`Dataset::entities`].
    pub fn without(&self, left_out: &[usize]) -> Dataset {
        let mut is_kept = vec![true; self.entities.len()];
        left_out.iter().for_each(|i| is_kept[*i] = false);
        let (mut dataset, mut kept) = (self.clone(), is_kept.into_iter());
        dataset.entities.retain(|_| kept.next() == Some(true));
        dataset
    }

    /// The dataset's targets by column, each in entity order.
    ///
    /// # Shapes
    /// `n_targets` columns of `n_entities` values.
    pub fn targets(&self) -> Vec<Vec<f64>> {
        (0..self.kind.names().len())
            .map(|column| self.entities.iter().map(|e| e.target.values()[column]).collect())
            .collect()
    }
}
