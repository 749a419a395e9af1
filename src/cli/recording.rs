//! What a command records of each entity: its flags, and the extraction into a store.

use super::stages::{Done, Job};
use super::{stopping, terminal};
use clap::Args;
use indicatif::ProgressBar;
use mappa::activations::{
    ActivationStore, Division, FillSummary, Pooling, Prepared, PromptedDataset, Recording, StoredDtype,
    TokenScope, hook_points, save_unplaced,
};
use mappa::hook_point::HookPoint;
use mappa::model::Spec;
use mappa::progress::{Observer, Progress};
use mappa::{Error, Result};

/// Which tokens are read, and in which numbers they are stored.
#[derive(Args)]
pub struct ChosenTokens {
    /// What is read of the tokens: last, first, mean, max, or every (a row each).
    #[arg(long, default_value = "last", value_name = "TOKENS")]
    read: Pooling,
    /// The tokens of the entity, or of the whole text; BOS and other special tokens are none of these.
    #[arg(long, default_value = "entity", value_name = "entity|text")]
    over: TokenScope,
    /// The numbers that are stored: f32, f16 or bf16. A value too large for them is an error.
    #[arg(long, default_value = "f32", value_name = "DTYPE")]
    store: StoredDtype,
}

/// Which hook points are recorded.
#[derive(Args)]
pub struct ChosenPoints {
    /// Hook points by name or glob, with commas between several; `mappa models inspect` lists them
    /// [default: embed and every blocks.*.hook_resid_post].
    #[arg(long = "hook-points", value_name = "NAMES|GLOBS")]
    globs: Vec<String>,
}

impl ChosenTokens {
    /// What the flags say.
    pub fn recording(&self) -> Recording {
        Recording { pooling: self.read, scope: self.over, dtype: self.store }
    }

    /// What the flags say, for a command that needs one row an entity.
    pub fn one_row(&self) -> Result<Recording> {
        match self.read {
            Pooling::Every => {
                Err(Error::invalid("--read", "every", "one row an entity: last, first, mean or max"))
            }
            _ => Ok(self.recording()),
        }
    }

    /// The flags that are not the usual ones, as they are written.
    pub fn flags(&self) -> String {
        let usual = Recording::default();
        let mut flags = String::new();
        for (name, value, usual) in [
            ("read", self.read.to_string(), usual.pooling.to_string()),
            ("over", self.over.to_string(), usual.scope.to_string()),
            ("store", self.store.to_string(), usual.dtype.to_string()),
        ] {
            if value != usual {
                flags += &format!(" --{name} {value}");
            }
        }
        flags
    }
}

impl ChosenPoints {
    /// The hook points of a model that are meant.
    pub fn of(&self, spec: &Spec) -> Result<Vec<HookPoint>> {
        match self.globs.is_empty() {
            true => Ok(HookPoint::stream(spec.n_layers)),
            false => HookPoint::choose(&self.globs.join(","), &hook_points(spec)),
        }
    }
}

/// An observer with a progress bar over the tokens of an extraction, stopped by Ctrl-C.
pub struct Bar {
    title: String,
    bar: Option<ProgressBar>,
    stopping: stopping::Stopping,
}

impl Bar {
    /// A bar that shows itself once there is something to show.
    pub fn new(title: String) -> Result<Bar> {
        Ok(Bar { title, bar: None, stopping: stopping::Stopping::begin()? })
    }
}

impl Observer for Bar {
    fn progress(&mut self, progress: &Progress) {
        let bar = self.bar.get_or_insert_with(|| {
            // Where an earlier run ended is where this one begins.
            terminal::bar_from(&self.title, (progress.total, progress.done))
        });
        bar.set_position(progress.done);
        bar.set_message(format!("({})", progress.detail));
    }

    fn should_stop(&self) -> bool {
        self.stopping.is_asked()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

impl Job<'_> {
    /// Records hook points, unless they lie there already.
    pub fn record(&self, points: &[HookPoint], division: Division) -> Result<Done> {
        let store = self.store(division)?;
        let card = division.describe(self.card()?);
        if store.is_done(&card, points)? {
            store.clean_up()?;
            return Ok(Done::Before);
        }
        if !self.unplaced.is_empty() {
            // Beside the whole store, for shards too: none of them is about these.
            save_unplaced(&self.activations()?.folder.join("unplaced.csv"), self.unplaced)?;
        }
        let texts = PromptedDataset { dataset: self.dataset, prompt: self.prompt };
        let model = self.text_model(&self.model.transformer);
        let prepared = Prepared::new(model, texts, self.recording, division)?;
        self.say_before(&prepared)?;
        let mut bar = Bar::new(format!("{}: activations", self.dataset.name))?;
        let filled = store.extract(&prepared, points, &card, &mut bar)?;
        drop(bar);
        self.say(&prepared, filled);
        Ok(Done::Now)
    }

    /// Where a division's activations lie.
    pub fn store(&self, division: Division) -> Result<ActivationStore> {
        let whole = self.activations()?;
        Ok(match division.shard {
            Some(shard) => whole.of_shard(shard),
            None => whole,
        })
    }

    /// Prints the work to do and the token that begins each text.
    fn say_before(&self, prepared: &Prepared) -> Result<()> {
        let (name, n_layers) = (&self.dataset.name, self.model.spec().n_layers);
        let (n_tokens, n_computed) = (prepared.n_tokens(), prepared.n_computed());
        let shared = match n_tokens - n_computed {
            0 => String::new(),
            _ => format!(" of {n_tokens}, the rest are shared beginnings"),
        };
        let bos = match self.model.tokenizer.beginning()?.as_str() {
            "none" => "no BOS".to_string(),
            token => format!("BOS {token}"),
        };
        eprintln!("{name}: {n_layers} layers, {n_computed} tokens{shared}; {bos}");
        if let Some(remark) = self.model.tokenizer.remark() {
            terminal::note(&remark);
        }
        Ok(())
    }

    /// Prints what an earlier run had left, what was left out, and what the tokenizer does not know.
    fn say(&self, prepared: &Prepared, filled: FillSummary) {
        let (name, n_unknown) = (&self.dataset.name, prepared.n_unknown());
        say_filled(name, filled);
        if !self.unplaced.is_empty() {
            let n = self.unplaced.len();
            eprintln!("{name}: {n} entities left out, which have no place in their texts; see unplaced.csv");
        }
        if n_unknown > 0 {
            eprintln!(
                "{name}: {n_unknown} names hold characters without a token; see `decoded` in spans.csv"
            );
        }
    }
}

/// What an earlier run had left, and whether other processes were kept out.
pub fn say_filled(name: &str, filled: FillSummary) {
    if filled.n_kept > 0 {
        eprintln!("{name}: {} groups were kept from an earlier run", filled.n_kept);
    }
    if filled.n_damaged > 0 {
        eprintln!("{name}: {} groups of an earlier run had changed and were done again", filled.n_damaged);
    }
    say_locked(filled.locked);
}

/// That nobody is kept out, where the file system has no locks.
pub fn say_locked(is_locked: bool) {
    if !is_locked {
        terminal::note("this file system has no locks; let no second process write to the same folder");
    }
}
