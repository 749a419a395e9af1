//! `mappa chat`: a conversation with a model through its chat template.

use super::decoding::Tokens;
use super::model_flags::ModelFlags;
use super::observer::TerminalObserver;
use super::output;
use super::terminal::print_text;
use clap::Args;
use mappa::lab::Lab;
use mappa::model::{Forest, Model, NoHook, Prompts};
use mappa::tokenizer::{ChatDate, Role, Turn};
use mappa::{Error, Result};
use std::io::BufRead;

/// Default number of tokens of an answer.
const ANSWER: usize = 512;

/// Talk with a model that has a chat template: each line is a turn.
///
/// /new starts a new conversation, /quit ends the program. Lines may also come from a pipe.
///
/// Examples:
///   mappa chat --model SmolLM2-135M-Instruct.Q4_1.gguf
///   echo "What is the capital of Japan?" | mappa chat --model SmolLM2-135M-Instruct.Q4_1.gguf
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Chat {
    #[command(flatten)]
    model: ModelFlags,
    /// A system message at the start of the conversation.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    tokens: Tokens,
}

impl Chat {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        output::only_prints();
        let mut model = self.model.open(lab, &mut TerminalObserver::default())?;
        if !model.tokenizer.has_chat_template() {
            let expected = "a model with a chat template; `mappa generate` continues plain text";
            return Err(Error::invalid("model to chat with", &model.name, expected));
        }
        model.tokenizer = model.tokenizer.with_chat(ChatDate::default())?;
        let mut turns = self.begin();
        let mut lines = std::io::stdin().lock().lines();
        loop {
            print_text("> ");
            let Some(line) = lines.next() else {
                say!();
                return Ok(());
            };
            let line = line.map_err(Error::io("read", "standard input"))?;
            match line.trim() {
                "" => {}
                "/quit" => return Ok(()),
                "/new" => turns = self.begin(),
                command if command.starts_with('/') => say!("unknown command; use /new or /quit"),
                said => {
                    turns.push(Turn { role: Role::User, text: said.into() });
                    match self.answer(&model, &turns) {
                        Ok(text) => turns.push(Turn { role: Role::Assistant, text }),
                        Err(error) => {
                            say!("{error}");
                            turns.pop();
                        }
                    }
                }
            }
        }
    }

    fn begin(&self) -> Vec<Turn> {
        self.system.iter().map(|text| Turn { role: Role::System, text: text.clone() }).collect()
    }

    fn answer(&self, model: &Model, turns: &[Turn]) -> Result<String> {
        let prompt = model.tokenizer.conversation(turns)?;
        let (forest, last) = Forest::of_texts(&[prompt.encoded.ids])?;
        let tokens = self.tokens.clone().usually(ANSWER);
        let mut texts = tokens.texts(model, Prompts { forest, last }, &mut NoHook, &mut print_text)?;
        say!();
        Ok(texts.remove(0))
    }
}
