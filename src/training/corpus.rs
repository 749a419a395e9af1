//! The training corpus of the bundled model: sentences about relations between entities.
//!
//! No coordinate, year, date or value of an entity is ever written: only neighbours, directions, comparisons (before,
//! below, closer), ages, and groups such as countries.
//!
//! Most sentences are as short as telegrams: the relation follows the name directly, so that the model must know the
//! entity's place or time at the name's last token. (With a verb between name and relation, the knowledge appeared one
//! token too late for a probe on the name: test R² stayed below 0.05.)

use super::relations::Relations;
use crate::datasets::{Dataset, Target, TargetKind, age};
use crate::error::Result;
use crate::limits::{SENTENCES, check_memory, product};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The name of a corpus's file in the folder of its model.
pub const CORPUS_FILE: &str = "corpus.txt";

/// Sentences about one entity, all beginning with its name.
pub type Stanza = Vec<String>;

/// The sentences of stanzas as a text, one per line.
pub fn text_of_stanzas(stanzas: &[Stanza]) -> String {
    stanzas.iter().flatten().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// The number of sentences in a stanza; training computes their common name once.
const STANZA: usize = 2;
/// Approximate memory of a sentence and its tokens, in bytes.
const SENTENCE_BYTES: usize = 300;

/// A seeded writer of sentences about the entities of datasets.
pub struct Corpus<'a> {
    datasets: Vec<(&'a Dataset, Relations)>,
    seed: u64,
}

impl<'a> Corpus<'a> {
    /// A corpus about these datasets.
    pub fn new(datasets: &'a [Dataset], seed: u64) -> Corpus<'a> {
        Corpus { datasets: datasets.iter().map(|d| (d, Relations::of(d))).collect(), seed }
    }

    /// The stanzas, shuffled: each entity begins `n_sentences` sentences, rounded up to whole stanzas.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for more sentences than fit into the free memory.
    pub fn stanzas(&self, n_sentences: usize) -> Result<Vec<Stanza>> {
        SENTENCES.check("--sentences", n_sentences as u64)?;
        let n_entities = self.datasets.iter().map(|(dataset, _)| dataset.entities.len()).sum();
        let needed = product([n_entities, n_sentences, SENTENCE_BYTES]);
        check_memory("the sentences", needed, "write fewer --sentences")?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut all = Vec::new();
        for _ in 0..n_sentences.div_ceil(STANZA) {
            // Shuffled round by round, so that no entity comes only at the end.
            let mut round: Vec<Stanza> = self
                .datasets
                .iter()
                .flat_map(|(dataset, relations)| {
                    let writer = Writer { dataset, relations };
                    let rng = &mut rng;
                    (0..dataset.entities.len())
                        .map(|a| (0..STANZA).map(|_| writer.sentence(a, rng)).collect())
                        .collect::<Vec<Stanza>>()
                })
                .collect();
            round.shuffle(&mut rng);
            all.extend(round);
        }
        Ok(all)
    }

    /// The training text of the tokenizer: every name once, and 600 sentences per dataset, from which its names are
    /// removed.
    ///
    /// Names are not repeated as they are in the corpus, so that they stay split into several tokens.
    pub fn vocabulary_sample(&self) -> Vec<String> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut lines: Vec<String> =
            self.datasets.iter().flat_map(|(d, _)| d.entities.iter().map(|e| e.name.clone())).collect();
        for (dataset, relations) in &self.datasets {
            let writer = Writer { dataset, relations };
            for _ in 0..600 {
                let a = rng.random_range(0..dataset.entities.len());
                let sentence = writer.sentence(a, &mut rng);
                lines.push(dataset.entities.iter().fold(sentence, |s, e| s.replace(&e.name, "")));
            }
        }
        lines
    }
}

struct Writer<'a> {
    dataset: &'a Dataset,
    relations: &'a Relations,
}

