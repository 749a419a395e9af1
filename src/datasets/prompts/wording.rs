//! The wording of names: as in the dataset, or as the paper writes them.

use crate::datasets::Dataset;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// The wording of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// As in the dataset.
    #[default]
    AsWritten,
    /// As in the paper's code; only for its six datasets.
    Paper,
}

impl FromStr for Names {
    type Err = Error;

    fn from_str(text: &str) -> Result<Names> {
        match text {
            "as-written" => Ok(Names::AsWritten),
            "paper" => Ok(Names::Paper),
            _ => Err(Error::invalid("names", text, "as-written or paper")),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Names::AsWritten => "as-written",
            Names::Paper => "paper",
        })
    }
}

/// The full stop after a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stop {
    /// As written.
    #[default]
    AsWritten,
    /// With a full stop.
    With,
    /// Without a full stop.
    Without,
}

/// The case of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Letters {
    /// As written.
    #[default]
    AsWritten,
    /// In capitals.
    Capitals,
}

/// All settings of the wording of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wording {
    pub names: Names,
    pub stop: Stop,
    pub letters: Letters,
}

/// The words for an entity: its lead, such as its creator, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phrase {
    pub lead: String,
    pub name: String,
}

/// The paper's wording of a dataset's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    AsItStands,
    Possessive,
    TitleCase,
    Creator,
    FullStop,
}

/// The paper's wording for each of its datasets (github.com/wesg52/world-models, `feature_datasets/`).
const WRITINGS: [(&str, Writing); 6] = [
    ("world_place", Writing::Possessive),
    ("us_place", Writing::AsItStands),
    ("nyc_place", Writing::TitleCase),
    ("historical_figure", Writing::AsItStands),
    ("art", Writing::Creator),
    ("headline", Writing::FullStop),
];

/// Words of New York's names in lower case.
const SMALL: [&str; 9] = ["A", "AND", "AT", "IN", "OF", "OR", "THE", "TO", "&"];
/// Words of New York's names in capitals: agencies and other abbreviations.
const CAPITALS: [&str; 18] = [
    "CC", "DHS", "EMS", "FDNY", "IS", "JCC", "LGA", "NY", "NYC", "NYCT", "NYPA", "NYPD", "NYS", "NYU", "PS",
    "UN", "US", "YMCA",
];

/// Refuses the paper's wording for a dataset that the paper does not have.
///
/// # Errors
/// [`Error::Invalid`] listing the paper's datasets.
pub(super) fn check(names: Names, dataset: &Dataset) -> Result<()> {
    if names == Names::AsWritten || writing(dataset).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = WRITINGS.iter().map(|(name, _)| *name).collect();
    let expected = format!("as-written; the paper writes the names of {} only", known.join(", "));
    Err(Error::invalid("names", format!("paper for `{}`", dataset.name), expected))
}

fn writing(dataset: &Dataset) -> Option<Writing> {
    WRITINGS.iter().find(|(name, _)| dataset.name == *name).map(|(_, writing)| *writing)
}

impl Wording {
    /// The words for an entity in this wording.
    pub(super) fn of(&self, dataset: &Dataset, phrase: Phrase) -> Phrase {
        let mut phrase = phrase;
        let writing = writing(dataset).filter(|_| self.names == Names::Paper);
        let mut stop = self.stop;
        match writing.unwrap_or(Writing::AsItStands) {
            Writing::AsItStands => {}
            Writing::Possessive => phrase.name = possessive(&phrase.name),
            Writing::TitleCase => phrase.name = title_case(&phrase.name),
            Writing::Creator => {
                if let Some(creator) = phrase.lead.strip_suffix("s's ") {
                    phrase.lead = format!("{creator}s' ");
                }
            }
            Writing::FullStop if stop == Stop::AsWritten => stop = Stop::With,
            Writing::FullStop => {}
        }
        match stop {
            Stop::AsWritten => {}
            Stop::With if phrase.name.ends_with('.') => {}
            Stop::With => phrase.name.push('.'),
            Stop::Without => phrase.name = phrase.name.strip_suffix('.').unwrap_or(&phrase.name).to_string(),
        }
        match self.letters {
            Letters::AsWritten => phrase,
            Letters::Capitals => {
                Phrase { lead: phrase.lead.to_uppercase(), name: phrase.name.to_uppercase() }
            }
        }
    }
}

