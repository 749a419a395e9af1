//! `mappa models`: lists models, shows a model's properties, and downloads models from the hub.

use super::observer::TerminalObserver;
use super::token_flags::PointFlags;
use super::{output, table};
use clap::{Args, Subcommand};
use mappa::Result;
use mappa::hub::RepoId;
use mappa::lab::{Lab, find_model, pull_model, suggest};
use mappa::limits::available_bytes;
use mappa::model::families::{MEASURED, Measured};
use mappa::model::memory::{self, StoredTypes};
use mappa::model::{BUNDLED_MODEL, Compute, Location, ModelInfo, Precision, Spec, count};
use mappa::results::parse_rows;
use mappa::shown::shown;
use std::collections::BTreeSet;
use std::path::Path;

/// List the models, inspect one, download one, or list the supported families.
#[derive(Args)]
pub(super) struct Models {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the bundled model and those in the lab.
    List,
    /// Download a model from the Hugging Face hub into the cache shared with Python, unless the cache has it.
    ///
    /// HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE have the same meaning as in Python.
    /// An interrupted download is resumed.
    ///
    /// Example: mappa models pull EleutherAI/pythia-160m@step3000
    Pull {
        /// The repo as org/name, or org/name@revision for a branch, a tag or a commit.
        repo: String,
    },
    /// Show a model's family, architecture, size, required memory and hook points.
    ///
    /// Example: mappa models inspect atlas
    Inspect(Inspect),
    /// Print the names of the hook points that are extracted by default, or of a selection; one per line, for scripts.
    ///
    /// Examples: mappa models hook-points atlas
    ///           mappa models hook-points atlas --hook-points "blocks.*.mlp.hook_post"
    #[command(verbatim_doc_comment)]
    HookPoints {
        /// A model's name, folder, GGUF file, or hub name.
        model: String,
        #[command(flatten)]
        points: PointFlags,
    },
    /// Show every supported family, its architecture, and its measured difference from transformers.
    Families,
}

#[derive(Args)]
struct Inspect {
    /// A model's name, folder, GGUF file, or hub name.
    model: String,
    /// Data type of the weights: f32, f16, bf16, or auto (as stored) [default: auto for a GGUF file, otherwise f32].
    ///
    /// The required memory depends on it.
    #[arg(long, value_name = "DTYPE")]
    dtype: Option<Precision>,
    /// Data type of the blocks' matrix products: f32, bf16 (then the blocks' weights are held in bf16), or q8.
    #[arg(long, default_value = "f32", value_name = "NUMBERS")]
    compute: Compute,
}

impl Models {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        if !matches!(self.command, Command::Pull { .. }) {
            output::only_prints();
        }
        match &self.command {
            Command::List => {
                list(lab);
                Ok(())
            }
            Command::Pull { repo } => pull(&repo.parse()?),
            Command::Inspect(inspect) => inspect.run(lab),
            Command::HookPoints { model, points } => {
                let observer = &mut TerminalObserver::default();
                let spec = ModelInfo::of(&find_model(lab, model, observer)?)?.spec;
                points.settings().points(&spec)?.iter().for_each(|point| say!("{point}"));
                Ok(())
            }
            Command::Families => families(),
        }
    }
}

fn list(lab: &Lab) {
    say!("{BUNDLED_MODEL}   (bundled)");
    let entries = std::fs::read_dir(lab.join("models")).into_iter().flatten().flatten();
    // Models in a folder of several GGUF files are addressed by path.
    let models = entries.filter_map(|entry| Location::find(lab.root(), &entry.path().to_string_lossy()).ok());
    let lines = models.map(|location| match &location {
        Location::Folder { path, .. } | Location::Gguf(path) => (location.name(), path.display().to_string()),
        Location::Bundled => (location.name(), String::new()),
    });
    // A set, so that the parts of one model give one line.
    for (name, path) in lines.collect::<BTreeSet<_>>() {
        say!("{name}   {path}");
    }
    say!();
    say!("A Hugging Face folder or a GGUF file works as well: --model PATH.");
    say!("`mappa models families` shows the supported families.");
}

