//! A panel: one pair of axes in a frame, with grid, ticks and labels.

use super::axis::Axis;
use super::font;
use super::scene::{Anchor, Label, Point, Scene};
use super::style::{AXIS, FONT_SLACK, GRID, LABEL_SIZE, PANEL_TITLE_SIZE, Stroke, TICK_SIZE};

/// The width of a vertical axis's label with its distance from the ticks.
const LABEL_ROOM: f64 = 18.0;

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
        let (grid, x_size, y_size) = (Stroke::solid(GRID, 1.0), self.x_tick_size(), self.y_tick_size());
        for (value, word) in &self.x.ticks {
            let (x, _) = self.at((*value, self.y.low));
            scene.line(&[(x, top), (x, bottom)], grid);
            scene.line(&[(x, bottom), (x, bottom + 4.0)], Stroke::solid(AXIS, 1.0));
            let at = (x, bottom + 7.0 + 0.76 * TICK_SIZE);
            scene.text(Label::level(word.as_str(), at, x_size).anchored(Anchor::Middle));
        }
        for (value, word) in &self.y.ticks {
            let (_, y) = self.at((self.x.low, *value));
            scene.line(&[(left, y), (right, y)], grid);
            scene.line(&[(left - 4.0, y), (left, y)], Stroke::solid(AXIS, 1.0));
            let at = (left - 8.0, y + 0.34 * y_size);
            scene.text(Label::level(word.as_str(), at, y_size).anchored(Anchor::End));
        }
        let edge = Stroke::solid(AXIS, 1.0);
        scene.line(&[(left, top), (left, bottom), (right, bottom)], edge);
        self.draw_words(scene);
    }

    /// The letter size of the horizontal axis's ticks: smaller if neighbours would touch.
    fn x_tick_size(&self) -> f64 {
        let half = |word: &str| font::width(word, TICK_SIZE) / 2.0;
        let shares = self.x.ticks.windows(2).map(|pair| {
            let gap = self.frame.width * (self.x.share(pair[1].0) - self.x.share(pair[0].0));
            gap / (FONT_SLACK * (half(&pair[0].1) + half(&pair[1].1)))
        });
        TICK_SIZE * shares.fold(1.0, f64::min)
    }

    /// The letter size of the vertical axis's ticks: smaller if they leave no room for the axis's label.
    fn y_tick_size(&self) -> f64 {
        let label = if self.y.label.is_empty() { 0.0 } else { LABEL_ROOM };
        let room = self.frame.left - 8.0 - label;
        self.y.ticks.iter().map(|(_, word)| font::fitted(word, TICK_SIZE, room)).fold(TICK_SIZE, f64::min)
    }

    fn draw_words(&self, scene: &mut Scene) {
        let Frame { left, top, width, height } = self.frame;
        if !self.title.is_empty() {
            let size = font::fitted(&self.title, PANEL_TITLE_SIZE, width);
            scene.text(Label::level(self.title.as_str(), (left, top - 11.0), size));
        }
        if !self.x.label.is_empty() {
            let at = (left + width / 2.0, self.frame.bottom() + 11.0 + TICK_SIZE + 1.1 * LABEL_SIZE);
            let size = font::fitted(&self.x.label, LABEL_SIZE, width);
            scene.text(Label::level(self.x.label.as_str(), at, size).anchored(Anchor::Middle));
        }
        if !self.y.label.is_empty() {
            let tick = self.y_tick_size();
            let widest = self.y.ticks.iter().map(|(_, word)| font::width(word, tick)).fold(0.0, f64::max);
            let at = ((left - 20.0 - 1.1 * widest).max(0.8 * LABEL_SIZE), top + height / 2.0);
            let size = font::fitted(&self.y.label, LABEL_SIZE, 1.2 * height);
            let label = Label::level(self.y.label.as_str(), at, size);
            scene.text(label.anchored(Anchor::Middle).upward());
        }
    }
}
