//! The paper's prompts by name (W. Gurnee and M. Tegmark; the names are those of github.com/wesg52/world-models).

use super::prompt::{Prompt, RandomTokens};
use super::template::Template;
use super::wording::{Letters, Stop};
use crate::datasets::{BUNDLED, Dataset, TargetKind};
use crate::error::{Error, Result};

/// Tokens before the text of the random prompt.
const N_RANDOM: usize = 10;

/// One of the paper's prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaperPrompt {
    /// Its name in `--prompt` and in folders.
    pub name: &'static str,
    /// The text before the entity.
    pub question: &'static str,
    /// The datasets of the prompt; empty if it suits every dataset.
    pub datasets: &'static [&'static str],
    /// Its other effects, in words.
    pub about: &'static str,
    stop: Stop,
    letters: Letters,
}

const fn asking(
    name: &'static str,
    question: &'static str,
    datasets: &'static [&'static str],
) -> PaperPrompt {
    PaperPrompt { name, question, datasets, about: "", stop: Stop::AsWritten, letters: Letters::AsWritten }
}

const fn capitals(prompt: PaperPrompt) -> PaperPrompt {
    PaperPrompt { about: "the name in capitals", letters: Letters::Capitals, ..prompt }
}

const fn stopped(prompt: PaperPrompt) -> PaperPrompt {
    PaperPrompt {
        about: "a full stop after the name; activations are recorded at it",
        stop: Stop::With,
        ..prompt
    }
}

const fn unstopped(prompt: PaperPrompt) -> PaperPrompt {
    PaperPrompt { about: "no full stop after the name", stop: Stop::Without, ..prompt }
}

const PUBLISHED: &str = "Publication date of: ";

/// The paper's prompts.
const PROMPTS: [PaperPrompt; 13] = [
    PaperPrompt { about: "the name alone", ..asking("empty", "", &[]) },
    capitals(asking("empty_all_caps", "", &[])),
    PaperPrompt {
        about: "ten random tokens before the name, different for each row",
        ..asking("random", "", &[])
    },
    asking("coords", "What are the lat/lon coordinates of ", &["world_place", "us_place"]),
    asking("where_us", "Where in the United States is ", &["us_place"]),
    asking("where_is", "Where is ", &["nyc_place"]),
    asking("where_nyc", "Where in New York City is ", &["nyc_place"]),
    asking("when", "When did ", &["historical_figure"]),
    capitals(asking("when_all_caps", "When did ", &["historical_figure"])),
    asking("release", "When was the release date of ", &["art"]),
    unstopped(asking("empty_wo_period", "", &["headline"])),
    stopped(asking("when_w_period", PUBLISHED, &["headline"])),
    unstopped(asking("when_wo_period", PUBLISHED, &["headline"])),
];

/// All of the paper's prompts.
pub fn paper_prompts() -> &'static [PaperPrompt] {
    &PROMPTS
}

/// True if the paper has a prompt of this name.
pub(super) fn is_name(text: &str) -> bool {
    PROMPTS.iter().any(|prompt| prompt.name == text)
}

/// The prompt that a text names, such as `coords`, and its seed, as in `random:7`.
fn parse(text: &str) -> Option<(&'static PaperPrompt, u64)> {
    let (name, seed) = match text.split_once(':') {
        Some(("random", seed)) => ("random", seed.parse().ok()?),
        _ => (text, 0),
    };
    PROMPTS.iter().find(|prompt| prompt.name == name).map(|prompt| (prompt, seed))
}

/// The folder name of the paper's prompt that a text names; `None` if it names none.
pub(super) fn name(text: &str) -> Option<String> {
    let (prompt, seed) = parse(text)?;
    Some(if seed == 0 { prompt.name.into() } else { format!("{}-seed{seed}", prompt.name) })
}

/// The paper's prompt that a text names; `None` if it names none.
///
/// # Errors
/// [`Error::Invalid`] if that prompt is for other datasets; it lists the prompts for this dataset.
pub(super) fn find(text: &str, dataset: &Dataset) -> Result<Option<Prompt>> {
    let (Some((prompt, seed)), Some(name)) = (parse(text), name(text)) else { return Ok(None) };
    if !prompt.serves(dataset) {
        let served: Vec<&str> = PROMPTS.iter().filter(|p| p.serves(dataset)).map(|p| p.name).collect();
        let found = format!("`{text}` for `{}`", dataset.name);
        let expected = format!("{}, or a template such as `{}{{}}`", served.join(", "), prompt.question);
        return Err(Error::invalid("prompt", found, expected));
    }
    let mut found = Prompt::of(&name, Template::question(prompt.question));
    (found.wording.stop, found.wording.letters) = (prompt.stop, prompt.letters);
    found.random = (prompt.name == "random").then_some(RandomTokens { n: N_RANDOM, seed });
    Ok(Some(found))
}

impl PaperPrompt {
    /// True if the prompt suits a dataset: one of the paper's datasets for this prompt, or a user's own dataset with
    /// the same kind of target.
    fn serves(&self, dataset: &Dataset) -> bool {
        let is_own = !BUNDLED.contains(&dataset.name.as_str());
        self.datasets.is_empty()
            || self.datasets.contains(&dataset.name.as_str())
            || (is_own && self.datasets.iter().any(|name| kind(name) == dataset.kind))
    }
}

