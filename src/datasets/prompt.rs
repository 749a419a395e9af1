//! How an entity becomes a text: what stands before the name and what stands after it.

use super::entity::Entity;
use crate::error::{Error, Result};

/// A prompt: a text with `{}` where the name stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What folders and result rows call it.
    pub name: String,
    before: String,
    after: String,
}

/// A text, and where in it the entity stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptedEntity {
    /// The whole text.
    pub text: String,
    /// The entity's first byte in the text.
    pub start: usize,
    /// The byte after the entity's last.
    pub end: usize,
}

impl Prompt {
    /// The prompt that is the name alone.
    pub fn empty() -> Prompt {
        Prompt { name: "empty".into(), before: String::new(), after: String::new() }
    }

    /// A prompt from a template such as `Where is {}`; without `{}` the name comes last.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `{}` stands in it twice.
    pub fn new(template: &str) -> Result<Prompt> {
        if template.is_empty() || template == "empty" || template == "{}" {
            return Ok(Prompt::empty());
        }
        let mut parts = template.splitn(3, "{}");
        let before = parts.next().unwrap_or_default();
        let after = parts.next().unwrap_or_default();
        if parts.next().is_some() {
            return Err(Error::invalid("prompt", template, "one `{}` where the name stands"));
        }
        let gap = if !template.contains("{}") && !before.ends_with(' ') { " " } else { "" };
        let name: String = template
            .chars()
            .map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
            .collect::<String>()
            .split('_')
            .filter(|s| !s.is_empty())
            .collect::<Vec<_>>()
            .join("_");
        Ok(Prompt { name, before: format!("{before}{gap}"), after: after.to_string() })
    }

    /// The template, with `{}` for the name.
    pub fn template(&self) -> String {
        format!("{}{{}}{}", self.before, self.after)
    }

    /// The text for one entity.
    pub fn fill(&self, entity: &Entity) -> PromptedEntity {
        let start = self.before.len();
        PromptedEntity {
            text: format!("{}{}{}", self.before, entity.name, self.after),
            start,
            end: start + entity.name.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::Target;

    #[test]
    fn the_span_is_the_name() {
        let entity =
            Entity {
                row: 1, name: "Łódź".into(), target: Target::Year(1.0), groups: vec![], is_test: false
            };
        for template in ["", "Where is {}?", "Where is", "Where is "] {
            let filled = Prompt::new(template).unwrap().fill(&entity);
            assert_eq!(&filled.text[filled.start..filled.end], "Łódź");
        }
        assert_eq!(Prompt::new("Where is").unwrap().fill(&entity).text, "Where is Łódź");
        assert_eq!(Prompt::new("Where is {}?").unwrap().name, "where_is");
        assert!(Prompt::new("{} and {}").is_err());
    }
}
