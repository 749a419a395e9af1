//! Templates: texts with placeholders for an entity's name and for other columns of its dataset.

use crate::artefact;
use crate::error::{Error, Result};

/// The longest name of a template; a longer one is cut and gets a hash.
const LONGEST_NAME: usize = 60;
/// The number of hash digits in a name, which distinguish templates with the same letters and digits.
const HASH_DIGITS: usize = 6;

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Fixed text.
    Text(String),
    /// The entity, `{}` or `{name}`.
    Entity,
    /// The value of a column, such as `{country}`.
    Column(String),
}

/// A template: its parts in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pub pieces: Vec<Piece>,
}

impl Template {
    /// The entity and nothing else.
    pub(super) fn entity() -> Template {
        Template { pieces: vec![Piece::Entity] }
    }

    /// A text, then the entity.
    pub(super) fn question(text: &str) -> Template {
        Template { pieces: before_entity(text.into()) }
    }

    /// Reads a template; `{{` and `}}` are braces, and a template without the entity gets it at its end.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unpaired brace, or a second placeholder for the entity.
    pub(super) fn parse(text: &str) -> Result<Template> {
        let wrong = |expected: &str| Error::invalid("prompt", format!("`{text}`"), expected);
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            literal += &rest[..at];
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal += brace;
                rest = after;
                continue;
            }
            let end = rest.find(['{', '}']).filter(|end| brace == "{" && rest[*end..].starts_with('}'));
            let end = end.ok_or_else(|| wrong("braces in pairs; write `{{` or `}}` for a brace itself"))?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(match rest[..end].trim() {
                "" | "name" => Piece::Entity,
                column => Piece::Column(column.to_string()),
            });
            rest = &rest[end + 1..];
        }
        literal += rest;
        if pieces.is_empty() {
            let gap = if literal.is_empty() || literal.ends_with(char::is_whitespace) { "" } else { " " };
            return Ok(Template { pieces: before_entity(literal + gap) });
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        if pieces.iter().filter(|piece| **piece == Piece::Entity).count() > 1 {
            return Err(wrong("one place for the name, `{}`"));
        }
        Ok(Template { pieces })
    }

    /// The template in its written form; equal for equal templates.
    pub(super) fn written(&self) -> String {
        let write = |piece: &Piece| match piece {
            Piece::Text(text) => text.replace('{', "{{").replace('}', "}}"),
            Piece::Entity => "{}".into(),
            Piece::Column(column) => format!("{{{column}}}"),
        };
        self.pieces.iter().map(write).collect()
    }

    /// A name for folders and result rows, unique to the template: its words, and some digits of its hash if other
    /// templates have the same words (capitals, punctuation, text after the entity).
    pub(super) fn name(&self, is_taken: impl Fn(&str) -> bool) -> String {
        if self.pieces == [Piece::Entity] {
            return "empty".into();
        }
        let (written, words) = (self.written(), self.words());
        let mut letters = words.replace('_', " ");
        if let Some(first) = letters.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        if format!("{letters} {{}}") == written && !is_taken(&words) {
            return words;
        }
        let words = if words.is_empty() { "prompt" } else { &words };
        format!("{words}-{}", &artefact::hash(written.as_bytes())[..HASH_DIGITS])
    }

    /// The letters and digits of the template, in lower case, with `_` between words.
    fn words(&self) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) | Piece::Column(text) => text.clone(),
            Piece::Entity => " ".into(),
        };
        let lower = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let letters: String =
            self.pieces.iter().map(text).flat_map(|s| s.chars().map(lower).collect::<Vec<_>>()).collect();
        let all = letters.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
        let cut: String = all.chars().take(LONGEST_NAME).collect();
        cut.trim_end_matches('_').to_string()
    }
}

fn before_entity(text: String) -> Vec<Piece> {
    let text = Some(text).filter(|text| !text.is_empty());
    text.map(Piece::Text).into_iter().chain([Piece::Entity]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        Template::parse(text).unwrap().written()
    }

    fn name(text: &str) -> String {
        Template::parse(text).unwrap().name(|words| words == "coords")
    }

    #[test]
    fn a_template_is_read_and_written_back() {
        for text in
            ["{}", "Where is {}?", "{creator}'s {title}", "{{{}}}", "a }} b {{ {} {{}}", "{} ({state})"]
        {
            assert_eq!(written(text), text);
        }
        for (text, same) in [
            ("", "{}"),
            ("{name}", "{}"),
            ("{ name }, { country }", "{}, {country}"),
            ("Where is", "Where is {}"),
            ("Where is ", "Where is {}"),
            ("Where is\n", "Where is\n{}"),
            ("{{}}", "{{}} {}"),
        ] {
            assert_eq!(written(text), same, "{text}");
        }
    }

    #[test]
    fn a_brace_without_its_pair_and_a_second_name_are_refused() {
        for text in ["{", "}", "a { b", "a } b", "{a{b}}", "{}}", "{{}"] {
            let error = Template::parse(text).unwrap_err().to_string();
            assert!(error.contains("`{{` or `}}`") && error.contains(text), "{text}: {error}");
        }
        for text in ["{} {}", "{name} {}"] {
            let error = Template::parse(text).unwrap_err().to_string();
            assert!(error.contains("one place for the name"), "{error}");
        }
    }

    #[test]
    fn other_templates_have_other_names() {
        assert_eq!(name("{}"), "empty");
        assert_eq!(name("Where is"), "where_is");
        assert_eq!(name("Where is {name}"), "where_is");
        let long = "word ".repeat(40);
        let texts = [
            "Where is {}",
            "Where is {}?",
            "where is {}",
            "WHERE IS {}",
            "Where  is {}",
            "{} where is",
            "Where-is {}",
            "Where is: {}",
            "Where is {}.",
            "Where is {} ",
            "{where} is {}",
            "Where {is} {}",
            "{{Where is}} {}",
            "?{}",
            "{}!",
            "coords",
            "Coords",
            "Coords {}",
            "empty {}",
            "Empty {}",
            "«{}»",
            "Où est {}",
            "ou est {}",
            &long,
            &(long.clone() + "a"),
            "{country}",
            "Country {}",
        ];
        let names: std::collections::BTreeSet<String> = texts.into_iter().map(name).collect();
        // `coords` and `Coords` differ; `Coords` and `Coords {}` are one template.
        assert_eq!(names.len(), texts.len() - 1, "{names:#?}");
        for name in names {
            assert!(name.len() <= LONGEST_NAME + 1 + HASH_DIGITS && !name.starts_with('.'), "{name}");
            assert!(name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-'), "{name}");
        }
    }
}
