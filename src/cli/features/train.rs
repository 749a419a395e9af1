//! `mappa features train`: a sparse dictionary of a model's activations.

use super::super::chosen::ChosenModel;
use super::super::dataset::find;
use super::super::stages::held_weights;
use super::super::stopping::Stopping;
use super::super::table::print_columns;
use super::super::{suggest, terminal};
use clap::Args;
use indicatif::ProgressBar;
use mappa::activations::hook_points;
use mappa::artefact::{self, Card};
use mappa::datasets::{BUNDLED, Dataset, Prompt};
use mappa::features::train::{
    DictionaryTrainer, Explained, RowSource, StepStatistics, TextRows, TokenizedTexts, TrainSettings,
    explained_by_components, explained_by_dictionary, explained_by_random,
};
use mappa::hook_point::HookPoint;
use mappa::model::{Bos, Encoded, Model, Tokenizer};
use mappa::progress::{Observer, Progress};
use mappa::training::Corpus;
use mappa::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Train a TopK sparse dictionary on what passes at a hook point, at every token of some texts.
///
/// Writes a SAELens folder (cfg.json, sae_weights.safetensors) with card.json into features/MODEL/NAME. A text's BOS is
/// no row, and a text that stands twice counts once. Some texts are kept out, and the fraction of
/// variance explained (FVE) is told on them, beside principal components and a random dictionary.
///
/// After Ctrl-C (exit code 130) or a kill the same command goes on from the last checkpoint, to the same bits.
///
/// Examples:
///   mappa features train --hook-point blocks.5.hook_resid_post --sentences 24 --units 2048 -k 16
///   mappa features train --hook-point blocks.8.hook_resid_post --model path/to/gpt2 --texts corpus.txt
///   mappa features train --hook-point blocks.3.hook_mlp_out --dataset world_place --prompt "{} is in"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Train {
    #[command(flatten)]
    model: ChosenModel,
    /// The hook point whose rows are learnt; `mappa models inspect` lists them.
    #[arg(long, value_name = "NAME")]
    hook_point: String,
    /// Datasets whose entities are the texts; repeat for several [default: the six bundled ones, without --texts].
    #[arg(long = "dataset", value_name = "NAME|FILE")]
    datasets: Vec<String>,
    /// The texts around a name: templates such as "{} is in", or the paper's prompts by name; repeat for several.
    #[arg(long = "prompt", value_name = "NAME|TEMPLATE", default_value = "empty")]
    prompts: Vec<String>,
    /// So many sentences beside, that begin with each entity and tell of others, as the bundled model learned them.
    #[arg(long, value_name = "N", default_value_t = 0)]
    sentences: usize,
    /// A file of texts, one a line; empty lines are none.
    #[arg(long = "texts", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Whether a token such as <s> begins each text: as-model, always or never. It is no row in any case.
    #[arg(long, default_value_t, value_name = "WHEN")]
    bos: Bos,
    /// Units of the dictionary.
    #[arg(long, default_value_t = 2048)]
    units: usize,
    /// Units that are active on a row, at most.
    #[arg(short, long, default_value_t = 16)]
    k: usize,
    /// How often each row is seen.
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    /// Rows of a step.
    #[arg(long, default_value_t = 1024)]
    batch: usize,
    /// The highest rate of learning.
    #[arg(long, default_value_t = 1e-3)]
    rate: f32,
    /// A unit that was not active on so many rows is dead, and helped by the auxiliary loss.
    #[arg(long, value_name = "ROWS", default_value_t = 100_000)]
    dead_after: u64,
    /// The share of texts that is kept out.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    held_out: f64,
    /// GiB of rows that are held; where they are more, they are computed again in each epoch.
    #[arg(long, value_name = "GIB", default_value_t = 4.0)]
    memory: f64,
    /// Seeds the first weights, the order of the rows, the sentences, and the texts that are kept out.
    #[arg(long, default_value_t = 5)]
    seed: u64,
    /// Seconds between checkpoints.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    checkpoint_every: u64,
    /// The folder in features/MODEL [default: the hook point, units and k].
    #[arg(long = "name", value_name = "NAME")]
    called: Option<String>,
}