/// Rewrites "X (Y)" as "Y's X", otherwise "A, B" as "B's A".
fn possessive(name: &str) -> String {
    let (outside, inside) = parentheses(name);
    if let Some(owner) = inside.first().filter(|owner| !owner.is_empty()) {
        return format!("{owner}'s {outside}");
    }
    match name.rsplit_once(',') {
        Some((before, owner)) if ![before, owner].map(str::trim).contains(&"") => {
            format!("{}'s {}", owner.trim(), before.trim())
        }
        _ => name.to_string(),
    }
}

/// A name without its parentheses, and the text in each of them.
fn parentheses(name: &str) -> (String, Vec<&str>) {
    let (mut outside, mut inside, mut rest) = (Vec::new(), Vec::new(), name);
    while let Some((before, after)) = rest.split_once('(') {
        let Some((within, behind)) = after.split_once(')') else { break };
        outside.push(before);
        inside.push(within.trim());
        rest = behind;
    }
    outside.push(rest);
    let words: Vec<&str> = outside.iter().flat_map(|part| part.split_whitespace()).collect();
    (words.join(" "), inside)
}

/// Converts a name in capitals to title case; small words become lower case, abbreviations stay.
fn title_case(name: &str) -> String {
    let word = |word: &str| {
        if SMALL.contains(&word) {
            return word.to_lowercase();
        }
        if CAPITALS.contains(&word) {
            return word.to_string();
        }
        let mut letters = word.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters.as_str().to_lowercase().chars()).collect()
    };
    name.split_whitespace().map(word).collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::parse;
    use std::path::Path;

    fn dataset(name: &str) -> Dataset {
        parse(Path::new(&format!("{name}.csv")), b"name,year\nA,1\n").unwrap()
    }

    fn written(name: &str, lead: &str, text: &str) -> String {
        let wording = Wording { names: Names::Paper, ..Wording::default() };
        let phrase = wording.of(&dataset(name), Phrase { lead: lead.into(), name: text.into() });
        phrase.lead + &phrase.name
    }

    #[test]
    fn places_of_the_world_become_possessives() {
        for (name, expected) in [
            ("Paris", "Paris"),
            ("Athens (Georgia)", "Georgia's Athens"),
            ("Athens, Georgia", "Georgia's Athens"),
            ("Springfield, Clark County, Ohio", "Ohio's Springfield, Clark County"),
            ("A (B) C, D", "B's A C, D"),
            ("A (B) (C)", "B's A"),
            ("A ()", "A ()"),
            ("A (B", "A (B"),
            ("A,", "A,"),
            (", B", ", B"),
        ] {
            assert_eq!(written("world_place", "", name), expected, "{name}");
        }
    }

    #[test]
    fn new_yorks_capitals_become_title_case() {
        for (name, expected) in [
            ("STATUE OF LIBERTY", "Statue of Liberty"),
            ("THE PS 11 SCHOOL", "the PS 11 School"),
            ("FDNY ENGINE  5 & LADDER", "FDNY Engine 5 & Ladder"),
            ("O'NEILL-SMITH CTR", "O'neill-smith Ctr"),
            ("CAFÉ ÉLAN", "Café Élan"),
        ] {
            assert_eq!(written("nyc_place", "", name), expected);
        }
    }

    #[test]
    fn creators_headlines_and_the_others() {
        assert_eq!(written("art", "Queen's ", "It"), "Queen's It");
        assert_eq!(written("art", "The Smiths's ", "It's's It"), "The Smiths' It's's It");
        assert_eq!(written("art", "James's Band's ", "It"), "James's Band's It");
        assert_eq!(written("headline", "", "Rain in May"), "Rain in May.");
        assert_eq!(written("headline", "", "Rain in the U.S."), "Rain in the U.S.");
        assert_eq!(written("us_place", "", "Salem, Ohio (old)"), "Salem, Ohio (old)");
        let error = check(Names::Paper, &dataset("towns")).unwrap_err().to_string();
        assert!(error.contains("`towns`") && error.contains("nyc_place"), "{error}");
        check(Names::AsWritten, &dataset("towns")).unwrap();
    }

    #[test]
    fn full_stops_and_capitals() {
        let of = |stop, letters| {
            let wording = Wording { stop, letters, ..Wording::default() };
            let words = |name: &str| {
                wording.of(&dataset("headline"), Phrase { lead: "a's ".into(), name: name.into() })
            };
            ["Straße", "Rain."].map(words).map(|p| p.lead + &p.name)
        };
        assert_eq!(of(Stop::With, Letters::AsWritten), ["a's Straße.", "a's Rain."]);
        assert_eq!(of(Stop::Without, Letters::AsWritten), ["a's Straße", "a's Rain"]);
        assert_eq!(of(Stop::AsWritten, Letters::Capitals), ["A'S STRASSE", "A'S RAIN."]);
    }
}
