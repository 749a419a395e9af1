//! MLP neurons that correlate with a target, and the effect of their mean ablation on the probe and the model.

use super::extraction::ExtractionJob;
use super::probing::{ProbeReport, ProbingJob, ProbingSettings, fit_all};
use super::prompted::Prompted;
use crate::activations::{Division, Span, place_texts};
use crate::artefact::{Card, Lock, hash_file};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::limits::RANDOM;
use crate::model::Model;
use crate::probes::{
    PROBES_FILE, ProbeSet, RankCorrelation, Split, StoredProbe, correlate_units, cosine, false_discovery, r2,
    unit_means,
};
use crate::progress::{Observer, Progress};
use crate::results::{ABLATIONS_FILE, AblationRow, NeuronRow, UNITS_FILE, load_rows, save_rows};
use crate::steering::{AblationHook, HeldNeuron, ProbeAt, mean_loss, random_units, readings};
use std::path::PathBuf;

/// Sentences that name no place, date or person.
const CONTROL: &str = include_str!("control_sentences.txt");
/// The number of entity texts for the loss.
const LOSS_TEXTS: usize = 200;

/// The files of an analysis.
const NEURON_FILES: [&str; 2] = [UNITS_FILE, ABLATIONS_FILE];

/// A sort key of neurons.
type By = fn(&NeuronRow) -> f64;

/// Settings of an analysis of neurons.
#[derive(Debug, Clone)]
pub struct NeuronSettings {
    /// The number of neurons to hold at their mean; at most half of a block's neurons.
    pub top: usize,
    /// The number of random sets of neurons, for comparison.
    pub seeds: u64,
    /// Settings of the probes.
    pub probing: ProbingSettings,
}

/// The results of an analysis of neurons.
pub struct NeuronReport {
    /// One row per neuron and target.
    pub neurons: Vec<NeuronRow>,
    /// One row per set of neurons and target.
    pub ablations: Vec<AblationRow>,
    /// The folder of the rows.
    pub folder: PathBuf,
    /// The probes.
    pub probes: ProbeReport,
}

/// Correlates all neurons with each target, and measures the effect of holding sets of neurons at their mean (mean
/// ablation).
///
/// # Errors
/// [`Error::Invalid`] if the settings do not suit the model, or the best probe is at the embedding; those of probing.
pub fn neurons(
    extraction: ExtractionJob,
    settings: &NeuronSettings,
    observer: &mut dyn Observer,
) -> Result<NeuronReport> {
    RANDOM.check("--seeds", settings.seeds)?;
    let width = extraction.model.spec().d_mlp;
    if settings.top > width / 2 {
        let expected = format!("at most {}, half of a block's {width} neurons", width / 2);
        return Err(Error::invalid("--top", settings.top, expected));
    }
    let names = extraction.dataset().entities.iter().map(|entity| entity.name.as_str());
    let vectors = settings.probing.word_vectors(names)?;
    let job = ProbingJob { extraction, settings: &settings.probing, train: None, vectors: vectors.as_ref() };
    let folder = job.folder().join("neurons");
    let path = folder.join("card.json");
    let card = extraction.card()?.input("k", settings.top).input("seeds", settings.seeds);
    let card = card.input("seed", settings.probing.seed);
    // Refused before the probes are fitted, whose hash is the only input that is not known yet.
    if let Some(mut found) = Card::load(&path)? {
        found.inputs.remove("probes_sha256");
        card.agrees_with(&found, &path)?;
    }
    let probes = fit_all(&job, observer)?;
    let card = card.input("probes_sha256", hash_file(&probes.folder.join(PROBES_FILE))?);
    let (neurons_csv, ablations_csv) = (folder.join(UNITS_FILE), folder.join(ABLATIONS_FILE));
    let is_earlier = match Card::load(&path)? {
        Some(found) => !card.unrecorded_in(&found, &path, &["probes_sha256"])?.is_empty(),
        None => false,
    };
    // A card without the hash of the probes was written by an earlier version: its rows are computed again.
    if !is_earlier && card.has_made(&path, &NEURON_FILES)? {
        extraction.check(&neuron_points(extraction.model), observer)?;
        let (neurons, ablations) = (load_rows(&neurons_csv)?, load_rows(&ablations_csv)?);
        return Ok(NeuronReport { neurons, ablations, folder, probes });
    }
    let _lock = Lock::take(&folder)?;
    let (neurons, ablations) = analyse(&extraction, &probes, settings, observer)?;
    save_rows(&neurons_csv, &neurons)?;
    save_rows(&ablations_csv, &ablations)?;
    card.with_files(&folder, &NEURON_FILES)?.save(&path)?;
    Ok(NeuronReport { neurons, ablations, folder, probes })
}

/// The hook points of the neurons' activations.
fn neuron_points(model: &Model) -> Vec<HookPoint> {
    (0..model.spec().n_layers).map(HookPoint::MlpPost).collect()
}

