//! Parsing of targets (`lat=35,lon=139`, `Tokyo`, `length_km=3000`) and doses (`+30 east`, `2 rms`, `clamp 3x`).

use crate::datasets::{Dataset, Entity, Lat, Lon};
use crate::error::{Error, Result};
use crate::probes::ProbeSetAbout;
use std::fmt;
use std::str::FromStr;

/// The target that a probe must have for a dose or a target reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequiredTarget {
    /// Any target.
    Anything,
    /// Latitude and longitude.
    Place,
    /// The number of this name, such as `year`.
    Target(String),
    /// A number in this unit.
    Unit(String),
}

impl RequiredTarget {
    /// The requirement for a target's name; for a coordinate it is both coordinates.
    pub fn of_target(name: &str) -> RequiredTarget {
        match name {
            "latitude" | "longitude" => RequiredTarget::Place,
            other => RequiredTarget::Target(other.into()),
        }
    }

    /// True if a probe set meets the requirement.
    pub fn suits(&self, about: &ProbeSetAbout) -> bool {
        match (self, &about.targets[..]) {
            (RequiredTarget::Anything, _) => true,
            (RequiredTarget::Place, [lat, lon]) => lat == "latitude" && lon == "longitude",
            (RequiredTarget::Target(name), [target]) => name == target,
            (RequiredTarget::Unit(unit), [target]) => *unit == about.unit || unit == target,
            _ => false,
        }
    }
}

impl fmt::Display for RequiredTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequiredTarget::Anything => write!(f, "anything"),
            RequiredTarget::Place => write!(f, "latitude and longitude"),
            RequiredTarget::Target(name) => write!(f, "{name}"),
            RequiredTarget::Unit(unit) => write!(f, "a number in {unit}"),
        }
    }
}

/// The value to which a probe's prediction is set.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetReading {
    /// Latitude and longitude in degrees.
    Place(Lat, Lon),
    /// A number by the name of its target, such as a decimal `year`.
    Value(String, f64),
    /// The place or time of an entity, given by its name in the dataset.
    Entity(String),
}

impl TargetReading {
    /// The target that the probe must have.
    pub fn reads(&self) -> RequiredTarget {
        match self {
            TargetReading::Place(..) => RequiredTarget::Place,
            TargetReading::Value(name, _) => RequiredTarget::Target(name.clone()),
            TargetReading::Entity(_) => RequiredTarget::Anything,
        }
    }

    /// The values in the order of the probe's targets; an entity's values come from the dataset.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the dataset has no entity of that name, or several.
    pub fn values(&self, dataset: Option<&Dataset>) -> Result<Vec<f64>> {
        match self {
            TargetReading::Place(lat, lon) => Ok(vec![lat.degrees(), lon.degrees()]),
            TargetReading::Value(_, value) => Ok(vec![*value]),
            TargetReading::Entity(name) => {
                let missing = || Error::invalid("--toward", name, "an entity of the probe's dataset");
                Ok(named(dataset.ok_or_else(missing)?, name)?.target.values())
            }
        }
    }
}

/// The only entity with a name; if no entity has the exact name, case is ignored.
fn named<'a>(dataset: &'a Dataset, name: &str) -> Result<&'a Entity> {
    let lower = name.to_lowercase();
    let exact: Vec<&Entity> = dataset.entities.iter().filter(|entity| entity.name == name).collect();
    let all = match exact.len() {
        0 => dataset.entities.iter().filter(|entity| entity.name.to_lowercase() == lower).collect(),
        _ => exact,
    };
    match &all[..] {
        [one] => Ok(one),
        [] => {
            let expected = format!("a name in {}, `lat=35,lon=139` or `year=1850`", dataset.name);
            Err(Error::invalid("--toward", name, expected))
        }
        several => {
            let rows: Vec<String> = several.iter().take(5).map(|entity| entity.row.to_string()).collect();
            let found = format!("{name}, {} rows of {}: {}", several.len(), dataset.name, rows.join(", "));
            Err(Error::invalid("--toward", found, "a name that one row has, or the values themselves"))
        }
    }
}

impl FromStr for TargetReading {
    type Err = Error;

