//! The measurements at one layer: exchanges of each subspace, and the angles between them.

use super::settings::CauseSettings;
use crate::causal::{Answered, Das, DasSettings, Exchange, Interchange, RandomAngles, Search, Subspace};
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::probes::{Bootstrap, StoredProbe};
use crate::results::{
    AngleRow, DAS, DAS_ARBITRARY, DAS_UNTRAINED, InterchangeRow, NOTHING, PATTERN, PROBE, RANDOM, STREAM,
};
use std::collections::BTreeMap;

/// Draws of the distribution of random angles.
const DRAWS: u64 = 500;

/// The names in all rows of a test.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) dataset: String,
    pub(super) model: String,
    pub(super) prompt: String,
}

/// The pairs of a test at some layers.
pub(super) struct Pairs<'a> {
    pub(super) training: &'a Interchange<'a>,
    pub(super) test: &'a Interchange<'a>,
    pub(super) names: &'a Names,
    pub(super) settings: &'a CauseSettings,
    /// The true answer of each text.
    pub(super) labels: &'a [usize],
    pub(super) chance: f64,
}

/// The measurements at one layer.
pub(super) struct MeasuredLayer {
    pub(super) interchange: Vec<InterchangeRow>,
    pub(super) angles: Vec<AngleRow>,
    pub(super) das: Subspace,
}

/// A subspace with its name and seed in rows.
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) seed: u64,
    pub(super) subspace: Subspace,
}

/// The subspaces of a probe: of its weights, and of its pattern.
pub(super) fn of_probe(stored: &StoredProbe) -> Result<Vec<Named>> {
    let weights = Subspace::spanned_by(stored.probe.weights.view())?;
    let pattern = Subspace::spanned_by(stored.stream.pattern.view())?;
    Ok(vec![
        Named { name: PROBE, seed: 0, subspace: weights },
        Named { name: PATTERN, seed: 0, subspace: pattern },
    ])
}

/// The random subspaces of a test.
pub(super) fn random_ones(settings: &CauseSettings, rank: usize, d_model: usize) -> Result<Vec<Named>> {
    let one = |i: u64| {
        let seed = settings.seed.wrapping_add(i);
        Ok(Named { name: RANDOM, seed, subspace: Subspace::random(rank, d_model, seed)? })
    };
    (1..=settings.random).map(one).collect()
}

/// The report of progress: steps done, and their number; an error stops the work.
pub(super) type Report<'a> = &'a mut dyn FnMut(usize, usize) -> Result<()>;

