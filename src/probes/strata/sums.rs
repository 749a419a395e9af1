//! The parts of R² that add up over strata.
//!
//! For a target `y` with mean `ȳ` over all test entities, a stratum `s` has the total `T_s = Σ (y − ȳ)²` over its
//! entities, and the squared errors `E_s` of the text and `F_s` of text and activations. With `T = Σ T_s`, the R² of the
//! text is `1 − Σ E_s / T`, and the surplus is the sum of the contributions `(E_s − F_s) / T`.

use super::division::Strata;
use ndarray::Array2;

/// The targets and the predictions of the test entities, and a division of these into strata.
pub(in crate::probes) struct StratumSums<'a> {
    strata: &'a Strata,
    /// The true values of each target, minus their mean.
    truth: Vec<Vec<f64>>,
    /// The squared errors of the text, by target.
    of_text: Vec<Vec<f64>>,
    /// The squared errors of text and activations, by target.
    of_both: Vec<Vec<f64>>,
}

/// The measures of one stratum and one target, or of their mean over the targets.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(in crate::probes) struct Measures {
    /// The share of the total `T_s / T`.
    pub share: f64,
    /// R² of the text in the stratum, `1 − E_s / T_s`.
    pub text: f64,
    /// R² of text and activations in the stratum, `1 − F_s / T_s`.
    pub both: f64,
    /// Their difference.
    pub surplus: f64,
    /// The contribution to the surplus of all test entities, `(E_s − F_s) / T`.
    pub contribution: f64,
    /// The surplus in the stratum minus that in all other strata together.
    pub against_rest: f64,
}

impl Measures {
    /// The measures in an order that [`Measures::LEN`] numbers share.
    pub(in crate::probes) fn values(self) -> [f64; Measures::LEN] {
        let Measures { share, text, both, surplus, contribution, against_rest } = self;
        [share, text, both, surplus, contribution, against_rest]
    }

    /// The number of measures.
    pub(in crate::probes) const LEN: usize = 6;

    /// The mean of the measures of several targets.
    fn mean(all: &[Measures]) -> Measures {
        let mean = |of: fn(&Measures) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        Measures {
            share: mean(|one| one.share),
            text: mean(|one| one.text),
            both: mean(|one| one.both),
            surplus: mean(|one| one.surplus),
            contribution: mean(|one| one.contribution),
            against_rest: mean(|one| one.against_rest),
        }
    }
}

/// Sums over the entities of a stratum, each counted as often as a resample has it.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: f64,
    truth: f64,
    squares: f64,
    of_text: f64,
    of_both: f64,
}

impl Sums {
    fn add(&mut self, other: Sums) {
        self.n += other.n;
        self.truth += other.truth;
        self.squares += other.squares;
        self.of_text += other.of_text;
        self.of_both += other.of_both;
    }

    /// The squared differences from a mean.
    fn total(&self, mean: f64) -> f64 {
        // Rounding may leave a small negative number.
        (self.squares - 2.0 * mean * self.truth + self.n * mean * mean).max(0.0)
    }
}

impl<'a> StratumSums<'a> {
    /// Collects the squared errors of the test entities.
    ///
    /// # Shapes
    /// All are `[n_test, n_targets]`.
    pub(in crate::probes) fn new(
        strata: &'a Strata,
        truth: &Array2<f64>,
        [text, both]: [&Array2<f64>; 2],
    ) -> StratumSums<'a> {
        let columns = |of: &Array2<f64>| -> Vec<Vec<f64>> {
            of.columns().into_iter().map(|column| column.to_vec()).collect()
        };
        let errors = |predicted: &Array2<f64>| columns(&(truth - predicted).mapv(|error| error * error));
        let centred = |mut column: Vec<f64>| {
            // Squares of centred values are added with less rounding; the mean of a resample is subtracted later.
            let mean = column.iter().sum::<f64>() / column.len().max(1) as f64;
            column.iter_mut().for_each(|value| *value -= mean);
            column
        };
        let centred = columns(truth).into_iter().map(centred).collect();
        StratumSums { strata, truth: centred, of_text: errors(text), of_both: errors(both) }
    }

    /// The number of targets, and one more for their mean.
    pub(in crate::probes) fn n_columns(&self) -> usize {
        self.truth.len() + 1
    }

    /// The measures of each stratum: of each target, then their mean.
    pub(in crate::probes) fn measures(&self, counts: &[f64]) -> Vec<Vec<Measures>> {
        let n_strata = self.strata.strata.len();
        let mut all = vec![Vec::with_capacity(self.n_columns()); n_strata];
        for target in 0..self.truth.len() {
            let (truth, of_text, of_both) =
                (&self.truth[target], &self.of_text[target], &self.of_both[target]);
            let mut sums = vec![Sums::default(); n_strata];
            for (i, (&stratum, &n)) in self.strata.of.iter().zip(counts).enumerate() {
                let y = truth[i];
                let (truth, squares) = (n * y, n * y * y);
                sums[stratum].add(Sums {
                    n,
                    truth,
                    squares,
                    of_text: n * of_text[i],
                    of_both: n * of_both[i],
                });
            }
            let mut whole = Sums::default();
            sums.iter().for_each(|one| whole.add(*one));
            let mean = whole.truth / whole.n;
            let total = whole.total(mean);
            let gain = |of: &Sums| of.of_text - of.of_both;
            for (measures, one) in all.iter_mut().zip(&sums) {
                let own = one.total(mean);
                let rest = (gain(&whole) - gain(one)) / (total - own);
                let surplus = gain(one) / own;
                measures.push(Measures {
                    share: own / total,
                    text: 1.0 - one.of_text / own,
                    both: 1.0 - one.of_both / own,
                    surplus,
                    contribution: gain(one) / total,
                    against_rest: if n_strata > 1 { surplus - rest } else { f64::NAN },
                });
            }
        }
        for measures in &mut all {
            let mean = Measures::mean(measures);
            measures.push(mean);
        }
        all
    }
}
