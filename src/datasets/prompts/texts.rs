//! The texts of a prompt for a dataset's entities, with the byte range of the entity in each.

use super::prompt::Prompt;
use super::template::Piece;
use super::wording::Phrase;
use crate::datasets::{Dataset, Entity};
use crate::error::{Error, Result};

/// A text, and the byte range of the entity in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptedEntity {
    /// The whole text.
    pub text: String,
    /// The entity's first byte in the text.
    pub start: usize,
    /// The byte after the entity's last.
    pub end: usize,
}

/// A prompt's texts for the entities of one dataset.
pub struct PromptTexts<'a> {
    prompt: &'a Prompt,
    dataset: &'a Dataset,
    parts: Vec<Part>,
}

/// A part of a template, with its column in the dataset.
enum Part {
    Text(String),
    /// The entity, with its creator.
    Entity,
    /// The entity's name, without its creator.
    Name,
    Group(usize),
    Cell(usize),
}

impl<'a> PromptTexts<'a> {
    pub(super) fn new(prompt: &'a Prompt, dataset: &'a Dataset) -> Result<PromptTexts<'a>> {
        let mut parts =
            prompt.template.pieces.iter().map(|piece| part(piece, dataset)).collect::<Result<Vec<_>>>()?;
        let n_entities = parts.iter().filter(|part| matches!(part, Part::Entity | Part::Name)).count();
        if n_entities > 1 {
            let expected = format!("one place for the name, `{{}}` or `{{{}}}`", dataset.name_column);
            return Err(Error::invalid("prompt", format!("`{}`", prompt.template.written()), expected));
        }
        if n_entities == 0 {
            let is_spaced =
                matches!(parts.last(), Some(Part::Text(text)) if text.ends_with(char::is_whitespace));
            parts.extend((!is_spaced).then(|| Part::Text(" ".into())).into_iter().chain([Part::Entity]));
        }
        Ok(PromptTexts { prompt, dataset, parts })
    }

    /// The text for one entity; white space around the name does not belong to the entity.
    ///
    /// # Errors
    /// A sentence that names the missing value in the entity's row.
    pub fn of(&self, entity: &Entity) -> Result<PromptedEntity, String> {
        let (mut text, mut start, mut end) = (String::new(), 0, 0);
        for part in &self.parts {
            match part {
                Part::Text(literal) => text += literal,
                Part::Group(column) => {
                    text += self.value(*column, entity.groups.get(*column).map(String::as_str))?;
                }
                Part::Cell(column) => {
                    text += self.cell(*column, self.dataset.table.cell(entity.row, *column))?;
                }
                Part::Entity | Part::Name => {
                    let Phrase { lead, name } = self.phrase(entity);
                    if matches!(part, Part::Entity) {
                        text += &lead;
                    }
                    let blank = name.len() - name.trim_start().len();
                    start = text.len() + blank;
                    end = text.len() + name.trim_end().len();
                    text += &name;
                }
            }
        }
        if start >= end {
            return Err("its name is empty".into());
        }
        Ok(PromptedEntity { text, start, end })
    }

    /// The entity's words: "Stephen King's " and "It" for an entity with a creator, otherwise only its name.
    fn phrase(&self, entity: &Entity) -> Phrase {
        let table = &self.dataset.table;
        let column = table.column(&self.dataset.name_column);
        let own = column.and_then(|column| table.cell(entity.row, column)).unwrap_or(&entity.name);
        let phrase = match entity.name.strip_suffix(own) {
            Some(lead) => Phrase { lead: lead.into(), name: own.into() },
            None => Phrase { lead: String::new(), name: entity.name.clone() },
        };
        self.prompt.wording.of(self.dataset, phrase)
    }

    fn value<'v>(&self, group: usize, value: Option<&'v str>) -> Result<&'v str, String> {
        full(&self.dataset.group_columns[group], value)
    }

    fn cell<'v>(&self, column: usize, value: Option<&'v str>) -> Result<&'v str, String> {
        full(&self.dataset.table.columns()[column], value)
    }
}

fn full<'v>(column: &str, value: Option<&'v str>) -> Result<&'v str, String> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| format!("its column `{column}` is empty"))
}

fn part(piece: &Piece, dataset: &Dataset) -> Result<Part> {
    let column = match piece {
        Piece::Text(text) => return Ok(Part::Text(text.clone())),
        Piece::Entity => return Ok(Part::Entity),
        Piece::Column(column) => column,
    };
    if *column == dataset.name_column {
        return Ok(Part::Name);
    }
    if let Some(group) = dataset.group_columns.iter().position(|name| name == column) {
        return Ok(Part::Group(group));
    }
    dataset.table.column(column).map(Part::Cell).ok_or_else(|| {
        let known: Vec<String> = dataset.table.columns().iter().map(|name| format!("{{{name}}}")).collect();
        let expected = format!("{{}} or a column of {}: {}", dataset.name, known.join(", "));
        Error::invalid("prompt", format!("`{{{column}}}`"), expected)
    })
}
