//! `mappa models`: what there is, and what a model is made of.

use super::chosen;
use clap::{Args, Subcommand};
use mappa::Result;
use mappa::hook_point::HookPoint;
use mappa::model::{BUNDLED_MODEL, Model, Precision, count};
use std::path::Path;

/// List the models, or look into one.
#[derive(Args)]
pub struct Models {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the bundled model and those in the lab.
    List,
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
            Command::Inspect { model } => inspect(&chosen::load(lab, model, Precision::F32)?),
        }
    }
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
        "layer 0     {:?}\nnorm        {:?}, eps {:e}\nblock       {:?}\nmlp         {:?}",
        spec.layers[0], spec.norm, spec.norm_eps, spec.block, spec.mlp
    );
    println!("biases      {:?}\nhead        {:?}", spec.biases, spec.head);
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
