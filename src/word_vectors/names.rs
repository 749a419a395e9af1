//! The row of each name: the mean of its words' vectors, then the vector of its first and of its last word.

use super::table::WordVectors;
use super::words::{forms, parts, pieces};
use ndarray::Array2;

/// The vectors of names.
#[derive(Debug, Clone, PartialEq)]
pub struct NameVectors {
    /// For each name, the mean of its words' vectors, then the vector of its first and of its last word,
    /// `[n_names, 3 · width]`; zeros if no word has a vector.
    pub rows: Array2<f32>,
    /// The rank of each name's rarest word that has a vector; `None` for a name without one.
    pub rarest: Vec<Option<u64>>,
}

impl NameVectors {
    /// Looks up the words of each name.
    ///
    /// Names are divided at white space. If the file has no form of a word, the pieces between its hyphens and other
    /// signs are looked up. Words without a vector are left out.
    pub fn of(vectors: &WordVectors, names: &[&str]) -> NameVectors {
        let width = vectors.width;
        let mut rows = Array2::zeros((names.len(), 3 * width));
        let mut rarest = Vec::with_capacity(names.len());
        for (name, mut row) in names.iter().zip(rows.rows_mut()) {
            let found = found_words(vectors, name);
            rarest.push(found.iter().filter_map(|word| vectors.rank(word)).max());
            let found: Vec<&[f32]> = found.iter().filter_map(|word| vectors.get(word)).collect();
            let (Some(first), Some(last)) = (found.first(), found.last()) else { continue };
            for column in 0..width {
                let sum: f64 = found.iter().map(|vector| f64::from(vector[column])).sum();
                row[column] = (sum / found.len() as f64) as f32;
                row[width + column] = first[column];
                row[2 * width + column] = last[column];
            }
        }
        NameVectors { rows, rarest }
    }

    /// The number of names with a vector for at least one word.
    pub fn n_found(&self) -> usize {
        self.rarest.iter().flatten().count()
    }
}

impl WordVectors {
    /// The rank of a name's rarest word; `None` if a word has no vector, or the name has no words.
    pub fn rarest_rank(&self, name: &str) -> Option<u64> {
        let ranks = |part| {
            let found = found_forms(self, part);
            found.iter().map(|word| self.rank(word)).max().flatten()
        };
        let all: Option<Vec<u64>> = parts(name).map(ranks).collect();
        all?.into_iter().max()
    }
}

/// The words of a name that the table has, in the form found there.
fn found_words(vectors: &WordVectors, name: &str) -> Vec<String> {
    parts(name).flat_map(|part| found_forms(vectors, part)).collect()
}

/// The form of a part of a name that the table has, else those of its pieces.
fn found_forms(vectors: &WordVectors, part: &str) -> Vec<String> {
    let known = |word: &str| forms(word).into_iter().find(|form| vectors.get(form).is_some());
    match known(part) {
        Some(form) => vec![form],
        None => pieces(part).into_iter().filter_map(known).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::Entry;
    use super::*;

    fn table() -> WordVectors {
        let mut table = WordVectors::new("test", String::new(), 2);
        let words = ["new", "york", "salem", "winston", "NASA", "malaga"];
        for (i, word) in words.into_iter().enumerate() {
            table.add(Entry { word, vector: &[i as f32, 1.0], rank: 10 + i as u64 });
        }
        table
    }

    #[test]
    fn a_row_has_the_mean_the_first_and_the_last_vector() {
        let found = NameVectors::of(&table(), &["New Old York", "Winston-Salem", "Málaga", "nasa", ""]);
        assert_eq!(found.rows.row(0).to_vec(), [0.5, 1.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(found.rows.row(1).to_vec(), [2.5, 1.0, 3.0, 1.0, 2.0, 1.0]);
        assert_eq!(found.rows.row(2).to_vec(), [5.0, 1.0, 5.0, 1.0, 5.0, 1.0]);
        assert!(found.rows.row(3).iter().chain(found.rows.row(4)).all(|value| *value == 0.0));
        assert_eq!(found.rarest, [Some(11), Some(13), Some(15), None, None]);
        assert_eq!(found.n_found(), 3);
        let ranks = ["New Old York", "Winston-Salem", "Málaga", "York", "– ", "Old"]
            .map(|name| table().rarest_rank(name));
        assert_eq!(ranks, [None, Some(13), Some(15), Some(11), None, None]);
    }

    #[test]
    fn the_first_of_two_vectors_of_a_word_is_kept() {
        let mut table = table();
        table.add(Entry { word: "new", vector: &[9.0, 9.0], rank: 99 });
        assert_eq!(
            (table.get("new"), table.rank("new"), table.n_words()),
            (Some(&[0.0, 1.0][..]), Some(10), 6)
        );
    }
}