/// The kind of target of one of the paper's datasets.
fn kind(dataset: &str) -> TargetKind {
    if dataset.ends_with("_place") { TargetKind::Place } else { TargetKind::Year }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{Names, parse as parse_csv};
    use std::path::Path;

    fn dataset(name: &str, rows: &str) -> Dataset {
        parse_csv(Path::new(&format!("{name}.csv")), rows.as_bytes()).unwrap()
    }

    fn text(prompt: &str, dataset: &Dataset, names: Names) -> (String, String) {
        let prompt = Prompt::find(prompt, dataset).unwrap().with_names(names, dataset).unwrap();
        let filled = prompt.texts(dataset).unwrap().of(&dataset.entities[0]).unwrap();
        (filled.text[filled.start..filled.end].to_string(), filled.text)
    }

    #[test]
    fn the_papers_texts_for_each_of_its_datasets() {
        let place = |name: &str| format!("name,latitude,longitude\n\"{name}\",1,2\n");
        let world = dataset("world_place", &place("Athens (Georgia)"));
        let us = dataset("us_place", &place("Salem"));
        let nyc = dataset("nyc_place", &place("STATUE OF LIBERTY"));
        let art = dataset("art", "title,creator,release_date\nGirlfriend,The Smiths,1987-09-28\n");
        let headline = dataset("headline", "headline,pub_date\nRain in May,1999-05-01\n");
        let figure = dataset("historical_figure", "name,death_year\nPlato,-347\n");
        for (prompt, dataset, entity, whole) in [
            ("empty", &world, "Georgia's Athens", "Georgia's Athens"),
            ("empty_all_caps", &world, "GEORGIA'S ATHENS", "GEORGIA'S ATHENS"),
            ("random", &world, "Georgia's Athens", "Georgia's Athens"),
            ("coords", &world, "Georgia's Athens", "What are the lat/lon coordinates of Georgia's Athens"),
            ("empty", &us, "Salem", "Salem"),
            ("coords", &us, "Salem", "What are the lat/lon coordinates of Salem"),
            ("where_us", &us, "Salem", "Where in the United States is Salem"),
            ("empty", &nyc, "Statue of Liberty", "Statue of Liberty"),
            ("where_is", &nyc, "Statue of Liberty", "Where is Statue of Liberty"),
            ("where_nyc", &nyc, "Statue of Liberty", "Where in New York City is Statue of Liberty"),
            ("empty", &art, "Girlfriend", "The Smiths' Girlfriend"),
            ("release", &art, "Girlfriend", "When was the release date of The Smiths' Girlfriend"),
            ("empty_all_caps", &art, "GIRLFRIEND", "THE SMITHS' GIRLFRIEND"),
            ("empty", &headline, "Rain in May.", "Rain in May."),
            ("empty_wo_period", &headline, "Rain in May", "Rain in May"),
            ("when_w_period", &headline, "Rain in May.", "Publication date of: Rain in May."),
            ("when_wo_period", &headline, "Rain in May", "Publication date of: Rain in May"),
            ("empty", &figure, "Plato", "Plato"),
            ("when", &figure, "Plato", "When did Plato"),
            ("when_all_caps", &figure, "PLATO", "When did PLATO"),
        ] {
            let expected = (entity.to_string(), whole.to_string());
            assert_eq!(text(prompt, dataset, Names::Paper), expected, "{prompt} of {}", dataset.name);
        }
        assert_eq!(text("empty", &art, Names::AsWritten).1, "The Smiths's Girlfriend");
        assert_eq!(text("empty", &headline, Names::AsWritten).1, "Rain in May");
        assert_eq!(text("when_w_period", &headline, Names::AsWritten).1, "Publication date of: Rain in May.");
    }

    #[test]
    fn a_prompt_for_other_datasets_is_refused_and_a_users_own_may_have_those_of_its_kind() {
        let world = dataset("world_place", "name,latitude,longitude\nA,1,2\n");
        let error = Prompt::find("where_us", &world).unwrap_err().to_string();
        for part in
            ["`where_us` for `world_place`", "empty, empty_all_caps, random, coords", "`Where in the United"]
        {
            assert!(error.contains(part), "{error}");
        }
        let own = dataset("mine", "name,year\nA,1\n");
        assert_eq!(Prompt::find("release", &own).unwrap().template(), "When was the release date of {}");
        assert!(Prompt::find("coords", &own).is_err());
    }

    #[test]
    fn the_random_prompts_seed_is_in_its_name() {
        let own = dataset("mine", "name,year\nA,1\n");
        let [first, second] = ["random", "random:7"].map(|text| Prompt::find(text, &own).unwrap());
        assert_eq!((first.name.as_str(), second.name.as_str()), ("random", "random-seed7"));
        assert_eq!(second.random_tokens(), Some(RandomTokens { n: 10, seed: 7 }));
        assert_ne!(first.template(), second.template());
        for text in ["random", "random:7", "coords", "Where is {}?", "{}"] {
            let name = Prompt::name_of(text).unwrap();
            assert_eq!(
                name,
                Prompt::find(text, &dataset("world_place", "name,latitude,longitude\nA,1,2\n")).unwrap().name
            );
        }
        assert_eq!(
            Prompt::find("random:x", &own).unwrap().template(),
            "random:x {}",
            "a template like any other"
        );
    }
}
