//! `mappa extract`: activations of each entity, at every layer.

use super::model_flags::ModelFlags;
use super::observer::TerminalObserver;
use super::prompt_flags::{self, PromptFlags};
use super::token_flags::{self, PointFlags, TokenFlags};
use super::{show_texts, terminal};
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
/// Writes one safetensors file a hook point, [n_entities, d_model] in dataset order, with spans.csv (each
/// row's number in the dataset, its tokens, and the place that was read), checksums.csv and card.json, into
/// activations/MODEL/DATASET/PROMPT. Other tokens or numbers than the usual have a folder of their own, such
/// as PROMPT.mean_text.f16; other hook points are added to those that are there.
///
/// Nothing that is done is lost: after Ctrl-C (exit code 130), a kill or a full disk the same command goes
/// on, and ends with the same bytes.
///
/// Examples:
///   mappa extract --model path/to/pythia-160m --dataset world_place.csv --prompt "Where is {}"
///   mappa extract --dataset us_place --prompt "{}, {state_name}" --show-texts 5
///   mappa extract --model path/to/pythia-160m --dataset art --prompt release --names paper --bos always
///   mappa extract --model path/to/Qwen3-0.6B --dataset world_place --prompt coords --chat
///   mappa extract --dataset nyc_place --prompts prompts.toml
///   mappa extract --dataset art --hook-points "embed,blocks.*.hook_resid_post,blocks.{3,5}.mlp.hook_post"
///   mappa extract --dataset art --read mean --over text --store f16
///   mappa extract --dataset art --read every          a row a token; spans.csv has first_row and n_rows
///   mappa extract --dataset art --shard 2/4           on one of four machines, then on one of them:
///   mappa extract --dataset art --merge               the same bytes as one run; needs no weights
///   mappa extract --dataset art --verify              reads all files again: ok, changed or missing
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
    /// Several prompts, one after the other: a TOML file with lines such as where = "Where is {}?".
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompts: Option<PathBuf>,
    /// Show the first N texts with their tokens and the token that would be read, and texts without one;
    /// nothing is extracted, and no weights are read.
    #[arg(long, value_name = "N")]
    show_texts: Option<usize>,
    #[command(flatten)]
    points: PointFlags,
    #[command(flatten)]
    tokens: TokenFlags,
    /// Do one of n parts of the entities, i/n with i from 1 on; --merge puts them together.
    #[arg(long, value_name = "I/N", conflicts_with = "merge")]
    shard: Option<Shard>,
    /// Put the shards together; reads no weights.
    #[arg(long, conflicts_with = "verify")]
    merge: bool,
    /// Check the files against their checksums; reads no weights. Exit code 1 if one is not as it was.
    #[arg(long)]
    verify: bool,
    /// Distinct tokens in one pass [default: what suits the model]. The last bit of a number may depend
    /// on it, so a store cannot be resumed with another; it is here for tests.
    #[arg(long = "group-nodes", value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    batch_tokens: Option<u32>,
}

impl Extract {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
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
        // A prompt that does not suit the dataset is known before the first weights are read.
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
        println!("{how}: {} entities, {} hook points", store.spans()?.len(), points.len());
        println!("activations: {}", store.place().display());
        println!("next: {}", self.next_step(lab, settings));
        Ok(())
    }

    /// The store that the flags name, without the model.
    fn store(&self, lab: &Lab, texts: &Prompting, dataset: &Dataset) -> Result<ActivationStore> {
        let folder = self.settings(texts.clone()).recording().folder(&texts.folder()?);
        lab.activations(&self.model.settings().folder_name(lab)?, &dataset.name, &folder)
    }

    fn merge(&self, lab: &Lab, texts: &Prompting, dataset: &Dataset) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let store = self.store(lab, texts, dataset)?;
        let filled = merge_shards(&store, observer)?;
        let how = if filled.n_points > 0 { "merged" } else { "found, merged before" };
        println!("{how}: {} entities, {} hook points", store.spans()?.len(), store.hook_points()?.len());
        println!("activations: {}", store.place().display());
        println!("the shards are no longer needed: {}", store.place().join(".shards").display());
        println!("next: {}", self.next_step(lab, &self.settings(texts.clone())));
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
            bar.suspend(|| println!("{word:<12} {file}"));
            (n, n_bad) = (n + 1, n_bad + i32::from(verdict != Verdict::Whole));
        })?;
        bar.finish_and_clear();
        if n_bad > 0 {
            let expected = "files as they were written; move these away and run the same command without \
                            --verify: it records them again";
            return Err(Error::bad_file(
                store.place(),
                format!("{n_bad} of {n} files that are not"),
                expected,
            ));
        }
        println!("all {n} files are as they were written: {}", store.place().display());
        Ok(())
    }

    /// The next command, or how the rows are laid out.
    fn next_step(&self, lab: &Lab, settings: &ExtractionSettings) -> String {
        let dataset = suggest::quoted(&self.dataset);
        let (texts, tokens) = (prompt_flags::flags_of(&settings.prompting), token_flags::flags_of(settings));
        let rest = format!("--dataset {dataset}{texts}{tokens}");
        let command = |verb, more| suggest::command(lab, &self.model.flags(), verb, &format!("{rest}{more}"));
        match (self.shard, settings.read) {
            (Some(shard), _) => {
                format!("when all {} are done, {}", shard.of(), command("extract", " --merge"))
            }
            (None, Pooling::Every) => "spans.csv says which rows are whose (first_row, n_rows)".into(),
            (None, _) => command("probe", ""),
        }
    }
}
