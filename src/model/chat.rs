//! Chat templates: a text as the user's turn, as the model was taught to see it.

use super::chat_date::ChatDate;
use crate::artefact;
use crate::error::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// What the template is called in its environment.
const NAME: &str = "chat";
/// A text that no template holds: where it comes out is where a turn's text stands.
const PROBE: &str = "Qb7xTextOfTheUserW3k";
/// Steps that a template may take: thousands of times what a turn needs, and an end to one that has none.
const MOST_STEPS: u64 = 10_000_000;

/// Who speaks in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who sets the model up.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// What somebody said in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who.
    pub role: Role,
    /// What.
    pub text: String,
}

impl Role {
    /// The role as templates call it.
    fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// A chat template, ready to take a user's turn.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    tokens: BTreeMap<String, String>,
    before: String,
    after: String,
    /// SHA-256 of the template's text.
    pub sha256: String,
    /// The date that it is told, if it asks for one.
    pub date: Option<ChatDate>,
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("ChatTemplate").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

impl ChatTemplate {
    /// Reads a template, which `path` names in errors; `tokens` are what it knows as `bos_token` and so on.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it is none, if it fails, or if the user's text does not stand in it once.
    pub fn parse(
        path: &Path,
        source: &str,
        tokens: &BTreeMap<String, String>,
        date: ChatDate,
    ) -> Result<ChatTemplate> {
        let wrong = |found: String| {
            let expected = "a chat template that takes one turn of the user; run without --chat";
            Error::bad_file(path, found, expected)
        };
        let mut environment = environment(date);
        environment
            .add_template_owned(NAME, without_generation_marks(source))
            .map_err(|e| wrong(format!("a chat template that cannot be read: {e:#}")))?;
        let mut template = ChatTemplate {
            environment,
            tokens: tokens.clone(),
            before: String::new(),
            after: String::new(),
            sha256: artefact::hash(source.as_bytes()),
            date: source.contains("strftime_now").then_some(date),
        };
        let whole = template.render(PROBE).map_err(|e| wrong(format!("a chat template that fails: {e}")))?;
        match whole.split(PROBE).collect::<Vec<_>>()[..] {
            [before, after] => (template.before, template.after) = (before.into(), after.into()),
            ref parts => {
                let n = parts.len() - 1;
                return Err(wrong(format!("a chat template that writes the user's text {n} times")));
            }
        }
        Ok(template)
    }

    /// The chat in which the user says `content` and the model is about to answer.
    fn render(&self, content: &str) -> Result<String, String> {
        self.conversation(&[Turn { role: Role::User, text: content.into() }])
    }

    /// A conversation that the model is about to go on with.
    ///
    /// # Errors
    /// What the template refuses, as a sentence.
    pub fn conversation(&self, turns: &[Turn]) -> Result<String, String> {
        let message = |turn: &Turn| context! { role => turn.role.name(), content => turn.text.clone() };
        let messages: Vec<Value> = turns.iter().map(message).collect();
        let named = Value::from(self.tokens.clone());
        let given = context! {
            messages => messages,
            tools => Value::from(()),
            documents => Value::from(()),
            add_generation_prompt => true,
            ..named
        };
        let template = self.environment.get_template(NAME).map_err(|e| e.to_string())?;
        template.render(given).map_err(|e| format!("{e:#}"))
    }

    /// The chat in which the user says `content`, and where in it a part of the content stands.
    ///
    /// # Errors
    /// What the template did to the text, as a sentence, if it is no longer there as it was; white space
    /// around it may be cut.
    pub fn frame(&self, content: &str, part: Range<usize>) -> Result<(String, Range<usize>), String> {
        let whole = self.render(content).map_err(|e| format!("the chat template fails: {e}"))?;
        let said = whole.strip_prefix(&self.before).and_then(|rest| rest.strip_suffix(&self.after));
        let shift = match said {
            Some(said) if said == content => 0,
            Some(said) if said == content.trim() => content.len() - content.trim_start().len(),
            _ => return Err("the chat template does not leave the text as it is".into()),
        };
        let place = |at: usize| self.before.len() + at - shift;
        Ok((whole, place(part.start)..place(part.end)))
    }
}

/// Jinja as transformers sets it up for chat templates.
fn environment(date: ChatDate) -> Environment<'static> {
    let mut environment = Environment::new();
    // The marks are Jinja's own, so that there is nothing to refuse in them.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(MOST_STEPS));
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", move |format: String| {
        date.format(&format).map_err(|e| minijinja::Error::new(ErrorKind::InvalidOperation, e))
    });
    environment
}

