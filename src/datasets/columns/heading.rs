//! A column's heading: its name, and optionally its role in brackets.

use std::fmt;

/// The role of a column, as its heading marks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::datasets) enum ColumnRole {
    /// The entity's name as it appears in a text: `[name]`.
    Name,
    /// Degrees north: `[latitude]`.
    Latitude,
    /// Degrees east: `[longitude]`.
    Longitude,
    /// A year, or a date: `[year]`.
    Year,
    /// Any other number, with its unit: `[target: people]`, or `[target]` for a plain number.
    Target {
        /// Its unit; empty for a plain number.
        unit: String,
    },
    /// Groups of entities, the first for the oracle: `[group]`.
    Group,
    /// Membership of the test split: `[test]`.
    Test,
}

/// The roles that are marked by one word.
const WORDS: [(&str, ColumnRole); 6] = [
    ("name", ColumnRole::Name),
    ("latitude", ColumnRole::Latitude),
    ("longitude", ColumnRole::Longitude),
    ("year", ColumnRole::Year),
    ("group", ColumnRole::Group),
    ("test", ColumnRole::Test),
];

/// A heading such as `population [target: people]` or `region [group]`, or a name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::datasets) struct Heading {
    /// The column's name.
    pub name: String,
    /// The column's role, if it is marked.
    pub role: Option<ColumnRole>,
}

impl Heading {
    /// Reads a heading; brackets without a role belong to the name.
    pub(crate) fn parse(text: &str) -> Heading {
        let text = text.trim();
        let parts = text.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
        let role = parts.and_then(|(_, mark)| role(mark.trim()));
        let name = if role.is_some() { parts.map_or(text, |(name, _)| name.trim()) } else { text };
        Heading { name: name.into(), role }
    }
}

fn role(mark: &str) -> Option<ColumnRole> {
    let word = WORDS.iter().find(|(word, _)| *word == mark).map(|(_, role)| role.clone());
    word.or_else(|| {
        let unit = if mark == "target" { "" } else { mark.strip_prefix("target:")? };
        Some(ColumnRole::Target { unit: unit.trim().into() })
    })
}

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.role {
            None => Ok(()),
            Some(ColumnRole::Target { unit }) if unit.is_empty() => f.write_str(" [target]"),
            Some(ColumnRole::Target { unit }) => write!(f, " [target: {unit}]"),
            Some(role) => {
                let word = WORDS.iter().find(|(_, known)| known == role).map_or("", |(word, _)| word);
                write!(f, " [{word}]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_parsed_and_written_back() {
        let marked = WORDS.map(|(word, _)| format!("a column [{word}]"));
        let others = ["name", "size [target]", "population [target: people]", "speed [km/h]"];
        for text in marked.iter().map(String::as_str).chain(others) {
            assert_eq!(Heading::parse(text).to_string(), text);
        }
        assert!(marked.iter().all(|text| Heading::parse(text).role.is_some()));
        let unit = Heading::parse(" mass [target:kg] ");
        assert_eq!(
            unit,
            Heading { name: "mass".into(), role: Some(ColumnRole::Target { unit: "kg".into() }) }
        );
        assert_eq!(Heading::parse("speed [km/h]"), Heading { name: "speed [km/h]".into(), role: None });
        assert_eq!(Heading::parse("group]").role, None);
    }
}
