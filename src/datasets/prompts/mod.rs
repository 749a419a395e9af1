//! Prompts: templates that turn entities into texts.
//!
//! - `template`: a text with placeholders for the name and for other columns
//! - `wording`: names as written in the file, or as the paper writes them
//! - `prompt`: a template, a wording, random tokens before it, and a name for all of them
//! - `find`: a prompt from a template or a name
//! - `paper`: the paper's prompts by name
//! - `texts`: a prompt filled with a dataset's entities

mod find;
mod paper;
mod prompt;
mod template;
mod texts;
mod wording;

pub use paper::{PaperPrompt, paper_prompts};
pub use prompt::{Prompt, RandomTokens};
pub use texts::{PromptTexts, PromptedEntity};
pub use wording::Names;
