//! Figures of saved rows: rows in, SVG or PNG bytes out; this module reads and writes no files and fits nothing.
//!
//! - [`FIGURES`]: all figures; `figure_kind`: one entry of [`FIGURES`]; `format`: [`Format`] and [`Caption`]
//! - `r2_by_layer`: a probe's R² at each depth, with its baselines
//! - `predictions`: predicted against true, as a `map` of places or a `scatter` plot of numbers, which share `readings`
//! - `neurons`: the rank correlation of each MLP neuron with a target
//! - `dose_response`: the effect of steering on the prediction and on the next token; `dose_curves`: its curves
//! - `text_by_dose`: the place or time that the text names at each dose
//! - `dose_by_layer`, `effect_by_kl`: all layers and doses of a sweep in one figure; `sweep_points`: the points of its
//!   own direction and of random ones
//! - `used_by_layer`: a probe's scores and the exchanges of subspaces
//! - `panel`, `columns`, `axis`, `legend`, `header`: parts that figures share
//! - `png_text`: a text inside a PNG, which viewers ignore
//! - `scene`: marks on a canvas; `paint` turns them into bytes, with the letters of the bundled `font`
//! - `style`: colours, fonts and sizes

mod axis;
mod columns;
mod dose_by_layer;
mod dose_curves;
mod dose_response;
mod effect_by_kl;
mod figure_kind;
mod font;
mod format;
mod header;
mod legend;
mod map;
mod neurons;
mod paint;
mod panel;
mod png_text;
mod predictions;
mod r2_by_layer;
mod readings;
mod scatter;
mod scene;
mod style;
mod sweep_points;
#[cfg(test)]
mod test_rows;
#[cfg(test)]
mod tests;
mod text_by_dose;
mod used_by_layer;

pub use dose_by_layer::dose_by_layer;
pub use dose_response::dose_response;
pub use effect_by_kl::effect_by_kl;
pub use figure_kind::{Captioned, FigureKind, SavedRows, Subject};
pub use font::letters_without_glyph;
pub use format::{Caption, Format};
pub use neurons::neurons;
pub use png_text::{with_text, without_text};
pub use predictions::predictions;
pub use r2_by_layer::r2_by_layer;
pub use text_by_dose::text_by_dose;
pub use used_by_layer::used_by_layer;

/// Every figure, in the order in which the figures of one subject are drawn.
pub const FIGURES: [FigureKind; 8] = [
    predictions::FIGURE,
    neurons::FIGURE,
    r2_by_layer::FIGURE,
    dose_response::FIGURE,
    text_by_dose::FIGURE,
    dose_by_layer::FIGURE,
    effect_by_kl::FIGURE,
    used_by_layer::FIGURE,
];
