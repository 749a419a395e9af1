//! The next step after probes: a tried steering command, a sweep, or the reason for none.

use super::folders::Lab;
use super::probing::ProbeReport;
use super::saved_probes::ProbeChoice;
use super::steering::{TriedChange, sweep_flags};
use super::suggest::{command, flag, of_model};
use crate::datasets::{Dataset, Prompt};
use crate::model::Model;
use std::path::PathBuf;

/// The next step after probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// A command that steers a text; it was tried, and the text stayed whole.
    Steer(String),
    /// A command that searches for doses, because no tried change left the text whole.
    Sweep(String),
    /// No command, for this reason.
    None(&'static str),
}

impl NextStep {
    /// The next step after probes of the `given` dataset.
    pub fn after(lab: &Lab, model: &Model, probed: &ProbeReport, given: &Given) -> NextStep {
        if !model.transformer.generates() {
            return NextStep::None("The model generates no text, so nothing can be steered.");
        }
        if probed.trained_on.is_some() {
            return NextStep::None(
                "These probes were trained on another dataset, so they are not used to steer unless --probes names them.",
            );
        }
        if !probed.predicts() {
            return NextStep::None(
                "The interval of R² is not above 0: the probe does not predict the target, and gives no direction to steer.",
            );
        }
        let is_usual = probed.results == Prompt::empty().name;
        let probes = (!is_usual).then(|| PathBuf::from(probed.results.to_string()));
        let choice = ProbeChoice { dataset: Some(given.name.to_string()), probes };
        let of_probes = if is_usual { String::new() } else { flag("probes", &probed.results) };
        let rest = flag("dataset", given.name) + &of_probes;
        match TriedChange::find(lab, model, given.dataset, &choice) {
            Some(tried) => NextStep::Steer(command(lab, &of_model(model), "steer", &(rest + &tried.flags()))),
            None => {
                let rest = rest + &sweep_flags(given.dataset);
                NextStep::Sweep(command(lab, &of_model(model), "steer sweep", &rest))
            }
        }
    }
}

/// A dataset, and the name or file by which the user gave it.
pub struct Given<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Its name or file.
    pub name: &'a str,
}
