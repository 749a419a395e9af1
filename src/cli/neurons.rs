//! `mappa neurons`: MLP units that follow a target, and what happens without them.

use super::chosen::ChosenModel;
use super::dataset::find;
use super::drawing::save_figure;
use super::settings::{Settings, at_least_two};
use super::stages::Job;
use super::table::print_columns;
use super::terminal;
use super::texts::Texts;
use clap::Args;
use mappa::activations::{Division, Recording, Span, place_texts};
use mappa::artefact::Card;
use mappa::figures::{Caption, neurons};
use mappa::hook_point::HookPoint;
use mappa::probes::{
    PROBES_FILE, ProbeSet, RankCorrelation, Split, StoredProbe, best_point, correlate_units, cosine,
    false_discovery, r2, unit_means,
};
use mappa::results::{
    ABLATIONS_FILE, AblationRow, NeuronRow, SCORES_FILE, ScoreRow, UNITS_FILE, load_rows, save_rows,
};
use mappa::steering::{Ablate, Held, mean_loss, random_units, readings};
use mappa::{Error, Result};
use std::path::Path;

/// Sentences without a place, a time or a name.
const CONTROL: &str = include_str!("control.txt");
/// How many of the entities' texts a loss is counted on.
const LOSS_TEXTS: usize = 200;
/// What units are sorted by.
type By = fn(&NeuronRow) -> f64;
/// The units that are listed: what is said of them, how many, and by what they come first.
const LISTED: [(&str, usize, By); 3] = [
    ("correlation", 8, |row| row.rho),
    ("input", 3, |row| row.input_cosine),
    ("output", 3, |row| row.output_cosine),
];

/// Find MLP units that follow a target, hold them at their mean, and see what the probe and the model lose.
///
/// Correlates every unit of every block (blocks.*.mlp.hook_post) with the target over the training entities:
/// Spearman's rank correlation, how probable it is by chance, and adjusted for all units (Benjamini and Hochberg).
/// Beside it stand the cosines of the unit's input and output weights with the probes of the stream. Then the
/// k units that correlate most, those whose weights align most, and random ones of the same blocks are held at
/// their mean, and the probe's R² on test entities and the model's loss on entity texts and on control sentences
/// are counted again. Probes first where that is not done.
///
/// Examples:
///   mappa neurons --dataset world_place --top 20
///   mappa neurons --model path/to/pythia-160m --dataset historical_figure --prompt when --top 50 --seeds 3
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Neurons {
    #[command(flatten)]
    model: ChosenModel,
    /// A dataset's name, or a CSV, TSV, JSON or Parquet file.
    #[arg(long, value_name = "NAME|FILE")]
    dataset: String,
    #[command(flatten)]
    texts: Texts,
    /// How many units are held; at most half of a block's, so that as many random ones are left.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// How many random choices stand beside them.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Seeds the probes, as in `mappa probe`.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Bootstrap resamples of the probes' intervals, as in `mappa probe`.
    #[arg(long, default_value_t = 500, value_parser = at_least_two())]
    resamples: usize,
}

