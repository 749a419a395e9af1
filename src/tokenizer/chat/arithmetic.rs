//! The functions that replace Python's operators `%` and `+`.

use super::arguments::refused;
use minijinja::value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Error, ErrorKind, State, context};

/// The most digits of a number in a format.
const MOST_DIGITS: usize = 6;

/// Python's `%`: a formatted text, or the remainder of a division.
pub(super) fn remainder(state: &mut State, left: Value, right: Value) -> Result<Value, Error> {
    if left.as_str().is_none() {
        return computed(state, "left % right", [left, right]);
    }
    let mut given = vec![left];
    if right.is_tuple() {
        given.extend(right.try_iter()?);
    } else if right.kind() == ValueKind::Map {
        let pairs = right.try_iter()?.map(|key| Ok((key.to_string(), right.get_item(&key)?)));
        given.push(Value::from(pairs.collect::<Result<Kwargs, Error>>()?));
    } else {
        given.push(right);
    }
    state.apply_filter("format", &given)
}

/// minijinja's filter `format`, after a check of the widths.
pub(super) fn format(state: &mut State, text: &Value, given: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    text.as_str().map_or(Ok(()), check_widths)?;
    minijinja::filters::format(state, text, given)
}

/// Refuses a width or precision of more than six digits in a format: the text of that width would be made before its
/// steps are counted.
pub(super) fn check_widths(text: &str) -> Result<(), Error> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    match numbers.find(|digits| digits.len() > MOST_DIGITS) {
        Some(digits) => {
            Err(refused(format!("a format with the number {digits}, of more than {MOST_DIGITS} digits")))
        }
        None => Ok(()),
    }
}

/// Python's `+`, evaluated from left to right. A sum of two lists counts steps for all their items, because a list that
/// is added to itself doubles: minijinja first stores such a sum as a list of lists, without steps, and makes all items
/// later.
pub(super) fn sum(state: &mut State, terms: Rest<Value>) -> Result<Value, Error> {
    let mut terms = terms.0.into_iter();
    let first = terms.next().ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
    terms.try_fold(first, |left, right| plus(state, left, right))
}

fn plus(state: &State, left: Value, right: Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str())
        && !left.is_safe()
        && !right.is_safe()
    {
        state.consume_fuel((a.len() + b.len()) as u64 / 64)?;
        return Ok(Value::from([a, b].concat()));
    }
    let is_list = |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    if is_list(&left) && is_list(&right) {
        let length = |value: &Value| value.len().unwrap_or_default() as u64;
        state.consume_fuel(length(&left).saturating_add(length(&right)) / 2)?;
    }
    computed(state, "left + right", [left, right])
}

/// The value of an expression with the operands `left` and `right`. Its error is made again, so that it names the line
/// of the template instead of the line of the expression.
fn computed(state: &State, expression: &str, [left, right]: [Value; 2]) -> Result<Value, Error> {
    let value = state.env().compile_expression(expression).and_then(|e| e.eval(context! { left, right }));
    value.map_err(|e| match e.detail() {
        Some(detail) => Error::new(e.kind(), detail.to_string()),
        None => refused(e.kind().to_string()),
    })
}
