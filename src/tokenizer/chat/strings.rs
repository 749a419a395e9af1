//! Methods of Python's strings that chat templates call.

use super::arguments::{Arguments, refused};
use super::numerals;
use minijinja::value::{Tuple, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// Calls a method by its name.
pub(super) fn method(state: &State, text: &str, name: &str, given: &[Value]) -> Result<Value, Error> {
    // Steps for the texts and lists that a method makes from the text.
    state.consume_fuel(text.len() as u64 / 8)?;
    match name {
        "partition" | "rpartition" => partition(text, given, name == "rpartition"),
        "find" | "rfind" | "index" | "rindex" => find(text, given, name),
        "count" => count(text, given),
        "startswith" | "endswith" => begins_or_ends(text, given, name == "startswith"),
        "split" | "rsplit" => split(text, given, name == "rsplit"),
        "splitlines" => split_lines(text, given),
        "removeprefix" => cut(text, given, |text, end| text.strip_prefix(end)),
        "removesuffix" => cut(text, given, |text, end| text.strip_suffix(end)),
        "center" | "ljust" | "rjust" => justified(state, text, name, given),
        "zfill" => filled_with_zeros(state, text, given),
        "title" => Arguments::new(given, &[]).map(|_| title(text).into()),
        "swapcase" => {
            Arguments::new(given, &[]).map(|_| text.chars().map(swapped).collect::<String>().into())
        }
        "istitle" => Arguments::new(given, &[]).map(|_| is_title(text).into()),
        "isdecimal" => all(text, given, numerals::is_decimal),
        "isdigit" => all(text, given, numerals::is_digit),
        "isnumeric" => all(text, given, numerals::is_numeric),
        "isidentifier" => {
            let is_first = text.chars().next().is_some_and(|letter| letter.is_alphabetic() || letter == '_');
            let all = is_first && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
            Arguments::new(given, &[]).map(|_| all.into())
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

/// True if a text has letters, all of this kind.
fn all(text: &str, given: &[Value], is_one: fn(char) -> bool) -> Result<Value, Error> {
    Arguments::new(given, &[]).map(|_| (!text.is_empty() && text.chars().all(is_one)).into())
}

/// A number of spaces; the fuel for them is consumed before they are allocated.
pub(super) fn room(state: &State, n: i64) -> Result<String, Error> {
    let n = n.max(0) as u64;
    state.consume_fuel(n / 64)?;
    Ok(" ".repeat(n as usize))
}

/// A text centred in a width, as `str.center` does it.
pub(super) fn centred(state: &State, text: &str, width: i64, fill: char) -> Result<String, Error> {
    let missing = width.saturating_sub(text.chars().count() as i64);
    // If an odd number of characters is missing, Python puts one more on the left for an odd width, else on the right.
    let left = missing.max(0) / 2 + (missing.max(0) & width & 1);
    let fill = |n: i64| Ok::<String, Error>(room(state, n)?.replace(' ', fill.encode_utf8(&mut [0; 4])));
    Ok(fill(left)? + text + &fill(missing.saturating_sub(left))?)
}

fn justified(state: &State, text: &str, name: &str, given: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::new(given, &["width", "fillchar"])?;
    arguments.required(0)?;
    let width = arguments.number(0)?.unwrap_or_default();
    let fill = arguments.optional_text(1)?.unwrap_or(" ");
    let mut letters = fill.chars();
    let (Some(fill), None) = (letters.next(), letters.next()) else {
        return Err(refused(format!("`{fill}` is not one character to fill with")));
    };
    if name == "center" {
        return centred(state, text, width, fill).map(Value::from);
    }
    let missing = room(state, width.saturating_sub(text.chars().count() as i64))?;
    let missing = missing.replace(' ', fill.encode_utf8(&mut [0; 4]));
    Ok(Value::from(if name == "ljust" { format!("{text}{missing}") } else { format!("{missing}{text}") }))
}

fn filled_with_zeros(state: &State, text: &str, given: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::new(given, &["width"])?;
    arguments.required(0)?;
    let width = arguments.number(0)?.unwrap_or_default();
    let missing = width.saturating_sub(text.chars().count() as i64);
    let zeros = room(state, missing)?.replace(' ', "0");
    let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
    Ok(Value::from(format!("{sign}{zeros}{digits}")))
}

fn cut(
    text: &str,
    given: &[Value],
    end: for<'a> fn(&'a str, &str) -> Option<&'a str>,
) -> Result<Value, Error> {
    let arguments = Arguments::new(given, &["end"])?;
    let end_text = arguments.text(0)?;
    Ok(Value::from(end(text, end_text).unwrap_or(text)))
}

fn partition(text: &str, given: &[Value], from_the_end: bool) -> Result<Value, Error> {
    let arguments = Arguments::new(given, &["sep"])?;
    let separator = separator(arguments.text(0)?)?;
    let parts = match (from_the_end, text.split_once(separator), text.rsplit_once(separator)) {
        (false, Some((before, after)), _) | (true, _, Some((before, after))) => [before, separator, after],
        (false, ..) => [text, "", ""],
        (true, ..) => ["", "", text],
    };
    Ok(Tuple::from(parts.map(Value::from)).into())
}

fn separator(text: &str) -> Result<&str, Error> {
    if text.is_empty() { Err(refused("an empty separator")) } else { Ok(text) }
}

/// The byte range between two characters; negative numbers count from the end, as in Python.
fn bounds(text: &str, arguments: &Arguments) -> Result<(usize, usize), Error> {
    let n = text.chars().count() as i64;
    let place = |at: i64| if at < 0 { (n + at).max(0) } else { at };
    let byte = |at: i64| text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte);
    let start = place(arguments.number(1)?.unwrap_or(0));
    let end = place(arguments.number(2)?.unwrap_or(n));
    // From a start beyond the end, even an empty text is not found.
    Ok((if start > n { usize::MAX } else { byte(start) }, byte(end)))
}

fn part<'a>(text: &'a str, arguments: &Arguments) -> Result<Option<(usize, &'a str)>, Error> {
    let (start, end) = bounds(text, arguments)?;
    Ok((start <= end).then(|| (start, &text[start..end])))
}

fn find(text: &str, given: &[Value], name: &str) -> Result<Value, Error> {
    let arguments = Arguments::new(given, &["sub", "start", "end"])?;
    let wanted = arguments.text(0)?;
    let found = part(text, &arguments)?.and_then(|(start, part)| {
        let at = if name.starts_with('r') { part.rfind(wanted) } else { part.find(wanted) };
        at.map(|at| text[..start + at].chars().count() as i64)
    });
    match found {
        Some(at) => Ok(at.into()),
        None if name.ends_with("find") => Ok((-1).into()),
        None => Err(refused(format!("`{wanted}` is not in the text"))),
    }
}

fn count(text: &str, given: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::new(given, &["sub", "start", "end"])?;
    let wanted = arguments.text(0)?;
    Ok(part(text, &arguments)?.map_or(0, |(_, part)| part.matches(wanted).count()).into())
}

fn begins_or_ends(text: &str, given: &[Value], at_the_start: bool) -> Result<Value, Error> {
    let arguments = Arguments::new(given, &["affix", "start", "end"])?;
    let Some((_, part)) = part(text, &arguments)? else { return Ok(false.into()) };
    let holds = |affix: &Value| -> Result<bool, Error> {
        let affix = affix.as_str().ok_or_else(|| refused(format!("a {} is not a text", affix.kind())))?;
        Ok(if at_the_start { part.starts_with(affix) } else { part.ends_with(affix) })
    };
    let affix = arguments.required(0)?;
    if affix.kind() != ValueKind::Seq {
        return holds(affix).map(Value::from);
    }
    for one in affix.try_iter()? {
        if holds(&one)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn split(text: &str, given: &[Value], from_the_end: bool) -> Result<Value, Error> {
    let arguments = Arguments::new(given, &["sep", "maxsplit"])?;
    // A limit of n splits gives at most n + 1 parts; without a limit, there are as many as necessary.
    let most = arguments
        .number(1)?
        .filter(|most| *most >= 0)
        .map_or(usize::MAX, |most| (most as usize).saturating_add(1));
    let mut parts: Vec<&str> = match arguments.optional_text(0)? {
        Some(by) if from_the_end => text.rsplitn(most, separator(by)?).collect(),
        Some(by) => text.splitn(most, separator(by)?).collect(),
        None => words(text, most, from_the_end),
    };
    if from_the_end {
        parts.reverse();
    }
    Ok(parts.into_iter().collect())
}

/// The first `most - 1` words of a text from one of its ends, and the rest as one part.
fn words(text: &str, most: usize, from_the_end: bool) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let cut = match from_the_end {
            true => rest.rsplit_once(char::is_whitespace).map(|(rest, word)| (word, rest)),
            false => rest.split_once(char::is_whitespace),
        };
        let (word, left) = cut.filter(|_| parts.len() + 1 < most).unwrap_or((rest, ""));
        parts.push(word);
        rest = left.trim();
    }
    parts
}

fn split_lines(text: &str, given: &[Value]) -> Result<Value, Error> {
    const ENDS: [char; 10] =
        ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    let arguments = Arguments::new(given, &["keepends"])?;
    let (mut lines, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let at = rest.find(ENDS).unwrap_or(rest.len());
        let end = if rest[at..].starts_with("\r\n") {
            2
        } else {
            rest[at..].chars().next().map_or(0, char::len_utf8)
        };
        lines.push(&rest[..if arguments.flag(0) { at + end } else { at }]);
        rest = &rest[at + end..];
    }
    Ok(lines.into_iter().collect())
}

/// A text in title case; a word begins after any character that is not a letter.
fn title(text: &str) -> String {
    let mut out = String::new();
    let mut is_in_word = false;
    for letter in text.chars() {
        match is_in_word {
            true => out.extend(letter.to_lowercase()),
            false => out.extend(letter.to_uppercase()),
        }
        is_in_word = letter.is_alphabetic();
    }
    out
}

fn is_title(text: &str) -> bool {
    let has_case = |letter: char| letter.is_uppercase() || letter.is_lowercase();
    title(text) == text && text.chars().any(has_case)
}

fn swapped(letter: char) -> String {
    if letter.is_uppercase() { letter.to_lowercase().collect() } else { letter.to_uppercase().collect() }
}