    fn from_str(text: &str) -> Result<TargetReading> {
        let expected =
            "`lat=35,lon=139` in degrees, `year=1850`, another target with its value, or an entity's name";
        let wrong = || Error::invalid("--toward", text, expected);
        if text.trim().is_empty() {
            return Err(wrong());
        }
        if !text.contains('=') {
            return Ok(TargetReading::Entity(text.trim().into()));
        }
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
            [("lat" | "latitude", lat), ("lon" | "longitude", lon)] => {
                Ok(TargetReading::Place(Lat::new(lat)?, Lon::new(lon)?))
            }
            [("" | "lat" | "latitude" | "lon" | "longitude", _)] => Err(wrong()),
            [(name, value)] => Ok(TargetReading::Value(name.into(), value)),
            _ => Err(wrong()),
        }
    }
}

/// The size of a change of the stream; every dose has a unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Dose {
    /// Move the probe's predictions of latitude and longitude together.
    Place {
        /// Degrees north.
        north: f64,
        /// Degrees east.
        east: f64,
    },
    /// Move the probe's prediction of the year, in years.
    Years(f64),
    /// Move the probe's prediction of another number, in its unit.
    Quantity(f64, String),
    /// Move along a direction, in multiples of the layer's residual RMS norm.
    Rms(f64),
    /// For a vector from a file: add it multiplied by this number (llama.cpp's strength). For a dictionary's latent:
    /// add its direction at this multiple of its greatest activation on a dataset.
    Times(f64),
    /// Add the direction of a dictionary's latent at this activation.
    Activation(f64),
    /// Clamp a dictionary's latent.
    Clamp(ClampLevel),
}

/// The activation at which a dictionary's latent is clamped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClampLevel {
    /// A multiple of its greatest activation on a dataset.
    Times(f64),
    /// The activation itself.
    Activation(f64),
}

impl Dose {
    /// The target that the probe must have; `None` for a dose along a direction.
    pub fn reads(&self) -> Option<RequiredTarget> {
        match self {
            Dose::Place { .. } => Some(RequiredTarget::Place),
            Dose::Years(_) => Some(RequiredTarget::Target("year".into())),
            Dose::Quantity(_, unit) => Some(RequiredTarget::Unit(unit.clone())),
            Dose::Rms(_) | Dose::Times(_) | Dose::Activation(_) | Dose::Clamp(_) => None,
        }
    }

    /// The change of each of the probe's predictions, in the order of its targets.
    pub fn deltas(&self) -> Vec<f64> {
        match *self {
            Dose::Place { north, east } => vec![north, east],
            Dose::Years(by) | Dose::Quantity(by, _) => vec![by],
            Dose::Rms(_) | Dose::Times(_) | Dose::Activation(_) | Dose::Clamp(_) => vec![],
        }
    }

    /// Parses one number and its unit.
    fn single(text: &str) -> Option<Dose> {
        let text = text.trim();
        if let Some(level) = text.strip_prefix("clamp ") {
            return match Dose::single(level)? {
                Dose::Times(times) => Some(Dose::Clamp(ClampLevel::Times(times))),
                Dose::Activation(activation) => Some(Dose::Clamp(ClampLevel::Activation(activation))),
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
            "" => return None,
            unit => Dose::Quantity(number, unit.into()),
        })
    }
}

impl FromStr for Dose {
    type Err = Error;