impl Neurons {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        let dataset = find(lab, &self.dataset)?;
        let (prompt, recording) = (self.texts.prompt(&dataset)?, Recording::default());
        let model = self.texts.set_up(self.model.load(lab)?)?;
        let width = model.spec().d_mlp;
        if self.top as usize > width / 2 {
            let expected = format!("at most {}, half of a block's {width} units", width / 2);
            return Err(Error::invalid("--top", self.top, expected));
        }
        let reads = (&model.tokenizer, model.spec());
        let (dataset, unplaced) = self.texts.placeable(reads, dataset, (&prompt, recording))?;
        let settings = Settings::default();
        let job = Job {
            lab,
            model: &model,
            dataset: &dataset,
            unplaced: &unplaced,
            prompt: &prompt,
            recording,
            seed: self.seed,
            resamples: self.resamples,
            settings: &settings,
            from: None,
        };
        job.extract()?;
        job.probe()?;
        let folder = job.probe_folder().join("neurons");
        let card = job.card()?.input("k", self.top).input("seeds", self.seeds).input("seed", self.seed);
        if !card.is_done(&folder.join("card.json"))? {
            self.find(&job, (&folder, &card))?;
        }
        let units: Vec<NeuronRow> = load_rows(&folder.join(UNITS_FILE))?;
        let ablations: Vec<AblationRow> = load_rows(&folder.join(ABLATIONS_FILE))?;
        for target in dataset.kind.names() {
            print_units(&units, target);
            print_ablations(&ablations, target);
        }
        println!("\nunits, ablations: {}", folder.display());
        let title = format!("{}, {}: MLP units", dataset.name.replace('_', " "), model.name);
        let subtitle = "rank correlation with the target, training entities";
        let caption = Caption { title: &title, subtitle, baselines: "" };
        let folder = lab.join("figures").join(&model.name).join(job.results());
        let name = format!("{}_neurons", dataset.name);
        for file in save_figure((&folder, &name), |format| neurons(&units, &caption, format))? {
            println!("figure: {}", file.display());
        }
        Ok(())
    }

    fn find(&self, job: &Job, (folder, card): (&Path, &Card)) -> Result<()> {
        let n_layers = job.model.spec().n_layers;
        let points: Vec<HookPoint> = (0..n_layers).map(HookPoint::MlpPost).collect();
        job.record(&points, Division::of(&job.model.transformer))?;
        let probes = ProbeSet::load(&job.probe_folder().join(PROBES_FILE))?;
        let scores: Vec<ScoreRow> = load_rows(&job.probe_folder().join(SCORES_FILE))?;
        let read = best_point(&scores)?;
        let HookPoint::ResidPost(last) = read else {
            let found = format!("the best probe at {read}, before any unit");
            return Err(Error::invalid(&job.dataset.name, found, "a target that a later layer reads better"));
        };
        let split = Split::of_dataset(job.dataset)?;
        let found = Units::of(job, &probes, &split)?;
        let ablation = Ablation::new(job, (read, probes.get(read)?), &split)?;
        let mut rows = Vec::new();
        for (t, target) in job.dataset.kind.names().into_iter().enumerate() {
            rows.extend(self.ablations((job, &ablation), (&found, last), (t, target))?);
        }
        save_rows(&folder.join(UNITS_FILE), &found.rows)?;
        save_rows(&folder.join(ABLATIONS_FILE), &rows)?;
        card.save(&folder.join("card.json"))
    }

    /// What is left without the units of each choice.
    fn ablations(
        &self,
        (job, ablation): (&Job, &Ablation),
        (found, last): (&Units, usize),
        (t, target): (usize, &str),
    ) -> Result<Vec<AblationRow>> {
        let k = self.top as usize;
        let of_target: Vec<&NeuronRow> =
            found.rows.iter().filter(|row| row.target == target && row.layer <= last).collect();
        let top = |by: By| {
            let mut sorted = of_target.clone();
            sorted.sort_by(|a, b| by(b).abs().total_cmp(&by(a).abs()));
            sorted.truncate(k);
            sorted.into_iter().map(|row| (row.layer, row.unit)).collect::<Vec<(usize, usize)>>()
        };
        let correlated = top(|row| row.rho);
        let mut choices = vec![
            ("none", 0, vec![]),
            ("input", 0, top(|row| row.input_cosine)),
            ("output", 0, top(|row| row.output_cosine)),
        ];
        for seed in 0..self.seeds {
            let widths: Vec<usize> = found.means.iter().map(Vec::len).collect();
            choices.push(("random", seed, random_units(&correlated, &widths, seed)));
        }
        choices.insert(1, ("correlated", 0, correlated));
        let bar = terminal::bar(&format!("{target}: held units"), choices.len() as u64);
        let row = |(units, seed, chosen): (&str, u64, Vec<(usize, usize)>)| {
            let held: Vec<Held> = chosen
                .iter()
                .map(|&(layer, unit)| Held { layer, unit, value: found.means[layer][unit] })
                .collect();
            let (r2, entity_loss, control_loss) = ablation.measure(job, t, &Ablate::new(&held))?;
            bar.inc(1);
            Ok(AblationRow {
                dataset: job.dataset.name.clone(),
                model: job.model.name.clone(),
                prompt: job.prompt.name.clone(),
                target: target.to_string(),
                hook_point: ablation.point.to_string(),
                units: units.to_string(),
                seed,
                k: held.len(),
                r2,
                entity_loss,
                control_loss,
            })
        };
        let rows = choices.into_iter().map(row).collect::<Result<Vec<AblationRow>>>();
        bar.finish_and_clear();
        rows
    }
}

/// All units of all blocks.
struct Units {
    rows: Vec<NeuronRow>,
    /// The mean of each unit over training entities, by block.
    means: Vec<Vec<f32>>,
}

