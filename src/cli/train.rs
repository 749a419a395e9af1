//! `mappa train`: trains a small teaching model, such as the bundled one, from the bundled datasets.

use super::observer::TerminalObserver;
use super::within::within;
use super::{stopping, terminal};
use clap::Args;
use mappa::artefact::{self, Card, FolderName, Lock};
use mappa::datasets::{BUNDLED, Dataset};
use mappa::lab::{Lab, find_dataset, suggest};
use mappa::limits::{BATCH, HEADS, LAYERS, SENTENCES, STEPS, TRAINED_VOCABULARY, WIDTH};
use mappa::model::{Model, Precision, Sizes, Spec};
use mappa::tokenizer::Tokenizer;
use mappa::training::ModelTrainer;
use mappa::training::{
    CORPUS_FILE, Corpus, MODEL_FILES, TrainingSettings, export, text_of_stanzas, train_tokenizer,
};
use mappa::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Train a small teaching model on relations between the entities of the datasets.
///
/// Writes a corpus of sentences (who is near whom, before whom, in which country; never a coordinate
/// or a date), trains a tokenizer and a Llama-shaped model on it, and writes a Hugging Face folder,
/// models/NAME. Checkpoints are saved in the same folder: after a stop, the same command resumes.
///
/// Example: mappa train --name atlas2 --sentences 60
#[derive(Args)]
pub(super) struct Train {
    /// The name of the model's folder in models/.
    #[arg(long, default_value = "my-atlas", value_parser = |name: &str| FolderName::new("--name", name))]
    name: FolderName,
    /// Start from the weights and the tokenizer of a trained model instead of random weights.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Datasets to write sentences about; repeat for several [default: the six bundled datasets].
    ///
    /// A name that is repeated gives more sentences about this dataset.
    #[arg(long = "dataset", value_name = "NAME|FILE")]
    datasets: Vec<String>,
    /// Number of sentences that begin with each entity.
    #[arg(long, default_value_t = 160, value_parser = within(SENTENCES))]
    sentences: usize,
    /// Width of the residual stream.
    #[arg(long, default_value_t = 128, value_parser = within(WIDTH))]
    d_model: usize,
    /// Number of blocks.
    #[arg(long, default_value_t = 6, value_parser = within(LAYERS))]
    n_layers: usize,
    /// Number of attention heads.
    #[arg(long, default_value_t = 4, value_parser = within(HEADS))]
    n_heads: usize,
    /// Number of MLP neurons in each block.
    #[arg(long, default_value_t = 384, value_parser = within(WIDTH))]
    d_mlp: usize,
    /// Number of tokens in the vocabulary.
    #[arg(long, default_value_t = 2048, value_parser = within(TRAINED_VOCABULARY))]
    d_vocab: usize,
    /// Distinct token positions in one batch.
    #[arg(long, default_value_t = 1024, value_parser = within(BATCH))]
    batch: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 2e-3)]
    rate: f32,
    /// Seed of the corpus and of the initial weights.
    #[arg(long, default_value_t = 5)]
    seed: u64,
    /// Steps between checkpoints.
    #[arg(long, default_value_t = 200, value_parser = within(STEPS))]
    checkpoint_every: usize,
}

