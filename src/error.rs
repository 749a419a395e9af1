//! All errors: the value found, the value expected, and advice; foreign texts in them are displayed by [`crate::shown`].

use crate::shown::{shown, shown_path, shown_up_to};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The result of every fallible call in the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error, with the data and paths that a user needs to correct it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write a file.
    #[error("{path}: cannot {action}", path = shown_path(path))]
    Io {
        /// The attempted action, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A row that cannot be read as an entity or a result.
    #[error("{path}: row {row}: {problem}", path = shown_path(path), problem = long(problem))]
    BadRow {
        /// The file.
        path: PathBuf,
        /// The row, counted from 1 without the header.
        row: u64,
        /// The fault: the value found and the value expected.
        problem: String,
    },
    /// A file without a column it needs.
    #[error("{path}: no column `{column}`; found {found}", path = shown_path(path), column = shown(column), found = shown(found))]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column, or the columns of which one is needed.
        column: String,
        /// The columns that are there.
        found: String,
    },
    /// A file whose content is not the expected kind.
    #[error("{path}: found {found}; expected {expected}", path = shown_path(path), found = shown(found), expected = long(expected))]
    BadFile {
        /// The file.
        path: PathBuf,
        /// Its content.
        found: String,
        /// The expected content, and advice.
        expected: String,
    },
    /// Weights without a tensor that the family needs.
    #[error("{path}: no tensor `{tensor}`; the file may belong to another family, or be incomplete", path = shown_path(path), tensor = shown(tensor))]
    MissingTensor {
        /// The weights file or the model's folder.
        path: PathBuf,
        /// The checkpoint's name for the tensor.
        tensor: String,
    },
    /// A tensor whose shape contradicts the config.
    #[error("{path}: tensor `{tensor}` has shape {found}; config.json asks for {expected}", path = shown_path(path), tensor = shown(tensor), found = dims(found), expected = dims(expected))]
    TensorShape {
        /// The weights file or the model's folder.
        path: PathBuf,
        /// The checkpoint's name for the tensor.
        tensor: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape that follows from the config.
        expected: Vec<usize>,
    },
    /// A model of a family that mappa does not know.
    #[error("{path}: unknown model_type `{model_type}`; known families: {known}", path = shown_path(path), model_type = shown(model_type))]
    UnknownFamily {
        /// The config file.
        path: PathBuf,
        /// Its `model_type`.
        model_type: String,
        /// The known families.
        known: String,
    },
    /// A config value that the forward pass does not support.
    #[error("{path}: `{field}` is {value}, which this version does not support; {expected}", path = shown_path(path), field = shown(field), value = shown(value), expected = long(expected))]
    UnsupportedConfig {
        /// The config file.
        path: PathBuf,
        /// The field's name.
        field: String,
        /// The value found.
        value: String,
        /// The supported values.
        expected: String,
    },
    /// A hook point name that is not known.
    #[error("unknown hook point `{name}`; known forms: {known}", name = shown(name))]
    UnknownHookPoint {
        /// The name as given.
        name: String,
        /// The known forms.
        known: String,
    },
    /// An entity whose tokens cannot be found in the tokenised text.
    #[error("{dataset}: row {row}: cannot place `{name}` in the tokens of `{text}`: {problem}", dataset = shown(dataset), name = shown(name), text = shown(text), problem = long(problem))]
    EntityNotPlaced {
        /// The dataset's name.
        dataset: String,
        /// The row, counted from 1 without the header.
        row: u64,
        /// The entity.
        name: String,
        /// The whole text.
        text: String,
        /// The obstacle.
        problem: String,
    },
    /// A value that is infinite or NaN where it must be finite.
    #[error("{place}: found {found}; {advice}", place = shown(place), advice = long(advice))]
    NonFinite {
        /// The location of the value: tensor, layer, entity.
        place: String,
        /// The value.
        found: f64,
        /// Advice: what the user can do.
        advice: String,
    },
    /// An argument or a setting outside the allowed values.
    #[error("{what}: found {found}; expected {expected}", what = shown(what), found = shown(found), expected = long(expected))]
    Invalid {
        /// The argument or setting.
        what: String,
        /// Its value.
        found: String,
        /// The allowed values.
        expected: String,
    },
    /// Saved work whose inputs differ from the current ones.
    #[error("{path}: made with {field} {found}, now {expected}; {way_out}", path = shown_path(path), field = shown(field), found = shown(found), expected = shown(expected))]
    CardMismatch {
        /// The card.
        path: PathBuf,
        /// The field that differs.
        field: String,
        /// Its value in the card.
        found: String,
        /// Its value now.
        expected: String,
        /// Advice that keeps saved and new work separate.
        way_out: Box<str>,
    },
    /// A repo or a revision that the hub does not have.
    #[error("{endpoint}: no {what} `{name}`; {advice}", endpoint = shown(endpoint), name = shown(name), advice = long(advice))]
    NotOnHub {
        /// The hub that was asked.
        endpoint: String,
        /// The kind of thing that was requested: repo, revision or file.
        what: &'static str,
        /// Its name.
        name: String,
        /// Advice: what the user can do.
        advice: String,
    },
    /// The hub requires a token, a different token, or the acceptance of a licence.
    #[error("{endpoint}: refused `{repo}` (status {status}); {advice}", endpoint = shown(endpoint), repo = shown(repo), advice = long(advice))]
    HubRefused {
        /// The hub that was asked.
        endpoint: String,
        /// The repo.
        repo: String,
        /// The HTTP status, 401 or 403.
        status: u16,
        /// Advice: what the user can do.
        advice: String,
    },
    /// The hub cannot be reached, and the cache lacks needed files.
    #[error(
        "{url}: cannot connect; the cache has no {missing} in {folder}; check the network, HF_ENDPOINT, HTTPS_PROXY and SSL_CERT_FILE",
        url = shown(url), missing = shown(missing), folder = shown_path(folder)
    )]
    HubUnreachable {
        /// The requested address.
        url: String,
        /// The files or the revision that the cache lacks.
        missing: String,
        /// The folder that was searched.
        folder: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A model that is incomplete in the cache, in offline mode.
    #[error(
        "`{repo}`: offline (HF_HUB_OFFLINE), and the cache has no {missing} in {folder}; unset HF_HUB_OFFLINE to download",
        repo = shown(repo), missing = shown(missing), folder = shown_path(folder)
    )]
    NotInCache {
        /// The repo, with its revision.
        repo: String,
        /// The files or the revision that the cache lacks.
        missing: String,
        /// The folder that was searched.
        folder: PathBuf,
    },
    /// A repo without the files that make a model.
    #[error(
        "`{repo}`: no {missing}; found {found}; choose a repo with config.json, tokenizer.json and weights",
        repo = shown(repo), missing = shown(missing), found = long(found)
    )]
    NoModelInRepo {
        /// The repo, with its revision.
        repo: String,
        /// The missing file, or the files of which one is needed.
        missing: String,
        /// The files that are there.
        found: String,
    },
    /// An answer of the hub that cannot be used.
    #[error("{url}: found {found}; expected {expected}", url = shown(url), found = shown(found), expected = long(expected))]
    HubAnswer {
        /// The requested address.
        url: String,
        /// The answer.
        found: String,
        /// The expected answer, and advice.
        expected: String,
    },
    /// A download that was interrupted too often.
    #[error(
        "{file}: the download broke off {attempts} times in a row, at {done} of {total} bytes ({problem}); the downloaded part is kept: run the same command again to resume",
        file = shown(file), problem = shown(problem)
    )]
    DownloadCut {
        /// The file in the repo.
        file: String,
        /// The number of failed attempts in a row.
        attempts: u32,
        /// The bytes that are kept.
        done: u64,
        /// The total number of bytes, or `an unknown number`.
        total: String,
        /// The last failure.
        problem: String,
    },
    /// A complete download whose size or hash differs from the hub's.
    #[error(
        "{file}: found {what} {found}; expected {expected}; it was thrown away: run the same command again",
        file = shown(file), found = shown(found), expected = shown(expected)
    )]
    DownloadDiffers {
        /// The file in the repo.
        file: String,
        /// The property that differs: size or sha256.
        what: &'static str,
        /// Its value.
        found: String,
        /// The hub's value.
        expected: String,
    },
    /// No room on a disk.
    #[error("{path}: disk full: {needed} bytes needed, {free} free; {advice}", path = shown_path(path))]
    DiskFull {
        /// The folder or file on the full disk.
        path: PathBuf,
        /// The number of bytes needed, or `more`.
        needed: String,
        /// The number of free bytes, or `an unknown number`.
        free: String,
        /// Advice, and the work that is kept.
        advice: &'static str,
    },
    /// A folder in which another process writes.
    #[error("{path}: {owner} is writing here; wait until it is done, or stop it", path = shown_path(path), owner = shown(owner))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other process: its id, its machine and its start.
        owner: String,
    },
    /// A stop that the user or the system requested.
    #[error("stopped: {kept} of {of} entities are kept; the same command resumes after them")]
    Stopped {
        /// Entities that are recorded.
        kept: usize,
        /// The total number of entities.
        of: usize,
    },
    /// A requested stop while a baseline model, untrained or shuffled, computes its activations.
    #[error(
        "stopped in the baseline `{baseline}` of {dataset}, which is not kept; the activations of all {entities} entities are kept, and the same command continues after them",
        dataset = shown(dataset)
    )]
    StoppedBaseline {
        /// The dataset.
        dataset: String,
        /// The baseline.
        baseline: String,
        /// The dataset's number of entities.
        entities: usize,
    },
    /// A requested stop during the training of a sparse dictionary.
    #[error("stopped: {kept} of {of} steps are kept; the same command resumes after them")]
    StoppedTraining {
        /// Steps that are in the checkpoint.
        kept: usize,
        /// The total number of steps.
        of: usize,
    },
    /// A requested stop during a causal test.
    #[error("stopped: the layers that are done are kept; the same command resumes after them")]
    StoppedCause,
    /// A tensor operation failed; this is a bug in mappa, not a fault of the input.
    #[error("tensor operation failed")]
    Tensor(#[from] candle_core::Error),
    /// A linfa algorithm refused its input; this is a bug in mappa, not a fault of the user's input.
    #[error("fitting failed")]
    Fitting(#[from] linfa::Error),
    /// Two parts of mappa contradict each other; this is a bug in mappa, not a fault of the input.
    #[error("internal fault: {}; please report it", long(.0))]
    Internal(String),
}

/// The maximum number of characters of a text that mixes this program's words with foreign text.
const LONG: usize = 700;

/// A list, or a text of this program that contains foreign texts, which were shortened before; cut at [`LONG`].
fn long(text: &str) -> Cow<'_, str> {
    shown_up_to(LONG, text)
}

