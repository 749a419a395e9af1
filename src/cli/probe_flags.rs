//! The flags of saved probes.

use clap::Args;
use mappa::lab::ProbeChoice;
use std::path::PathBuf;

/// A choice among saved probes.
#[derive(Args)]
pub(super) struct ProbeFlags {
    /// The dataset whose probe reads and steers: a name, or the file that was probed
    /// [default: the first that has probes which read what is asked for].
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,
    /// The folder of probes: a path, or its name below probes/MODEL/DATASET such as where_is or
    /// empty.split_by_country [default: the newest].
    #[arg(long, value_name = "FOLDER")]
    probes: Option<PathBuf>,
}

impl ProbeFlags {
    /// The choice.
    pub(super) fn settings(&self) -> ProbeChoice {
        ProbeChoice { dataset: self.dataset.clone(), probes: self.probes.clone() }
    }
}
