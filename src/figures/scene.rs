//! A scene: a list of marks on a canvas, in canvas units, independent of the file format.

use super::font::fitted;
use super::style::{Ink, Stroke, TEXT};
use crate::shown::drawn;

/// A point on the canvas: distance from the left edge, and from the upper edge.
pub(super) type Point = (f64, f64);

/// The part of a text that is placed at its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The direction of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Level,
    Upward,
}

/// A text on its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    pub text: String,
    pub at: Point,
    pub size: f64,
    pub anchor: Anchor,
    pub turn: Turn,
    pub ink: Ink,
}

impl Label {
    /// A level text in the usual colour.
    pub(super) fn level(text: impl Into<String>, at: Point, size: f64) -> Label {
        let text = drawn(&text.into()).into_owned();
        Label { text, at, size, anchor: Anchor::Start, turn: Turn::Level, ink: TEXT }
    }

    pub(super) fn anchored(self, anchor: Anchor) -> Label {
        Label { anchor, ..self }
    }

    pub(super) fn upward(self) -> Label {
        Label { turn: Turn::Upward, ..self }
    }
}

/// A mark of a scene.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    Line { points: Vec<Point>, ink: Ink, width: f64 },
    Area { points: Vec<Point>, ink: Ink },
    Dot { at: Point, radius: f64, ink: Ink },
    Text(Label),
}

/// The canvas and its marks, later ones over earlier ones.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scene {
    pub width: f64,
    pub height: f64,
    pub marks: Vec<Mark>,
}

impl Scene {
    pub(super) fn new(width: f64, height: f64) -> Scene {
        Scene { width: width.ceil(), height: height.ceil(), marks: Vec::new() }
    }

    /// Draws a text, smaller if it would be cut off at an edge of the canvas.
    pub(super) fn text(&mut self, label: Label) {
        let (from_start, to_end) = match label.turn {
            Turn::Level => (label.at.0, self.width - label.at.0),
            Turn::Upward => (self.height - label.at.1, label.at.1),
        };
        let room = match label.anchor {
            Anchor::Start => to_end,
            Anchor::Middle => 2.0 * from_start.min(to_end),
            Anchor::End => from_start,
        };
        let size = fitted(&label.text, label.size, room.max(0.0));
        self.marks.push(Mark::Text(Label { size, ..label }));
    }

    pub(super) fn area(&mut self, points: Vec<Point>, ink: Ink) {
        self.marks.push(Mark::Area { points, ink });
    }

    pub(super) fn dot(&mut self, at: Point, radius: f64, ink: Ink) {
        self.marks.push(Mark::Dot { at, radius, ink });
    }

    /// Draws a line through points; it is cut into dashes here, because the painters have only solid lines.
    pub(super) fn line(&mut self, points: &[Point], stroke: Stroke) {
        for points in dashes(points, stroke.dashes) {
            self.marks.push(Mark::Line { points, ink: stroke.ink, width: stroke.width });
        }
    }

    /// Draws a triangle that points down at its tip, with half its width to each side.
    pub(super) fn down_mark(&mut self, tip: Point, half: f64, ink: Ink) {
        let (x, y) = tip;
        self.area(vec![(x - half, y - 1.8 * half), (x + half, y - 1.8 * half), (x, y)], ink);
    }
}

fn dashes(points: &[Point], pattern: &[f64]) -> Vec<Vec<Point>> {
    if pattern.is_empty() {
        return if points.len() < 2 { Vec::new() } else { vec![points.to_vec()] };
    }
    let mut pieces = Vec::new();
    let mut piece: Vec<Point> = points.first().copied().into_iter().collect();
    let (mut turn, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done >= left {
            done += left;
            let at = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            piece.push(at);
            if turn % 2 == 0 {
                pieces.push(std::mem::take(&mut piece));
            }
            turn += 1;
            left = pattern[turn % pattern.len()];
            piece = vec![at];
        }
        left -= length - done;
        if piece.last() != Some(&(x1, y1)) {
            piece.push((x1, y1));
        }
    }
    if turn % 2 == 0 && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_their_share_of_a_line() {
        let pieces = dashes(&[(0.0, 0.0), (10.0, 0.0), (10.0, 5.0)], &[4.0, 2.0]);
        let length =
            |p: &Vec<Point>| -> f64 { p.windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).sum() };
        let lengths: Vec<f64> = pieces.iter().map(length).collect();
        assert_eq!(lengths, [4.0, 4.0, 3.0]);
        assert_eq!(pieces[1], [(6.0, 0.0), (10.0, 0.0)]);
    }

    #[test]
    fn a_line_of_one_point_has_no_marks() {
        assert!(dashes(&[(1.0, 1.0)], &[]).is_empty());
        assert!(dashes(&[(1.0, 1.0)], &[2.0, 2.0]).is_empty());
        assert!(dashes(&[], &[2.0, 2.0]).is_empty());
    }
}