fn analyse(
    extraction: &ExtractionJob,
    probes: &ProbeReport,
    settings: &NeuronSettings,
    observer: &mut dyn Observer,
) -> Result<(Vec<NeuronRow>, Vec<AblationRow>)> {
    let (model, dataset) = (extraction.model, extraction.dataset());
    let points = neuron_points(model);
    extraction.provide(&points, Division::of(&model.transformer), observer)?;
    let set = ProbeSet::load(&probes.folder.join(PROBES_FILE))?;
    let read = probes.best.point;
    let HookPoint::ResidPost(last) = read else {
        let found = format!("the best probe at {read}, before any neuron");
        return Err(Error::invalid(&dataset.name, found, "a target that a later layer predicts better"));
    };
    let split = Split::of_dataset(dataset)?;
    let found = Neurons::of(extraction, &set, &split, observer)?;
    let ablation = Ablation::new(extraction, read, set.get(read)?, &split)?;
    let mut rows = Vec::new();
    for (t, target) in dataset.kind.names().into_iter().enumerate() {
        let choices = Choices { found: &found, last, target, settings };
        let stage = format!("{target}: held neurons");
        let choices = choices.all();
        let total = choices.len() as u64;
        for (choice, done) in choices.into_iter().zip(0..) {
            observer.progress(&Progress::counted(&stage, done, total));
            rows.push(ablation.row(choice, &found, t)?);
        }
        observer.progress(&Progress::counted(&stage, total, total));
    }
    Ok((found.rows, rows))
}

/// A set of neurons to hold at their mean.
struct Choice {
    name: &'static str,
    seed: u64,
    /// Each neuron's block and index.
    neurons: Vec<(usize, usize)>,
}

/// Builds the sets of neurons for one target.
struct Choices<'a> {
    found: &'a Neurons,
    /// The block of the probe; later blocks cannot change its prediction.
    last: usize,
    target: &'a str,
    settings: &'a NeuronSettings,
}

impl Choices<'_> {
    fn all(&self) -> Vec<Choice> {
        let correlated = self.top(|row| row.rho);
        let widths: Vec<usize> = self.found.means.iter().map(Vec::len).collect();
        let random = |seed| random_units(&correlated, &widths, seed);
        let mut choices = vec![
            Choice { name: "none", seed: 0, neurons: vec![] },
            Choice { name: "correlated", seed: 0, neurons: correlated.clone() },
            Choice { name: "input", seed: 0, neurons: self.top(|row| row.input_cosine) },
            Choice { name: "output", seed: 0, neurons: self.top(|row| row.output_cosine) },
        ];
        choices.extend((0..self.settings.seeds).map(|seed| Choice {
            name: "random",
            seed,
            neurons: random(seed),
        }));
        choices
    }

    /// The neurons with the greatest absolute value of `by`.
    fn top(&self, by: By) -> Vec<(usize, usize)> {
        let is_meant = |row: &&NeuronRow| row.target == self.target && row.layer <= self.last;
        let mut sorted: Vec<&NeuronRow> = self.found.rows.iter().filter(is_meant).collect();
        sorted.sort_by(|a, b| by(b).abs().total_cmp(&by(a).abs()));
        sorted.truncate(self.settings.top);
        sorted.into_iter().map(|row| (row.layer, row.unit)).collect()
    }
}

/// The rows and the means of all neurons.
struct Neurons {
    rows: Vec<NeuronRow>,
    /// The mean of each neuron over training entities, by block.
    means: Vec<Vec<f32>>,
}

impl Neurons {
    fn of(
        extraction: &ExtractionJob,
        probes: &ProbeSet,
        split: &Split,
        observer: &mut dyn Observer,
    ) -> Result<Neurons> {
        let ExtractionJob { model, prompted: Prompted { dataset, prompt, .. }, .. } = *extraction;
        let train = &split.folds[0].train;
        let (targets, names) = (dataset.targets(), dataset.kind.names());
        let (mut rows, mut means) = (Vec::new(), Vec::new());
        let n_layers = model.spec().n_layers;
        for layer in 0..n_layers {
            show_layer(layer, n_layers, observer);
            let all = extraction.activations()?.load(HookPoint::MlpPost(layer))?;
            means.push(unit_means(all.view(), train));
            let before = if layer == 0 { HookPoint::ResidPre(0) } else { HookPoint::ResidPost(layer - 1) };
            let (reads, writes) = model.transformer.mlp_weights(layer)?;
            let (reads, writes) = (reads.to_vec2::<f32>()?, writes.to_vec2::<f32>()?);
            let (entering, leaving) = (probes.get(before)?, probes.get(HookPoint::ResidPost(layer))?);
            for (t, target) in names.iter().enumerate() {
                let truth: Vec<f64> = train.iter().map(|&i| targets[t][i]).collect();
                for (unit, RankCorrelation { rho, p }) in
                    correlate_units(all.view(), train, &truth).into_iter().enumerate()
                {
                    rows.push(NeuronRow {
                        dataset: dataset.name.to_string(),
                        model: model.name.to_string(),
                        prompt: prompt.name.to_string(),
                        hook_point: HookPoint::MlpPost(layer).to_string(),
                        layer,
                        unit,
                        target: target.to_string(),
                        rho,
                        p,
                        q: p,
                        input_cosine: aligned(&reads[unit], entering, t),
                        output_cosine: aligned(&writes[unit], leaving, t),
                    });
                }
            }
        }
        show_layer(n_layers, n_layers, observer);
        for target in names {
            let p: Vec<f64> = rows.iter().filter(|row| row.target == target).map(|row| row.p).collect();
            let of_target = rows.iter_mut().filter(|row| row.target == target);
            of_target.zip(false_discovery(&p)).for_each(|(row, q)| row.q = q);
        }
        Ok(Neurons { rows, means })
    }
}

