//! `mappa vectors`: static word vectors, with which a model is compared.

use super::observer::TerminalObserver;
use super::table::{grouped, print_columns};
use super::within::within;
use clap::{Args, Subcommand};
use mappa::Result;
use mappa::artefact::FolderName;
use mappa::lab::{Done, Lab, LearnJob, LearnReport, LearnSource, learn_vectors, suggest};
use mappa::limits::{COUNTS, VECTOR_WIDTH, VOCABULARY, WINDOW};
use mappa::word_vectors::{LearnSettings, Weighting};
use std::path::PathBuf;

/// Static word vectors, with which a model is compared.
#[derive(Args)]
pub(super) struct Vectors {
    #[command(subcommand)]
    command: VectorsCommand,
}

#[derive(Subcommand)]
enum VectorsCommand {
    Learn(Learn),
}

impl Vectors {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        match &self.command {
            VectorsCommand::Learn(args) => args.run(lab),
        }
    }
}

/// Learn static word vectors from texts, such as a model's own training text.
///
/// Counts pairs of words in a window, turns the counts into positive pointwise mutual information (PPMI) with a
/// smoothed distribution of contexts, and keeps its largest singular values (Levy, Goldberg and Dagan 2015). Writes
/// vectors/NAME.txt in word2vec's text format, which `mappa probe --vectors` and other programs read. Each line of a
/// file is a text of its own. docs/probes.md explains what the comparison shows.
///
/// Examples:
///   mappa vectors learn --model atlas                          the text that a model of `mappa train` was trained on
///   mappa vectors learn corpus.txt --name mine --min-count 2
///   mappa probe --dataset world_place --vectors vectors/atlas.txt
#[derive(Args)]
#[command(verbatim_doc_comment)]
struct Learn {
    /// Text files in UTF-8, also in gzip or zip.
    #[arg(value_name = "TEXT", required_unless_present = "model", conflicts_with = "model")]
    texts: Vec<PathBuf>,
    /// Learn from the training text of this model, which `mappa train` made.
    #[arg(long, value_name = "NAME|FOLDER")]
    model: Option<String>,
    /// The name of the vectors: vectors/NAME.txt in the lab [default: the model's name].
    #[arg(long, value_parser = |name: &str| FolderName::new("--name", name), conflicts_with = "out")]
    name: Option<FolderName>,
    /// Write this file instead; its card is written next to it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Width of a vector.
    #[arg(long, default_value_t = LearnSettings::default().dim, value_parser = within(VECTOR_WIDTH))]
    dim: usize,
    /// Greatest distance of two words that are counted as a pair.
    #[arg(long, default_value_t = LearnSettings::default().window, value_parser = within(WINDOW))]
    window: usize,
    /// Weight of a pair: harmonic (1 by its distance, as GloVe), dynamic (as word2vec's windows), flat.
    #[arg(long, default_value_t, value_name = "harmonic|dynamic|flat")]
    weighting: Weighting,
    /// Fewest times that a word must occur.
    #[arg(long, default_value_t = LearnSettings::default().min_count, value_parser = within(COUNTS))]
    min_count: usize,
    /// Largest number of words; the most frequent ones are kept.
    #[arg(long, default_value_t = LearnSettings::default().max_words, value_parser = within(VOCABULARY))]
    max_words: usize,
    /// Context distribution smoothing: the exponent of the contexts' counts; 1 does not smooth.
    #[arg(long, default_value_t = LearnSettings::default().cds)]
    cds: f64,
    /// Shift: the logarithm of this number is subtracted from the mutual information; 1 does not shift.
    #[arg(long, default_value_t = LearnSettings::default().neg)]
    neg: f64,
    /// Exponent of the singular values.
    #[arg(long, default_value_t = LearnSettings::default().eig)]
    eig: f64,
    /// Seed of the decomposition's first vectors.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Learn {
    fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let report = learn_vectors(lab, &self.job(), observer)?;
        print(&report);
        let file = suggest::path(&report.file);
        let model = self.model.as_deref().map(suggest::of_name).unwrap_or_default();
        say!("vectors: {}", report.file.display());
        let rest = format!("--dataset world_place --vectors {file}");
        say!("next: {}", suggest::command(lab, &model, "probe", &rest));
        Ok(())
    }

    fn job(&self) -> LearnJob {
        let source = match &self.model {
            Some(model) => LearnSource::Model(model.clone()),
            None => LearnSource::Files(self.texts.clone()),
        };
        let settings = LearnSettings {
            dim: self.dim,
            window: self.window,
            weighting: self.weighting,
            min_count: self.min_count,
            max_words: self.max_words,
            cds: self.cds,
            neg: self.neg,
            eig: self.eig,
            seed: self.seed,
        };
        LearnJob { source, name: self.name.clone(), out: self.out.clone(), settings }
    }
}

fn print(LearnReport { card, done, nearest, .. }: &LearnReport) {
    if *done == Done::Before {
        say!("found, learned before");
    }
    let note = |name: &str| {
        let value = card.notes.get(name).cloned().unwrap_or_default();
        value.parse::<usize>().map_or(value, grouped)
    };
    for (words, name) in [
        ("words in the texts", "words_in_texts"),
        ("distinct words", "distinct_words_in_texts"),
        ("words with a vector", "words"),
        ("pairs", "pairs"),
        ("dimensions", "dimensions"),
        ("singular values", "singular_values"),
    ] {
        say!("{words:<20} {}", note(name));
    }
    if !nearest.is_empty() {
        say!();
        let rows: Vec<Vec<String>> = nearest
            .iter()
            .filter_map(|words| words.split_first())
            .map(|(word, near)| vec![word.clone(), near.join(", ")])
            .collect();
        print_columns(&["word", "nearest"], &rows);
    }
    say!();
}
