//! The file format of a figure, and the text above it.

/// The file format of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Vector graphics, text kept as text.
    Svg,
    /// Pixels, two for each unit of the SVG's width.
    Png,
}

/// The text above a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caption<'a> {
    /// The subject, such as the dataset and the hook point.
    pub title: &'a str,
    /// A result, such as the test R².
    pub subtitle: &'a str,
    /// The scores of the baselines for comparison; may be empty.
    pub baselines: &'a str,
}
