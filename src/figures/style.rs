//! Colours, fonts and sizes; the Okabe–Ito palette, which colour-blind readers can distinguish.

/// A colour with its opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink {
    /// Red, green, blue.
    pub rgb: (u8, u8, u8),
    /// 0 (nothing) to 1 (opaque).
    pub alpha: f64,
}

impl Ink {
    const fn solid(r: u8, g: u8, b: u8) -> Ink {
        Ink { rgb: (r, g, b), alpha: 1.0 }
    }

    /// The same colour, translucent.
    pub(super) const fn faint(self, alpha: f64) -> Ink {
        Ink { alpha, ..self }
    }
}

/// A line's colour, width and dashes (drawn and skipped lengths in turn; none for a solid line).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stroke {
    pub ink: Ink,
    pub width: f64,
    pub dashes: &'static [f64],
}

impl Stroke {
    pub(super) const fn solid(ink: Ink, width: f64) -> Stroke {
        Stroke { ink, width, dashes: &[] }
    }

    pub(super) const fn dashed(ink: Ink, width: f64, dashes: &'static [f64]) -> Stroke {
        Stroke { ink, width, dashes }
    }
}

pub(super) const BLACK: Ink = Ink::solid(0, 0, 0);
pub(super) const ORANGE: Ink = Ink::solid(230, 159, 0);
pub(super) const SKY: Ink = Ink::solid(86, 180, 233);
pub(super) const GREEN: Ink = Ink::solid(0, 158, 115);
pub(super) const YELLOW: Ink = Ink::solid(240, 228, 66);
pub(super) const BLUE: Ink = Ink::solid(0, 114, 178);
pub(super) const VERMILLION: Ink = Ink::solid(213, 94, 0);
pub(super) const PURPLE: Ink = Ink::solid(204, 121, 167);
pub(super) const WINE: Ink = Ink::solid(136, 34, 85);
pub(super) const GREY: Ink = Ink::solid(140, 140, 140);
pub(super) const PALE: Ink = Ink::solid(205, 205, 205);
pub(super) const TEXT: Ink = Ink::solid(20, 20, 20);
pub(super) const GRID: Ink = Ink::solid(232, 232, 232);
pub(super) const AXIS: Ink = Ink::solid(90, 90, 90);

/// The colours of groups, most frequent first; yellow last, because it is the faintest on white.
pub(super) const GROUPS: [Ink; 8] = [BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, BLACK, YELLOW];

pub(super) const LONG_DASH: &[f64] = &[8.0, 4.0];
pub(super) const SHORT_DASH: &[f64] = &[4.0, 3.0];
pub(super) const DOTS: &[f64] = &[1.6, 3.0];
pub(super) const DASH_DOT: &[f64] = &[10.0, 3.0, 2.0, 3.0];

/// The bundled font, then the fonts that a viewer uses if it lacks the bundled font.
pub(super) const FONT_FAMILY: &str = "Ubuntu, Helvetica, Arial, sans-serif";

/// Letter heights (em), in canvas units.
pub(super) const TITLE_SIZE: f64 = 22.0;
pub(super) const PANEL_TITLE_SIZE: f64 = 17.0;
pub(super) const LABEL_SIZE: f64 = 15.0;
pub(super) const TICK_SIZE: f64 = 13.5;

/// The factor by which a viewer's substitute font may be wider than the bundled font.
pub(super) const FONT_SLACK: f64 = 1.12;
