//! Models that know nothing, as baselines: their activations, as many layers at a time as fit into memory.

use super::stages::Job;
use super::terminal::{self, Position};
use mappa::Result;
use mappa::activations::{Activations, Division, Prepared, PromptedDataset};
use mappa::hook_point::HookPoint;
use mappa::model::{Transformer, memory};
use mappa::probes::stacked;
use mappa::results::{SHUFFLED_WEIGHTS, UNTRAINED};
use std::collections::BTreeMap;

/// Bytes of their activations that are held at once whatever memory there is; more layers than fit are computed in several
/// passes, each of which begins at the first layer.
const LEAST_BYTES_AT_ONCE: u64 = 2 << 30;

/// A model of the same shape that knows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blank {
    /// Drawn from a seed.
    Untrained,
    /// The model's own numbers, those of each tensor in another order.
    Shuffled,
}

impl Blank {
    /// Both.
    pub const ALL: [Blank; 2] = [Blank::Untrained, Blank::Shuffled];

    /// What result rows call it.
    pub fn name(self) -> &'static str {
        match self {
            Blank::Untrained => UNTRAINED,
            Blank::Shuffled => SHUFFLED_WEIGHTS,
        }
    }
}

impl Job<'_> {
    /// Layers of a model that knows nothing that are held at once: as many as fit into half of the memory that is free.
    pub fn layers_at_once(&self) -> usize {
        let bytes = memory::available_bytes().map_or(0, |free| free / 2).max(LEAST_BYTES_AT_ONCE);
        let learnt = self.from.map_or(0, |from| from.dataset.entities.len());
        let values = (self.dataset.entities.len() + learnt) * self.model.spec().d_model;
        (bytes as usize / (values * size_of::<f32>()).max(1)).max(1)
    }

    /// The activations of a model that knows nothing, as deep as they are needed; those of the entities that are
    /// learnt from first where they are others.
    pub fn blank(&self, blank: Blank, points: &[HookPoint]) -> Result<BTreeMap<HookPoint, Activations>> {
        let last = points.iter().map(|point| point.layer()).max().unwrap_or(0);
        let model = match blank {
            Blank::Untrained => self.model.untrained_up_to(last, self.seed)?,
            Blank::Shuffled => self.model.shuffled_up_to(last, self.seed)?,
        };
        let title = format!("{}: {}", self.dataset.name, blank.name().replace('_', " "));
        let mut read = self.through(&model, points, &title)?;
        if let Some(from) = self.from {
            for (point, learnt) in from.through(&model, points, &title)? {
                let both = stacked(learnt, &read[&point])?;
                read.insert(point, both);
            }
        }
        Ok(read)
    }

    fn through(
        &self,
        model: &Transformer,
        points: &[HookPoint],
        title: &str,
    ) -> Result<BTreeMap<HookPoint, Activations>> {
        let texts = PromptedDataset { dataset: self.dataset, prompt: self.prompt };
        let division = Division::of(&self.model.transformer);
        let prepared = Prepared::new(self.text_model(model), texts, self.recording, division)?;
        let bar = terminal::bar(title, prepared.n_computed() as u64);
        let read = prepared.extract(points, &mut Position(&bar))?;
        bar.finish_and_clear();
        Ok(read.arrays)
    }
}