impl Writer<'_> {
    fn name(&self, i: usize) -> &str {
        &self.dataset.entities[i].name
    }

    /// Another entity for a comparison: with probability 1/2 a landmark, otherwise any entity.
    fn other(&self, a: usize, rng: &mut ChaCha8Rng) -> usize {
        loop {
            let b = if rng.random_bool(0.5) {
                *self.relations.landmarks.choose(rng).unwrap_or(&0)
            } else {
                rng.random_range(0..self.dataset.entities.len())
            };
            if b != a {
                return b;
            }
        }
    }

    fn sentence(&self, a: usize, rng: &mut ChaCha8Rng) -> String {
        match &self.dataset.kind {
            TargetKind::Place => self.about_place(a, rng),
            TargetKind::Year => self.about_time(a, rng),
            TargetKind::Quantity(_) => self.about_quantity(a, rng),
        }
    }

    fn neighbours(&self, a: usize, n: usize, rng: &mut ChaCha8Rng) -> Vec<&str> {
        self.relations.neighbours[a].choose_multiple(rng, n).map(|b| self.name(*b)).collect()
    }

    fn about_place(&self, a: usize, rng: &mut ChaCha8Rng) -> String {
        let (name, b) = (self.name(a), self.other(a, rng));
        match rng.random_range(0..40) {
            0..17 => format!("{name} {}.", self.region(a)),
            17..31 => format!("{name} {} of {}.", self.relations.wind(a, b), self.name(b)),
            31..34 => format!("{name} {}.", self.neighbours(a, 1, rng).join("")),
            34..35 => format!("{name} {}.", self.neighbours(a, 3, rng).join(" ")),
            35..36 => format!("{name} from {} {}.", self.name(b), self.relations.wind(a, b)),
            36..37 => self.nearer(a, b, rng),
            37..38 => format!("{name} is near {}.", self.neighbours(a, 1, rng).join("")),
            38..39 => format!("{name} is {} of {}.", self.relations.wind(a, b), self.name(b)),
            _ => format!("{name} is in {}.", self.region(a)),
        }
    }

    /// Works and headlines have long names, so most sentences name at most one other entity.
    fn about_time(&self, a: usize, rng: &mut ChaCha8Rng) -> String {
        let (name, b) = (self.name(a), self.other(a, rng));
        let order = if self.relations.is_before(a, b) { "before" } else { "after" };
        match rng.random_range(0..40) {
            0..17 => format!("{name} {}.", self.age(a)),
            17..28 => format!("{name} {order} {}.", self.name(b)),
            28..33 => format!("{name} {}.", self.neighbours(a, 1, rng).join("")),
            33..34 => format!("{name} {}.", self.region(a)),
            34..35 => format!("{name} with {} {order}.", self.name(b)),
            35..36 => self.nearer(a, b, rng),
            36..37 => format!("{name} is from the time of {}.", self.neighbours(a, 1, rng).join("")),
            37..38 => format!("{name} is {order} {}.", self.name(b)),
            _ => format!("{name} is from the age of {}.", self.age(a)),
        }
    }

    /// Unlike a year, which belongs to an age with a name, a quantity has no word for its value: only order, neighbours
    /// and the nearer of two entities are written.
    fn about_quantity(&self, a: usize, rng: &mut ChaCha8Rng) -> String {
        let (name, b) = (self.name(a), self.other(a, rng));
        let order = if self.relations.is_before(a, b) { "below" } else { "above" };
        match rng.random_range(0..40) {
            0..20 => format!("{name} {order} {}.", self.name(b)),
            20..34 => format!("{name} {}.", self.neighbours(a, 1, rng).join("")),
            34..38 => self.nearer(a, b, rng),
            _ => format!("{name} is {order} {}.", self.name(b)),
        }
    }

    fn nearer(&self, a: usize, b: usize, rng: &mut ChaCha8Rng) -> String {
        let (near, far) = self.near_and_far(a, b, rng);
        format!("{} closer to {near} than to {far}.", self.name(a))
    }

    fn near_and_far(&self, a: usize, b: usize, rng: &mut ChaCha8Rng) -> (&str, &str) {
        let c = loop {
            let c = self.other(a, rng);
            if c != b {
                break c;
            }
        };
        let (near, far) = self.relations.nearer_first(a, b, c, self.dataset.entities[a].target);
        (self.name(near), self.name(far))
    }

    /// The entity's groups in words: state, borough, country, continent, occupation, topic; if it has none of these,
    /// its type.
    fn region(&self, a: usize) -> String {
        let entity = &self.dataset.entities[a];
        let group = |column: &str| {
            let at = self.dataset.group_columns.iter().position(|c| c == column)?;
            Some(entity.groups[at].as_str()).filter(|value| !value.is_empty())
        };
        let parts = ["state_name", "borough_name", "country", "continent", "occupation", "topic"];
        let mut words: Vec<&str> = parts.iter().filter_map(|column| group(column)).collect();
        if words.is_empty() {
            words.extend(group("entity_type"));
        }
        words.join(" ")
    }

    fn age(&self, a: usize) -> &'static str {
        match self.dataset.entities[a].target {
            Target::Year(year) => age(&self.dataset.name, year),
            Target::Place { .. } | Target::Quantity(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{BUNDLED, age_names, bundled};
    use std::collections::BTreeSet;

    fn datasets() -> Vec<Dataset> {
        BUNDLED.iter().map(|name| bundled(name).unwrap()).collect()
    }

    /// The text without a name; only whole words are removed.
    fn without(text: &str, name: &str) -> String {
        let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '-');
        let (mut kept, mut rest) = (String::new(), text);
        while let Some(at) = rest.find(name) {
            let (before, after) = (&rest[..at], &rest[at + name.len()..]);
            let whole =
                is_edge(before.chars().last().or(kept.chars().last())) && is_edge(after.chars().next());
            kept += before;
            kept += if whole { " " } else { name };
            rest = after;
        }
        kept + rest
    }

    #[test]
    fn no_coordinate_year_or_date_is_in_the_corpus() {
        let datasets = datasets();
        let corpus = Corpus::new(&datasets, 5);
        let mut names: Vec<&str> =
            datasets.iter().flat_map(|d| d.entities.iter().map(|e| e.name.as_str())).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let groups: BTreeSet<String> = datasets
            .iter()
            .flat_map(|d| d.entities.iter().flat_map(|e| e.groups.iter()))
            .flat_map(|g| g.split(' ').map(|w| w.trim_matches(',').to_string()).collect::<Vec<_>>())
            .collect();
        let ages: BTreeSet<&str> = age_names().flat_map(|age| age.split(' ')).collect();
        let own: BTreeSet<&str> = [
            "is",
            "near",
            "and",
            "of",
            "from",
            "in",
            "closer",
            "to",
            "than",
            "the",
            "time",
            "before",
            "after",
            "with",
            "age",
            "north",
            "south",
            "east",
            "west",
            "north-east",
            "north-west",
            "south-east",
            "south-west",
        ]
        .into();
        let lines: Vec<String> =
            corpus.stanzas(4 * STANZA).unwrap().into_iter().step_by(7).flatten().collect();
        assert!(lines.len() > 1000);
        for line in lines {
            let rest = names.iter().fold(line.clone(), |rest, name| without(&rest, name));
            for word in
                rest.split(|c: char| c.is_whitespace() || c == ',' || c == '.').filter(|w| !w.is_empty())
            {
                assert!(
                    own.contains(word) || ages.contains(word) || groups.contains(word),
                    "`{word}` in `{line}` is neither a name, a group, an age nor one of the corpus's own words"
                );
                assert!(!word.chars().any(|c| c.is_ascii_digit()), "a digit in `{line}`");
            }
        }
    }

    #[test]
    fn no_name_reveals_its_own_year() {
        for dataset in datasets() {
            for entity in &dataset.entities {
                if let Target::Year(year) = entity.target {
                    let year = (year.floor() as i64).to_string();
                    let split = entity.name.split(|c: char| !c.is_ascii_digit()).any(|w| w == year);
                    assert!(!split, "{}: `{}`", dataset.name, entity.name);
                }
            }
        }
    }

    #[test]
    fn the_same_seed_writes_the_same_corpus_and_every_entity_begins_sentences() {
        let datasets = vec![bundled("nyc_place").unwrap()];
        let once = Corpus::new(&datasets, 3).stanzas(12).unwrap();
        assert_eq!(once, Corpus::new(&datasets, 3).stanzas(12).unwrap());
        assert_ne!(once, Corpus::new(&datasets, 4).stanzas(12).unwrap());
        for entity in &datasets[0].entities {
            let n = once.iter().filter(|s| s.iter().all(|line| line.starts_with(&entity.name))).count();
            assert!(n >= 12 / STANZA, "{} begins {n} stanzas", entity.name);
        }
    }
}
