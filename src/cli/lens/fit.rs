//! `mappa lens fit`: fits a ridge lens to texts and scores it beside the logit lens.

use super::super::model_flags::ModelFlags;
use super::super::observer::TerminalObserver;
use super::super::table::print_columns;
use super::super::terminal::print_lines;
use super::super::within::within;
use clap::Args;
use mappa::Result;
use mappa::artefact::FolderName;
use mappa::lab::{Canvas, Lab, LensReport, LensSettings, draw_lens, fit_lens, suggest};
use mappa::limits::{LENS_TOKENS, SENTENCES};
use mappa::probes::PenaltyGrid;
use mappa::results::LensScoreRow;
use mappa::tokenizer::Bos;
use std::path::PathBuf;

/// Fit a ridge lens: for each layer, the linear map of its stream to the stream of the last layer.
///
/// The maps are ridge regressions in closed form, whose weights shrink towards the identity, with the penalty of the least
/// leave-one-out error. A share of the texts is held out; on them, the cross-entropy of the next token and the divergence
/// from the model's own prediction are measured for the logit lens and the ridge lens. Writes config.json and
/// params.safetensors, in the format of the library tuned-lens, and lens.csv with card.json into lenses/MODEL/NAME.
///
/// Examples:
///   mappa lens fit
///   mappa lens fit --model path/to/gpt2 --texts corpus.txt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct FitLens {
    #[command(flatten)]
    model: ModelFlags,
    /// Files of texts, one text per line; empty lines are skipped.
    #[arg(long = "texts", value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,
    /// Datasets whose entities give texts; repeat for several [default: without --texts, the six bundled datasets].
    #[arg(long = "dataset", value_name = "NAME|FILE")]
    datasets: Vec<String>,
    /// Number of additional sentences per entity, which begin with it and name others, as in the bundled model's
    /// corpus.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = within(SENTENCES))]
    sentences: usize,
    /// A BOS token such as <s> at the beginning of each text: as-model, always or never. It never gives a row.
    #[arg(long, default_value_t, value_name = "WHEN")]
    bos: Bos,
    /// Number of tokens to fit, from texts in random order.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = within(LENS_TOKENS))]
    tokens: usize,
    /// Share of held-out texts.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    held_out: f64,
    /// Memory for the streams of the tokens, in GiB; if those of all layers do not fit, the texts pass several times.
    #[arg(long, value_name = "GIB", default_value_t = 4.0)]
    memory: f64,
    /// The penalties, separated by commas [default: half decades around the mean eigenvalue].
    #[arg(long, value_name = "NUMBERS")]
    alphas: Option<PenaltyGrid>,
    /// Seed of the choice and of the order of the texts, and of the sentences.
    #[arg(long, default_value_t = 5)]
    seed: u64,
    /// The folder in lenses/MODEL [default: ridge].
    #[arg(long = "name", value_name = "NAME", value_parser = |name: &str| FolderName::new("--name", name))]
    called: Option<FolderName>,
}

impl FitLens {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        let observer = &mut TerminalObserver::default();
        let model = self.model.open(lab, observer)?;
        let LensReport { folder, scores, is_found } = fit_lens(lab, &model, &self.settings(), observer)?;
        print_scores(&scores);
        say!();
        let origin = if is_found { " (found, fitted before)" } else { "" };
        say!("lens: {}{origin}", folder.display());
        for file in draw_lens(&scores, &mut Canvas::new(folder.clone(), observer))? {
            say!("figure: {}", file.display());
        }
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let rest = suggest::flag("prompt", "Oslo is in") + &suggest::flag("lens", &name);
        say!("next: {}", suggest::command(lab, &self.model.flags(), "lens", &rest));
        Ok(())
    }

    fn settings(&self) -> LensSettings {
        LensSettings {
            datasets: self.datasets.clone(),
            sentences: self.sentences,
            files: self.files.clone(),
            bos: self.bos,
            tokens: self.tokens,
            held_out: self.held_out,
            memory: self.memory,
            seed: self.seed,
            grid: self.alphas.clone().unwrap_or_default(),
            called: self.called.clone(),
        }
    }
}

/// Prints a line per layer, with the logit lens and the ridge lens side by side, and a sentence.
fn print_scores(rows: &[LensScoreRow]) {
    let of = |lens: &str| rows.iter().filter(|row| row.lens == lens).collect::<Vec<_>>();
    let (logit, ridge) = (of("logit"), of("ridge"));
    let line = |(logit, ridge): (&&LensScoreRow, &&LensScoreRow)| {
        let interval =
            |row: &LensScoreRow| format!("{:.3} ± {:.3}", row.cross_entropy, (row.high - row.low) / 2.0);
        let share = |row: &LensScoreRow| format!("{:.0} %", 100.0 * row.agreement);
        let penalty = if ridge.penalty.is_nan() { "–".into() } else { format!("{:.1e}", ridge.penalty) };
        vec![
            logit.layer.clone(),
            interval(logit),
            interval(ridge),
            format!("{:.3}", logit.kl),
            format!("{:.3}", ridge.kl),
            share(logit),
            share(ridge),
            penalty,
        ]
    };
    let lines: Vec<Vec<String>> = logit.iter().zip(&ridge).map(line).collect();
    say!();
    let heads =
        ["layer", "logit lens", "ridge lens", "KL logit", "KL ridge", "same logit", "same ridge", "penalty"];
    print_columns(&heads, &lines);
    say!();
    print_lines(
        "logit lens, ridge lens: cross-entropy of the next token on held-out texts, nats per token, ± half the 95 % \
         interval over texts.\n\
         KL: divergence of the model's prediction from the lens's, nats per token. same: the same most probable token.\n\
         The last layer is the model itself.",
    );
    print_summary(&logit, &ridge);
}

/// Prints a sentence that compares the two lenses before the last layer.
fn print_summary(logit: &[&LensScoreRow], ridge: &[&LensScoreRow]) {
    let n = logit.len().min(ridge.len()).saturating_sub(1);
    let n_nearer = logit[..n].iter().zip(ridge).filter(|(logit, ridge)| ridge.kl < logit.kl).count();
    let mean = |rows: &[&LensScoreRow]| rows[..n].iter().map(|row| row.kl).sum::<f64>() / n as f64;
    let agrees = |rows: &[&LensScoreRow]| {
        let from = rows.iter().rev().take_while(|row| row.agreement >= 0.5).last();
        from.map_or("–".to_string(), |row| row.layer.clone())
    };
    say!(
        "The ridge lens is nearer to the model than the logit lens at {n_nearer} of the {n} layers before the last (mean KL \
         {:.2} and {:.2} nats). It predicts the model's most probable token at half of the tokens or more from layer {} on, \
         the logit lens from layer {} on.",
        mean(ridge),
        mean(logit),
        agrees(ridge),
        agrees(logit)
    );
}