/// JSON as Python writes it for a chat: nothing is escaped that JSON itself does not ask for.
fn tojson(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<String, minijinja::Error> {
    let safe = minijinja::filters::tojson(value, indent, options)?.to_string();
    let (mut plain, mut rest) = (String::new(), safe.as_str());
    while let Some(at) = rest.find('\\') {
        plain += &rest[..at];
        let escape = &rest[at..];
        // A backslash that is itself escaped is taken with the one before it.
        let (written, length) = match escape.get(..6) {
            Some("\\u003c") => ("<", 6),
            Some("\\u003e") => (">", 6),
            Some("\\u0026") => ("&", 6),
            Some("\\u0027") => ("'", 6),
            _ => (&escape[..2], 2),
        };
        plain += written;
        rest = &escape[length..];
    }
    Ok(plain + rest)
}

/// Takes out the marks around what the model writes, which transformers adds to Jinja to mask a loss.
fn without_generation_marks(source: &str) -> String {
    let (mut out, mut rest) = (String::new(), source);
    while let Some(at) = rest.find("{%") {
        let end = rest[at..].find("%}").map_or(rest.len(), |end| at + end + 2);
        let tag = &rest[at..end];
        let word = tag.trim_matches(|c: char| "{}%-+".contains(c) || c.is_whitespace());
        out += &rest[..at];
        out += &match word {
            "generation" => tag.replace(word, "if true"),
            "endgeneration" => tag.replace(word, "endif"),
            _ => tag.to_string(),
        };
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<ChatTemplate> {
        let tokens = BTreeMap::from([("bos_token".to_string(), "<s>".to_string())]);
        ChatTemplate::parse(Path::new("chat_template.jinja"), source, &tokens, ChatDate::default())
    }

    #[test]
    fn the_part_of_the_text_is_found_in_the_chat() {
        let template = parse(
            "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m['content'] | trim }}\n{% endfor %}!",
        );
        let template = template.unwrap();
        for (text, part) in
            [("where is Oslo", "Oslo"), ("  Oslo, Oslo \n", "Oslo,"), ("東京 é", "é"), ("{{ x }}", "x")]
        {
            let start = text.find(part).unwrap();
            let (whole, place) = template.frame(text, start..start + part.len()).unwrap();
            assert_eq!(whole, format!("<s>[user] {}\n!", text.trim()));
            assert_eq!(&whole[place], part);
        }
    }

    #[test]
    fn a_template_that_loses_or_changes_the_text_is_refused() {
        for (source, found) in [
            ("{{ nothing }}", "0 times"),
            ("{{ messages[0].content }}{{ messages[0].content }}", "2 times"),
            ("{{ raise_exception('only two turns') }}", "only two turns"),
            ("{% for %}", "cannot be read"),
            ("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "fails"),
        ] {
            let error = parse(source).unwrap_err().to_string();
            assert!(error.contains("chat_template.jinja") && error.contains(found), "{error}");
        }
        let template = parse("{{ messages[0].content.split('|')[0] }}").unwrap();
        template.frame("Oslo", 0..4).unwrap();
        assert!(template.frame("Oslo|Rome", 0..4).unwrap_err().contains("does not leave the text"));
    }

    #[test]
    fn json_is_as_python_writes_it() {
        let template =
            parse(r#"{{ {"a": [1, "<b> & 'c' \\u003c"]} | tojson }} {{ messages[0].content }}"#).unwrap();
        let (whole, _) = template.frame("x", 0..1).unwrap();
        assert_eq!(whole, r#"{"a": [1, "<b> & 'c' \\u003c"]} x"#);
    }

    #[test]
    fn generation_marks_are_no_part_of_the_chat() {
        let template = parse("{% generation %}a{%- endgeneration -%} {{ messages[0].content }}").unwrap();
        assert_eq!(template.frame("x", 0..1).unwrap().0, "ax");
    }

    #[test]
    fn a_date_is_told_to_a_template_that_asks() {
        let template = parse("{{ strftime_now('%d %b %Y') }}: {{ messages[0].content }}").unwrap();
        assert_eq!(template.frame("x", 0..1).unwrap().0, "26 Jul 2024: x");
        assert_eq!(template.date, Some(ChatDate::default()));
        assert_eq!(parse("{{ messages[0].content }}").unwrap().date, None);
    }
}
