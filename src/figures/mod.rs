//! Figures of saved rows: rows in, SVG or PNG bytes out; this module reads and writes no files and fits nothing.
//!
//! - [`FIGURES`]: all figures; `figure_kind`: one entry of [`FIGURES`]; `format`: [`Format`] and [`Caption`]
//! - `r2_by_layer`: a probe's R² at each depth, with its baselines
//! - `predictions`: predicted against true, as a `map` of places or a `scatter` plot of numbers, which share `readings`
//! - `classes_by_layer`: scores of classifiers at each depth; `r2_by_k`: R² of probes of few dimensions; `curves` draws both
//! - `neurons`: the rank correlation of each MLP neuron with a target
//! - `strata`: the surplus in parts of the test entities
//! - `dose_response`: the effect of steering on the prediction and on the next token; `dose_curves`: its curves
//! - `text_by_dose`: the place or time that the text names at each dose
//! - `dose_by_layer`, `effect_by_kl`: all layers and doses of a sweep in one figure; `sweep_points`: the points of its
//!   own direction and of random ones
//! - `lens_by_layer`: cross-entropy and divergence of lenses at each depth
//! - `used_by_layer`: a probe's scores and the exchanges of subspaces
//! - `panel`, `columns`, `axis`, `legend`, `header`: parts that figures share
//! - `png_text`: a text inside a PNG, which viewers ignore
//! - `scene`: marks on a canvas; `paint` turns them into bytes, with the letters of the bundled `font`
//! - `style`: colours, fonts and sizes

mod axis;
mod classes_by_layer;
mod columns;
mod curves;
mod dose_by_layer;
mod dose_curves;
mod dose_response;
mod effect_by_kl;
mod figure_kind;
mod font;
mod format;
mod header;
mod legend;
mod lens_by_layer;
mod map;
mod neurons;
mod paint;
mod panel;
mod png_text;
mod predictions;
mod r2_by_k;
mod r2_by_layer;
mod readings;
#[cfg(test)]
mod refusal_tests;
mod scatter;
mod scene;
mod strata;
mod style;
mod sweep_points;
#[cfg(test)]
mod test_rows;
#[cfg(test)]
mod tests;
mod text_by_dose;
mod used_by_layer;

pub use classes_by_layer::classes_by_layer;
pub use dose_by_layer::dose_by_layer;
pub use dose_response::dose_response;
pub use effect_by_kl::effect_by_kl;
pub use figure_kind::{Captioned, FigureKind, SavedRows, Subject};
pub use font::letters_without_glyph;
pub use format::{Caption, Format};
pub use lens_by_layer::lens_by_layer;
pub use neurons::neurons;
pub use png_text::{with_text, without_text};
pub use predictions::predictions;
pub use r2_by_k::r2_by_k;
pub use r2_by_layer::r2_by_layer;
pub use strata::strata;
pub use text_by_dose::text_by_dose;
pub use used_by_layer::used_by_layer;

/// Every figure, in the order in which the figures of one subject are drawn.
pub const FIGURES: [FigureKind; 12] = [
    predictions::FIGURE,
    neurons::FIGURE,
    strata::FIGURE,
    classes_by_layer::FIGURE,
    r2_by_k::FIGURE,
    r2_by_layer::FIGURE,
    dose_response::FIGURE,
    text_by_dose::FIGURE,
    dose_by_layer::FIGURE,
    effect_by_kl::FIGURE,
    lens_by_layer::FIGURE,
    used_by_layer::FIGURE,
];
