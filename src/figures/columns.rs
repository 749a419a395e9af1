//! A grid of columns below a legend; each column has an upper and a lower panel.

use super::legend::Legend;
use super::panel::Frame;
use super::scene::Scene;

/// The margin above the legend.
const TOP: f64 = 14.0;
/// Maximum number of columns side by side.
const MOST: usize = 4;

/// The sizes of a grid, in canvas units.
pub(super) struct Columns {
    pub left: f64,
    pub between: f64,
    pub right: f64,
    /// The height above the upper panel, between both panels, and below the lower one.
    pub above: f64,
    pub apart: f64,
    pub below: f64,
    /// The heights of the upper and the lower panel.
    pub heights: [f64; 2],
    /// The width of a panel, by the number of columns side by side.
    pub widths: [f64; MOST],
}

/// The frames of one column.
pub(super) struct Column {
    pub upper: Frame,
    pub lower: Frame,
    /// True for the column at the left edge.
    pub is_first: bool,
}

impl Columns {
    /// A scene with the legend, and the frames of `n` columns.
    pub(super) fn scene(&self, n: usize, legend: &Legend) -> (Scene, Vec<Column>) {
        let side_by_side = n.min(MOST);
        let panel_width = self.widths[side_by_side - 1];
        let width =
            self.left + side_by_side as f64 * (panel_width + self.between) - self.between + self.right;
        let legend_width = width - self.left - self.right;
        let strip = legend.height(legend_width);
        let [upper, lower] = self.heights;
        let block = self.above + upper + self.apart + lower + self.below;
        let mut scene = Scene::new(width, TOP + strip + n.div_ceil(side_by_side) as f64 * block);
        legend.draw(&mut scene, (self.left, TOP), legend_width);
        let column = |i: usize| {
            let left = self.left + (i % side_by_side) as f64 * (panel_width + self.between);
            let top = TOP + strip + self.above + (i / side_by_side) as f64 * block;
            let above = Frame { left, top, width: panel_width, height: upper };
            let below = Frame { top: top + upper + self.apart, height: lower, ..above };
            Column { upper: above, lower: below, is_first: i.is_multiple_of(side_by_side) }
        };
        (scene, (0..n).map(column).collect())
    }
}
