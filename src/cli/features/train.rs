//! `mappa features train`: trains a sparse dictionary on a model's activations.

use super::super::model_flags::ModelFlags;
use super::super::observer::TerminalObserver;
use super::super::table::print_columns;
use super::super::terminal::print_lines;
use super::super::within::within;
use clap::Args;
use mappa::Result;
use mappa::artefact::FolderName;
use mappa::features::train::Explained;
use mappa::lab::{DictionarySettings, Lab, TrainedDictionary, suggest, train_dictionary};
use mappa::limits::{BATCH, EPOCHS, LATENTS, SENTENCES};
use mappa::tokenizer::Bos;
use std::path::PathBuf;
use std::time::Duration;

/// Train a TopK sparse dictionary on the activations at a hook point, over every token of a set of texts.
///
/// Writes a SAELens folder (cfg.json, sae_weights.safetensors) with card.json into features/MODEL/NAME. BOS tokens give
/// no rows, and a repeated text counts once. A share of the texts is held out to measure the fraction of variance
/// explained (FVE) by the dictionary and, for comparison, by principal components and by a random dictionary.
///
/// After Ctrl-C (exit code 130) or a kill, the same command resumes from the last checkpoint; the result has the
/// same bits.
///
/// Examples:
///   mappa features train --hook-point blocks.5.hook_resid_post --sentences 24 --latents 2048 -k 16
///   mappa features train --hook-point blocks.8.hook_resid_post --model path/to/gpt2 --texts corpus.txt
///   mappa features train --hook-point blocks.3.hook_mlp_out --dataset world_place --prompt "{} is in"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct TrainDictionary {
    #[command(flatten)]
    model: ModelFlags,
    /// The hook point; `mappa models inspect` lists them.
    #[arg(long, value_name = "NAME")]
    hook_point: String,
    /// Datasets whose entities give the texts; repeat for several [default: without --texts, the six bundled datasets].
    #[arg(long = "dataset", value_name = "NAME|FILE")]
    datasets: Vec<String>,
    /// The texts around a name: templates such as "{} is in", or the paper's prompts by name; repeat for several.
    #[arg(long = "prompt", value_name = "NAME|TEMPLATE", default_value = "empty")]
    prompts: Vec<String>,
    /// Number of additional sentences per entity, which begin with it and name others, as in the bundled model's
    /// corpus.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = within(SENTENCES))]
    sentences: usize,
    /// A file of texts, one text per line; empty lines are skipped.
    #[arg(long = "texts", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A BOS token such as <s> at the beginning of each text: as-model, always or never. It never gives a row.
    #[arg(long, default_value_t, value_name = "WHEN")]
    bos: Bos,
    /// Number of latents.
    #[arg(long, alias = "units", default_value_t = 2048, value_parser = within(LATENTS))]
    latents: usize,
    /// Maximum number of active latents per row.
    #[arg(short, long, default_value_t = 16, value_parser = within(LATENTS))]
    k: usize,
    /// Number of passes over the rows.
    #[arg(long, default_value_t = 10, value_parser = within(EPOCHS))]
    epochs: usize,
    /// Number of rows per step.
    #[arg(long, default_value_t = 1024, value_parser = within(BATCH))]
    batch: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 1e-3)]
    rate: f32,
    /// A latent that was not active on this number of successive rows is dead; the auxiliary loss revives it.
    #[arg(long, value_name = "ROWS", default_value_t = 100_000)]
    dead_after: u64,
    /// Share of held-out texts.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    held_out: f64,
    /// Memory for rows, in GiB; if all rows do not fit, they are computed again in each epoch.
    #[arg(long, value_name = "GIB", default_value_t = 4.0)]
    memory: f64,
    /// Seed of the initial weights, the order of the rows, the sentences, and the held-out texts.
    #[arg(long, default_value_t = 5)]
    seed: u64,
    /// Seconds between checkpoints.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    checkpoint_every: u64,
    /// The folder in features/MODEL [default: the hook point, number of latents and k].
    #[arg(long = "name", value_name = "NAME", value_parser = |name: &str| FolderName::new("--name", name))]
    called: Option<FolderName>,
}

impl TrainDictionary {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let model = self.model.open(lab, observer)?;
        let TrainedDictionary { folder, fits } = train_dictionary(lab, &model, &self.settings(), observer)?;
        let Some(found) = fits else {
            say!("found, trained before: {}", folder.display());
            return Ok(());
        };
        self.print(&found.fits, found.n_dead);
        say!("dictionary: {}", folder.display());
        let verb = format!("features list {}", suggest::path(&folder));
        say!("next: {}", suggest::command(lab, &self.model.flags(), &verb, ""));
        Ok(())
    }

    fn settings(&self) -> DictionarySettings {
        DictionarySettings {
            hook_point: self.hook_point.clone(),
            datasets: self.datasets.clone(),
            prompts: self.prompts.clone(),
            sentences: self.sentences,
            files: self.files.clone(),
            bos: self.bos,
            latents: self.latents,
            k: self.k,
            epochs: self.epochs,
            batch: self.batch,
            rate: self.rate,
            dead_after: self.dead_after,
            memory: self.memory,
            seed: self.seed,
            held_out: self.held_out,
            checkpoint_every: Duration::from_secs(self.checkpoint_every),
            called: self.called.clone(),
        }
    }

    fn print(&self, fits: &[(&str, Explained)], n_dead: usize) {
        let line = |(name, fit): &(&str, Explained)| {
            let active =
                if *name == "principal components" { "–".into() } else { fit.n_active.to_string() };
            vec![name.to_string(), format!("{:.4}", fit.fve), format!("{:.1}", fit.l0), active]
        };
        say!();
        print_columns(&["", "FVE", "L0", "latents active"], &fits.iter().map(line).collect::<Vec<_>>());
        say!();
        print_lines(&format!(
            "FVE: fraction of variance explained, on {} rows of held-out texts; L0: active latents.\n\
             Random directions are scaled by a single factor, the best for these rows.",
            fits[0].1.n_rows
        ));
        say!("dead latents: {n_dead} of {} (not active on the last {} rows)", self.latents, self.dead_after);
    }
}
