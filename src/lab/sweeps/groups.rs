//! Selects entities by a column's value, and builds the gazetteer that finds answers in texts.

use crate::datasets::{Dataset, Entity, column_values};
use crate::error::{Error, Result};
use crate::steering::{Gazetteer, NameSet};

/// The names of the entities with a given value in a column, for which `is_wanted` is true.
///
/// # Errors
/// [`Error::Invalid`] naming the choice, if it is not `COLUMN=VALUE` or no entity has the value.
pub fn entities(dataset: &Dataset, choice: &str, is_wanted: impl Fn(&Entity) -> bool) -> Result<Vec<String>> {
    let Some((column, value)) = choice.split_once('=') else {
        return Err(Error::invalid("entities", choice, "COLUMN=VALUE, such as country=Japan or age=Roman"));
    };
    let values = column_values(dataset, column.trim())?;
    let is_meant = |(entity, of): &(&Entity, _)| is_wanted(entity) && *of == value.trim();
    let meant = dataset.entities.iter().zip(values).filter(is_meant);
    let names: Vec<String> = meant.map(|(entity, _)| entity.name.clone()).collect();
    if names.is_empty() {
        let expected = format!("a value that occurs in this column of {}", dataset.name);
        return Err(Error::invalid(format!("entities {choice}"), "none", expected));
    }
    Ok(names)
}

/// The names of all entities with a value in a column, and the value itself.
pub(super) fn name_set(dataset: &Dataset, choice: &str) -> Result<NameSet> {
    let mut names = entities(dataset, choice, |_| true)?;
    names.extend(choice.split_once('=').map(|(_, value)| value.trim().to_string()));
    NameSet::new(names)
}

/// The gazetteer of a column's values.
pub(super) fn gazetteer(dataset: &Dataset, column: &str) -> Result<Gazetteer> {
    Gazetteer::of_column(dataset, column)
}
