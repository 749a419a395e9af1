//! The file format of a figure, and the words over it.

/// The file format of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Vector graphics, text kept as text.
    Svg,
    /// Pixels, two for each unit of the SVG's width.
    Png,
}

/// The words over a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caption<'a> {
    /// The subject, such as the dataset and the hook point.
    pub title: &'a str,
    /// A result, such as the test R².
    pub subtitle: &'a str,
    /// The same score of the baselines; may be empty.
    pub baselines: &'a str,
}