impl Train {
    /// Runs the command.
    pub fn run(&self, lab: &Path) -> Result<()> {
        self.check()?;
        let model = self.model.load(lab)?;
        let tokenizer = model.tokenizer.clone().with_bos(self.bos)?;
        let point = self.point(&model)?;
        let texts = TokenizedTexts::new(model.spec(), self.encoded(lab, &tokenizer)?);
        let name = self.called.clone().unwrap_or_else(|| format!("{point}.{}.k{}", self.units, self.k));
        let folder = lab.join("features").join(&model.name).join(name);
        let settings = self.settings(model.spec().width_at(point).unwrap_or_default());
        settings.check()?;
        let card = self.card((&model, point), &texts, &settings);
        let way_out = "--called NAME gives this dictionary a folder of its own, or move the folder away";
        if card.is_done(&folder.join("card.json")).map_err(|e| e.with_way_out(way_out))? {
            println!("found, trained before: {}", folder.display());
            return Ok(());
        }
        say_texts(&texts);
        let (rows, kept_out) = texts.split(&model.transformer, point, self.held_out, self.seed)?;
        eprintln!(
            "{} rows to learn from, {} of texts kept out, {} wide",
            rows.n_rows(),
            kept_out.n_rows(),
            rows.width()
        );
        let mut observer = Looking { title: "rows", bar: None, stopping: Stopping::begin()? };
        let started = Instant::now();
        let mut trainer = self.train((&rows, settings), (&folder, &card), &mut observer)?;
        let seconds = started.elapsed().as_secs_f64();
        let mut dictionary = trainer.dictionary(point)?;
        dictionary.model = Some(model.name.clone());
        dictionary.made_with_bos = Some(model.tokenizer.begins());
        dictionary.check()?;
        observer.title = "rows kept out";
        let fits = [
            ("this dictionary", explained_by_dictionary(&dictionary, &kept_out, &mut observer)?),
            (
                "principal components",
                explained_by_components(trainer.rows(&mut observer)?, self.k, &kept_out, &mut observer)?,
            ),
            ("random directions", explained_by_random(&trainer.untrained(point)?, &kept_out, &mut observer)?),
        ];
        drop(observer);
        dictionary.save(&folder)?;
        self.finish((card, &folder), (&trainer, seconds), &fits)?;
        let verb = format!("features list {}", suggest::quoted(&folder.to_string_lossy()));
        println!("next: {}", suggest::command(lab, &self.model.flags(), (&verb, "")));
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if !(self.held_out > 0.0 && self.held_out < 1.0) {
            return Err(Error::invalid("--held-out", self.held_out, "a share between 0 and 1, such as 0.05"));
        }
        if !(self.memory.is_finite() && self.memory > 0.0) {
            return Err(Error::invalid("--memory", self.memory, "GiB, more than 0"));
        }
        self.called.as_ref().map_or(Ok(()), |name| artefact::folder_name("--name", name).map(drop))
    }

    /// The one hook point that is meant.
    fn point(&self, model: &Model) -> Result<HookPoint> {
        match HookPoint::choose(&self.hook_point, &hook_points(model.spec()))?[..] {
            [point] => Ok(point),
            ref several => {
                let found = format!("`{}`, which is {} of them", self.hook_point, several.len());
                Err(Error::invalid("--hook-point", found, "one; a dictionary is of one place"))
            }
        }
    }

