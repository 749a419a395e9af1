//! What to move and how far, as a user writes it: `lat=35,lon=139`, `year=1850`, `+30 east`, `2 rms`, `clamp 3x`.

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
    /// Move the probe's readings of latitude and longitude at once.
    Place {
        /// Degrees north.
        north: f64,
        /// Degrees east.
        east: f64,
    },
    /// Move the probe's year reading, in years.
    Years(f64),
    /// Move along a direction, in multiples of the layer's residual RMS norm.
    Rms(f64),
    /// Add a file's vector this many times, as long as it is: what llama.cpp calls strength. Of a dictionary's
    /// unit, add what it writes at this many times its greatest activation on a dataset.
    Times(f64),
    /// Add what a dictionary's unit writes at this activation.
    Activation(f64),
    /// Clamp a dictionary's unit.
    Clamp(Level),
}

/// An activation of a dictionary's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    /// As many times its greatest activation on a dataset.
    Times(f64),
    /// In the unit's own measure.
    Activation(f64),
}

impl Dose {
    /// The kind of dataset whose probe gives the unit; `None` for a dose along a direction.
    pub fn kind(self) -> Option<TargetKind> {
        match self {
            Dose::Place { .. } => Some(TargetKind::Place),
            Dose::Years(_) => Some(TargetKind::Year),
            Dose::Rms(_) | Dose::Times(_) | Dose::Activation(_) | Dose::Clamp(_) => None,
        }
    }

    /// The change of each of the probe's readings, in the order of its targets.
    pub fn deltas(self) -> Vec<f64> {
        match self {
            Dose::Place { north, east } => vec![north, east],
            Dose::Years(years) => vec![years],
            Dose::Rms(_) | Dose::Times(_) | Dose::Activation(_) | Dose::Clamp(_) => vec![],
        }
    }

    /// One number and its unit.
    fn single(text: &str) -> Option<Dose> {
        let text = text.trim();
        if let Some(level) = text.strip_prefix("clamp ") {
            return match Dose::single(level)? {
                Dose::Times(times) => Some(Dose::Clamp(Level::Times(times))),
                Dose::Activation(activation) => Some(Dose::Clamp(Level::Activation(activation))),
                _ => None,
            };
        }
        let (number, unit) = match text.strip_suffix('x') {
            Some(number) => (number, "x"),
            None => text.split_once(char::is_whitespace)?,
        };
        let number: f64 = number.trim().trim_end_matches('°').parse().ok()?;
        if !number.is_finite() {
            return None;
        }
        let place = |north, east| Dose::Place { north, east };
        Some(match unit.trim().trim_start_matches("degrees ").trim() {
            "north" => place(number, 0.0),
            "south" => place(-number, 0.0),
            "east" => place(0.0, number),
            "west" => place(0.0, -number),
            "years" | "year" | "years later" => Dose::Years(number),
            "years earlier" => Dose::Years(-number),
            "rms" => Dose::Rms(number),
            "x" => Dose::Times(number),
            "activation" => Dose::Activation(number),
            _ => return None,
        })
    }
}

impl FromStr for Dose {
    type Err = Error;

    fn from_str(text: &str) -> Result<Dose> {
        let expected = "a number and its unit: `+30 east`, `10 north, 30 east`, `-100 years`, `2 rms`, `1.5x`, or for a \
             dictionary's unit `3x`, `4 activation`, `clamp 3x`, `clamp 0 activation`";
        let wrong = || Error::invalid("--dose", text, expected);
        let parts = text.split(',').map(Dose::single).collect::<Option<Vec<Dose>>>().ok_or_else(wrong)?;
        match parts[..] {
            [dose] => Ok(dose),
            [Dose::Place { north: n1, east: e1 }, Dose::Place { north: n2, east: e2 }] => {
                Ok(Dose::Place { north: n1 + n2, east: e1 + e2 })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_write_is_understood() {
        let place = |north, east| Dose::Place { north, east };
        assert_eq!("+30 east".parse::<Dose>().unwrap(), place(0.0, 30.0));
        assert_eq!("30° west".parse::<Dose>().unwrap(), place(0.0, -30.0));
        assert_eq!("5 south, 30 east".parse::<Dose>().unwrap(), place(-5.0, 30.0));
        assert_eq!("-1.5x".parse::<Dose>().unwrap(), Dose::Times(-1.5));
        assert_eq!("-100 years".parse::<Dose>().unwrap(), Dose::Years(-100.0));
        assert_eq!("clamp 3x".parse::<Dose>().unwrap(), Dose::Clamp(Level::Times(3.0)));
        assert_eq!("clamp 0 activation".parse::<Dose>().unwrap(), Dose::Clamp(Level::Activation(0.0)));
        assert_eq!("-4 activation".parse::<Dose>().unwrap(), Dose::Activation(-4.0));
        assert_eq!("2.5 rms".parse::<Dose>().unwrap(), Dose::Rms(2.5));
        assert_eq!("lon=139, lat=35".parse::<Toward>().unwrap().values(), [35.0, 139.0]);
        assert_eq!("year=-44".parse::<Toward>().unwrap(), Toward::Year(-44.0));
    }

    #[test]
    fn a_dose_without_a_unit_and_a_place_off_the_earth_are_refused() {
        for text in
            ["30", "+30", "30 parsecs", "NaN east", "east", "1 east, 2 years", "x", "clamp 3", "clamp 3 rms"]
        {
            assert!(text.parse::<Dose>().unwrap_err().to_string().contains("its unit"), "{text}");
        }
        assert!("lat=91,lon=0".parse::<Toward>().unwrap_err().to_string().contains("-90 to 90"));
        for text in ["lat=3", "year", "year=x", "lat=1,lat=2", ""] {
            assert!(text.parse::<Toward>().is_err(), "{text}");
        }
    }
}
