//! What a figure is saved as, and the words over it.

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
    /// What is shown, such as the dataset and the hook point.
    pub title: &'a str,
    /// What the reader should know beside it, such as the test R².
    pub subtitle: &'a str,
    /// What the same score is without what the model learnt; may be empty.
    pub baselines: &'a str,
}
