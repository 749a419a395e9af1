//! The filter `tojson` as transformers defines it, with the output of Python's `json.dumps`.

use super::arguments::{Arguments, refused};
use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Error, State};
use std::fmt::Write;

/// A function that counts bytes as steps of the template.
type Charge<'a> = dyn Fn(usize) -> Result<(), Error> + 'a;

/// The options of a `tojson` call.
struct Style<'a> {
    /// Counts a number of bytes as steps of the template.
    charge: &'a Charge<'a>,
    only_ascii: bool,
    sorts_keys: bool,
    indent: Option<String>,
    between_items: String,
    after_key: String,
}

/// The form of a list or map: its brackets, its number of items, its depth within others.
struct List {
    brackets: [&'static str; 2],
    n: usize,
    depth: usize,
}

/// A value as JSON; by default, it escapes only the characters that JSON requires to escape.
pub(super) fn tojson(state: &State, value: &Value, given: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let given = given.into_values();
    let arguments = Arguments::new(&given, &["ensure_ascii", "indent", "separators", "sort_keys"])?;
    let charge = |bytes: usize| state.consume_fuel(bytes as u64 / 64 + 1);
    let mut out = String::new();
    Style::new(&arguments, &charge)?.write(&mut out, value, 0)?;
    Ok(out)
}

/// The greatest depth of nested lists and maps; Python's own limit is of the same order.
const DEEPEST: usize = 500;

impl<'a> Style<'a> {
    fn new(arguments: &Arguments, charge: &'a Charge) -> Result<Style<'a>, Error> {
        let indent = match arguments.optional(1) {
            Some(value) if value.as_str().is_some() => arguments.optional_text(1)?.map(String::from),
            Some(_) => arguments.number(1)?.map(|n| " ".repeat(n.clamp(0, 256) as usize)),
            None => None,
        };
        let separators = arguments.optional(2).map(|both| -> Result<[String; 2], Error> {
            let texts: Vec<String> =
                both.try_iter()?.filter_map(|text| text.as_str().map(String::from)).collect();
            texts.try_into().map_err(|_| refused("`separators` are not two texts"))
        });
        let usual = || [if indent.is_some() { "," } else { ", " }, ": "].map(String::from);
        let [between_items, after_key] = separators.transpose()?.unwrap_or_else(usual);
        let (only_ascii, sorts_keys) = (arguments.flag(0), arguments.flag(3));
        Ok(Style { charge, only_ascii, sorts_keys, indent, between_items, after_key })
    }

    fn write(&self, out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(refused(format!("lists within lists, deeper than {DEEPEST}")));
        }
        // Counted before the text grows, because a list may contain the same list many times.
        (self.charge)(value.as_str().map_or(0, str::len))?;
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)?),
            ValueKind::String => self.text(out, value.as_str().unwrap_or_default()),
            ValueKind::Seq => {
                let items = self.all(value)?;
                let list = List { brackets: ["[", "]"], n: items.len(), depth };
                self.list(out, list, |style, out, at| style.write(out, &items[at], depth + 1))?;
            }
            ValueKind::Map => {
                let mut keys = self.all(value)?;
                if self.sorts_keys {
                    keys.sort();
                }
                let list = List { brackets: ["{", "}"], n: keys.len(), depth };
                self.list(out, list, |style, out, at| {
                    style.text(out, &key(&keys[at])?);
                    out.push_str(&style.after_key);
                    style.write(out, &value.get_item(&keys[at])?, depth + 1)
                })?;
            }
            other => return Err(refused(format!("a value of kind {other} cannot be written as JSON"))),
        }
        Ok(())
    }

    /// The items of a list, or the keys of a map.
    fn all(&self, value: &Value) -> Result<Vec<Value>, Error> {
        value.try_iter()?.map(|item| (self.charge)(0).map(|()| item)).collect()
    }

    /// Writes items between two brackets, each by `item`.
    fn list(
        &self,
        out: &mut String,
        list: List,
        item: impl Fn(&Self, &mut String, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let List { brackets: [open, close], n, depth } = list;
        out.push_str(open);
        for at in 0..n {
            if at > 0 {
                out.push_str(&self.between_items);
            }
            self.new_line(out, depth + 1)?;
            item(self, out, at)?;
        }
        if n > 0 {
            self.new_line(out, depth)?;
        }
        out.push_str(close);
        Ok(())
    }

    fn new_line(&self, out: &mut String, depth: usize) -> Result<(), Error> {
        if let Some(indent) = &self.indent {
            (self.charge)(indent.len().saturating_mul(depth))?;
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
        Ok(())
    }

    fn text(&self, out: &mut String, text: &str) {
        out.push('"');
        for letter in text.chars() {
            match letter {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                letter if letter < ' ' || self.only_ascii && !letter.is_ascii() => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        // Writing to a text cannot fail.
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                letter => out.push(letter),
            }
        }
        out.push('"');
    }
}

/// A map's key as a text, since JSON has no other keys.
fn key(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::None => Ok("null".into()),
        ValueKind::Bool => Ok(key.is_true().to_string()),
        ValueKind::Number => number(key),
        _ => key.as_str().map(String::from).ok_or_else(|| refused("a key cannot be written as JSON")),
    }
}

/// A number as Python writes it.
fn number(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    let number = f64::try_from(value.clone())?;
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    Ok(match number {
        _ if number.is_nan() => "NaN".into(),
        _ if number.is_infinite() => if number > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        _ if number != 0.0 && !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{number:?}"),
    })
}
