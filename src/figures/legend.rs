//! The legend: a strip above the panels with the meaning of each mark; it never lies over data.

use super::font;
use super::scene::{Label, Point, Scene};
use super::style::{FONT_SLACK, Ink, LABEL_SIZE, Stroke};

/// The mark of a legend's entry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Swatch {
    /// A line.
    Line(Stroke),
    /// A line with a point on it, over a band of the second ink.
    Band(Stroke, Ink),
    /// A point of this radius.
    Dot(Ink, f64),
    /// The triangle for values under the axis.
    Below(Ink),
}

/// Marks and their meanings, in reading order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Legend {
    entries: Vec<(Swatch, String)>,
}

const ROW: f64 = 24.0;
const LINE: f64 = 34.0;
const GAP: f64 = 18.0;

impl Legend {
    pub(super) fn push(&mut self, swatch: Swatch, words: impl Into<String>) {
        self.entries.push((swatch, words.into()));
    }

    /// The height of its rows at a width.
    pub(super) fn height(&self, width: f64) -> f64 {
        self.places(width).last().map_or(0.0, |(_, y)| y + ROW)
    }

    /// Draws it from this upper left corner, in rows this wide.
    pub(super) fn draw(&self, scene: &mut Scene, corner: Point, width: f64) {
        for ((swatch, words), (x, y)) in self.entries.iter().zip(self.places(width)) {
            let (left, middle) = (corner.0 + x, corner.1 + y + ROW / 2.0);
            swatch.draw(scene, left, middle);
            let at = (left + swatch.width() + 7.0, middle + 0.34 * LABEL_SIZE);
            scene.text(Label::level(words.as_str(), at, LABEL_SIZE));
        }
    }

    fn places(&self, width: f64) -> Vec<Point> {
        let (mut x, mut y) = (0.0, 0.0);
        let mut places = Vec::new();
        for (swatch, words) in &self.entries {
            let needed = swatch.width() + 7.0 + FONT_SLACK * font::width(words, LABEL_SIZE);
            if x > 0.0 && x + needed > width {
                (x, y) = (0.0, y + ROW);
            }
            places.push((x, y));
            x += needed + GAP;
        }
        places
    }
}

impl Swatch {
    fn width(self) -> f64 {
        match self {
            Swatch::Line(_) | Swatch::Band(..) => LINE,
            Swatch::Dot(..) | Swatch::Below(_) => 12.0,
        }
    }

    fn draw(self, scene: &mut Scene, left: f64, middle: f64) {
        let line = [(left, middle), (left + LINE, middle)];
        match self {
            Swatch::Line(stroke) => scene.line(&line, stroke),
            Swatch::Band(stroke, ink) => {
                let (top, bottom) = (middle - 7.0, middle + 7.0);
                let right = left + LINE;
                scene.area(vec![(left, top), (right, top), (right, bottom), (left, bottom)], ink);
                scene.line(&line, stroke);
                scene.dot((left + LINE / 2.0, middle), 3.2, stroke.ink);
            }
            Swatch::Dot(ink, radius) => scene.dot((left + 6.0, middle), radius, ink),
            Swatch::Below(ink) => scene.down_mark((left + 6.0, middle + 4.5), 5.0, ink),
        }
    }
}
