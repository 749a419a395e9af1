//! `mappa steer export`, `mappa steer import`: convert vectors to and from the format of llama.cpp and repeng.

use super::super::model_flags::ModelFlags;
use super::super::observer::TerminalObserver;
use clap::Args;
use mappa::artefact::{self, Card};
use mappa::lab::{Lab, load_vectors};
use mappa::{Error, Result};
use std::path::PathBuf;

/// Write vectors as a GGUF control vector, for llama.cpp's --control-vector.
///
/// direction.k is added to the output of block k, counted from 0; the format has no vector for block 0.
///
/// Example: mappa steer export steering/atlas/japan.safetensors japan.gguf
#[derive(Args)]
pub(super) struct Export {
    /// A file of vectors.
    file: PathBuf,
    /// The GGUF file to write.
    to: PathBuf,
    #[command(flatten)]
    model: ModelFlags,
}

/// Convert a GGUF control vector to a file of vectors.
///
/// Example: mappa steer import happy.gguf steering/happy.safetensors --shift -1
#[derive(Args)]
pub(super) struct Import {
    /// A GGUF control vector.
    file: PathBuf,
    /// The safetensors file to write.
    to: PathBuf,
    /// Save direction.k of the GGUF file for the output of block k + SHIFT.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    shift: i64,
    #[command(flatten)]
    model: ModelFlags,
}

impl Export {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        if self.to.extension().is_none_or(|ending| ending != "gguf") {
            return Err(Error::invalid("file to write", self.to.display(), "a name that ends in .gguf"));
        }
        let model = self.model.open(lab, &mut TerminalObserver::default())?;
        let vectors = load_vectors(&self.file, 0, &model)?;
        let left_out = vectors.export(&self.to, model.spec())?;
        for point in &left_out {
            say!("left out: {point}, which a control vector cannot hold");
        }
        say!("wrote {} vectors to {}", vectors.points().count() - left_out.len(), self.to.display());
        Ok(())
    }
}

impl Import {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let model = self.model.open(lab, &mut TerminalObserver::default())?;
        let vectors = load_vectors(&self.file, self.shift, &model)?;
        vectors.save(&self.to)?;
        let card = Card::new()
            .input("model", &model.name)
            .input("file_sha256", artefact::hash(&artefact::load_bytes(&self.file)?))
            .input("shift", self.shift);
        card.save(&self.to.with_extension("json"))?;
        say!("wrote {} vectors to {}", vectors.points().count(), self.to.display());
        Ok(())
    }
}