    /// The tokens of all texts: of the entities, of sentences about them, and of files.
    fn encoded(&self, lab: &Path, tokenizer: &Tokenizer) -> Result<Vec<Encoded>> {
        let names = match (self.datasets.is_empty(), self.files.is_empty()) {
            (true, true) => BUNDLED.map(String::from).to_vec(),
            _ => self.datasets.clone(),
        };
        let datasets = names.iter().map(|name| find(lab, name)).collect::<Result<Vec<Dataset>>>()?;
        let mut texts = Vec::new();
        for (dataset, prompt) in datasets.iter().flat_map(|d| self.prompts.iter().map(move |p| (d, p))) {
            let prompt = Prompt::find(prompt, dataset)?;
            if prompt.random_tokens().is_some() {
                return Err(Error::invalid("--prompt", "random tokens", "a prompt of words"));
            }
            let prompted = prompt.texts(dataset)?;
            for entity in &dataset.entities {
                let refused = |problem| Error::EntityNotPlaced {
                    dataset: dataset.name.clone(),
                    row: entity.row,
                    name: entity.name.clone(),
                    text: String::new(),
                    problem,
                };
                texts.push(prompted.of(entity).map_err(refused)?.text);
            }
        }
        if self.sentences > 0 && !datasets.is_empty() {
            texts.extend(Corpus::new(&datasets, self.seed).stanzas(self.sentences).into_iter().flatten());
        }
        for path in &self.files {
            let text = artefact::load_text(path)?;
            texts.extend(text.lines().filter(|line| !line.trim().is_empty()).map(String::from));
        }
        let bar = terminal::bar("tokens", texts.len() as u64);
        let encoded = texts.iter().inspect(|_| bar.inc(1)).map(|text| tokenizer.encode(text)).collect();
        bar.finish_and_clear();
        encoded
    }

    fn settings(&self, d_in: usize) -> TrainSettings {
        TrainSettings {
            n_epochs: self.epochs,
            batch: self.batch,
            rate: self.rate,
            dead_after: self.dead_after,
            memory: (self.memory * (1u64 << 30) as f64) as usize,
            seed: self.seed,
            ..TrainSettings::of(d_in, self.units, self.k)
        }
    }

    fn card(
        &self,
        (model, point): (&Model, HookPoint),
        texts: &TokenizedTexts,
        settings: &TrainSettings,
    ) -> Card {
        held_weights(model, Card::new())
            .input("model", &model.name)
            .input("weights_sha256", &model.weights_sha256)
            .input("dtype", model.precision)
            .input("hook_point", point)
            .input("tokens_sha256", texts.sha256())
            .input("held_out", self.held_out)
            .input("units", settings.d_sae)
            .input("k", settings.k)
            .input("epochs", settings.n_epochs)
            .input("batch", settings.batch)
            .input("rate", settings.rate)
            .input("dead_after", settings.dead_after)
            .input("memory", settings.memory)
            .input("seed", settings.seed)
    }

