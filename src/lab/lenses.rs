//! Lenses of a lab: a ridge lens fitted to texts and scored beside the logit lens, and lenses by name or folder.

use super::dictionaries::TextSources;
use super::folders::Lab;
use super::models::weights_card;
use super::suggest;
use crate::artefact::{Card, FolderName, Lock, hash};
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::lenses::{
    FittedLens, LENS_FILES, Lens, LensDraw, LensTexts, RidgeLensSettings, fit_ridge_lens, least_rows,
    score_lenses,
};
use crate::limits::{LENS_TOKENS, number_words};
use crate::model::Model;
use crate::probes::{Edge, PenaltyGrid};
use crate::progress::Observer;
use crate::results::{LENS_SCORES_FILE, LensScoreRow, load_rows, save_rows};
use crate::tokenizer::Bos;
use std::path::{Path, PathBuf};

/// The name of a ridge lens that is given no other name.
const RIDGE: &str = "ridge";

/// Settings of a ridge lens.
#[derive(Debug, Clone)]
pub struct LensSettings {
    /// Datasets whose entities give the texts; by default, if `files` is empty, the bundled datasets.
    pub datasets: Vec<String>,
    /// The number of additional sentences that begin with each entity.
    pub sentences: usize,
    /// Files of texts, one text per line.
    pub files: Vec<PathBuf>,
    /// The rule for a BOS token at the beginning of each text; BOS is never a row.
    pub bos: Bos,
    /// The number of training tokens.
    pub tokens: usize,
    /// The share of held-out texts.
    pub held_out: f64,
    /// Memory for rows, in GiB.
    pub memory: f64,
    /// The seed of the draw of texts and of the sentences.
    pub seed: u64,
    /// The penalties.
    pub grid: PenaltyGrid,
    /// The name of the folder; by default `ridge`.
    pub called: Option<FolderName>,
}

/// A fitted lens with its scores.
pub struct LensReport {
    /// The folder of the lens.
    pub folder: PathBuf,
    /// The scores of the logit lens and of the ridge lens, by hook point.
    pub scores: Vec<LensScoreRow>,
    /// True if the lens was found as an earlier run left it.
    pub is_found: bool,
}

/// Fits a ridge lens to texts and scores it, unless the lab has it.
///
/// # Errors
/// [`Error::Invalid`] for a model without next-token predictions, or for settings that do not suit; those of the texts and
/// the pass.
pub fn fit_lens(
    lab: &Lab,
    model: &Model,
    settings: &LensSettings,
    observer: &mut dyn Observer,
) -> Result<LensReport> {
    Lens::check_model(&model.name, &model.transformer)?;
    settings.check()?;
    let texts = settings.texts(lab, model, observer)?;
    let name = settings.called.clone().unwrap_or_else(|| FolderName::of_text(RIDGE));
    let folder = lab.lenses(&model.name).join(&name);
    let (card, path) = (settings.card(model, &texts)?, folder.join("card.json"));
    let files = [LENS_FILES[0], LENS_FILES[1], LENS_SCORES_FILE];
    let scores_csv = folder.join(LENS_SCORES_FILE);
    let has_made = || {
        let way_out = "--name NAME gives this lens a folder of its own, or move the folder away";
        card.has_made(&path, &files).map_err(|e| e.with_way_out(way_out))
    };
    if has_made()? {
        return Ok(LensReport { scores: load_rows(&scores_csv)?, folder, is_found: true });
    }
    let _lock = Lock::take(&folder)?;
    if has_made()? {
        return Ok(LensReport { scores: load_rows(&scores_csv)?, folder, is_found: true });
    }
    report_texts(model, &texts, observer);
    let memory = (settings.memory * (1u64 << 30) as f64) as usize;
    let ridge = RidgeLensSettings { grid: settings.grid.clone(), memory };
    let fitted = fit_ridge_lens(&model.transformer, &texts, &ridge, observer)?;
    note_edges(&fitted, observer);
    fitted.lens.save(&folder, &model.name, model.spec())?;
    let scores = scores(model, &texts, &fitted, observer)?;
    save_rows(&scores_csv, &scores)?;
    card.with_files(&folder, &files)?.save(&path)?;
    Ok(LensReport { folder, scores, is_found: false })
}

/// Finds a lens by the name of its folder in the lab, or by the path of a folder.
///
/// # Errors
/// [`Error::Invalid`] if there is no such lens; those of its files.
pub fn load_lens(lab: &Lab, model: &Model, given: &str, observer: &mut dyn Observer) -> Result<Lens> {
    Lens::check_model(&model.name, &model.transformer)?;
    let of_lab = FolderName::new("--lens", given).ok().map(|name| lab.lenses(&model.name).join(name));
    let folder = match of_lab.filter(|folder| folder.is_dir()) {
        Some(folder) => folder,
        None if Path::new(given).is_dir() => PathBuf::from(given),
        None => {
            let found =
                format!("`{given}`, which is neither in {} nor a folder", lab.lenses(&model.name).display());
            let fit = suggest::command_in_error(lab, &suggest::of_model(model), "lens fit", "");
            return Err(Error::invalid("lens", found, format!("a saved lens; `{fit}` makes one")));
        }
    };
    // A folder of another program has no card, or one that is not ours.
    if let Ok(Some(card)) = Card::load(&folder.join("card.json")) {
        LENS_FILES.iter().try_for_each(|name| card.check_file(&folder.join(name)))?;
        if card.inputs.get("weights_sha256").is_some_and(|sha256| *sha256 != model.weights_sha256) {
            observer.note(&format!(
                "{} was fitted to other weights than those of `{}`",
                folder.display(),
                model.name
            ));
        }
    }
    let name = folder.file_name().map_or(given.into(), |name| name.to_string_lossy().into_owned());
    let (lens, made_for) = Lens::load(&folder, &name, model.spec(), &model.transformer.device())?;
    let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_string();
    if short(&made_for) != short(&model.name) {
        observer.note(&format!(
            "{} was made for `{made_for}`; it is used on `{}`",
            folder.display(),
            model.name
        ));
    }
    Ok(lens)
}

