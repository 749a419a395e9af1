//! Turns a scene into bytes: SVG text, or PNG pixels.

use super::format::Format;
use super::scene::{Anchor, Label, Mark, Point, Scene, Turn};
use super::style::{FONT_FAMILY, Ink};
use crate::error::{Error, Result};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, RGBAColor, ShapeStyle, TextStyle};
use std::fmt::Display;
use std::sync::Once;

/// How a painter sees the canvas: plotters has whole pixels only, so both draw on a finer grid.
#[derive(Clone, Copy)]
struct Grid {
    /// Grid steps per canvas unit.
    scale: f64,
    /// What plotters calls the size of a letter one em high.
    em: f64,
    /// How far under the anchor plotters sets the baseline, in its letter size.
    baseline: f64,
}

/// The SVG painter divides sizes by 1.24 and sets top-anchored text down by 0.76 em.
const SVG: Grid = Grid { scale: 20.0, em: 1.24, baseline: 0.76 / 1.24 };
/// The pixel painter scales Ubuntu Light by ascent plus descent and sets the baseline half of that down.
const PIXELS: Grid = Grid { scale: 4.0, em: LETTER_BOX, baseline: 0.5 };
/// Pixels of the finer grid that are averaged, in each direction, into one pixel of the PNG.
const AVERAGED: usize = 2;
/// Ascent plus descent of Ubuntu Light, in em.
const LETTER_BOX: f64 = 1.121;

/// A scene's bytes.
///
/// # Errors
/// [`Error::Internal`] if a painter refuses.
pub(super) fn paint(scene: &Scene, format: Format) -> Result<Vec<u8>> {
    register();
    match format {
        Format::Svg => svg(scene),
        Format::Png => png(scene),
    }
}

/// How wide a text runs, in canvas units.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    register();
    // Measured large, as plotters rounds to whole pixels.
    let measured = (FONT_FAMILY, 100.0 * LETTER_BOX).into_font().layout_box(text);
    let wide = measured.map_or(60.0 * text.chars().count() as f64, |(_, corner)| f64::from(corner.0));
    wide * size / 100.0
}

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A refusal shows as a font error at the first text.
        let _ = plotters::style::register_font(
            FONT_FAMILY,
            FontStyle::Normal,
            epaint_default_fonts::UBUNTU_LIGHT,
        );
    });
}

fn svg(scene: &Scene) -> Result<Vec<u8>> {
    let mut text = String::new();
    let size = SVG.size(scene);
    let mut backend = SVGBackend::with_string(&mut text, size);
    draw(&mut backend, scene, SVG)?;
    drop(backend);
    let fine = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("width=\"{}\" height=\"{}\"", scene.width, scene.height);
    Ok(text.replacen(&fine, &shown, 1).into_bytes())
}

fn png(scene: &Scene) -> Result<Vec<u8>> {
    let size = PIXELS.size(scene);
    let (wide, high) = (size.0 as usize, size.1 as usize);
    let mut pixels = vec![255; 3 * wide * high];
    let mut backend = BitMapBackend::with_buffer(&mut pixels, size);
    draw(&mut backend, scene, PIXELS)?;
    drop(backend);
    let (width, height) = (wide / AVERAGED, high / AVERAGED);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Default);
    let mut writer = encoder.write_header().map_err(internal)?;
    writer.write_image_data(&average(&pixels, width, height)).map_err(internal)?;
    writer.finish().map_err(internal)?;
    Ok(bytes)
}

fn average(fine: &[u8], width: usize, height: usize) -> Vec<u8> {
    let row = 3 * width * AVERAGED;
    let mut pixels = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for at in 0..3 * width {
            let first = y * AVERAGED * row + at / 3 * 3 * AVERAGED + at % 3;
            let steps = (0..AVERAGED * AVERAGED).map(|i| i / AVERAGED * row + i % AVERAGED * 3);
            let sum: usize = steps.map(|step| usize::from(fine[first + step])).sum();
            pixels.push((sum / (AVERAGED * AVERAGED)) as u8);
        }
    }
    pixels
}

fn internal(problem: impl Display) -> Error {
    Error::Internal(format!("drawing a figure: {problem}"))
}

fn colour(ink: Ink) -> RGBAColor {
    RGBAColor(ink.rgb.0, ink.rgb.1, ink.rgb.2, ink.alpha)
}

fn draw<B: DrawingBackend>(backend: &mut B, scene: &Scene, grid: Grid) -> Result<()> {
    let (width, height) = grid.size(scene);
    let corner = (width as i32, height as i32);
    let white = RGBAColor(255, 255, 255, 1.0).filled();
    backend.draw_rect((0, 0), corner, &white, true).map_err(internal)?;
    for mark in &scene.marks {
        match mark {
            Mark::Line { points, ink, width } => {
                let width = grid.length(*width).max(1);
                let style = ShapeStyle { color: colour(*ink), filled: false, stroke_width: width };
                backend.draw_path(grid.points(points), &style).map_err(internal)?;
            }
            Mark::Area { points, ink } => {
                backend.fill_polygon(grid.points(points), &colour(*ink)).map_err(internal)?;
            }
            Mark::Dot { at, radius, ink } => {
                let style = colour(*ink).filled();
                backend.draw_circle(grid.at(*at), grid.length(*radius), &style, true).map_err(internal)?;
            }
            Mark::Text(label) => draw_text(backend, label, grid)?,
        }
    }
    backend.present().map_err(internal)
}

fn draw_text<B: DrawingBackend>(backend: &mut B, label: &Label, grid: Grid) -> Result<()> {
    let size = label.size * grid.scale * grid.em;
    let side = match label.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let rise = (size * grid.baseline).round() as i32;
    let (x, y) = grid.at(label.at);
    let (turn, at) = match label.turn {
        Turn::Level => (FontTransform::None, (x, y - rise)),
        Turn::Upward => (FontTransform::Rotate270, (x - rise, y)),
    };
    let font = (FONT_FAMILY, size).into_font().transform(turn);
    let ink = colour(label.ink);
    let style = TextStyle::from(font).pos(Pos::new(side, VPos::Top)).color(&ink);
    backend.draw_text(&label.text, &style, at).map_err(internal)
}

impl Grid {
    fn length(self, units: f64) -> u32 {
        (units * self.scale).round() as u32
    }

    fn size(self, scene: &Scene) -> (u32, u32) {
        (self.length(scene.width), self.length(scene.height))
    }

    fn at(self, (x, y): Point) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    fn points(self, points: &[Point]) -> Vec<(i32, i32)> {
        points.iter().map(|point| self.at(*point)).collect()
    }
}