impl Pairs<'_> {
    /// The settings of a search.
    pub(super) fn search(&self, rank: usize) -> DasSettings {
        DasSettings { rank, epochs: self.settings.epochs, seed: self.settings.seed, ..DasSettings::default() }
    }

    /// All measurements at a layer.
    pub(super) fn measure(
        &self,
        layer: usize,
        stored: &StoredProbe,
        report: Report,
    ) -> Result<MeasuredLayer> {
        let (d_model, rank) = (stored.probe.d_model(), self.rank(stored));
        let search = Search { settings: self.search(rank), wanted: self.labels };
        let das = Das::find(self.training, layer, search, report)?;
        let mut rows = vec![
            self.row(layer, NOTHING, Exchange::Nothing)?,
            self.row(layer, STREAM, Exchange::Stream)?,
            InterchangeRow {
                train_accuracy: Some(das.accuracy),
                ..self.row(layer, DAS, Exchange::Subspace(&das.subspace))?
            },
        ];
        let of_probe = of_probe(stored)?;
        for one in of_probe.iter().chain(&random_ones(self.settings, rank, d_model)?) {
            let row = self.row(layer, one.name, Exchange::Subspace(&one.subspace))?;
            rows.push(InterchangeRow { seed: one.seed, ..row });
        }
        let mut all: Vec<(&str, &Subspace)> = vec![(DAS, &das.subspace)];
        all.extend(of_probe.iter().map(|one| (one.name, &one.subspace)));
        let angles = self.angles(layer, &all)?;
        Ok(MeasuredLayer { interchange: rows, angles, das: das.subspace })
    }

    /// The rank of searches and random subspaces.
    pub(super) fn rank(&self, stored: &StoredProbe) -> usize {
        self.settings.rank.unwrap_or(stored.probe.n_targets())
    }

    /// The row of one exchange; the wanted answers are the true ones.
    pub(super) fn row(&self, layer: usize, name: &str, exchange: Exchange) -> Result<InterchangeRow> {
        self.row_of(layer, name, exchange, self.labels)
    }

    /// The row of one exchange with the wanted answer of each source.
    pub(super) fn row_of(
        &self,
        layer: usize,
        name: &str,
        exchange: Exchange,
        wanted: &[usize],
    ) -> Result<InterchangeRow> {
        let answers = self.test.answers(layer, exchange)?;
        let mut groups: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
        for (pair, Answered { answer, .. }) in self.test.pairs().zip(&answers) {
            groups.entry(pair.group).or_default().push(*answer == wanted[pair.source]);
        }
        let groups: Vec<(f64, f64)> = groups
            .into_values()
            .map(|of| (of.iter().filter(|is| **is).count() as f64, of.len() as f64))
            .collect();
        let share = |drawn: &[usize]| {
            let (right, n) =
                drawn.iter().fold((0.0, 0.0), |sum, &i| (sum.0 + groups[i].0, sum.1 + groups[i].1));
            right / n
        };
        let bootstrap = Bootstrap { n_resamples: self.settings.resamples, seed: self.settings.seed };
        let interval = bootstrap.interval(groups.len(), share);
        let Names { dataset, model, prompt } = self.names.clone();
        Ok(InterchangeRow {
            dataset,
            model,
            prompt,
            hook_point: HookPoint::ResidPost(layer).to_string(),
            layer,
            exchanged: name.into(),
            rank: match exchange {
                Exchange::Nothing => 0,
                Exchange::Stream => self.test.d_model(),
                Exchange::Subspace(subspace) => subspace.rank(),
            },
            seed: 0,
            n_pairs: answers.len(),
            n_groups: groups.len(),
            accuracy: share(&(0..groups.len()).collect::<Vec<usize>>()),
            low: interval.low,
            high: interval.high,
            chance: self.chance,
            log_odds: answers.iter().map(|one| one.log_odds).sum::<f64>() / answers.len() as f64,
            train_accuracy: None,
        })
    }

    /// The angles between each two subspaces.
    fn angles(&self, layer: usize, all: &[(&str, &Subspace)]) -> Result<Vec<AngleRow>> {
        let mut rows = Vec::new();
        for (i, (first, a)) in all.iter().enumerate() {
            for (second, b) in &all[i + 1..] {
                let random = RandomAngles::between([a.rank(), b.rank()], a.basis().ncols(), DRAWS)?;
                for ((degrees, random), number) in a.angles(b)?.into_iter().zip(random).zip(1..) {
                    let Names { dataset, model, prompt } = self.names.clone();
                    rows.push(AngleRow {
                        dataset,
                        model,
                        prompt,
                        hook_point: HookPoint::ResidPost(layer).to_string(),
                        layer,
                        first: first.to_string(),
                        second: second.to_string(),
                        number,
                        degrees,
                        random_mean: random.mean,
                        random_low: random.low,
                        random_high: random.high,
                    });
                }
            }
        }
        Ok(rows)
    }

    /// A control: a subspace found by gradient for these wanted answers, exchanged between the test pairs.
    pub(super) fn control(
        &self,
        layer: usize,
        rank: usize,
        kind: SearchControl,
        report: Report,
    ) -> Result<InterchangeRow> {
        let (name, wanted) = match kind {
            SearchControl::Arbitrary(wanted) => (DAS_ARBITRARY, wanted),
            SearchControl::Untrained => (DAS_UNTRAINED, self.labels),
        };
        let das = Das::find(self.training, layer, Search { settings: self.search(rank), wanted }, report)?;
        let row = self.row_of(layer, name, Exchange::Subspace(&das.subspace), wanted)?;
        Ok(InterchangeRow { train_accuracy: Some(das.accuracy), ..row })
    }
}

/// A search as a control.
#[derive(Clone, Copy)]
pub(super) enum SearchControl<'a> {
    /// For arbitrary answers, one per text.
    Arbitrary(&'a [usize]),
    /// In an untrained model; the pairs are of that model.
    Untrained,
}