impl Units {
    fn of(job: &Job, probes: &ProbeSet, split: &Split) -> Result<Units> {
        let train = &split.folds[0].train;
        let (targets, names) = (job.dataset.targets(), job.dataset.kind.names());
        let (mut rows, mut means) = (Vec::new(), Vec::new());
        let bar = terminal::bar("units", job.model.spec().n_layers as u64);
        for layer in 0..job.model.spec().n_layers {
            let all = job.activations()?.load(HookPoint::MlpPost(layer))?;
            means.push(unit_means(all.view(), train));
            let before = if layer == 0 { HookPoint::ResidPre(0) } else { HookPoint::ResidPost(layer - 1) };
            let (reads, writes) = job.model.transformer.mlp_weights(layer)?;
            let (reads, writes) = (reads.to_vec2::<f32>()?, writes.to_vec2::<f32>()?);
            let (entering, leaving) = (probes.get(before)?, probes.get(HookPoint::ResidPost(layer))?);
            for (t, target) in names.iter().enumerate() {
                let truth: Vec<f64> = train.iter().map(|&i| targets[t][i]).collect();
                for (unit, RankCorrelation { rho, p }) in
                    correlate_units(all.view(), train, &truth).into_iter().enumerate()
                {
                    rows.push(NeuronRow {
                        dataset: job.dataset.name.clone(),
                        model: job.model.name.clone(),
                        prompt: job.prompt.name.clone(),
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
            bar.inc(1);
        }
        bar.finish_and_clear();
        for target in names {
            let p: Vec<f64> = rows.iter().filter(|row| row.target == target).map(|row| row.p).collect();
            let of_target = rows.iter_mut().filter(|row| row.target == target);
            of_target.zip(false_discovery(&p)).for_each(|(row, q)| row.q = q);
        }
        Ok(Units { rows, means })
    }
}

/// The cosine of a unit's weights and a probe's.
fn aligned(weights: &[f32], stored: &StoredProbe, target: usize) -> f64 {
    let mut unit = stored.probe.weights.row(target).to_owned();
    unit.iter_mut().zip(weights).for_each(|(to, from)| *to = f64::from(*from));
    cosine(unit.view(), stored.probe.weights.row(target))
}

/// What is counted each time units are held.
struct Ablation<'a> {
    point: HookPoint,
    probe: &'a StoredProbe,
    tests: Vec<Span>,
    truth: Vec<Vec<f64>>,
    control: Vec<Vec<u32>>,
}

impl<'a> Ablation<'a> {
    fn new(job: &Job, (point, probe): (HookPoint, &'a StoredProbe), split: &Split) -> Result<Ablation<'a>> {
        let test = &split.folds[0].test;
        let tokenizer = &job.model.tokenizer;
        let placed = place_texts((tokenizer, job.model.spec()), (job.dataset, job.prompt), job.recording)?;
        let spans = placed.all_of(job.dataset)?;
        let tests = test.iter().map(|&i| spans[i].clone()).collect();
        let truth = job.dataset.targets().iter().map(|t| test.iter().map(|&i| t[i]).collect()).collect();
        let control = CONTROL.lines().map(|line| Ok(tokenizer.encode(line)?.ids)).collect::<Result<_>>()?;
        Ok(Ablation { point, probe, tests, truth, control })
    }

    /// R² of a target, and the losses on entity texts and on control sentences; no losses where the model has
    /// no language-model head or sees both ways.
    fn measure(&self, job: &Job, target: usize, ablate: &Ablate) -> Result<(f64, f64, f64)> {
        let transformer = &job.model.transformer;
        let texts: Vec<(&[u32], usize)> = self.tests.iter().map(|span| (&span.ids[..], span.last)).collect();
        let read = readings(transformer, &texts, (self.point, &self.probe.probe), ablate)?;
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

fn print_units(rows: &[NeuronRow], target: &str) {
    let mut of_target: Vec<&NeuronRow> = rows.iter().filter(|row| row.target == target).collect();
    let sure = of_target.iter().filter(|row| row.q < 0.01).count();
    println!("\n{target}: {sure} of {} units follow it (at most 1 % of them falsely)", of_target.len());
    let cells = |first_by: &str, row: &NeuronRow| {
        let (rho, q) = (format!("{:+.3}", row.rho), format!("{:.1e}", row.q));
        let (input, output) = (format!("{:+.2}", row.input_cosine), format!("{:+.2}", row.output_cosine));
        vec![first_by.to_string(), row.layer.to_string(), row.unit.to_string(), rho, q, input, output]
    };
    let mut listed = Vec::new();
    for (first_by, n, by) in LISTED {
        of_target.sort_by(|a, b| by(b).abs().total_cmp(&by(a).abs()));
        listed.extend(of_target.iter().take(n).map(|row| cells(first_by, row)));
    }
    let heads = ["first by", "layer", "unit", "rank correlation", "q", "input cosine", "output cosine"];
    print_columns(&heads, &listed);
}

fn print_ablations(rows: &[AblationRow], target: &str) {
    let of_target: Vec<&AblationRow> = rows.iter().filter(|row| row.target == target).collect();
    let Some(plain) = of_target.iter().find(|row| row.units == "none") else { return };
    println!(
        "\n{target} read at {}: R² {:.3} as it is; with units held at their mean:",
        plain.hook_point, plain.r2
    );
    let cells = |row: &&&AblationRow| {
        let name = if row.units == "random" { format!("random {}", row.seed) } else { row.units.clone() };
        let change = |now: f64, before: f64| match now - before {
            // A model that does not generate has no loss.
            change if change.is_nan() => "–".into(),
            change => format!("{change:+.3}"),
        };
        vec![
            name,
            row.k.to_string(),
            change(row.r2, plain.r2),
            change(row.entity_loss, plain.entity_loss),
            change(row.control_loss, plain.control_loss),
        ]
    };
    let rows: Vec<Vec<String>> =
        of_target.iter().filter(|row| row.units != "none").map(|row| cells(&row)).collect();
    print_columns(&["units", "k", "change of R²", "of the loss on entities", "on control sentences"], &rows);
}
