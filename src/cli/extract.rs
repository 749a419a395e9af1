//! `mappa extract`: activations of each entity at every layer.

use super::model_flags::ModelFlags;
use super::observer::TerminalObserver;
use super::prompt_flags::{self, PromptFlags};
use super::token_flags::{self, PointFlags, TokenFlags};
use super::{output, show_texts, terminal};
use clap::Args;
use mappa::activations::{ActivationStore, Division, Pooling, Shard, Verdict};
use mappa::datasets::Dataset;
use mappa::lab::{
    Done, ExtractionJob, ExtractionSettings, Lab, Prompting, find_dataset, find_model, load_prompts,
    merge_shards, suggest,
};
use mappa::model::{Model, ModelInfo};
use mappa::{Error, Result};
use std::path::PathBuf;

/// Record every layer's residual stream at each entity's last token, or at other hook points and tokens.
///
/// Writes one safetensors file per hook point, [n_entities, d_model] in dataset order, with spans.csv (each
/// row's number in the dataset, its tokens, and the position of the recorded token), checksums.csv, blocks.csv
/// (hashes of blocks of rows, compared whenever rows are read) and card.json, into
/// activations/MODEL/DATASET/PROMPT. Tokens or data types other than the default have their own folder, such as
/// PROMPT.mean_text.f16; new hook points are added to the existing ones.
///
/// No finished work is lost: after Ctrl-C (exit code 130), a kill or a full disk, the same command
/// resumes, and the result has the same bytes.
///
/// Examples:
///   mappa extract --model path/to/pythia-160m --dataset world_place.csv --prompt "Where is {}"
///   mappa extract --dataset us_place --prompt "{}, {state_name}" --show-texts 5
///   mappa extract --model path/to/pythia-160m --dataset art --prompt release --names paper --bos always
///   mappa extract --model path/to/Qwen3-0.6B --dataset world_place --prompt coords --chat
///   mappa extract --dataset nyc_place --prompts prompts.toml
///   mappa extract --dataset art --hook-points "embed,blocks.*.hook_resid_post,blocks.{3,5}.mlp.hook_post"
///   mappa extract --dataset art --read mean --over text --store f16
///   mappa extract --dataset art --read every          one row per token; spans.csv has first_row and n_rows
///   mappa extract --dataset art --shard 2/4           on one of four machines; at the end, on one of them:
///   mappa extract --dataset art --merge               the same bytes as a single run; needs no weights
///   mappa extract --dataset art --verify              checks all files: ok, changed or missing
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Extract {
    #[command(flatten)]
    model: ModelFlags,
    /// A dataset's name, or a CSV, TSV, JSON or Parquet file.
    #[arg(long, value_name = "NAME|FILE")]
    dataset: String,
    #[command(flatten)]
    texts: PromptFlags,
    /// A file of several prompts, extracted one after the other: TOML lines such as where = "Where is {}?".
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompts: Option<PathBuf>,
    /// Show the first N texts with their tokens and the token that would be recorded; extract nothing.
    ///
    /// Also shows the texts without such a token. Loads no weights.
    #[arg(long, value_name = "N")]
    show_texts: Option<usize>,
    #[command(flatten)]
    points: PointFlags,
    #[command(flatten)]
    tokens: TokenFlags,
    /// Extract one of n shards of the entities: i/n, where i runs from 1 to n; --merge joins the shards.
    #[arg(long, value_name = "I/N", conflicts_with = "merge")]
    shard: Option<Shard>,
    /// Join the shards; loads no weights.
    #[arg(long, conflicts_with = "verify")]
    merge: bool,
    /// Check the files against their checksums; loads no weights. Exit code 1 if a file has changed or is missing.
    #[arg(long)]
    verify: bool,
    /// Number of distinct tokens per pass [default: chosen for the model]. The last bit of a number may depend
    /// on it, so a store cannot be resumed with another value; meant for tests.
    #[arg(long = "group-nodes", value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    batch_tokens: Option<u32>,
}

