//! The names of result files.

/// Scores of probes and baselines, of [`ScoreRow`](super::ScoreRow).
pub const SCORES_FILE: &str = "scores.csv";
/// Predictions at the best hook point, of [`PredictionRow`](super::PredictionRow).
pub const PREDICTIONS_FILE: &str = "predictions.csv";
/// The surplus in parts of the test entities, of [`StratumRow`](super::StratumRow).
pub const STRATA_FILE: &str = "strata.csv";
/// Participation ratios, of [`ParticipationRow`](super::ParticipationRow).
pub const PARTICIPATION_FILE: &str = "participation.csv";
/// Cosines between layers, of [`CosineRow`](super::CosineRow).
pub const LAYER_COSINES_FILE: &str = "layers.csv";
/// Cosines between targets, of [`CosineRow`](super::CosineRow).
pub const TARGET_COSINES_FILE: &str = "targets.csv";
/// Cosines between datasets, of [`CosineRow`](super::CosineRow).
pub const DATASET_COSINES_FILE: &str = "datasets.csv";
/// MLP neurons, of [`NeuronRow`](super::NeuronRow), or latents, of [`LatentRow`](super::LatentRow).
pub const UNITS_FILE: &str = "units.csv";
/// Ablations of MLP neurons, of [`AblationRow`](super::AblationRow).
pub const ABLATIONS_FILE: &str = "ablations.csv";
/// Tokens on which latents are active, of [`LatentTokenRow`](super::LatentTokenRow).
pub const TOKENS_FILE: &str = "tokens.csv";
/// Dose–response sweeps, of [`SweepRow`](super::SweepRow).
pub const SWEEP_FILE: &str = "sweep.csv";
/// Scores of lenses by layer, of [`LensScoreRow`](super::LensScoreRow).
pub const LENS_SCORES_FILE: &str = "lens.csv";
/// Exchanges of subspaces, of [`InterchangeRow`](super::InterchangeRow).
pub const INTERCHANGE_FILE: &str = "interchange.csv";
/// Angles between subspaces, of [`AngleRow`](super::AngleRow).
pub const ANGLES_FILE: &str = "angles.csv";
/// Ablations of subspaces, of [`SubspaceAblationRow`](super::SubspaceAblationRow).
pub const SUBSPACE_ABLATIONS_FILE: &str = "subspace_ablations.csv";
