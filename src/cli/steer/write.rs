//! The text, with and without steering.

use super::super::chosen::ChosenModel;
use super::super::notes;
use super::chosen::Change;
use super::interactive;
use clap::Args;
use mappa::hook_point::HookPoint;
use mappa::model::{
    Both, Capture, ChatDate, Continuation, Forest, Framed, Hook, Model, Next, Sampling, Streamed, Untouched,
    generate_each,
};
use mappa::probes::StoredProbe;
use mappa::steering::NextLogits;
use mappa::{Error, Result};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is written, and how.
#[derive(Args)]
pub struct Write {
    #[command(flatten)]
    model: ChosenModel,
    /// The text to continue.
    #[arg(long, required_unless_present = "interactive")]
    prompt: Option<String>,
    /// Ask for prompts, and for changes with /dose, /toward, /layer, /at, /off; /help lists them.
    #[arg(long)]
    interactive: bool,
    /// Write the logits after the prompt's last token, steered and not, with the prompt's token ids, to this
    /// safetensors file.
    #[arg(long, value_name = "FILE", conflicts_with = "interactive")]
    logits: Option<PathBuf>,
    #[command(flatten)]
    pub change: Change,
    #[command(flatten)]
    pub how: How,
}

/// How tokens are chosen and shown.
#[derive(Args, Clone)]
pub struct How {
    /// How many tokens to generate.
    #[arg(long, default_value_t = 24)]
    tokens: usize,
    /// Sample at this temperature; 0 takes the most probable token.
    #[arg(long, default_value_t = 0.0)]
    temperature: f64,
    /// Sample from this many most probable tokens.
    #[arg(long)]
    top_k: Option<usize>,
    /// Share of probability mass to sample from.
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// Make tokens that stood before less probable; 1 is none, 1.2 is much.
    #[arg(long, default_value_t = 1.0)]
    repetition_penalty: f64,
    /// Seeds the sampling.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many texts to write.
    #[arg(long, default_value_t = 1)]
    samples: usize,
    /// End a text before this string; may be given more than once.
    #[arg(long, value_name = "STRING")]
    stop: Vec<String>,
    /// Put the prompt in the user's turn of the model's chat template.
    #[arg(long)]
    pub chat: bool,
    /// Show tokens as they come, one text after the other, instead of side by side.
    #[arg(long)]
    stream: bool,
    /// Say how many tokens a second were written, the prompt's pass not counted.
    #[arg(long)]
    time: bool,
}

impl How {
    /// A prompt as the model is given it.
    pub fn framed(&self, model: &Model, prompt: &str) -> Result<Framed> {
        notes::doubled_bos(&model.tokenizer, prompt);
        let refused = |problem: String| Error::invalid("--prompt", problem, "a text this model can read");
        model.tokenizer.frame(prompt, 0..prompt.len()).map_err(refused)
    }

    fn continuation(&self, model: &Model, prompt: &Framed) -> Continuation {
        let sampling = Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        };
        let first = prompt.encoded.ids.first().copied().filter(|_| prompt.encoded.n_special() > 0);
        let ends = first.into_iter().chain(model.tokenizer.ends()).collect();
        Continuation { n_new: self.tokens, ends, sampling }
    }

    /// The texts that follow a prompt; `shown` sees the pieces of the first as they come.
    ///
    /// Samples share the prompt's nodes, so that it is computed once.
    pub fn texts(
        &self,
        (model, prompt): (&Model, &Framed),
        hook: &mut dyn Hook,
        shown: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Vec<String>> {
        let ids = &prompt.encoded.ids;
        let texts = Forest::of_texts(&vec![ids.clone(); self.samples.max(1)])?;
        let mut streamed: Vec<Streamed> =
            texts.1.iter().map(|_| Streamed::new(&model.tokenizer, ids, &self.stop)).collect();
        let mut failed = Ok(());
        let (mut first, mut last, mut n_after) = (None, None, 0);
        let mut each = |i: usize, id: u32| {
            let now = Instant::now();
            n_after += i32::from(first.is_some());
            (first, last) = (first.or(Some(now)), Some(now));
            match streamed[i].push(id) {
                Ok(piece) => {
                    if i == 0 {
                        shown(&piece);
                    }
                    if streamed[i].is_stopped() { Next::Stop } else { Next::More }
                }
                Err(error) => {
                    failed = Err(error);
                    Next::Stop
                }
            }
        };
        generate_each(&model.transformer, texts, &self.continuation(model, prompt), (hook, &mut each))?;
        failed?;
        if let (Some(first), Some(last), true) = (first, last, self.time) {
            let seconds = last.duration_since(first).as_secs_f64();
            eprintln!(
                "{n_after} tokens after the first in {seconds:.4} s: {:.2} a second",
                f64::from(n_after) / seconds
            );
        }
        for (i, one) in streamed.iter_mut().enumerate() {
            let rest = one.finish()?;
            if i == 0 {
                shown(&rest);
            }
        }
        Ok(streamed.iter().map(|one| one.text().to_string()).collect())
    }
}

