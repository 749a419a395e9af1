//! Pictures of saved rows: rows in, SVG or PNG bytes out; nothing is read, written or fitted here.
//!
//! - `format`: [`Format`] and [`Caption`]
//! - `layers`: [`r2_by_layer`], how well a probe reads each depth, beside its baselines
//! - `neurons`: [`neurons()`], MLP units that follow a target
//! - `predictions`: [`predictions`], predicted against true; `places` draws maps, `numbers` draws the rest
//! - `sweep`: [`dose_response`], what steering does to the reading and to the next token;
//!   `series` sorts its rows into curves
//! - `sweep_points`: [`dose_by_layer`] and [`effect_by_kl`], a whole sweep at a glance
//! - `text_by_dose`: [`text_by_dose()`], where the text says that the entity is
//! - `panel`, `axis`, `legend`: the parts every figure is made of
//! - `scene`: marks on a canvas; `paint` turns them into bytes, with the `letters` of the bundled font
//! - `style`: colours, fonts and sizes

mod axis;
mod format;
mod layers;
mod legend;
mod letters;
mod neurons;
mod numbers;
mod paint;
mod panel;
mod places;
mod predictions;
#[cfg(test)]
mod samples;
mod scene;
mod series;
mod style;
mod sweep;
mod sweep_points;
#[cfg(test)]
mod tests;
mod text_by_dose;

pub use format::{Caption, Format};
pub use layers::r2_by_layer;
pub use letters::letters_without_glyph;
pub use neurons::neurons;
pub use predictions::predictions;
pub use sweep::dose_response;
pub use sweep_points::{dose_by_layer, effect_by_kl};
pub use text_by_dose::text_by_dose;
