//! `mappa models`: what there is, what a model is made of, and models from the hub.

use super::terminal;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use mappa::Result;
use mappa::hook_point::HookPoint;
use mappa::hub::{self, RepoId, Settings};
use mappa::model::{BUNDLED_MODEL, Model, count};
use std::path::Path;

/// List the models, look into one, or download one.
#[derive(Args)]
pub struct Models {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the bundled model and those in the lab.
    List,
    /// Download a model from the Hugging Face hub into the cache that Python shares, or find it there.
    ///
    /// HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean to Python.
    /// A broken download goes on where it stopped.
    ///
    /// Example: mappa models pull EleutherAI/pythia-160m@step3000
    Pull {
        /// The repo as org/name, or org/name@revision for a branch, a tag or a commit.
        repo: String,
    },
    /// Show a model's family, its choices, its size and its hook points.
    ///
    /// Example: mappa models inspect atlas
    Inspect {
        /// A model's name or folder.
        model: String,
    },
}

impl Models {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        match &self.command {
            Command::List => {
                println!("{BUNDLED_MODEL}   (bundled)");
                let folder = lab.join("models");
                let names = std::fs::read_dir(&folder).into_iter().flatten().flatten();
                for entry in names.filter(|e| e.path().join("config.json").is_file()) {
                    println!("{}   {}", entry.file_name().to_string_lossy(), entry.path().display());
                }
                println!(
                    "\nAny Hugging Face folder with a gpt2, gpt_neox or llama model works: --model FOLDER"
                );
                Ok(())
            }
            Command::Pull { repo } => pull(&repo.parse()?),
            Command::Inspect { model } => inspect(&Model::find(lab, model)?),
        }
    }
}

fn pull(repo: &RepoId) -> Result<()> {
    let mut shown: Option<(String, ProgressBar)> = None;
    let found = hub::snapshot(repo, &Settings::from_env()?, &mut |at| {
        if shown.as_ref().is_none_or(|(file, _)| file != at.file) {
            let bar = terminal::byte_bar(at.file, at.total.unwrap_or(0));
            // What came in an earlier run says nothing about the rate of this one.
            bar.set_position(at.done);
            bar.reset_eta();
            if let Some((_, before)) = shown.replace((at.file.to_string(), bar)) {
                before.finish();
            }
        }
        if let Some((_, bar)) = &shown {
            bar.set_position(at.done);
        }
    });
    if let Some((_, bar)) = &shown {
        if found.is_ok() { bar.finish() } else { bar.abandon() }
    }
    let found = found?;
    if let Some(reason) = &found.unchecked {
        eprintln!("note: {repo} is taken from the cache as it was last seen: {reason}");
    }
    // Only the folder goes to stdout, so that a script can take it.
    println!("{}", found.folder.display());
    eprintln!("commit {}", found.commit);
    eprintln!("next: mappa models inspect {repo}\n      mappa run --model {repo}");
    Ok(())
}

fn inspect(model: &Model) -> Result<()> {
    let spec = model.spec();
    let n = count(spec);
    println!(
        "model       {}\nfamily      {}\nparameters  {n} ({:.1} MB in f32)",
        model.name,
        spec.family,
        n as f64 * 4e-6
    );
    println!("weights     sha256 {}", model.weights_sha256);
    println!(
        "layers      {}\nd_model     {}\nheads       {} of {} ({} for keys and values)",
        spec.n_layers, spec.d_model, spec.n_heads, spec.d_head, spec.n_kv_heads
    );
    println!(
        "d_mlp       {}\nd_vocab     {}\ncontext     {} tokens",
        spec.d_mlp, spec.d_vocab, spec.n_context
    );
    println!(
        "position    {:?}\nnorm        {:?}, eps {:e}\nblock       {:?}\nmlp         {:?}",
        spec.position, spec.norm, spec.norm_eps, spec.block, spec.mlp
    );
    println!("biases      {:?}\ntied        {}", spec.biases, spec.tied);
    let l = spec.n_layers - 1;
    println!("\nhook points, for l from 0 to {l}:");
    let points = [
        HookPoint::ResidPre(l),
        HookPoint::AttnZ(l),
        HookPoint::AttnOut(l),
        HookPoint::ResidMid(l),
        HookPoint::MlpPost(l),
        HookPoint::MlpOut(l),
        HookPoint::ResidPost(l),
    ];
    let has = |p: &HookPoint| spec.block.has_resid_mid() || !matches!(p, HookPoint::ResidMid(_));
    points.into_iter().filter(has).for_each(|point| println!("  {point}"));
    Ok(())
}
