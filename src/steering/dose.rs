//! What to move and how far, as a user writes it: `lat=35,lon=139`, `year=1850`, `+30 east`, `2 rms`.

use crate::datasets::{Lat, Lon, TargetKind};
use crate::error::{Error, Result};
use std::str::FromStr;

/// A place or a year to which the probe's reading is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Toward {
    /// Latitude and longitude in degrees.
    Place(Lat, Lon),
    /// A decimal year.
    Year(f64),
}

impl Toward {
    /// The kind of dataset whose probe can be set so.
    pub fn kind(self) -> TargetKind {
        match self {
            Toward::Place(..) => TargetKind::Place,
            Toward::Year(_) => TargetKind::Year,
        }
    }

    /// The values in the order of the probe's targets.
    pub fn values(self) -> Vec<f64> {
        match self {
            Toward::Place(lat, lon) => vec![lat.degrees(), lon.degrees()],
            Toward::Year(year) => vec![year],
        }
    }
}

impl FromStr for Toward {
    type Err = Error;

    fn from_str(text: &str) -> Result<Toward> {
        let wrong = || Error::invalid("--toward", text, "`lat=35,lon=139` in degrees, or `year=1850`");
        let mut values: Vec<(&str, f64)> = Vec::new();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let value: f64 = value.trim().parse().map_err(|_| wrong())?;
            if !value.is_finite() {
                return Err(wrong());
            }
            values.push((name.trim(), value));
        }
        values.sort_by_key(|(name, _)| *name);
        match values[..] {
            [("lat", lat), ("lon", lon)] => Ok(Toward::Place(Lat::new(lat)?, Lon::new(lon)?)),
            [("year", year)] => Ok(Toward::Year(year)),
            _ => Err(wrong()),
        }
    }
}

/// How far to move the stream; every dose has a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dose {
    /// Move the probe's latitude reading, in degrees north.
    North(f64),
    /// Move the probe's longitude reading, in degrees east.
    East(f64),
    /// Move the probe's year reading, in years.
    Years(f64),
    /// Move along a direction, in multiples of the layer's residual RMS norm.
    Rms(f64),
}

impl Dose {
    /// The kind of dataset whose probe gives the unit; `None` for a dose in RMS norms.
    pub fn kind(self) -> Option<TargetKind> {
        match self {
            Dose::North(_) | Dose::East(_) => Some(TargetKind::Place),
            Dose::Years(_) => Some(TargetKind::Year),
            Dose::Rms(_) => None,
        }
    }

    /// The change of each of the probe's readings, in the order of its targets.
    pub fn deltas(self) -> Vec<f64> {
        match self {
            Dose::North(degrees) => vec![degrees, 0.0],
            Dose::East(degrees) => vec![0.0, degrees],
            Dose::Years(years) => vec![years],
            Dose::Rms(_) => vec![],
        }
    }
}

impl FromStr for Dose {
    type Err = Error;

    fn from_str(text: &str) -> Result<Dose> {
        let expected = "a number and its unit: `+30 east`, `10 north`, `-100 years`, or `2 rms`";
        let wrong = || Error::invalid("--dose", text, expected);
        let (number, unit) = text.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
        let number: f64 = number.trim_end_matches('°').parse().map_err(|_| wrong())?;
        if !number.is_finite() {
            return Err(wrong());
        }
        Ok(match unit.trim().trim_start_matches("degrees ").trim() {
            "north" => Dose::North(number),
            "south" => Dose::North(-number),
            "east" => Dose::East(number),
            "west" => Dose::East(-number),
            "years" | "year" | "years later" => Dose::Years(number),
            "years earlier" => Dose::Years(-number),
            "rms" => Dose::Rms(number),
            _ => return Err(wrong()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_write_is_understood() {
        assert_eq!("+30 east".parse::<Dose>().unwrap(), Dose::East(30.0));
        assert_eq!("30° west".parse::<Dose>().unwrap(), Dose::East(-30.0));
        assert_eq!("-100 years".parse::<Dose>().unwrap(), Dose::Years(-100.0));
        assert_eq!("2.5 rms".parse::<Dose>().unwrap(), Dose::Rms(2.5));
        assert_eq!("lon=139, lat=35".parse::<Toward>().unwrap().values(), [35.0, 139.0]);
        assert_eq!("year=-44".parse::<Toward>().unwrap(), Toward::Year(-44.0));
    }

    #[test]
    fn a_dose_without_a_unit_and_a_place_off_the_earth_are_refused() {
        for text in ["30", "+30", "30 parsecs", "NaN east", "east"] {
            assert!(text.parse::<Dose>().unwrap_err().to_string().contains("its unit"), "{text}");
        }
        assert!("lat=91,lon=0".parse::<Toward>().unwrap_err().to_string().contains("-90 to 90"));
        for text in ["lat=3", "year", "year=x", "lat=1,lat=2", ""] {
            assert!(text.parse::<Toward>().is_err(), "{text}");
        }
    }
}
