//! A perceptron with one hidden layer, as a test for structure that a linear probe misses.

use super::regressor::{MethodPredictions, RegressionTask, Regressor};
use super::scale::Scale;
use crate::error::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// The number of hidden units.
const HIDDEN: usize = 256;
/// The number of perceptrons, each trained from its own seed.
const SEEDS: u64 = 3;
/// Number of entities per step.
const BATCH: usize = 256;
/// The share of the training entities that is held out for early stopping.
const VALIDATION: f64 = 0.1;
/// Maximum number of passes over the training entities.
const MAX_EPOCHS: usize = 100;
/// Training stops after this number of passes without a better validation error.
const PATIENCE: usize = 8;
const LEARNING_RATE: f32 = 1e-3;
const WEIGHT_DECAY: f32 = 0.01;
const BETAS: (f32, f32) = (0.9, 0.999);
const EPSILON: f32 = 1e-8;

/// A layer of 256 ReLU units, trained with AdamW on the mean squared error of standardised targets, with early
/// stopping on a held-out tenth of the training entities.
///
/// Each of three seeds draws its own weights, batches and held-out tenth, and gives its own predictions; `mlp` is
/// the seed with the least error on its held-out tenth.
#[derive(Debug)]
pub(super) struct Perceptron;

impl Regressor for Perceptron {
    fn name(&self) -> &'static str {
        "mlp"
    }

    fn about(&self) -> &'static str {
        "256 ReLU units, best of three seeds on held-out training rows"
    }

    fn fit_predict(&self, task: &RegressionTask) -> Result<Vec<MethodPredictions>> {
        if task.train.len() < 20 {
            let found = format!("{} training entities", task.train.len());
            return Err(Error::invalid("--method mlp", found, "at least 20"));
        }
        let scale = Scale::of(task.activations, task.train);
        let trained: Vec<(f32, Array2<f64>)> =
            (0..SEEDS).into_par_iter().map(|seed| train(task, &scale, task.seed + seed)).collect();
        let best = trained.iter().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, values)| values.clone());
        let each = trained
            .into_iter()
            .enumerate()
            .map(|(seed, (_, values))| MethodPredictions::of(format!("{}-seed-{seed}", self.name()), values));
        let best = best.map(|values| MethodPredictions::of(self.name(), values));
        Ok(best.into_iter().chain(each).collect())
    }
}

/// Weights and biases of both layers.
#[derive(Clone)]
struct Layers {
    /// `[d_model, HIDDEN]`
    first: Array2<f32>,
    first_bias: Array2<f32>,
    /// `[HIDDEN, n_targets]`
    second: Array2<f32>,
    second_bias: Array2<f32>,
}

impl Layers {
    /// Uniform random weights between `−1 / √n_inputs` and `1 / √n_inputs`.
    fn drawn(d_model: usize, n_targets: usize, rng: &mut ChaCha8Rng) -> Layers {
        let mut uniform = |rows: usize, columns: usize, n_inputs: usize| {
            let reach = 1.0 / (n_inputs as f32).sqrt();
            Array2::from_shape_simple_fn((rows, columns), || rng.random_range(-reach..reach))
        };
        Layers {
            first: uniform(d_model, HIDDEN, d_model),
            first_bias: uniform(1, HIDDEN, d_model),
            second: uniform(HIDDEN, n_targets, HIDDEN),
            second_bias: uniform(1, n_targets, HIDDEN),
        }
    }

    /// Zeros of the same shapes.
    fn zeros(&self) -> Layers {
        let zeros = |of: &Array2<f32>| Array2::zeros(of.dim());
        Layers {
            first: zeros(&self.first),
            first_bias: zeros(&self.first_bias),
            second: zeros(&self.second),
            second_bias: zeros(&self.second_bias),
        }
    }

    fn all(&mut self) -> [&mut Array2<f32>; 4] {
        [&mut self.first, &mut self.first_bias, &mut self.second, &mut self.second_bias]
    }

    /// The hidden units and the outputs, `[n, HIDDEN]` and `[n, n_targets]`.
    fn forward(&self, x: &Array2<f32>) -> (Array2<f32>, Array2<f32>) {
        let mut hidden = x.dot(&self.first) + &self.first_bias;
        hidden.mapv_inplace(|v| v.max(0.0));
        let out = hidden.dot(&self.second) + &self.second_bias;
        (hidden, out)
    }

    /// The gradient of the mean squared error of a batch.
    fn gradient(&self, x: &Array2<f32>, y: &Array2<f32>) -> Layers {
        let (hidden, out) = self.forward(x);
        let d_out = (out - y) * (2.0 / y.len() as f32); // [n, n_targets]
        let mut d_hidden = d_out.dot(&self.second.t()); // [n, HIDDEN]
        Zip::from(&mut d_hidden).and(&hidden).for_each(|d, h| {
            if *h <= 0.0 {
                *d = 0.0;
            }
        });
        let sum = |of: &Array2<f32>| of.sum_axis(Axis(0)).insert_axis(Axis(0));
        Layers {
            first: x.t().dot(&d_hidden),
            first_bias: sum(&d_hidden),
            second: hidden.t().dot(&d_out),
            second_bias: sum(&d_out),
        }
    }
}