impl Extract {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        if self.verify || self.show_texts.is_some() {
            output::only_prints();
        }
        let dataset = find_dataset(lab, &self.dataset, observer)?;
        let base = self.texts.settings();
        let all = match &self.prompts {
            Some(path) => load_prompts(path, &base)?,
            None => vec![base],
        };
        if self.verify {
            return all.iter().try_for_each(|texts| self.verify(self.store(lab, texts, &dataset)?));
        }
        if self.merge {
            return all.iter().try_for_each(|texts| self.merge(lab, texts, &dataset));
        }
        // Refuses a prompt that does not suit the dataset before any weights are read.
        all.iter().try_for_each(|texts| texts.prompt(&dataset)?.texts(&dataset).map(drop))?;
        if let Some(n) = self.show_texts {
            let outline = ModelInfo::of(&find_model(lab, &self.model.name, observer)?)?;
            let show = |texts: &Prompting| show_texts::show(texts, &outline, &dataset, n);
            return all.iter().try_for_each(show);
        }
        let mut model = self.model.open(lab, observer)?;
        for texts in all {
            model = texts.set_up(model, observer)?;
            self.extract(lab, &model, &self.settings(texts), dataset.clone())?;
        }
        Ok(())
    }

    fn settings(&self, texts: Prompting) -> ExtractionSettings {
        self.tokens.settings(texts, Some(&self.points))
    }

    fn extract(
        &self,
        lab: &Lab,
        model: &Model,
        settings: &ExtractionSettings,
        dataset: Dataset,
    ) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let prompted = &settings.apply(dataset, model)?;
        let points = settings.points(model.spec())?;
        let extraction = ExtractionJob { lab, model, prompted, recording: settings.recording() };
        let mut division = Division { shard: self.shard, ..Division::of(&model.transformer) };
        division.batch_tokens = self.batch_tokens.map_or(division.batch_tokens, |n| n as usize);
        let how = match extraction.record(&points, division, observer)? {
            Done::Now => "extracted",
            Done::Before => "found, extracted before",
        };
        let store = extraction.store(division)?;
        say!("{how}: {} entities, {} hook points", store.spans()?.len(), points.len());
        say!("activations: {}", store.place().display());
        say!("next: {}", self.next_step(lab, settings));
        Ok(())
    }

    /// The store that the flags name; loads no model.
    fn store(&self, lab: &Lab, texts: &Prompting, dataset: &Dataset) -> Result<ActivationStore> {
        let folder = self.settings(texts.clone()).recording().folder(&texts.folder()?);
        lab.activations(&self.model.settings().folder_name(lab)?, &dataset.name, &folder)
    }

    fn merge(&self, lab: &Lab, texts: &Prompting, dataset: &Dataset) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let store = self.store(lab, texts, dataset)?;
        let filled = merge_shards(&store, observer)?;
        let how = if filled.n_points > 0 { "merged" } else { "found, merged before" };
        say!("{how}: {} entities, {} hook points", store.spans()?.len(), store.hook_points()?.len());
        say!("activations: {}", store.place().display());
        say!("the shards are no longer needed: {}", store.place().join(".shards").display());
        say!("next: {}", self.next_step(lab, &self.settings(texts.clone())));
        Ok(())
    }

    fn verify(&self, whole: ActivationStore) -> Result<()> {
        let store = self.shard.map_or(whole.clone(), |shard| whole.of_shard(shard));
        let (mut n, mut n_bad) = (0, 0);
        let bar = terminal::spinner("checksums");
        store.verify(&mut |file, verdict| {
            let word = match verdict {
                Verdict::Whole => "ok",
                Verdict::Changed => "changed",
                Verdict::Missing => "missing",
                Verdict::Unlisted => "no checksum",
            };
            bar.suspend(|| say!("{word:<12} {file}"));
            (n, n_bad) = (n + 1, n_bad + i32::from(verdict != Verdict::Whole));
        })?;
        bar.finish_and_clear();
        if n_bad > 0 {
            let expected = "unchanged files; move these away and run the same command without \
                            --verify, which extracts them again";
            return Err(Error::bad_file(
                store.place(),
                format!("{n_bad} of {n} files changed or missing"),
                expected,
            ));
        }
        say!("all {n} files match their checksums: {}", store.place().display());
        Ok(())
    }

    /// A suggestion of the next command, or an explanation of the rows.
    fn next_step(&self, lab: &Lab, settings: &ExtractionSettings) -> String {
        let dataset = suggest::flag("dataset", &self.dataset);
        let (texts, tokens) = (prompt_flags::flags_of(&settings.prompting), token_flags::flags_of(settings));
        let rest = format!("{dataset}{texts}{tokens}");
        let command = |verb, more| suggest::command(lab, &self.model.flags(), verb, &format!("{rest}{more}"));
        match (self.shard, settings.read) {
            (Some(shard), _) => {
                format!("when all {} shards are done, {}", shard.of(), command("extract", " --merge"))
            }
            (None, Pooling::Every) => "spans.csv gives the rows of each entity (first_row, n_rows)".into(),
            (None, _) => command("probe", ""),
        }
    }
}
