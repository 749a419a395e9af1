//! A chat template, ready to take turns.

use super::date::ChatDate;
use super::{jinja, source};
use crate::artefact::{self, Limits};
use crate::error::{Error, Result};
use minijinja::value::Value;
use minijinja::{Environment, context};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The template's name in its environment.
const NAME: &str = "chat";
/// A text that no template contains; its position in the output is the position of a turn's text.
const PROBE: &str = "Qb7xTextOfTheUserW3k";

/// The stack, the time and the memory that a template may take; usually it takes a ten-thousandth of each.
const LIMITS: Limits = Limits { stack: 512 << 20, seconds: 20, bytes: 2 << 30 };
/// The most turns of a conversation for which the usual limit of steps applies.
const USUAL_TURNS: usize = 64;
/// The bytes that a rendered chat may have in addition to twice the length of its turns.
const MOST_ADDED: usize = 1 << 20;

/// A speaker in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The instructions before the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The speaker.
    pub role: Role,
    /// The message.
    pub text: String,
}

impl Role {
    /// The role's name in templates.
    fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// A chat template, ready to take turns.
pub(in crate::tokenizer) struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    tokens: BTreeMap<String, String>,
    before: String,
    after: String,
    /// SHA-256 of the template's text.
    pub sha256: String,
    /// The date that it receives, if it asks for one.
    pub date: Option<ChatDate>,
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("ChatTemplate").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

impl ChatTemplate {
    /// Reads a template, which `path` names in errors; `tokens` are its variables `bos_token` and so on.
    ///
    /// # Errors
    /// [`Error::BadFile`] if it cannot be parsed, if it fails, or if it does not contain the user's text exactly once.
    pub(crate) fn parse(
        path: &Path,
        source: &str,
        tokens: &BTreeMap<String, String>,
        date: ChatDate,
    ) -> Result<ChatTemplate> {
        let wrong = |found: String| {
            let expected = "a chat template that takes one turn of the user; run without --chat";
            Error::bad_file(path, found, expected)
        };
        let mut template = ChatTemplate::unprobed(source, tokens, date)
            .map_err(|problem| wrong(format!("a chat template that cannot be read: {problem}")))?;
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

    /// A template that has not been rendered yet: its text before and after a turn is unknown.
    fn unprobed(
        source: &str,
        tokens: &BTreeMap<String, String>,
        date: ChatDate,
    ) -> Result<ChatTemplate, String> {
        let adapted = source::adapted(source)?;
        let environment = artefact::limited(LIMITS, move || {
            let mut environment = jinja::environment(date);
            environment.add_template_owned(NAME, adapted).map_err(|e| jinja::sentence(&e))?;
            Ok::<_, String>(environment)
        })??;
        Ok(ChatTemplate {
            environment: Arc::new(environment),
            tokens: tokens.clone(),
            before: String::new(),
            after: String::new(),
            sha256: artefact::hash(source.as_bytes()),
            date: source.contains("strftime_now").then_some(date),
        })
    }

    /// A chat with one turn of the user, up to the beginning of the model's answer.
    fn render(&self, content: &str) -> Result<String, String> {
        self.conversation(&[Turn { role: Role::User, text: content.into() }])
    }

    /// A conversation, up to the beginning of the model's answer.
    ///
    /// # Errors
    /// The template's error, as a sentence.
    pub(crate) fn conversation(&self, turns: &[Turn]) -> Result<String, String> {
        let mut environment = self.environment.clone();
        if turns.len() > USUAL_TURNS {
            Arc::make_mut(&mut environment).set_fuel(Some(jinja::steps(turns.len())));
        }
        let message = |turn: &Turn| context! { role => turn.role.name(), content => turn.text.clone() };
        let messages: Vec<Value> = turns.iter().map(message).collect();
        let tokens = self.tokens.clone();
        let said: usize = turns.iter().map(|turn| turn.text.len()).sum();
        let text = artefact::limited(LIMITS, move || {
            let named = Value::from(tokens);
            let given = context! {
                messages => messages,
                tools => Value::from(()),
                documents => Value::from(()),
                add_generation_prompt => true,
                ..named
            };
            let template = environment.get_template(NAME).map_err(|e| jinja::sentence(&e))?;
            template.render(given).map_err(|e| jinja::sentence(&e))
        })??;
        match text.len() > said.saturating_mul(2) + MOST_ADDED {
            true => Err(format!("it turns {said} bytes of messages into {} bytes", text.len())),
            false => Ok(text),
        }
    }

    /// A chat with one turn of the user, and the byte range in it of one part of the turn.
    ///
    /// # Errors
    /// A sentence if the template changes the text; only white space around it may be removed.
    pub(crate) fn frame(&self, content: &str, part: Range<usize>) -> Result<(String, Range<usize>), String> {
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
    fn constructs_are_rendered_as_transformers_renders_them() {
        #[derive(serde::Deserialize)]
        struct Row {
            template: String,
            text: String,
            rendered: Option<String>,
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/constructs.json");
        let rows: Vec<Row> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(rows.len() > 300, "{}", rows.len());
        let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(k, v)| (k.into(), v.into())).into();
        for Row { template, text, rendered } in rows {
            let found = ChatTemplate::unprobed(&template, &tokens, ChatDate::default())
                .and_then(|template| template.render(&text));
            match rendered {
                Some(rendered) => assert_eq!(found, Ok(rendered), "{template}"),
                // An error in transformers is an error here, with its line.
                None => {
                    assert!(found.as_ref().is_err_and(|e| e.contains("line 1: ")), "{template}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn an_error_names_the_line_and_the_unknown_construct() {
        for (source, line, found) in [
            ("a\n{{ messages[0].content }}\n{{ 'x'.nothing() }}", 3, "nothing"),
            ("a\n{% for m in messages %}\n\n{{ m.content | unheard_of }}{% endfor %}", 4, "unheard_of"),
            ("{#\n#}\n{% unheard_of %}", 3, "unheard_of"),
            (
                "{% generation %}\n\n{{ 5\n % 3 }}{{ raise_exception('no ' ~ 1 % 2) }}{% endgeneration %}",
                4,
                "no 1",
            ),
            ("\n{{ messages[0].content }}{{ 'x' + 1 }}", 2, "+"),
        ] {
            let error = parse(source).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line}: ")) && error.contains(found), "{source}: {error}");
        }
    }

    #[test]
    fn json_is_as_python_writes_it() {
        let template =
            parse(r#"{{ {"a": [1, "<b> & 'c' \\u003c"]} | tojson }} {{ messages[0].content }}"#).unwrap();
        let (whole, _) = template.frame("x", 0..1).unwrap();
        assert_eq!(whole, r#"{"a": [1, "<b> & 'c' \\u003c"]} x"#);
    }

    #[test]
    fn generation_tags_do_not_appear_in_the_chat() {
        let template = parse("{% generation %}a{%- endgeneration -%} {{ messages[0].content }}").unwrap();
        assert_eq!(template.frame("x", 0..1).unwrap().0, "ax");
    }

    #[test]
    fn a_template_that_asks_for_a_date_receives_it() {
        let template = parse("{{ strftime_now('%d %b %Y') }}: {{ messages[0].content }}").unwrap();
        assert_eq!(template.frame("x", 0..1).unwrap().0, "26 Jul 2024: x");
        assert_eq!(template.date, Some(ChatDate::default()));
        assert_eq!(parse("{{ messages[0].content }}").unwrap().date, None);
    }
}
