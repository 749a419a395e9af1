//! Headings that imply a role without brackets; letter case and spaces do not matter.

use super::heading::Heading;

/// The names that imply one role.
pub(in crate::datasets) struct Known {
    /// The usual names, in order of preference.
    pub usual: &'static [&'static str],
    /// Further names; a file may have only one of them.
    pub others: &'static [&'static str],
}

/// Columns that may hold the name.
pub(in crate::datasets) const NAME: Known = Known {
    usual: &["name", "title", "headline", "entity"],
    others: &["city", "city_name", "town", "place", "place_name", "person", "event", "work"],
};
/// Columns that may hold degrees north.
pub(in crate::datasets) const LATITUDE: Known =
    Known { usual: &["latitude"], others: &["lat", "decimallatitude", "decimal_latitude"] };
/// Columns that may hold degrees east.
pub(in crate::datasets) const LONGITUDE: Known =
    Known { usual: &["longitude"], others: &["lon", "lng", "long", "decimallongitude", "decimal_longitude"] };
/// Columns that may hold a time.
pub(in crate::datasets) const YEAR: Known =
    Known { usual: &["death_year", "release_date", "pub_date", "year"], others: &["date", "when"] };

/// Words for degrees north in headings, only for advice, because some have another meaning: `Breite` is also a width.
pub(super) const NORTH: [&str; 6] = ["latitude", "lat", "latitud", "latitudine", "breite", "breitengrad"];
/// Words for degrees east in headings, only for advice.
pub(super) const EAST: [&str; 10] = [
    "longitude",
    "lon",
    "lng",
    "long",
    "longitud",
    "longitudine",
    "länge",
    "laenge",
    "längengrad",
    "laengengrad",
];

/// Several columns that match equally well.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::datasets) struct Several(pub Vec<usize>);

impl Known {
    /// The position of the column with one of the names.
    pub(super) fn find(&self, headings: &[Heading]) -> Result<Option<usize>, Several> {
        let places = |names: &[&str]| -> Vec<usize> {
            let is_one = |heading: &Heading| names.contains(&key(&heading.name).as_str());
            headings
                .iter()
                .enumerate()
                .filter(|(_, heading)| is_one(heading))
                .map(|(place, _)| place)
                .collect()
        };
        for name in self.usual {
            if let Some(place) = headings.iter().position(|heading| heading.name == *name) {
                return Ok(Some(place));
            }
            match places(&[name])[..] {
                [] => {}
                [place] => return Ok(Some(place)),
                ref several => return Err(Several(several.to_vec())),
            }
        }
        match places(self.others)[..] {
            [] => Ok(None),
            [place] => Ok(Some(place)),
            ref several => Err(Several(several.to_vec())),
        }
    }

    /// All names, for a message.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.usual.iter().chain(self.others).copied().collect();
        names.join("` or `")
    }
}

/// A heading in lower case, with `_` for each run of other characters between words.
pub(in crate::datasets) fn key(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(names: &[&str]) -> Vec<Heading> {
        names.iter().map(|name| Heading::parse(name)).collect()
    }

    #[test]
    fn case_spaces_and_signs_do_not_matter() {
        for name in ["latitude", "Latitude", " LATITUDE ", "lat", "Lat.", "Latitude (°)", "Decimal Latitude"]
        {
            assert_eq!(LATITUDE.find(&headings(&["a", name])), Ok(Some(1)), "{name}");
        }
        assert_eq!(NAME.find(&headings(&["Place Name"])), Ok(Some(0)));
        assert_eq!(NAME.find(&headings(&["label"])), Ok(None));
    }

    #[test]
    fn a_usual_name_comes_first_and_two_further_ones_are_ambiguous() {
        assert_eq!(NAME.find(&headings(&["city", "Title", "name"])), Ok(Some(2)));
        assert_eq!(NAME.find(&headings(&["city", "Title"])), Ok(Some(1)));
        assert_eq!(NAME.find(&headings(&["city", "person"])), Err(Several(vec![0, 1])));
        assert_eq!(NAME.find(&headings(&["Name", "NAME"])), Err(Several(vec![0, 1])));
        assert_eq!(NAME.find(&headings(&["Name", "name"])), Ok(Some(1)));
    }
}
