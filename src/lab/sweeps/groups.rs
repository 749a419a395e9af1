//! Entities by a value of a column, and answers read out of texts.

use crate::datasets::{Dataset, Entity, TargetKind};
use crate::error::{Error, Result};
use crate::steering::{Gazetteer, NameSet};
use crate::training::age;

/// The group that an entity belongs to.
type Group<'a> = Box<dyn Fn(&Entity) -> &'a str + 'a>;

/// The value of each entity in a column, or the age of its year.
fn groups<'a>(dataset: &'a Dataset, column: &str) -> Result<Group<'a>> {
    if let ("age", TargetKind::Year) = (column, &dataset.kind) {
        return Ok(Box::new(|entity| age(&dataset.name, entity.target.values()[0])));
    }
    match dataset.table.column(column) {
        Some(place) => Ok(Box::new(move |entity| dataset.table.cell(entity.row, place).unwrap_or_default())),
        None => {
            let age = if dataset.kind == TargetKind::Year { ", or age" } else { "" };
            let expected = format!("one of {}{age}", dataset.table.columns().join(", "));
            Err(Error::invalid(format!("column of {}", dataset.name), column, expected))
        }
    }
}

/// The names of a dataset's entities that have a value in a column, and are wanted.
///
/// # Errors
/// [`Error::Invalid`] naming the choice, if it is not `COLUMN=VALUE` or no entity has the value.
pub fn entities(dataset: &Dataset, choice: &str, is_wanted: impl Fn(&Entity) -> bool) -> Result<Vec<String>> {
    let Some((column, value)) = choice.split_once('=') else {
        return Err(Error::invalid("entities", choice, "COLUMN=VALUE, such as country=Japan or age=Roman"));
    };
    let group = groups(dataset, column.trim())?;
    let meant = dataset.entities.iter().filter(|entity| is_wanted(entity) && group(entity) == value.trim());
    let names: Vec<String> = meant.map(|entity| entity.name.clone()).collect();
    if names.is_empty() {
        let expected = format!("a value that rows of {} have there", dataset.name);
        return Err(Error::invalid(format!("entities {choice}"), "none", expected));
    }
    Ok(names)
}

/// A value of a column and the names of all entities that have it.
pub fn name_set(dataset: &Dataset, choice: &str) -> Result<NameSet> {
    let mut names = entities(dataset, choice, |_| true)?;
    names.extend(choice.split_once('=').map(|(_, value)| value.trim().to_string()));
    NameSet::new(names)
}

/// The gazetteer of a column's values.
pub fn gazetteer(dataset: &Dataset, column: &str) -> Result<Gazetteer> {
    Gazetteer::of_groups(dataset, groups(dataset, column)?)
}
