//! The header of a figure: title, subtitle, baselines and legend.

use super::font::fitted;
use super::format::Caption;
use super::legend::Legend;
use super::scene::{Label, Scene};
use super::style::{LABEL_SIZE, TITLE_SIZE};

/// The subtitle, with the number of test rows and of predictions outside the axes.
pub(super) fn subtitle(caption: &Caption, drawn: usize, all: usize) -> String {
    let count = format!("n = {all} test rows");
    let outside = match all - drawn {
        0 => String::new(),
        outside => format!(", {outside} predicted outside the axes and not drawn"),
    };
    if caption.subtitle.is_empty() {
        format!("{count}{outside}")
    } else {
        format!("{} · {count}{outside}", caption.subtitle)
    }
}

/// Draws title, subtitle, baselines and legend at the top of a canvas; returns their lower edge.
pub(super) fn draw_head(scene: &mut Scene, caption: &Caption, legend: &Legend) -> f64 {
    let (left, width) = (SIDE, scene.width - 2.0 * SIDE);
    scene.text(Label::level(caption.title, (left, 32.0), fitted(caption.title, TITLE_SIZE, width)));
    let below = [caption.subtitle, caption.baselines].into_iter().filter(|words| !words.is_empty());
    for (line, words) in below.enumerate() {
        let at = (left, 56.0 + LINE * line as f64);
        scene.text(Label::level(words, at, fitted(words, LABEL_SIZE, width)));
    }
    legend.draw(scene, (left, words_height(caption)), width);
    head_height(caption, legend, scene.width)
}

/// The height of the header.
pub(super) fn head_height(caption: &Caption, legend: &Legend, width: f64) -> f64 {
    words_height(caption) + legend.height(width - 2.0 * SIDE) + 16.0
}

fn words_height(caption: &Caption) -> f64 {
    if caption.baselines.is_empty() { 68.0 } else { 68.0 + LINE }
}

/// From one line under the title to the next.
const LINE: f64 = 21.0;

/// The margin to the left and right of title and legend.
const SIDE: f64 = 24.0;