fn show_layer(layer: usize, n_layers: usize, observer: &mut dyn Observer) {
    let (done, total) = (layer as u64, n_layers as u64);
    observer.progress(&Progress::counted("neurons", done, total));
}

/// The cosine between a neuron's weights and a probe's weights.
fn aligned(weights: &[f32], stored: &StoredProbe, target: usize) -> f64 {
    let mut unit = stored.probe.weights.row(target).to_owned();
    unit.iter_mut().zip(weights).for_each(|(to, from)| *to = f64::from(*from));
    cosine(unit.view(), stored.probe.weights.row(target))
}

/// The texts and the probe for measuring the effect of held neurons.
struct Ablation<'a> {
    model: &'a Model,
    prompted: &'a Prompted,
    point: HookPoint,
    probe: &'a StoredProbe,
    tests: Vec<Span>,
    truth: Vec<Vec<f64>>,
    control: Vec<Vec<u32>>,
}

impl<'a> Ablation<'a> {
    fn new(
        extraction: &ExtractionJob<'a>,
        point: HookPoint,
        probe: &'a StoredProbe,
        split: &Split,
    ) -> Result<Ablation<'a>> {
        let ExtractionJob { model, prompted, recording, .. } = *extraction;
        let dataset = &prompted.dataset;
        let test = &split.folds[0].test;
        let tokenizer = &model.tokenizer;
        let placed = place_texts(tokenizer, model.spec(), prompted.texts(), recording)?;
        let spans = placed.require_all(dataset)?;
        let tests = test.iter().map(|&i| spans[i].clone()).collect();
        let truth = dataset.targets().iter().map(|t| test.iter().map(|&i| t[i]).collect()).collect();
        let control = CONTROL.lines().map(|line| Ok(tokenizer.encode(line)?.ids)).collect::<Result<_>>()?;
        Ok(Ablation { model, prompted, point, probe, tests, truth, control })
    }

    /// The scores and losses while the neurons of a set are held at their mean.
    fn row(&self, choice: Choice, found: &Neurons, target: usize) -> Result<AblationRow> {
        let value = |layer: usize, unit: usize| HeldNeuron { layer, unit, value: found.means[layer][unit] };
        let held: Vec<HeldNeuron> = choice.neurons.iter().map(|&(layer, unit)| value(layer, unit)).collect();
        let (r2, entity_loss, control_loss) = self.measure(target, &AblationHook::new(&held))?;
        let Prompted { dataset, prompt, .. } = self.prompted;
        Ok(AblationRow {
            dataset: dataset.name.to_string(),
            model: self.model.name.to_string(),
            prompt: prompt.name.to_string(),
            target: dataset.kind.names()[target].to_string(),
            hook_point: self.point.to_string(),
            units: choice.name.to_string(),
            seed: choice.seed,
            k: held.len(),
            r2,
            entity_loss,
            control_loss,
        })
    }

    /// R² of a target, and the losses on entity texts and on control sentences; NaN losses if the model has
    /// no language-model head or is bidirectional.
    fn measure(&self, target: usize, ablate: &AblationHook) -> Result<(f64, f64, f64)> {
        let transformer = &self.model.transformer;
        let texts: Vec<(&[u32], usize)> = self.tests.iter().map(|span| (&span.ids[..], span.last)).collect();
        let probe = ProbeAt { point: self.point, probe: &self.probe.probe };
        let read = readings(transformer, &texts, probe, ablate)?;
        let score = r2(&self.truth[target], &read.column(target).to_vec());
        if !transformer.generates() {
            return Ok((score, f64::NAN, f64::NAN));
        }
        let entities: Vec<&[u32]> = self.tests.iter().take(LOSS_TEXTS).map(|span| &span.ids[..]).collect();
        let control: Vec<&[u32]> = self.control.iter().map(Vec::as_slice).collect();
        let loss = |texts: &[&[u32]]| mean_loss(transformer, texts, Some(ablate));
        Ok((score, loss(&entities)?, loss(&control)?))
    }
}
