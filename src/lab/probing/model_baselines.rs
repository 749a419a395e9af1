//! Model baselines: the untrained and the shuffled model, as many layers at a time as fit into memory.

use super::super::extraction::ExtractionJob;
use super::baseline_model::BaselineModel;
use super::job::ProbingJob;
use crate::activations::Activations;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::limits::available_bytes;
use crate::probes::stacked;
use crate::progress::{Observer, Progress};
use std::collections::BTreeMap;

/// Minimum number of bytes of activations to hold at once, even if less memory is free. Layers that do not fit are
/// computed in further passes, each of which starts at the first layer.
const LEAST_BYTES_AT_ONCE: u64 = 2 << 30;

impl BaselineModel {
    /// Computes the activations of all entities at `points`, with a model that ends after the deepest of them.
    ///
    /// # Errors
    /// Those of the pass.
    pub(super) fn activations(
        self,
        job: &ProbingJob,
        points: &[HookPoint],
        observer: &mut dyn Observer,
    ) -> Result<BTreeMap<HookPoint, Activations>> {
        let ExtractionJob { model, .. } = job.extraction;
        let last = points.iter().map(|point| point.layer()).max().unwrap_or(0);
        // Large models take seconds to draw or to shuffle.
        let making = format!("making the model: {}", self.words());
        observer.progress(&Progress::counted(&making, 0, 0));
        let transformer = match self {
            BaselineModel::Untrained => model.untrained_up_to(last, job.settings.seed),
            BaselineModel::Shuffled => model.shuffled_up_to(last, job.settings.seed),
        };
        observer.progress(&Progress::counted(&making, 1, 1));
        let transformer = transformer?;
        let stage = format!("{}: {}", job.extraction.dataset().name, self.words());
        let stopped = |error| self.if_stopped(job, error);
        let mut arrays = job.extraction.through(&transformer, points, &stage, observer).map_err(stopped)?;
        if let Some(train) = job.train {
            for (point, of_train) in train.through(&transformer, points, &stage, observer).map_err(stopped)? {
                let both = stacked(of_train, &arrays[&point])?;
                arrays.insert(point, both);
            }
        }
        Ok(arrays)
    }

    /// The same error, but a stop says what is kept: the entities of the model, not those of the baseline.
    fn if_stopped(self, job: &ProbingJob, error: Error) -> Error {
        match error {
            Error::Stopped { .. } => Error::StoppedBaseline {
                dataset: job.extraction.dataset().name.to_string(),
                baseline: self.words(),
                entities: job.extraction.dataset().entities.len(),
            },
            other => other,
        }
    }
}

/// The number of layers to hold at once: as many as fit into half of the free memory, or into
/// [`LEAST_BYTES_AT_ONCE`] if that is more.
pub(super) fn layers_at_once(job: &ProbingJob) -> usize {
    let bytes = available_bytes().map_or(0, |free| free / 2).max(LEAST_BYTES_AT_ONCE);
    let n_train = job.train.map_or(0, |train| train.dataset().entities.len());
    let n_entities = job.extraction.dataset().entities.len() + n_train;
    let values = n_entities * job.extraction.model.spec().d_model;
    (bytes as usize / (values * size_of::<f32>()).max(1)).max(1)
}
