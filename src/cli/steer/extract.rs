//! `mappa steer extract`: makes a file of directions, with its card, from a probe, a class or texts.

use super::super::model_flags::ModelFlags;
use super::super::observer::TerminalObserver;
use super::super::saved_probe_flags::ProbeFlags;
use clap::Args;
use mappa::artefact::check_target;
use mappa::lab::{Lab, VectorSettings, VectorSource, make_vectors, suggest};
use mappa::steering::{Basis, ContrastMethod};
use mappa::{Error, Result};
use std::path::PathBuf;

/// Make a file of directions, one per layer: from a probe, a class of entities, or texts.
///
/// Examples:
///   mappa steer extract --probe longitude --out steering/east.safetensors      1x is one degree
///   mappa steer extract --class country=Japan --out steering/japan.safetensors
///   mappa steer extract --pairs pairs.jsonl --method pca --out steering/formal.safetensors
///   mappa steer extract --positive warm.txt --negative cold.txt --out steering/warm.safetensors
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ExtractVectors {
    #[command(flatten)]
    model: ModelFlags,
    /// A target of the dataset's probe: latitude, longitude or year.
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["class", "pairs", "positive"])]
    probe: Option<String>,
    /// For --probe: the direction of its pattern or of its weights.
    #[arg(long, default_value = "pattern", value_name = "pattern|weights")]
    along: Basis,
    /// The entities of the dataset with this value in a column, contrasted with all others: country=Japan.
    #[arg(long, value_name = "COLUMN=VALUE", conflicts_with_all = ["pairs", "positive"])]
    class: Option<String>,
    #[command(flatten)]
    from: ProbeFlags,
    /// A JSONL file with `positive` and `negative` in each line.
    #[arg(long, value_name = "FILE", conflicts_with = "positive")]
    pairs: Option<PathBuf>,
    /// A file of positive texts, one per line: the direction points towards these.
    #[arg(long, value_name = "FILE", requires = "negative")]
    positive: Option<PathBuf>,
    /// A file of negative texts, one per line: the direction points away from these.
    #[arg(long, value_name = "FILE", requires = "positive")]
    negative: Option<PathBuf>,
    /// For texts: mean (difference of means) or pca (first principal component of paired differences).
    #[arg(long, default_value = "mean", value_name = "mean|pca")]
    method: ContrastMethod,
    /// For texts: the hook points; by default the blocks' outputs.
    #[arg(long, default_value = "blocks.*.hook_resid_post", value_name = "NAMES|GLOBS")]
    hook_points: String,
    /// The safetensors file to write; a card is written next to it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl ExtractVectors {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let settings = self.settings()?;
        check_target(&self.out)?;
        let model = self.model.open(lab, observer)?;
        let (vectors, card) = make_vectors(lab, &model, &settings, observer)?;
        vectors.save(&self.out)?;
        card.save(&self.out.with_extension("json"))?;
        say!("wrote {} vectors to {}", vectors.points().count(), self.out.display());
        let (flags, file) = (self.model.flags(), suggest::path(&self.out));
        say!("next: {}", suggest::command(lab, &flags, &format!("steer inspect {file}"), ""));
        if model.transformer.generates() {
            let rest = format!("--prompt 'My favourite city is' --direction {file} --dose 1x");
            say!("      {}", suggest::command(lab, &flags, "steer", &rest));
        }
        Ok(())
    }

    fn settings(&self) -> Result<VectorSettings> {
        let source = match (&self.probe, &self.class, &self.pairs, &self.positive, &self.negative) {
            (Some(target), ..) => VectorSource::Probe(target.clone(), self.along),
            (_, Some(class), ..) => VectorSource::Class(class.clone()),
            (_, _, Some(file), ..) => VectorSource::Pairs(file.clone()),
            (_, _, _, Some(positive), Some(negative)) => {
                VectorSource::Texts(positive.clone(), negative.clone())
            }
            _ => {
                let expected = "--probe, --class, --pairs, or --positive with --negative";
                return Err(Error::invalid("direction to extract", "none", expected));
            }
        };
        let (probes, hook_points) = (self.from.settings(), self.hook_points.clone());
        Ok(VectorSettings { source, probes, method: self.method, hook_points })
    }
}
