//! A panel: one pair of axes in a frame, with grid, ticks and labels.

use super::axis::Axis;
use super::font;
use super::scene::{Anchor, Label, Point, Scene};
use super::style::{AXIS, GRID, LABEL_SIZE, PANEL_TITLE_SIZE, Stroke, TICK_SIZE};

/// A rectangle on the canvas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Frame {
    pub(super) fn bottom(self) -> f64 {
        self.top + self.height
    }
}

/// A frame and the axes of the values drawn in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panel {
    pub frame: Frame,
    pub x: Axis,
    pub y: Axis,
    /// The words above the frame; may be empty.
    pub title: String,
}

impl Panel {
    /// The point of a pair of values on the canvas.
    pub(super) fn at(&self, values: (f64, f64)) -> Point {
        let Frame { left, width, height, .. } = self.frame;
        (left + self.x.share(values.0) * width, self.frame.bottom() - self.y.share(values.1) * height)
    }

    /// True if both values lie on their axes.
    pub(super) fn holds(&self, values: (f64, f64)) -> bool {
        self.x.holds(values.0) && self.y.holds(values.1)
    }

    /// Draws the grid, the frame and all labels; data is drawn over them.
    pub(super) fn draw(&self, scene: &mut Scene) {
        let Frame { left, top, width, height } = self.frame;
        let (right, bottom) = (left + width, top + height);
        let grid = Stroke::solid(GRID, 1.0);
        for (value, word) in &self.x.ticks {
            let (x, _) = self.at((*value, self.y.low));
            scene.line(&[(x, top), (x, bottom)], grid);
            scene.line(&[(x, bottom), (x, bottom + 4.0)], Stroke::solid(AXIS, 1.0));
            let at = (x, bottom + 7.0 + 0.76 * TICK_SIZE);
            scene.text(Label::level(word.as_str(), at, TICK_SIZE).anchored(Anchor::Middle));
        }
        for (value, word) in &self.y.ticks {
            let (_, y) = self.at((self.x.low, *value));
            scene.line(&[(left, y), (right, y)], grid);
            scene.line(&[(left - 4.0, y), (left, y)], Stroke::solid(AXIS, 1.0));
            let at = (left - 8.0, y + 0.34 * TICK_SIZE);
            scene.text(Label::level(word.as_str(), at, TICK_SIZE).anchored(Anchor::End));
        }
        let edge = Stroke::solid(AXIS, 1.0);
        scene.line(&[(left, top), (left, bottom), (right, bottom)], edge);
        self.draw_words(scene);
    }

    fn draw_words(&self, scene: &mut Scene) {
        let Frame { left, top, width, height } = self.frame;
        if !self.title.is_empty() {
            scene.text(Label::level(self.title.as_str(), (left, top - 11.0), PANEL_TITLE_SIZE));
        }
        if !self.x.label.is_empty() {
            let at = (left + width / 2.0, self.frame.bottom() + 11.0 + TICK_SIZE + 1.1 * LABEL_SIZE);
            scene.text(Label::level(self.x.label.as_str(), at, LABEL_SIZE).anchored(Anchor::Middle));
        }
        if !self.y.label.is_empty() {
            let widest =
                self.y.ticks.iter().map(|(_, word)| font::width(word, TICK_SIZE)).fold(0.0, f64::max);
            let at = (left - 20.0 - 1.1 * widest, top + height / 2.0);
            let label = Label::level(self.y.label.as_str(), at, LABEL_SIZE);
            scene.text(label.anchored(Anchor::Middle).upward());
        }
    }
}