impl Write {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let mut model = self.model.load(lab)?;
        if self.how.chat {
            model.tokenizer = model.tokenizer.with_chat(ChatDate::default())?;
        }
        let Some(prompt) = &self.prompt else {
            return interactive::run(lab, &model, (self.change.clone(), &self.how));
        };
        let prompt = self.how.framed(&model, prompt)?;
        let mut hook = self.change.steers(lab, &model, &prompt)?;
        if let Some(file) = &self.logits {
            NextLogits::of(&model.transformer, &prompt.encoded.ids, &mut hook.clone())?.save(file)?;
            eprintln!("wrote the logits after the prompt to {}", file.display());
        }
        if self.how.stream {
            return stream(&self.how, (&model, &prompt), &mut hook);
        }
        let before = self.how.texts((&model, &prompt), &mut Untouched, &mut |_| ())?;
        let after = self.how.texts((&model, &prompt), &mut hook, &mut |_| ())?;
        if hook.n_changed() == 0 {
            eprintln!(
                "note: no token was changed; --at {:?} chose none that was computed",
                self.change.positions
            );
        }
        for (before, after) in before.iter().zip(&after) {
            print_side_by_side(&(prompt.text.clone() + before), &(prompt.text.clone() + after));
        }
        self.print_readings(lab, (&model, &prompt))
    }

    /// What the probes read at the prompt's last token, where there are probes.
    fn print_readings(&self, lab: &Path, (model, prompt): (&Model, &Framed)) -> Result<()> {
        let last = HookPoint::ResidPost(model.spec().n_layers - 1);
        let kinds = self.change.kinds();
        let kinds: Vec<_> = if kinds.is_empty() { vec![None] } else { kinds.into_iter().map(Some).collect() };
        for kind in kinds {
            // Along a file's direction, the probes only look on.
            let probes = match self.change.probes(lab, model, kind.as_ref()) {
                Ok(probes) => probes,
                Err(_) if kind.is_none() => continue,
                Err(error) => return Err(error),
            };
            println!("\nprobe of {} at the prompt's last token:   unsteered   steered", probes.about.dataset);
            let mut points = self.change.points(model)?;
            points.retain(|point| probes.get(*point).is_ok() && *point != last);
            points.push(last);
            for at in points {
                let stored = probes.get(at)?;
                let plain = reading(model, &prompt.encoded.ids, (at, stored), &mut Untouched)?;
                let mut hook = self.change.steers(lab, model, prompt)?;
                let steered = reading(model, &prompt.encoded.ids, (at, stored), &mut hook)?;
                for (t, name) in probes.about.targets.iter().enumerate() {
                    println!("  {at:<28} {name:<10} {:>10.1} {:>10.1}", plain[t], steered[t]);
                }
            }
        }
        Ok(())
    }
}

/// Shows a steered text while it is written.
pub fn stream(how: &How, (model, prompt): (&Model, &Framed), hook: &mut dyn Hook) -> Result<()> {
    print!("{}", prompt.text);
    let mut show = |piece: &str| {
        print!("{piece}");
        _ = std::io::stdout().flush();
    };
    let texts = how.texts((model, prompt), hook, &mut show)?;
    println!();
    texts.iter().skip(1).for_each(|text| println!("{}{text}", prompt.text));
    Ok(())
}

fn reading(
    model: &Model,
    ids: &[u32],
    (at, stored): (HookPoint, &StoredProbe),
    hook: &mut dyn Hook,
) -> Result<Vec<f64>> {
    let mut capture = Capture::nodes(&[at], &[ids.len() as u32 - 1])?;
    model.transformer.forward(&Forest::of_text(ids)?, None, &mut Both(hook, &mut capture))?;
    Ok(stored.probe.read_row(&capture.get(at)?.squeeze(0)?.to_vec1::<f32>()?))
}

/// Two columns, each wrapped at its width.
fn print_side_by_side(before: &str, after: &str) {
    const WIDTH: usize = 44;
    println!("{:<WIDTH$}   steered", "unsteered");
    println!("{}   {}", "─".repeat(WIDTH), "─".repeat(WIDTH));
    let (left, right) = (wrap(before.trim(), WIDTH), wrap(after.trim(), WIDTH));
    for i in 0..left.len().max(right.len()) {
        let line = |column: &[String]| column.get(i).cloned().unwrap_or_default();
        println!("{:<WIDTH$}   {}", line(&left), line(&right));
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_string());
        } else {
            let gap = if lines[last].is_empty() { "" } else { " " };
            lines[last] += &format!("{gap}{word}");
        }
    }
    lines
}