fn pull(repo: &RepoId) -> Result<()> {
    let found = pull_model(repo, &mut TerminalObserver::default())?;
    // Only the folder goes to standard output, so that a script can use it.
    say!("{}", found.folder.display());
    tell!("commit {}", found.commit);
    let name = repo.to_string();
    tell!("next: mappa models inspect {}", suggest::quoted(&name));
    tell!("      mappa probe{} --dataset world_place", suggest::of_name(&name));
    Ok(())
}

/// Prints one line per checkpoint of each family: its largest error and its architecture.
fn families() -> Result<()> {
    let rows: Vec<Measured> = parse_rows(Path::new("families"), MEASURED.as_bytes())?;
    let lines = rows.iter().map(|row| {
        let error = format!("{:.1e}", row.error);
        vec![row.family.clone(), row.checkpoint.clone(), error, row.transformers.clone(), row.choices.clone()]
    });
    let heads = ["family", "checkpoint", "error", "transformers", "choices of the checkpoint"];
    table::print_columns(&heads, &lines.collect::<Vec<_>>());
    say!();
    say!("error: largest difference from transformers over all layers and the logits of several texts,");
    say!("relative to the largest value, in f32 (allowed: 5e-5; `cargo test --test it families`).");
    Ok(())
}

impl Inspect {
    /// Runs the command; loads no weights, so that a model too large for the memory can be inspected.
    fn run(&self, lab: &Lab) -> Result<()> {
        let location = find_model(lab, &self.model, &mut TerminalObserver::default())?;
        let outline = ModelInfo::of(&location)?;
        let memory = memory_words(&outline, self.dtype.unwrap_or(outline.precision), self.compute);
        let ModelInfo { name, spec, tokenizer, stored, .. } = outline;
        let line = |name: &str, value: String| say!("{name:<11} {}", shown(&value));
        line("model", name);
        line("family", spec.family.into());
        line("parameters", table::grouped(count(&spec)));
        line("layers", spec.n_layers.to_string());
        line("d_model", spec.d_model.to_string());
        line("d_head", spec.d_head.to_string());
        line("d_mlp", spec.d_mlp.to_string());
        line("d_vocab", format!("{} ({} in the tokenizer)", spec.d_vocab, tokenizer.len()));
        line("BOS", tokenizer.special_prefix()?);
        line(
            "chat",
            if tokenizer.has_chat_template() {
                "has a template (--chat)".into()
            } else {
                "no template".into()
            },
        );
        line("context", format!("{} tokens", spec.n_context));
        spec.choices().into_iter().for_each(|(about, words)| line(about, words));
        line("norm eps", format!("{:e}", spec.norm_eps as f32));
        line("stored", type_words(&stored));
        line("memory", memory);
        print_hook_points(&spec);
        Ok(())
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 * 1e-6)
}

/// The types of the matrices in the file, with their sizes.
fn type_words(stored: &StoredTypes) -> String {
    let words = stored.iter().map(|(name, bytes)| format!("{} in {name}", megabytes(*bytes)));
    words.collect::<Vec<_>>().join(", ")
}

fn memory_words(outline: &ModelInfo, precision: Precision, compute: Compute) -> String {
    let (weights, pass) = (outline.weight_bytes(precision, compute), memory::pass_bytes(&outline.spec));
    let free = available_bytes().map_or("unknown".into(), megabytes);
    let lie = match (compute, precision) {
        (Compute::Bf16, _) => "with blocks in bf16".to_string(),
        (_, Precision::AsStored) => "as they are stored".to_string(),
        (_, other) => format!("in {other}"),
    };
    format!("{} of weights {lie}, {} per pass; free: {free}", megabytes(weights), megabytes(pass))
}

fn print_hook_points(spec: &Spec) {
    let l = spec.n_layers - 1;
    say!();
    say!("hook points, for {{l}} from 0 to {l}, or * for all of them:");
    say!("  embed (blocks.0.hook_resid_pre)");
    for point in spec.hook_points().into_iter().filter(|point| point.layer() == l) {
        say!("  {}", point.to_string().replacen(&format!(".{l}."), ".{l}.", 1));
    }
}
