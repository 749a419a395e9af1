//! The painters: a scene as SVG text, or as PNG pixels.

use super::font;
use super::format::Format;
use super::scene::{Anchor, Label, Mark, Point, Scene, Turn};
use super::style::{FONT_FAMILY, Ink};
use crate::error::{Error, Result};
use crate::limits::{check_memory, product};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBAColor, ShapeStyle, TextStyle};
use std::fmt::Display;

/// Grid steps per canvas unit: plotters has whole pixels only, so both painters draw on a finer grid.
#[derive(Clone, Copy)]
struct Grid(f64);

const SVG: Grid = Grid(20.0);
const PIXELS: Grid = Grid(4.0);
/// Pixels of the finer grid that are averaged, in each direction, into one pixel of the PNG.
const AVERAGED: usize = 2;
/// plotters divides a requested letter size by this factor to get the em of the SVG.
const SVG_LETTER: f64 = 1.24;
/// The distance of the baseline below the anchor of top-anchored text in the SVG painter, in em.
const SVG_BASELINE: f64 = 0.76;

/// Paints a scene.
///
/// # Errors
/// [`Error::Internal`] if a painter refuses.
pub(super) fn paint(scene: &Scene, format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Svg => svg(scene),
        Format::Png => png(scene),
    }
}

fn svg(scene: &Scene) -> Result<Vec<u8>> {
    let mut text = String::new();
    let size = SVG.size(scene);
    let mut backend = SVGBackend::with_string(&mut text, size);
    draw(&mut backend, scene, SVG, svg_text)?;
    drop(backend);
    let fine = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("width=\"{}\" height=\"{}\"", scene.width, scene.height);
    Ok(text.replacen(&fine, &shown, 1).into_bytes())
}

fn png(scene: &Scene) -> Result<Vec<u8>> {
    let size = PIXELS.size(scene);
    let (wide, high) = (size.0 as usize, size.1 as usize);
    check_memory("a figure", product([3, wide, high]), "draw fewer layers and doses")?;
    let mut pixels = vec![255; 3 * wide * high];
    let mut backend = BitMapBackend::with_buffer(&mut pixels, size);
    draw(&mut backend, scene, PIXELS, pixel_text)?;
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

type DrawText<B> = fn(&mut B, &Label, Grid) -> Result<()>;

fn draw<B: DrawingBackend>(backend: &mut B, scene: &Scene, grid: Grid, text: DrawText<B>) -> Result<()> {
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
            Mark::Text(label) => text(backend, label, grid)?,
        }
    }
    backend.present().map_err(internal)
}

fn svg_text(backend: &mut SVGBackend, label: &Label, grid: Grid) -> Result<()> {
    let em = label.size * grid.0;
    let side = match label.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let rise = (em * SVG_BASELINE).round() as i32;
    let (x, y) = grid.at(label.at);
    let (turn, at) = match label.turn {
        Turn::Level => (FontTransform::None, (x, y - rise)),
        Turn::Upward => (FontTransform::Rotate270, (x - rise, y)),
    };
    let font = (FONT_FAMILY, em * SVG_LETTER).into_font().transform(turn);
    let ink = colour(label.ink);
    let style = TextStyle::from(font).pos(Pos::new(side, VPos::Top)).color(&ink);
    backend.draw_text(&label.text, &style, at).map_err(internal)
}

fn pixel_text(backend: &mut BitMapBackend, label: &Label, grid: Grid) -> Result<()> {
    let em = label.size * grid.0;
    let before = match label.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => font::width(&label.text, em) / 2.0,
        Anchor::End => font::width(&label.text, em),
    };
    let (x, y) = grid.at(label.at);
    let (width, height) = backend.get_size();
    for (along, down, share) in font::covered(&label.text, em) {
        let along = along - before.round() as i32;
        let at = match label.turn {
            Turn::Level => (x + along, y + down),
            Turn::Upward => (x + down, y - along),
        };
        if (0..width as i32).contains(&at.0) && (0..height as i32).contains(&at.1) {
            let ink = label.ink.faint(label.ink.alpha * share);
            backend.draw_pixel(at, colour(ink).to_backend_color()).map_err(internal)?;
        }
    }
    Ok(())
}

impl Grid {
    fn length(self, units: f64) -> u32 {
        (units * self.0).round() as u32
    }

    fn size(self, scene: &Scene) -> (u32, u32) {
        (self.length(scene.width), self.length(scene.height))
    }

    fn at(self, point: Point) -> (i32, i32) {
        ((point.0 * self.0).round() as i32, (point.1 * self.0).round() as i32)
    }

    fn points(self, points: &[Point]) -> Vec<(i32, i32)> {
        points.iter().map(|point| self.at(*point)).collect()
    }
}
