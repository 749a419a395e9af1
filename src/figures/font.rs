//! The bundled font: the width of a text, and the pixels of its letters.
//!
//! plotters could draw letters itself, but it ignores their left side bearing and so spaces them badly.

use super::style::FONT_SLACK;
use crate::shown::drawn;
use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont};
use epaint_default_fonts::UBUNTU_LIGHT;
use std::collections::BTreeSet;
use std::sync::OnceLock;

fn font() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(UBUNTU_LIGHT).ok()).as_ref()
}

/// The width of a text at a letter size (em), in the size's unit; a label shows the text as [`drawn`] gives it.
pub(super) fn width(text: &str, size: f64) -> f64 {
    // Without the font only the number of letters is known; half an em per letter is a good estimate.
    let text = &*drawn(text);
    lay(text, size).map_or(size * 0.5 * text.chars().count() as f64, |(_, width)| width)
}

/// The greatest letter size, at most `size`, at which a text is at most this wide, even in a viewer's substitute font.
pub(super) fn fitted(text: &str, size: f64, most: f64) -> f64 {
    size.min(size * most / (FONT_SLACK * width(text, size)))
}

/// The letters of an SVG that the font lacks; a PNG shows empty boxes for them.
pub fn letters_without_glyph(svg: &[u8]) -> BTreeSet<char> {
    let Some(font) = font() else { return BTreeSet::new() };
    let is_missing =
        |letter: &char| !letter.is_whitespace() && !letter.is_control() && font.glyph_id(*letter).0 == 0;
    String::from_utf8_lossy(svg).chars().filter(is_missing).collect()
}

/// The pixels of a text, relative to the start of its baseline, each with the covered share of its area.
pub(super) fn covered(text: &str, size: f64) -> Vec<(i32, i32, f64)> {
    let mut pixels = Vec::new();
    let Some((font, (glyphs, _))) = font().zip(lay(text, size)) else { return pixels };
    for outline in glyphs.into_iter().filter_map(|glyph| font.outline_glyph(glyph)) {
        let corner = outline.px_bounds().min;
        outline.draw(|x, y, share| {
            let at = (corner.x as i32 + x as i32, corner.y as i32 + y as i32);
            pixels.push((at.0, at.1, f64::from(share.clamp(0.0, 1.0))));
        });
    }
    pixels
}

fn lay(text: &str, size: f64) -> Option<(Vec<Glyph>, f64)> {
    let font = font()?;
    let box_height = font.height_unscaled() / font.units_per_em()?;
    let scaled = font.as_scaled(PxScale::from(size as f32 * box_height));
    let (mut glyphs, mut right, mut before) = (Vec::new(), 0.0, None);
    for letter in text.chars() {
        let id = scaled.glyph_id(letter);
        right += before.map_or(0.0, |before| scaled.kern(before, id));
        glyphs.push(id.with_scale_and_position(scaled.scale(), ab_glyph::point(right, 0.0)));
        right += scaled.h_advance(id);
        before = Some(id);
    }
    Some((glyphs, f64::from(right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_that_figures_use_is_in_the_font() {
        let font = font().unwrap();
        for letter in "R²°−…·%,()ABCabc0123456789".chars() {
            assert_ne!(font.glyph_id(letter).0, 0, "{letter}");
        }
    }

    #[test]
    fn letters_that_the_font_lacks_are_named_and_no_others() {
        let of = |text: &str| letters_without_glyph(text.as_bytes()).into_iter().collect::<String>();
        assert_eq!(of("<text>世界, Zürich</text>"), "世界");
        assert_eq!(of("Россия, Ελλάδα, R² −3°"), "", "Cyrillic and Greek are there");
        assert_eq!(of("יער"), of("ריע"));
        assert!(!of("القاهرة").is_empty() && !of("भारत").is_empty() && !of("한국").is_empty());
    }

    #[test]
    fn width_grows_with_size_and_text() {
        assert!((width("embed", 20.0) / width("embed", 10.0) - 2.0).abs() < 1e-3);
        assert!(width("embed 1", 10.0) > width("embed", 10.0));
    }

    #[test]
    fn letters_stand_on_their_baseline() {
        let pixels = covered("H", 100.0);
        let (top, bottom) = (pixels.iter().map(|p| p.1).min(), pixels.iter().map(|p| p.1).max());
        assert!((-75..-60).contains(&top.unwrap()) && (-1..=0).contains(&bottom.unwrap()));
    }
}
