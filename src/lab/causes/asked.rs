//! The question about a dataset's entities: texts, answers, and pairs of texts.

use super::super::prompted::Prompted;
use super::settings::{AnswerChoice, CauseSettings};
use crate::activations::{Recording, place_texts};
use crate::causal::{Pair, Question, QuestionText, grouped_pairs, training_pairs};
use crate::datasets::{Dataset, labels};
use crate::error::{Error, Result};
use crate::model::Model;
use std::collections::BTreeMap;

/// The least number of entities of an answer, in training and in the test.
const LEAST: usize = 2;

/// The question about the entities of a dataset that have one of the answers.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The texts, and the first token of each answer.
    pub(super) question: Question,
    /// The answers in words.
    pub(super) words: Vec<String>,
    /// True for the text of a test entity.
    pub(super) is_test: Vec<bool>,
    /// Special tokens before each text, such as BOS.
    pub(super) n_special: usize,
    /// Remarks, such as answers that were left out.
    pub(super) notes: Vec<String>,
}

/// An answer with the entities that have it.
struct Labelled {
    word: String,
    entities: Vec<usize>,
    n_test: usize,
}

impl Asked {
    /// Asks about the entities of a dataset.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the answers do not suit the dataset, or have no tokens of their own;
    /// [`Error::EntityNotPlaced`] naming the row.
    pub(super) fn new(model: &Model, prompted: &Prompted, settings: &CauseSettings) -> Result<Asked> {
        let (dataset, tokenizer) = (&prompted.dataset, &model.tokenizer);
        let spans = place_texts(tokenizer, model.spec(), prompted.texts(), Recording::default())?;
        let spans = spans.require_all(dataset)?;
        let texts = prompted.prompt.texts(dataset)?;
        let labelled = labelled(dataset, settings)?;
        let (mut kept, mut notes): (Vec<(u32, Labelled)>, Vec<String>) = (vec![], vec![]);
        for one in labelled {
            if kept.len() == settings.choices {
                break;
            }
            let mut first = None;
            for &entity in &one.entities {
                let text = texts.of(&dataset.entities[entity]).map_err(Error::Internal)?.text;
                let token = first_token(model, &text, &spans[entity].ids, &one.word)?;
                if first.is_some_and(|known| known != token) {
                    let expected = "an answer that begins with the same token after every text";
                    return Err(Error::invalid("--answers", &one.word, expected));
                }
                first = Some(token);
            }
            let Some(token) = first else { continue };
            match kept.iter().find(|(known, _)| *known == token) {
                Some((_, earlier)) => notes.push(format!(
                    "the answers `{}` and `{}` begin with the same token `{}`: the second is left out",
                    earlier.word,
                    one.word,
                    tokenizer.spell(&[token])?.trim()
                )),
                None => kept.push((token, one)),
            }
        }
        let mut asked = Asked {
            question: Question { texts: vec![], answers: kept.iter().map(|(token, _)| *token).collect() },
            words: kept.iter().map(|(_, one)| one.word.clone()).collect(),
            is_test: vec![],
            n_special: tokenizer.encode("a")?.n_special(),
            notes,
        };
        for (answer, (_, one)) in kept.iter().enumerate() {
            for &entity in &one.entities {
                let span = &spans[entity];
                asked.question.texts.push(QuestionText {
                    ids: span.ids.clone(),
                    position: span.last,
                    answer,
                });
                asked.is_test.push(dataset.entities[entity].is_test);
            }
        }
        if asked.words.len() < 2 {
            let found = format!("{} with at least {LEAST} entities in training and test", asked.words.len());
            return Err(Error::invalid("answers", found, "at least two: another column, or another dataset"));
        }
        asked.question.check(&model.transformer)?;
        Ok(asked)
    }

    /// The texts of test entities, or of the others.
    pub(super) fn texts(&self, is_test: bool) -> Vec<usize> {
        (0..self.is_test.len()).filter(|text| self.is_test[*text] == is_test).collect()
    }

    /// The pairs for training: their entities are in no test pair.
    pub(super) fn training_pairs(&self, settings: &CauseSettings) -> Vec<Pair> {
        training_pairs(&self.question.labels(), &self.texts(false), settings.pairs, settings.seed)
    }

    /// The pairs for the test.
    pub(super) fn test_pairs(&self, settings: &CauseSettings) -> Vec<Pair> {
        grouped_pairs(&self.question.labels(), &self.texts(true), settings.pairs, settings.seed)
    }
}

/// The first token of an answer after a text.
fn first_token(model: &Model, text: &str, ids: &[u32], word: &str) -> Result<u32> {
    let gap = if text.ends_with(char::is_whitespace) { "" } else { " " };
    let whole = model.tokenizer.encode(&format!("{text}{gap}{word}"))?.ids;
    whole.strip_prefix(ids).and_then(|rest| rest.first().copied()).ok_or_else(|| {
        let found = format!("`{word}`, whose tokens merge with the text `{text}`");
        Error::invalid("answer", found, "a prompt after which the answer is a new word")
    })
}

/// The answers with their entities, those with the most test entities first.
fn labelled(dataset: &Dataset, settings: &CauseSettings) -> Result<Vec<Labelled>> {
    let of_entities = words_of(dataset, settings)?;
    let mut by_word: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (entity, word) in of_entities.iter().enumerate().filter(|(_, word)| !word.is_empty()) {
        by_word.entry(word).or_default().push(entity);
    }
    let mut all: Vec<Labelled> = by_word
        .into_iter()
        .map(|(word, entities)| {
            let n_test = entities.iter().filter(|entity| dataset.entities[**entity].is_test).count();
            Labelled { word: word.to_string(), entities, n_test }
        })
        .filter(|one| one.n_test >= LEAST && one.entities.len() >= one.n_test + LEAST)
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse((one.n_test, one.entities.len())));
    Ok(all)
}

/// The true answer of each entity.
fn words_of(dataset: &Dataset, settings: &CauseSettings) -> Result<Vec<String>> {
    let [below, above] = match (&settings.answers, &settings.at) {
        (AnswerChoice::Column(column), None) => return labels(dataset, column),
        (AnswerChoice::Column(column), Some(at)) => {
            let expected = format!("two words such as \"before|after\", with --at {at}");
            return Err(Error::invalid("--answers", column, expected));
        }
        (AnswerChoice::Words(words), Some(_)) => words,
        (AnswerChoice::Words(_), None) => {
            let expected = "the value that separates the two answers, such as 1800 or latitude=0";
            return Err(Error::invalid("--at", "none", expected));
        }
    };
    let Some(at) = &settings.at else { return Ok(vec![]) };
    let names = dataset.kind.names();
    let column = match (&at.target, &names[..]) {
        (Some(target), _) => names.iter().position(|name| name == target),
        (None, [_]) => Some(0),
        (None, _) => None,
    };
    let column = column.ok_or_else(|| {
        let expected = format!("a target and its value: one of {}", names.join(", "));
        Error::invalid("--at", at, format!("{expected}, such as {}=0", names[0]))
    })?;
    let word = |value: &f64| if *value < at.value { below.clone() } else { above.clone() };
    Ok(dataset.targets()[column].iter().map(word).collect())
}