    /// Takes all steps, those of an earlier run included.
    fn train<'a>(
        &self,
        (rows, settings): (&'a TextRows, TrainSettings),
        (folder, card): (&Path, &Card),
        observer: &mut Looking,
    ) -> Result<DictionaryTrainer<'a>> {
        let (path, path_of_card) = (folder.join("checkpoint.safetensors"), folder.join("checkpoint.json"));
        let mut trainer = match card.is_done(&path_of_card)? && path.is_file() {
            true => DictionaryTrainer::resume(rows, settings, &path)?,
            false => DictionaryTrainer::begin(rows, settings, observer)?,
        };
        card.save(&path_of_card)?;
        let (done, n_steps) = trainer.steps();
        if done > 0 {
            eprintln!("going on from step {done}");
        }
        if !trainer.has_all_rows() {
            eprintln!("the rows do not fit into --memory {}: each epoch computes them again", self.memory);
        }
        let bar = terminal::bar("rows learnt", 0);
        let (mut smooth, mut saved) = (None, Instant::now());
        loop {
            let stopped = || Error::StoppedTraining { kept: trainer.steps().0, of: n_steps };
            if observer.should_stop() {
                trainer.save(&path)?;
                bar.finish_and_clear();
                return Err(stopped());
            }
            match trainer.step(observer) {
                Ok(None) => break,
                Ok(Some(step)) => show(&bar, &step, &mut smooth),
                // Stopped while rows were computed: the next turn saves and tells.
                Err(Error::StoppedTraining { .. }) => continue,
                Err(error) => return Err(error),
            }
            if saved.elapsed() > Duration::from_secs(self.checkpoint_every) {
                trainer.save(&path)?;
                saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        trainer.save(&path)?;
        Ok(trainer)
    }

    /// Writes the card, tells what came of it, and lets the checkpoint go.
    fn finish(
        &self,
        (card, folder): (Card, &Path),
        (trainer, seconds): (&DictionaryTrainer, f64),
        fits: &[(&str, Explained); 3],
    ) -> Result<()> {
        let n_dead = trainer.dead().len();
        let number = |x: f64| format!("{x:.4}");
        let mut card =
            card.note("seconds_of_the_last_run", format!("{seconds:.1}")).note("dead_units", n_dead);
        for (name, fit) in fits {
            card = card.note(&format!("fve_of_{}", name.replace(' ', "_")), number(fit.fve));
        }
        card = card.note("rows_kept_out", fits[0].1.n_rows).note("l0", number(fits[0].1.l0));
        card.note("steps", trainer.steps().1).save(&folder.join("card.json"))?;
        let line = |(name, fit): &(&str, Explained)| {
            let active =
                if *name == "principal components" { "–".into() } else { fit.n_active.to_string() };
            vec![name.to_string(), number(fit.fve), format!("{:.1}", fit.l0), active]
        };
        println!();
        print_columns(&["", "FVE", "L0", "units active"], &fits.iter().map(line).collect::<Vec<_>>());
        println!(
            "\nFVE: fraction of variance explained, on {} rows of texts kept out; L0: active units of a row.\n\
             What random directions write is multiplied by the one factor that suits these rows best.",
            fits[0].1.n_rows
        );
        println!("dead units: {n_dead} of {} (not active on the last {} rows)", self.units, self.dead_after);
        for name in ["checkpoint.safetensors", "checkpoint.json"] {
            let path = folder.join(name);
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        println!("dictionary: {}", folder.display());
        Ok(())
    }
}

fn say_texts(texts: &TokenizedTexts) {
    eprintln!("{} distinct texts", texts.len());
    if texts.n_repeated > 0 {
        eprintln!("left out: {} texts that repeat others or have no tokens", texts.n_repeated);
    }
    if texts.n_cut > 0 {
        eprintln!("cut: {} texts at the end of the model's context", texts.n_cut);
    }
}

/// Tells how far it is; FVE is that of the last batches, on the whole.
fn show(bar: &ProgressBar, of: &StepStatistics, smooth: &mut Option<f64>) {
    let StepStatistics { step, n_steps, n_rows, fve, l0, n_dead } = *of;
    let fve = smooth.map_or(fve, |before| 0.98 * before + 0.02 * fve);
    if smooth.is_none() {
        // Rows of all steps, as if all had as many as this; what an earlier run did says nothing of the rate.
        bar.set_position(((step - 1) * n_rows) as u64);
        bar.set_length((n_steps * n_rows) as u64);
    }
    *smooth = Some(fve);
    bar.inc(n_rows as u64);
    bar.set_message(format!("FVE {fve:.3}, L0 {l0:.1}, {n_dead} dead"));
    if bar.is_hidden() && (step % 1000 == 0 || step == n_steps) {
        eprintln!("step {step} of {n_steps}: FVE {fve:.3}, L0 {l0:.1}, {n_dead} dead");
    }
}

/// An observer with a bar over rows that are computed, stopped by Ctrl-C.
struct Looking {
    title: &'static str,
    bar: Option<ProgressBar>,
    stopping: Stopping,
}

impl Observer for Looking {
    fn progress(&mut self, progress: &Progress) {
        let title = self.title;
        let bar = self.bar.get_or_insert_with(|| terminal::bar(title, progress.total));
        bar.set_position(progress.done);
        if progress.done == progress.total {
            bar.finish_and_clear();
            self.bar = None;
        }
    }

    fn should_stop(&self) -> bool {
        self.stopping.is_asked()
    }
}