impl Train {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        if !(self.rate.is_finite() && self.rate >= 0.0) {
            return Err(Error::invalid("--rate", self.rate, "a number that is not negative, such as 0.002"));
        }
        let folder = lab.model_folder(&self.name);
        let names: Vec<String> =
            if self.datasets.is_empty() { BUNDLED.map(String::from).to_vec() } else { self.datasets.clone() };
        let datasets =
            names.iter().map(|name| find_dataset(lab, name, observer)).collect::<Result<Vec<Dataset>>>()?;
        if let Some(small) = datasets.iter().find(|d| d.entities.len() < 3) {
            let found = format!("{} entities", small.entities.len());
            return Err(Error::invalid(
                format!("dataset {}", small.name),
                found,
                "at least 3 entities, to compare one with two others",
            ));
        }
        let card = self.card(&datasets)?;
        if is_done(&card, &folder)? {
            return Ok(());
        }
        let _lock = Lock::take(&folder)?;
        // The process that held the lock before may have trained the model.
        if is_done(&card, &folder)? {
            return Ok(());
        }
        if self.from.is_none() {
            ModelTrainer::check_memory(&self.spec()?)?; // before the corpus is written
        }
        // Opened before the corpus is written, so that an error in its files leaves nothing behind.
        let from = self.from.as_ref().map(|from| Model::parameters(from, Precision::F32)).transpose()?;
        let (stanzas, tokenizer) = self.corpus(&datasets, &folder)?;
        let settings = TrainingSettings {
            batch_nodes: self.batch,
            rate: self.rate,
            seed: self.seed,
            ..TrainingSettings::default()
        };
        let mut trainer = match from {
            Some((spec, mut first)) => ModelTrainer::from_parameters(spec, &mut *first, stanzas, settings)?,
            None => ModelTrainer::new(self.spec()?, stanzas, settings)?,
        };
        let started = Instant::now();
        self.train(&mut trainer, &card, &folder, &tokenizer)?;
        export(&trainer, &tokenizer, &folder)?;
        let mut card = card;
        // The duration of this run, which may have resumed an earlier one.
        card.record.insert("seconds".into(), format!("{:.1}", started.elapsed().as_secs_f64()));
        card.note("steps", trainer.steps().0)
            .note("distinct_tokens_seen", trainer.n_nodes()?)
            .note("parameters", mappa::model::count(trainer.spec()))
            .with_files(&folder, &MODEL_FILES)?
            .save(&folder.join("card.json"))?;
        remove_checkpoint(&folder)?;
        say!("model: {}", folder.display());
        say!("next: {}", suggest::command(lab, &suggest::of_name(&self.name), "run", ""));
        Ok(())
    }

    fn card(&self, datasets: &[Dataset]) -> Result<Card> {
        let hashes: Vec<String> = datasets.iter().map(|d| format!("{} {}", d.name, d.sha256)).collect();
        let hash = |folder: &Path, name: &str| artefact::hash_file(&folder.join(name));
        let (from, card) = match &self.from {
            Some(folder) => {
                let [config, tokenizer] = ADDED_INPUTS;
                let card = Card::new()
                    .input(config, hash(folder, "config.json")?)
                    .input(tokenizer, hash(folder, "tokenizer.json")?);
                (hash(folder, "model.safetensors")?, card)
            }
            None => ("random weights".to_string(), Card::new()),
        };
        let Train { d_model, n_layers, n_heads, d_mlp, d_vocab, .. } = self;
        Ok(card
            .input("from", from)
            .input("datasets", hashes.join("; "))
            .input("sentences", self.sentences)
            .input("shape", format!("{d_model} {n_layers} {n_heads} {d_mlp} {d_vocab}"))
            .input("batch", self.batch)
            .input("rate", self.rate)
            .input("seed", self.seed))
    }

    fn spec(&self) -> Result<Spec> {
        if self.n_heads == 0 || !self.d_model.is_multiple_of(2 * self.n_heads) {
            return Err(Error::invalid("--d-model", self.d_model, "a multiple of twice --n-heads"));
        }
        Ok(Spec::llama(Sizes {
            d_model: self.d_model,
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            d_mlp: self.d_mlp,
            d_vocab: self.d_vocab,
            n_context: 256,
        }))
    }

    /// Writes corpus.txt and trains the tokenizer; returns the tokenised stanzas.
    fn corpus(&self, datasets: &[Dataset], folder: &Path) -> Result<(Vec<TokenStanza>, Vec<u8>)> {
        let corpus = Corpus::new(datasets, self.seed);
        let stanzas = corpus.stanzas(self.sentences)?;
        artefact::save_bytes(&folder.join(CORPUS_FILE), text_of_stanzas(&stanzas).as_bytes())?;
        let json = match &self.from {
            Some(from) => artefact::load_bytes(&from.join("tokenizer.json"))?,
            None => train_tokenizer(&corpus.vocabulary_sample(), self.d_vocab)?,
        };
        let tokenizer = Tokenizer::parse(&folder.join("tokenizer.json"), &json)?;
        let bar = terminal::bar("reading the corpus", stanzas.len() as u64);
        let tokens = stanzas
            .iter()
            .map(|stanza| {
                bar.inc(1);
                stanza.iter().map(|line| whole_text(&tokenizer, line)).collect()
            })
            .collect::<Result<Vec<TokenStanza>>>()?;
        bar.finish_and_clear();
        let n: usize = tokens.iter().flatten().map(Vec::len).sum();
        tell!("corpus: {} sentences, {n} tokens", tokens.iter().map(Vec::len).sum::<usize>());
        Ok((tokens, json))
    }

    fn train(&self, trainer: &mut ModelTrainer, card: &Card, folder: &Path, tokenizer: &[u8]) -> Result<()> {
        let checkpoint = folder.join("checkpoint.safetensors");
        let checkpoint_card: PathBuf = folder.join("checkpoint.json");
        if has_made(card, &checkpoint_card, &["checkpoint.safetensors"])? {
            trainer.resume(&checkpoint)?;
            tell!("resumed from step {}", trainer.steps().0);
        }
        card.save(&checkpoint_card)?;
        let bar = terminal::bar("training", trainer.steps().1 as u64);
        let mut smooth = None;
        while let Some(progress) = trainer.step()? {
            let loss: f32 = smooth.map_or(progress.loss, |s: f32| 0.95 * s + 0.05 * progress.loss);
            smooth = Some(loss);
            bar.set_position(progress.step as u64);
            bar.set_message(format!("loss {loss:.3}"));
            if progress.step % self.checkpoint_every == 0 {
                trainer.save(&checkpoint)?;
                export(trainer, tokenizer, folder)?;
                if bar.is_hidden() {
                    tell!("step {} of {}: loss {loss:.3}", progress.step, progress.n_steps);
                }
            }
            if stopping::is_asked() {
                bar.finish_and_clear();
                trainer.save(&checkpoint)?;
                return Err(Error::StoppedTraining { kept: progress.step, of: progress.n_steps });
            }
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// True if the model of this card is already trained; then prints a line, and removes a leftover checkpoint.
fn is_done(card: &Card, folder: &Path) -> Result<bool> {
    let is_done = has_made(card, &folder.join("card.json"), &MODEL_FILES)?;
    if is_done {
        // A process that was killed just after it wrote the card has left its checkpoint.
        _ = remove_checkpoint(folder);
        say!("{} is trained already; nothing to do", folder.display());
    }
    Ok(is_done)
}

/// Removes the checkpoint, which is three times as large as the weights, and is not needed after the last step.
fn remove_checkpoint(folder: &Path) -> Result<()> {
    artefact::remove(&folder.join("checkpoint.safetensors"))?;
    artefact::remove(&folder.join("checkpoint.json"))
}

/// Returns true if this training has written its card, and the named files lie next to it, unchanged.
fn has_made(card: &Card, path: &Path, names: &[&str]) -> Result<bool> {
    let Some(unrecorded) = card.has_made_before(path, names, &ADDED_INPUTS)? else { return Ok(false) };
    for name in unrecorded {
        tell!("note: {} is of an earlier version, which did not record {name}", path.display());
    }
    Ok(true)
}

/// Inputs that cards of earlier versions lack.
const ADDED_INPUTS: [&str; 2] = ["from_config_sha256", "from_tokenizer_sha256"];

/// The tokenised sentences about one entity.
type TokenStanza = Vec<Vec<u32>>;

/// A sentence's tokens with the boundary token at both ends, so that generation learns to stop at the end of a text.
fn whole_text(tokenizer: &Tokenizer, line: &str) -> Result<Vec<u32>> {
    let mut ids = tokenizer.encode(line)?.ids;
    ids.extend(ids.first().copied());
    Ok(ids)
}
