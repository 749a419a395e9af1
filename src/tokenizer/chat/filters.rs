//! Filters and functions of Jinja that minijinja lacks, or has with fewer arguments.

use super::arguments::{Arguments, refused};
use super::strings::{centred, room};
use super::{arithmetic, operators};
use minijinja::value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State};
use std::sync::atomic::{AtomicBool, Ordering};

/// Adds the filters, tests and functions to an environment.
pub(super) fn add(environment: &mut Environment) {
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("indent", indent);
    environment.add_filter("center", center);
    environment.add_filter("truncate", truncate);
    environment.add_filter("wordcount", |text: String| text.split_whitespace().count());
    environment.add_filter("striptags", minijinja_contrib::filters::striptags);
    environment.add_filter("filesizeformat", minijinja_contrib::filters::filesizeformat);
    environment.add_filter("forceescape", minijinja::filters::escape);
    environment
        .add_test("iterable", |value: &Value| !value.is_none() && minijinja::tests::is_iterable(value));
    // Jinja's test asks for a length and for items by key, which texts and maps have too.
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map)
    });
    environment.add_function("joiner", joiner);
    environment.add_function("dict", dict);
    environment.add_function("namespace", |state: &State, given: Rest<ValueOrKwargs>| {
        minijinja::functions::namespace(Some(dict(state, given)?.into()))
    });
    environment.add_function(operators::REMAINDER, arithmetic::remainder);
    environment.add_function(operators::SUM, arithmetic::sum);
}

fn default(value: &Value, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let given = given.into_values();
    let arguments = Arguments::new(&given, &["default_value", "boolean"])?;
    if value.is_undefined() || arguments.flag(1) && !value.is_true() {
        return Ok(arguments.given(0).cloned().unwrap_or_else(|| Value::from("")));
    }
    Ok(value.clone())
}

fn indent(state: &State, value: &Value, given: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let given = given.into_values();
    let arguments = Arguments::new(&given, &["width", "first", "blank"])?;
    let indent = match arguments.optional(0) {
        Some(width) if width.as_str().is_some() => arguments.text(0)?.to_string(),
        _ => room(state, arguments.number(0)?.unwrap_or(4))?,
    };
    let text = value.as_str().ok_or_else(|| refused(format!("a {} is not a text", value.kind())))?;
    let mut out = String::new();
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let is_indented = if at == 0 { arguments.flag(1) } else { arguments.flag(2) || !line.is_empty() };
        if is_indented {
            out += &indent;
        }
        out += line;
        state.consume_fuel(indent.len() as u64 / 64)?;
    }
    Ok(out)
}

fn center(state: &State, value: &Value, given: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let given = given.into_values();
    let arguments = Arguments::new(&given, &["width"])?;
    centred(state, &value.to_string(), arguments.number(0)?.unwrap_or(80), ' ')
}

fn truncate(text: &str, given: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let given = given.into_values();
    let arguments = Arguments::new(&given, &["length", "killwords", "end", "leeway"])?;
    let end = arguments.optional_text(2)?.unwrap_or("...");
    let length = arguments.number(0)?.unwrap_or(255);
    let room = length.saturating_sub(end.chars().count() as i64);
    let leeway = arguments.number(3)?.unwrap_or(5);
    if room < 0 || leeway < 0 {
        return Err(refused(format!("a length of {length} has no room for `{end}`")));
    }
    if text.chars().count() as i64 <= length.saturating_add(leeway) {
        return Ok(text.into());
    }
    let kept: String = text.chars().take(room as usize).collect();
    let words =
        if arguments.flag(1) { &kept } else { kept.rsplit_once(' ').map_or(&kept[..], |(words, _)| words) };
    Ok(format!("{words}{end}"))
}

/// A function that returns an empty text at its first call and the separator later.
fn joiner(separator: Option<String>) -> Value {
    let (separator, is_later) = (separator.unwrap_or_else(|| ", ".into()), AtomicBool::new(false));
    Value::from_function(move || match is_later.swap(true, Ordering::Relaxed) {
        true => separator.clone(),
        false => String::new(),
    })
}

/// A map from another map or from pairs, and from keyword arguments.
fn dict(state: &State, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let given = given.into_values();
    let (by_place, by_name) = match given.split_last() {
        Some((last, rest)) if last.is_kwargs() => (rest, Kwargs::try_from(last.clone())?),
        _ => (&given[..], Kwargs::from_iter(std::iter::empty::<(String, Value)>())),
    };
    let start = match by_place {
        [] => None,
        [map] if map.kind() == ValueKind::Map => Some(map.clone()),
        [pairs] => {
            let pair = |pair: Value| {
                state.consume_fuel(1)?;
                let parts: Vec<Value> = pair.try_iter()?.take(3).collect();
                match &parts[..] {
                    [key, value] => Ok((key.to_string(), value.clone())),
                    _ => Err(refused("`dict` takes a map, or pairs of a key and a value")),
                }
            };
            let pairs = pairs.try_iter()?.map(pair).collect::<Result<Kwargs, Error>>()?;
            Some(minijinja::functions::dict(None, pairs)?)
        }
        _ => return Err(refused("`dict` takes at most one positional argument")),
    };
    minijinja::functions::dict(start, by_name)
}