/// AdamW: Adam with decoupled weight decay.
///
/// # Source
/// Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
struct AdamW {
    means: Layers,
    squares: Layers,
    n_steps: i32,
}

impl AdamW {
    fn step(&mut self, layers: &mut Layers, mut gradient: Layers) {
        self.n_steps += 1;
        let (b1, b2) = BETAS;
        let (m_scale, v_scale) = (1.0 - b1.powi(self.n_steps), 1.0 - b2.powi(self.n_steps));
        let moments = self.means.all().into_iter().zip(self.squares.all());
        for ((weights, gradient), (means, squares)) in
            layers.all().into_iter().zip(gradient.all()).zip(moments)
        {
            Zip::from(weights).and(gradient).and(means).and(squares).for_each(|w, g, m, v| {
                *m = b1 * *m + (1.0 - b1) * *g;
                *v = b2 * *v + (1.0 - b2) * *g * *g;
                let step = (*m / m_scale) / ((*v / v_scale).sqrt() + EPSILON);
                *w -= LEARNING_RATE * (step + WEIGHT_DECAY * *w);
            });
        }
    }
}

/// Rows of the stream and their targets, both standardised.
struct Data<'a> {
    activations: ArrayView2<'a, f32>,
    mean: Array1<f32>,
    std_dev: Array1<f32>,
    train: &'a [usize],
    targets: Array2<f32>,
}

impl Data<'_> {
    /// The standardised activations of the given entities.
    fn x(&self, entities: impl ExactSizeIterator<Item = usize>) -> Array2<f32> {
        let mut x = Array2::zeros((entities.len(), self.activations.ncols()));
        for (mut row, entity) in x.rows_mut().into_iter().zip(entities) {
            let from = self.activations.row(entity);
            Zip::from(&mut row)
                .and(&from)
                .and(&self.mean)
                .and(&self.std_dev)
                .for_each(|to, from, mean, std_dev| *to = (from - mean) / std_dev);
        }
        x
    }

    /// A batch of training rows; `places` are indices into the training entities.
    fn batch(&self, places: &[usize]) -> (Array2<f32>, Array2<f32>) {
        (self.x(places.iter().map(|&place| self.train[place])), self.targets.select(Axis(0), places))
    }

    /// The mean squared error on the given training rows.
    fn error(&self, layers: &Layers, places: &[usize]) -> f32 {
        let squares = places.chunks(BATCH).map(|places| {
            let (x, y) = self.batch(places);
            (layers.forward(&x).1 - y).mapv(|e| e * e).sum()
        });
        squares.sum::<f32>() / (places.len() * self.targets.ncols()) as f32
    }
}

/// Trains one perceptron; returns its error on the held-out tenth and its predictions.
fn train(task: &RegressionTask, scale: &Scale, seed: u64) -> (f32, Array2<f64>) {
    let mean = task.targets.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(task.targets.ncols()));
    let std_dev = task.targets.std_axis(Axis(0), 0.0).mapv(|s| if s > 0.0 { s } else { 1.0 });
    let data = Data {
        activations: task.activations,
        mean: scale.mean.mapv(|v| v as f32),
        std_dev: scale.std_dev.mapv(|v| v as f32),
        train: task.train,
        targets: ((task.targets - &mean) / &std_dev).mapv(|v| v as f32),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..task.train.len()).collect();
    order.shuffle(&mut rng);
    let n_held_out = ((order.len() as f64 * VALIDATION) as usize).max(1);
    let held_out = order.split_off(order.len() - n_held_out);
    let mut layers = Layers::drawn(task.activations.ncols(), mean.len(), &mut rng);
    let mut optimiser = AdamW { means: layers.zeros(), squares: layers.zeros(), n_steps: 0 };
    let mut best = (data.error(&layers, &held_out), layers.clone());
    let mut n_worse = 0;
    for _ in 0..MAX_EPOCHS {
        order.shuffle(&mut rng);
        for places in order.chunks(BATCH) {
            let (x, y) = data.batch(places);
            let gradient = layers.gradient(&x, &y);
            optimiser.step(&mut layers, gradient);
        }
        let error = data.error(&layers, &held_out);
        if error < best.0 {
            best = (error, layers.clone());
            n_worse = 0;
        } else {
            n_worse += 1;
        }
        if n_worse == PATIENCE {
            break;
        }
    }
    let mut values = Array2::zeros((task.test.len(), mean.len()));
    for (entities, mut out) in task.test.chunks(BATCH).zip(values.axis_chunks_iter_mut(Axis(0), BATCH)) {
        let predicted = best.1.forward(&data.x(entities.iter().copied())).1;
        out.assign(&(predicted.mapv(f64::from) * &std_dev + &mean));
    }
    (best.0, values)
}
