//! Ranges of whole numbers, such as ranks of words: their bounds, and their names also after neighbours were merged.

/// A range of whole numbers; it may also stand for a missing number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    /// The smallest and the largest number; `None` if only a missing number belongs to it.
    numbers: Option<(u64, u64)>,
    /// The words for a missing number, if it belongs to the range.
    missing: Option<&'static str>,
}

impl Range {
    /// Ranges between the bounds, each of which is the largest number of its range, and beyond the last one; then the
    /// missing number.
    pub(super) fn between(bounds: &[u64], missing: &'static str) -> Vec<Range> {
        let firsts = [1].into_iter().chain(bounds.iter().map(|bound| bound + 1));
        let lasts = bounds.iter().copied().chain([u64::MAX]);
        let numbers = firsts.zip(lasts).map(|numbers| Range { numbers: Some(numbers), missing: None });
        numbers.chain([Range { numbers: None, missing: Some(missing) }]).collect()
    }

    /// True if a number belongs to the range; `None` is the missing number.
    pub(super) fn holds(&self, number: Option<u64>) -> bool {
        match (number, self.numbers) {
            (Some(number), Some((first, last))) => (first..=last).contains(&number),
            (Some(_), None) => false,
            (None, _) => self.missing.is_some(),
        }
    }

    /// The range with its next neighbour.
    pub(super) fn with_next(&self, next: &Range) -> Range {
        let numbers = match (self.numbers, next.numbers) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (one, other) => one.or(other),
        };
        Range { numbers, missing: self.missing.or(next.missing) }
    }

    /// The name, such as `101 to 1,000`.
    pub(super) fn name(&self) -> String {
        let numbers = self.numbers.map(|(first, last)| match last {
            _ if first == last => grouped(first),
            u64::MAX => format!("{} or more", grouped(first)),
            last => format!("{} to {}", grouped(first), grouped(last)),
        });
        numbers.into_iter().chain(self.missing.map(String::from)).collect::<Vec<_>>().join(", or ")
    }
}

/// A whole number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_in_one_range_and_merged_ranges_have_one_name() {
        let all = Range::between(&[10, 1000], "no vector");
        for number in [Some(1), Some(10), Some(11), Some(1000), Some(1001), Some(u64::MAX), None] {
            assert_eq!(all.iter().filter(|range| range.holds(number)).count(), 1, "{number:?}");
        }
        let names: Vec<String> = all.iter().map(Range::name).collect();
        assert_eq!(names, ["1 to 10", "11 to 1,000", "1,001 or more", "no vector"]);
        assert_eq!(all[0].with_next(&all[1]).name(), "1 to 1,000");
        assert_eq!(all[2].with_next(&all[3]).name(), "1,001 or more, or no vector");
        assert_eq!(Range::between(&[1, 2], "")[1].name(), "2");
    }
}
