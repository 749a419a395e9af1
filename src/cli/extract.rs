//! `mappa extract`: what a model makes of each entity, at every layer.

use super::chosen::ChosenModel;
use super::recording::{Bar, ChosenPoints, ChosenTokens, say_filled};
use super::stages::{Done, Job};
use super::terminal;
use clap::Args;
use mappa::activations::{ActivationStore, Division, Readout, Shard, Verdict};
use mappa::datasets::{Prompt, find};
use mappa::{Error, Result};
use std::path::Path;

/// Record every layer's residual stream at each entity's last token, or other places and tokens.
///
/// Writes one safetensors file a hook point, [n_entities, d_model] in dataset order, with spans.csv,
/// checksums.csv and card.json, into activations/MODEL/DATASET/PROMPT. Other tokens or numbers than the
/// usual have a folder of their own, such as PROMPT.mean_text.f16; other hook points are added to those
/// that are there.
///
/// Nothing that is done is lost: after Ctrl-C (exit code 130), a kill or a full disk the same command goes
/// on, and ends with the same bytes.
///
/// Examples:
///   mappa extract --model path/to/pythia-160m --dataset world_place.csv --prompt "Where is {}"
///   mappa extract --dataset art --hook-points "embed,blocks.*.hook_resid_post,blocks.{3,5}.mlp.hook_post"
///   mappa extract --dataset art --read mean --over text --store f16
///   mappa extract --dataset art --read every          a row a token; spans.csv has first_row and n_rows
///   mappa extract --dataset art --shard 2/4           on one of four machines, then on one of them:
///   mappa extract --dataset art --merge               the same bytes as one run; needs no weights
///   mappa extract --dataset art --verify              reads all files again: ok, changed or missing
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Extract {
    #[command(flatten)]
    model: ChosenModel,
    /// A dataset's name or CSV file.
    #[arg(long, value_name = "NAME|FILE")]
    dataset: String,
    /// A text with {} for the name.
    #[arg(long, default_value = "{}")]
    prompt: String,
    #[command(flatten)]
    points: ChosenPoints,
    #[command(flatten)]
    tokens: ChosenTokens,
    /// Do one of n parts of the entities, i/n with i from 1 on; --merge puts them together.
    #[arg(long, value_name = "I/N", conflicts_with = "merge")]
    shard: Option<Shard>,
    /// Put the shards together; reads no weights.
    #[arg(long, conflicts_with = "verify")]
    merge: bool,
    /// Hold the files against their checksums; reads no weights. Exit code 1 if one is not as it was.
    #[arg(long)]
    verify: bool,
    /// Distinct tokens in one pass [default: what suits the model]. The last bit of a number may depend
    /// on it, so a store is not gone on with under another; it is here for tests.
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    group_nodes: Option<u32>,
}

impl Extract {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        if self.verify {
            return self.verify(lab);
        }
        if self.merge {
            return self.merge(lab);
        }
        let (model, dataset) = (self.model.load(lab)?, find(lab, &self.dataset)?);
        let points = self.points.of(model.spec())?;
        let (prompt, recording) = (Prompt::new(&self.prompt)?, self.tokens.recording());
        let job =
            Job { lab, model: &model, dataset: &dataset, prompt: &prompt, recording, seed: 0, resamples: 0 };
        let mut division = Division { shard: self.shard, ..Division::of(model.spec()) };
        division.group_nodes = self.group_nodes.map_or(division.group_nodes, |n| n as usize);
        let how =
            if job.record(&points, division)? == Done::Now { "extracted" } else { "found, extracted before" };
        let store = job.store(division);
        println!("{how}: {} entities, {} hook points", store.spans()?.len(), points.len());
        println!("activations: {}", store.folder.display());
        println!("next: {}", self.next_step(lab));
        Ok(())
    }

    /// The store that the flags name, without the model.
    fn store(&self, lab: &Path) -> Result<ActivationStore> {
        let (dataset, prompt) = (find(lab, &self.dataset)?, Prompt::new(&self.prompt)?);
        let folder = self.tokens.recording().folder(&prompt.name);
        Ok(ActivationStore::new(lab, &self.model.folder_name(lab), &dataset.name, &folder))
    }

    fn merge(&self, lab: &Path) -> Result<()> {
        let store = self.store(lab)?;
        let mut bar = Bar::new("shards".into())?;
        let filled = store.merge(&mut bar)?;
        drop(bar);
        say_filled("merge", filled);
        let how = if filled.n_points > 0 { "merged" } else { "found, merged before" };
        println!("{how}: {} entities, {} hook points", store.spans()?.len(), store.hook_points()?.len());
        println!("activations: {}", store.folder.display());
        println!("the shards are no longer needed: {}", store.folder.join(".shards").display());
        println!("next: {}", self.next_step(lab));
        Ok(())
    }

    fn verify(&self, lab: &Path) -> Result<()> {
        let whole = self.store(lab)?;
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
                &store.folder,
                format!("{n_bad} of {n} files that are not"),
                expected,
            ));
        }
        println!("all {n} files are as they were written: {}", store.folder.display());
        Ok(())
    }

    /// What may be done with what is there now, as a command line.
    fn next_step(&self, lab: &Path) -> String {
        let mut flags = format!("--model {} --dataset {}", self.model.name, self.dataset);
        if self.prompt != "{}" {
            flags += &format!(" --prompt \"{}\"", self.prompt);
        }
        flags += &self.tokens.flags();
        if lab != Path::new(".") {
            flags += &format!(" --lab {}", lab.display());
        }
        match (self.shard, self.tokens.recording().readout) {
            (Some(shard), _) => format!("when all {} are done, mappa extract {flags} --merge", shard.of()),
            (None, Readout::Every) => "spans.csv says which rows are whose (first_row, n_rows)".into(),
            (None, _) => format!("mappa probe {flags}"),
        }
    }
}