impl LensSettings {
    /// Refuses numbers outside their ranges.
    fn check(&self) -> Result<()> {
        LENS_TOKENS.check("--tokens", self.tokens as u64)?;
        if !(self.held_out > 0.0 && self.held_out < 1.0) {
            let expected = "a share between 0 and 1, such as 0.05";
            return Err(Error::invalid("--held-out", number_words(self.held_out), expected));
        }
        if !(self.memory.is_finite() && self.memory > 0.0) {
            return Err(Error::invalid("--memory", number_words(self.memory), "GiB, more than 0"));
        }
        Ok(())
    }

    fn texts(&self, lab: &Lab, model: &Model, observer: &mut dyn Observer) -> Result<LensTexts> {
        let prompts = ["empty".to_string()];
        let LensSettings { datasets, sentences, files, seed, .. } = self;
        let sources = TextSources { datasets, prompts: &prompts, sentences: *sentences, files, seed: *seed };
        let texts = sources.texts(lab, observer)?;
        let tokenizer = model.tokenizer.clone().with_bos(self.bos)?;
        let draw = LensDraw { n_tokens: self.tokens, held_out: self.held_out, seed: self.seed };
        let texts = LensTexts::draw(model.spec(), &tokenizer, texts, draw)?;
        match (texts.n_train(), texts.n_held_out()) {
            (..3, _) => Err(Error::invalid("training texts", "fewer than 3 tokens", "more texts")),
            (_, 0) => {
                Err(Error::invalid("held-out texts", "no tokens", "more texts, or a larger --held-out"))
            }
            _ => Ok(texts),
        }
    }

    fn card(&self, model: &Model, texts: &LensTexts) -> Result<Card> {
        let (n_train, n_held_out) = texts.n_texts();
        Ok(weights_card(model, Card::new())
            .input("model", &model.name)
            .input("weights_sha256", &model.weights_sha256)
            .input("config_sha256", &model.config_sha256)
            .input("dtype", model.precision)
            .input("tokens_sha256", hash(&texts.fingerprint()))
            .input("penalties", format!("{:?}", self.grid))
            .note("training_tokens", texts.n_train())
            .note("training_texts", n_train)
            .note("held_out_tokens", texts.n_held_out())
            .note("held_out_texts", n_held_out))
    }
}

fn report_texts(model: &Model, texts: &LensTexts, observer: &mut dyn Observer) {
    let (train, out) = texts.n_texts();
    let (n_train, n_out) = (texts.n_train(), texts.n_held_out());
    observer.info(&format!("{n_train} tokens of {train} texts to fit, {n_out} of {out} held-out texts"));
    if texts.n_cut > 0 {
        observer.info(&format!("cut: {} texts at the end of the model's context", texts.n_cut));
    }
    let least = least_rows(model.spec());
    if n_train < least {
        observer.note(&format!(
            "{n_train} tokens determine a map of width {} poorly; {least} or more are better: --texts FILE",
            model.spec().d_model
        ));
    }
}

fn note_edges(fitted: &FittedLens, observer: &mut dyn Observer) {
    let at = |wanted: Edge| fitted.penalties.iter().filter(move |(_, (_, edge))| *edge == wanted);
    for (edge, words) in [(Edge::Lowest, "lowest"), (Edge::Highest, "highest")] {
        let points: Vec<String> = at(edge).map(|(point, _)| point.to_string()).collect();
        if !points.is_empty() {
            observer.note(&format!("the {words} penalty of the grid was chosen at {}", points.join(", ")));
        }
    }
}

/// The scores of the logit lens and of the fitted lens.
fn scores(
    model: &Model,
    texts: &LensTexts,
    fitted: &FittedLens,
    observer: &mut dyn Observer,
) -> Result<Vec<LensScoreRow>> {
    let lenses = [Lens::logit(), fitted.lens.clone()];
    let scored = score_lenses(&model.transformer, &lenses, texts, observer)?;
    let penalty = |lens: &Lens, point: &HookPoint| {
        let is_mapped = lens.translators.contains_key(point);
        fitted.penalties.get(point).filter(|_| is_mapped).map_or(f64::NAN, |(penalty, _)| *penalty)
    };
    let mut rows = Vec::new();
    for (lens, scores) in lenses.iter().zip(scored) {
        rows.extend(scores.into_iter().map(|score| LensScoreRow {
            model: model.name.to_string(),
            lens: lens.name.clone(),
            hook_point: score.point.to_string(),
            layer: score.point.label(),
            cross_entropy: score.cross_entropy,
            low: score.cross_entropy - score.half_width,
            high: score.cross_entropy + score.half_width,
            kl: score.kl,
            agreement: score.agreement,
            penalty: penalty(lens, &score.point),
            tokens: texts.n_held_out(),
            texts: texts.n_texts().1,
        }));
    }
    Ok(rows)
}
