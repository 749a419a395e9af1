//! The gazetteer: names with their places or times, and the search for the first name in a text.

use crate::datasets::{Dataset, TargetKind, column_values};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Names with their places or times: a country at the centre of its places, an age at the mean of its people.
#[derive(Debug, Clone, PartialEq)]
pub struct Gazetteer {
    entries: Vec<(String, Vec<f64>)>,
}

impl Gazetteer {
    /// The groups of a dataset's column, each at the centre of its entities.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the dataset has no such column, or none of its cells is filled.
    pub fn of_column(dataset: &Dataset, column: &str) -> Result<Gazetteer> {
        Gazetteer::of_groups(dataset, &column_values(dataset, column)?)
    }

    /// The groups of a dataset's entities, by the name of each entity's group; an empty name means no group.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no groups.
    pub fn of_groups(dataset: &Dataset, groups: &[impl AsRef<str>]) -> Result<Gazetteer> {
        let mut members: BTreeMap<&str, Vec<Vec<f64>>> = BTreeMap::new();
        for (entity, group) in dataset.entities.iter().zip(groups) {
            members.entry(group.as_ref()).or_default().push(entity.target.values());
        }
        members.remove("");
        if members.is_empty() {
            return Err(Error::invalid(format!("groups of {}", dataset.name), "none", "at least one name"));
        }
        let centre = |values: Vec<Vec<f64>>| match dataset.kind {
            TargetKind::Place => centre_on_earth(&values),
            TargetKind::Year | TargetKind::Quantity(_) => {
                vec![values.iter().map(|v| v[0]).sum::<f64>() / values.len() as f64]
            }
        };
        let entries = members.into_iter().map(|(name, values)| (name.to_string(), centre(values))).collect();
        Ok(Gazetteer { entries })
    }

    /// The names and their places or times.
    pub fn entries(&self) -> &[(String, Vec<f64>)] {
        &self.entries
    }

    /// The place or time of a name.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, values)| values.as_slice())
    }

    /// The first name in a text, as whole words; of two names at one position, the longer.
    pub fn read(&self, text: &str) -> Option<(&str, &[f64])> {
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let first_place = |name: &str| {
            text.match_indices(name).map(|(at, _)| at).find(|at| {
                let (before, after) = (&text[..*at], &text[at + name.len()..]);
                !is_word(before.chars().next_back()) && !is_word(after.chars().next())
            })
        };
        let found = self.entries.iter().filter_map(|entry| Some((first_place(&entry.0)?, entry)));
        let first = found.min_by_key(|(at, (name, _))| (*at, std::cmp::Reverse(name.len())));
        first.map(|(_, (name, values))| (name.as_str(), values.as_slice()))
    }
}

/// The centre of places, computed on the sphere, so that the date line does not split a country.
///
/// # Units
/// Latitudes and longitudes in degrees.
fn centre_on_earth(places: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = [0f64; 3];
    for place in places {
        let (lat, lon) = (place[0].to_radians(), place[1].to_radians());
        let point = [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()];
        sum.iter_mut().zip(point).for_each(|(s, p)| *s += p);
    }
    let [x, y, z] = sum;
    vec![z.atan2(x.hypot(y)).to_degrees(), y.atan2(x).to_degrees()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::parse;
    use std::path::Path;

    fn gazetteer() -> Gazetteer {
        let rows = "name,country,latitude,longitude\nLagos,Nigeria,6,3\nAbuja,Nigeria,9,7\nNiamey,Niger,13,2\n\
                    Suva,Fiji,-18,178\nLabasa,Fiji,-16,-178\n";
        let dataset = parse(Path::new("p.csv"), rows.as_bytes()).unwrap();
        assert!(Gazetteer::of_column(&dataset, "state").unwrap_err().to_string().contains("country"));
        Gazetteer::of_column(&dataset, "country").unwrap()
    }

    #[test]
    fn the_first_whole_name_is_found() {
        let gazetteer = gazetteer();
        let read = |text: &str| gazetteer.read(text).map(|(name, _)| name.to_string());
        assert_eq!(read("Nigeria Africa. Niger"), Some("Nigeria".into()));
        assert_eq!(read(" is in Niger, not in Nigeria"), Some("Niger".into()));
        assert_eq!(read("Nigerian"), None);
        assert_eq!(read("the Nigers; Fiji."), Some("Fiji".into()));
    }

    #[test]
    fn the_centre_of_a_country_across_the_date_line_is_on_it() {
        let gazetteer = gazetteer();
        let fiji = gazetteer.get("Fiji").unwrap();
        assert!((fiji[1].abs() - 180.0).abs() < 0.2 && (fiji[0] + 17.0).abs() < 0.2, "{fiji:?}");
    }
}
