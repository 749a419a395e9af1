//! One axis: its interval, its ticks and their labels.

/// A closed interval of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub low: f64,
    pub high: f64,
}

/// The axis of a quantity, with its ticks and label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    /// The ticks: value and label.
    pub ticks: Vec<(f64, String)>,
    /// The quantity and its unit; empty if another panel has the label.
    pub label: String,
}

impl Axis {
    /// An axis with about `count` round ticks.
    pub(super) fn round(interval: Interval, count: usize, label: &str) -> Axis {
        let Interval { low, high } = interval;
        let step = round_step((high - low) / count as f64);
        let decimals = (-step.log10()).ceil().clamp(0.0, 6.0) as usize;
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|i| i as f64 * step).map(|at| (at, number(at, decimals))).collect();
        Axis { low, high, ticks, label: label.to_string() }
    }

    /// The position of a value: 0 at the low end, 1 at the high end.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// True if a value lies on the axis.
    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

impl Interval {
    pub(super) const fn new(low: f64, high: f64) -> Interval {
        Interval { low, high }
    }

    /// The interval from the least to the greatest finite value; 0 to 1 without finite values.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Interval {
        let none = Interval::new(f64::INFINITY, f64::NEG_INFINITY);
        let of =
            values.into_iter().fold(none, |of, value| Interval::new(of.low.min(value), of.high.max(value)));
        if of.low > of.high { Interval::new(0.0, 1.0) } else { of }
    }

    /// The interval with a margin on both sides, given as a share of its length; the result is never empty.
    pub(super) fn widened(self, share: f64) -> Interval {
        let Interval { low, high } = self;
        let least = low.abs().max(high.abs()).max(1.0) * 1e-6;
        let margin = ((high - low) * share).max(if high - low < least { 0.5 } else { 0.0 });
        Interval::new(low - margin, high + margin)
    }

    pub(super) fn length(self) -> f64 {
        self.high - self.low
    }
}

/// A number with a typographic minus sign.
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let is_zero = text.chars().all(|c| c == '0' || c == '.');
    if value < 0.0 && !is_zero { format!("−{text}") } else { text }
}

fn round_step(least: f64) -> f64 {
    let unit = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * unit >= least * (1.0 - 1e-9));
    step.unwrap_or(10.0) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(low: f64, high: f64, count: usize) -> Vec<String> {
        Axis::round(Interval::new(low, high), count, "").ticks.into_iter().map(|(_, word)| word).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(words(-0.1, 1.0, 6), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(words(-123.0, 97.0, 4), ["−100", "0"]);
        assert_eq!(words(-1010.0, 2020.0, 4), ["−1000", "0", "1000", "2000"]);
        assert_eq!(words(40.5, 40.9, 4), ["40.5", "40.6", "40.7", "40.8", "40.9"]);
    }

    #[test]
    fn an_interval_is_never_empty() {
        let Interval { low, high } = Interval::new(1990.0, 1990.0).widened(0.05);
        assert!(low < 1990.0 && 1990.0 < high);
        assert_eq!(Interval::of([]), Interval::new(0.0, 1.0));
    }
}
