//! Clamping experiment: the effect of clamped latents on the probability of their group's name and of other names.

use super::listing::Listing;
use crate::artefact::FolderName;
use crate::error::{Error, Result};
use crate::features::Match;
use crate::limits::RANDOM;
use crate::progress::{Observer, Progress};
use crate::results::{ClampRow, save_rows};
use crate::steering::{ClampTrial, ClampedLatent, Gazetteer, TokenChoice, other_latents};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Settings of a clamping experiment.
#[derive(Debug, Clone)]
pub struct ClampSettings {
    /// The template of the prompts; the model continues it for each entity.
    pub template: String,
    /// The number of groups whose latents are clamped.
    pub groups: usize,
    /// The clamped values, in multiples of the latent's greatest activation.
    pub times: Vec<f64>,
    /// The number of test entities to write prompts about.
    pub prompts: usize,
    /// The number of random latents for comparison.
    pub random: usize,
    /// The tokens to change.
    pub at: TokenChoice,
    /// The number of tokens to generate.
    pub tokens: usize,
}

impl ClampSettings {
    /// Refuses numbers out of range, before anything is computed.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the flag.
    pub fn check(&self) -> Result<()> {
        RANDOM.check("--random", self.random as u64)?;
        match self.times.iter().find(|times| !times.is_finite()) {
            None => Ok(()),
            Some(times) => Err(Error::invalid("--times", times, "finite numbers")),
        }
    }
}

/// The outcome of a clamping experiment.
pub struct ClampReport {
    /// The best match of each group, sorted by F1, best first.
    pub best: Vec<Match>,
    /// One row per group, dose and latent.
    pub rows: Vec<ClampRow>,
    /// The file of the rows.
    pub file: PathBuf,
}

/// Clamps the best latent of each group, measures the probability of every group's name, and saves the rows.
///
/// # Errors
/// [`Error::Invalid`] if no latent matches a group, or all test entities belong to one group.
pub fn clamp_groups(
    listing: &Listing,
    settings: &ClampSettings,
    observer: &mut dyn Observer,
) -> Result<ClampReport> {
    settings.check()?;
    let (dataset, model) = (listing.dataset(), listing.model);
    let dictionary = Arc::new(listing.dictionary.clone());
    let names: Vec<&str> = (0..dataset.entities.len()).map(|at| listing.groups.name_of(at)).collect();
    let gazetteer = Gazetteer::of_groups(dataset, &names)?;
    let mut seen = BTreeSet::new();
    let best = listing.matches.iter().filter(|found| seen.insert(found.group)).take(settings.groups);
    let best: Vec<Match> = best.copied().collect();
    if best.is_empty() {
        let expected = format!("latents that are active on groups of {}", listing.column);
        return Err(Error::invalid("dictionary", "no latent that matches a group", expected));
    }
    let total = best.len() as u64;
    let mut rows = Vec::new();
    for (found, seed) in best.iter().zip(0..) {
        observer.progress(&Progress::counted("clamping", seed, total));
        let random = other_latents(&listing.active.alive(), found.latent, settings.random, seed);
        let trial = ClampTrial {
            dictionary: dictionary.clone(),
            gazetteer: &gazetteer,
            times: &settings.times,
            random: &random,
            at: settings.at.clone(),
            n_tokens: settings.tokens,
        };
        let clamped = clamped(listing, found, settings)?;
        if let Some(note) = clamped.prompts.first().and_then(|prompt| model.tokenizer.doubled_bos(prompt)) {
            observer.note(&note);
        }
        rows.extend(trial.rows(model, &clamped)?);
    }
    observer.progress(&Progress::counted("clamping", total, total));
    let file = listing.folder.join(FolderName::of_text(&listing.column).after("press_").with(".csv"));
    save_rows(&file, &rows)?;
    Ok(ClampReport { best, rows, file })
}

/// The latent with its prompts, about test entities of other groups, spread evenly over the dataset.
fn clamped(listing: &Listing, found: &Match, settings: &ClampSettings) -> Result<ClampedLatent> {
    let (group, entities) = (&listing.groups.names()[found.group], &listing.dataset().entities);
    let is_other = |place: &usize| {
        let name = listing.groups.name_of(*place);
        entities[*place].is_test && name != group && !name.is_empty()
    };
    let others: Vec<usize> = (0..entities.len()).filter(is_other).collect();
    if others.is_empty() {
        let expected = format!("test entities of other groups than {group}");
        return Err(Error::invalid("test entities", "none", expected));
    }
    let n = settings.prompts.min(others.len());
    let prompts = (0..n).map(|i| {
        let entity = &entities[others[i * others.len() / n]];
        settings.template.replace("{}", &entity.name)
    });
    let greatest = f64::from(listing.active.greatest(found.latent));
    Ok(ClampedLatent { latent: found.latent, greatest, group: group.clone(), prompts: prompts.collect() })
}
