//! The flags of saved probes.

use clap::Args;
use mappa::lab::ProbeChoice;
use std::path::PathBuf;

/// A selection of saved probes.
#[derive(Args)]
pub(super) struct ProbeFlags {
    /// The dataset whose probe predicts and steers: its name or file [default: the first with probes of the target].
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,
    /// The folder of probes: a path, or its name below probes/MODEL/DATASET [default: the best test R²].
    ///
    /// Examples of names: where_is, empty.split_by_country.
    #[arg(long, value_name = "FOLDER")]
    probes: Option<PathBuf>,
}

impl ProbeFlags {
    /// The selection as settings of the lab.
    pub(super) fn settings(&self) -> ProbeChoice {
        ProbeChoice { dataset: self.dataset.clone(), probes: self.probes.clone() }
    }
}
