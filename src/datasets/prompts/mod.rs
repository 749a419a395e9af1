//! How an entity becomes a text.
//!
//! - `template`: a text with places for the name and for other columns
//! - `wording`: names as they are written, or as the paper writes them
//! - `prompt`: a template, a wording, random tokens before; and the name of all that
//! - `paper`: the paper's prompts by name
//! - `texts`: a prompt filled with a dataset's entities

mod paper;
mod prompt;
mod template;
mod texts;
mod wording;

pub use paper::{PaperPrompt, paper_prompts};
pub use prompt::{Prompt, RandomTokens};
pub use texts::{PromptedEntity, Texts};
pub use wording::Names;