    fn from_str(text: &str) -> Result<Dose> {
        let expected = "a number and its unit: `+30 east`, `10 north, 30 east`, `-100 years`, `1000 km`, `2 rms`, `1.5x`, or for \
             a dictionary's latent `3x`, `4 activation`, `clamp 3x`, `clamp 0 activation`";
        let wrong = || Error::invalid("--dose", text, expected);
        let parts = text.split(',').map(Dose::single).collect::<Option<Vec<Dose>>>().ok_or_else(wrong)?;
        match &parts[..] {
            [dose] => Ok(dose.clone()),
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
    fn doses_and_target_readings_parse_as_users_write_them() {
        let place = |north, east| Dose::Place { north, east };
        assert_eq!("+30 east".parse::<Dose>().unwrap(), place(0.0, 30.0));
        assert_eq!("30° west".parse::<Dose>().unwrap(), place(0.0, -30.0));
        assert_eq!("5 south, 30 east".parse::<Dose>().unwrap(), place(-5.0, 30.0));
        assert_eq!("-1.5x".parse::<Dose>().unwrap(), Dose::Times(-1.5));
        assert_eq!("-100 years".parse::<Dose>().unwrap(), Dose::Years(-100.0));
        assert_eq!("clamp 3x".parse::<Dose>().unwrap(), Dose::Clamp(ClampLevel::Times(3.0)));
        assert_eq!("clamp 0 activation".parse::<Dose>().unwrap(), Dose::Clamp(ClampLevel::Activation(0.0)));
        assert_eq!("-4 activation".parse::<Dose>().unwrap(), Dose::Activation(-4.0));
        assert_eq!("2.5 rms".parse::<Dose>().unwrap(), Dose::Rms(2.5));
        assert_eq!("1000 km".parse::<Dose>().unwrap(), Dose::Quantity(1000.0, "km".into()));
        let values = |text: &str| text.parse::<TargetReading>().unwrap().values(None).unwrap();
        assert_eq!(values("lon=139, lat=35"), [35.0, 139.0]);
        assert_eq!("year=-44".parse::<TargetReading>().unwrap(), TargetReading::Value("year".into(), -44.0));
        assert_eq!(
            "length_km=3e3".parse::<TargetReading>().unwrap(),
            TargetReading::Value("length_km".into(), 3000.0)
        );
        assert_eq!("Tokyo".parse::<TargetReading>().unwrap(), TargetReading::Entity("Tokyo".into()));
    }

    #[test]
    fn an_entity_has_its_datasets_values_and_an_ambiguous_name_is_refused() {
        let rows = "name,latitude,longitude\nTokyo,35.7,139.7\nVienna,48.2,16.4\nVienna,38.9,-77.3\n";
        let dataset = crate::datasets::parse(std::path::Path::new("towns.csv"), rows.as_bytes()).unwrap();
        let values = |name: &str| name.parse::<TargetReading>().unwrap().values(Some(&dataset));
        assert_eq!(values("Tokyo").unwrap(), [35.7, 139.7]);
        assert_eq!(values("tokyo").unwrap(), [35.7, 139.7]);
        assert!(values("Vienna").unwrap_err().to_string().contains("2 rows of towns: 2, 3"));
        assert!(values("Rome").unwrap_err().to_string().contains("a name in towns"));
    }

    #[test]
    fn a_probe_meets_a_requirement_by_target_or_by_unit() {
        let about = |targets: &[&str], unit: &str| ProbeSetAbout {
            dataset: "rivers".into(),
            model: "m".into(),
            prompt: "empty".into(),
            targets: targets.iter().map(|target| target.to_string()).collect(),
            unit: unit.into(),
        };
        let (place, year, river) =
            (about(&["latitude", "longitude"], ""), about(&["year"], ""), about(&["length"], "km"));
        let reads = |dose: &str| dose.parse::<Dose>().unwrap().reads().unwrap();
        let suits = |reads: RequiredTarget| [&place, &year, &river].map(|about| reads.suits(about));
        assert_eq!(suits(reads("+30 east")), [true, false, false]);
        assert_eq!(suits(reads("-100 years")), [false, true, false]);
        assert_eq!(suits(reads("1000 km")), [false, false, true]);
        assert_eq!(suits(reads("1000 length")), [false, false, true]);
        assert_eq!(suits(reads("30 parsecs")), [false, false, false]);
        assert_eq!(suits("length=3".parse::<TargetReading>().unwrap().reads()), [false, false, true]);
    }

    #[test]
    fn a_dose_without_a_unit_and_coordinates_out_of_range_are_refused() {
        for text in ["30", "+30", "30 ", "NaN east", "east", "1 east, 2 years", "x", "clamp 3", "clamp 3 rms"]
        {
            assert!(text.parse::<Dose>().unwrap_err().to_string().contains("its unit"), "{text}");
        }
        assert!("lat=91,lon=0".parse::<TargetReading>().unwrap_err().to_string().contains("-90 to 90"));
        for text in ["lat=3", "=3", "year=x", "lat=1,lat=2", ""] {
            assert!(text.parse::<TargetReading>().is_err(), "{text}");
        }
    }
}