/// A shape, shortened, since a file may claim any number of dimensions.
fn dims(shape: &[usize]) -> String {
    shown(&format!("{shape:?}")).into_owned()
}

impl Error {
    /// Wraps an operating system error with the action and the path.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// A [`Error::BadFile`] with the content found and the content expected.
    pub fn bad_file(path: impl AsRef<Path>, found: impl ToString, expected: impl ToString) -> Error {
        Error::BadFile {
            path: path.as_ref().to_path_buf(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    /// An [`Error::Invalid`] with the value found and the values allowed.
    pub fn invalid(what: impl ToString, found: impl ToString, expected: impl ToString) -> Error {
        Error::Invalid { what: what.to_string(), found: found.to_string(), expected: expected.to_string() }
    }

    /// The same error with other advice, if it is a [`Error::CardMismatch`].
    pub fn with_way_out(self, other: impl Into<Box<str>>) -> Error {
        match self {
            Error::CardMismatch { path, field, found, expected, .. } => {
                Error::CardMismatch { path, field, found, expected, way_out: other.into() }
            }
            other => other,
        }
    }

    /// True for a stop that the user or the system requested.
    pub fn is_stop(&self) -> bool {
        use Error::{Stopped, StoppedBaseline, StoppedCause, StoppedTraining};
        matches!(self, Stopped { .. } | StoppedBaseline { .. } | StoppedTraining { .. } | StoppedCause)
    }

    /// The exit code: 1 for an error that the user can correct, 2 for a bug in mappa, 130 for a requested stop.
    pub fn exit_code(&self) -> u8 {
        match self {
            stop if stop.is_stop() => 130,
            Error::Tensor(_) | Error::Fitting(_) | Error::Internal(_) => 2,
            _ => 1,
        }
    }
}
