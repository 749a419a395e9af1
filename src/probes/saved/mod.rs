//! Probes on disk.
//!
//! - `probe_set`: the probes of all hook points of one dataset, model and prompt: [`ProbeSet`]
//! - `partial_probes`: probes of single hook points, fitted separately and merged later: [`PartialProbes`]

mod partial_probes;
mod probe_set;

pub use partial_probes::{PartialProbe, PartialProbes};
pub use probe_set::{PROBES_FILE, ProbeSet, ProbeSetAbout, StoredProbe, StreamMoments};
