//! The training of a model: batches of stanzas through the forward pass, and checkpoints that resume with
//! bit-identical results.

use super::adam::{Adam, Slot};
use super::loss::CrossEntropy;
use crate::artefact;
use crate::error::{Error, Result};
use crate::limits::{check_memory, product};
use crate::model::{
    Forest, NoHook, Param, Parameters, Spec, Transformer, Weight, count, memory, random_param,
    tensors_of_file,
};
use candle_core::{Device, Tensor, Var};
use rand::SeedableRng;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The settings of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingSettings {
    /// Approximate number of distinct nodes per batch.
    pub batch_nodes: usize,
    /// The highest learning rate, reached after the warm-up.
    pub rate: f32,
    /// The number of steps over which the rate rises.
    pub warm_up: usize,
    /// The seed of the initial weights.
    pub seed: u64,
    /// The number of shards of a batch, which run in parallel with one thread each; their gradients are added in order.
    pub n_shards: usize,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        TrainingSettings { batch_nodes: 1024, rate: 2e-3, warm_up: 200, seed: 5, n_shards: 2 }
    }
}

/// The report of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps taken so far, this one included.
    pub step: usize,
    /// The total number of steps.
    pub n_steps: usize,
    /// Mean cross-entropy of the batch, in nats per token.
    pub loss: f32,
    /// The number of nodes of the batch.
    pub n_nodes: usize,
}

/// A model in training, with its optimiser and batches.
pub struct ModelTrainer {
    settings: TrainingSettings,
    model: Transformer,
    params: Vec<(Param, Var)>,
    adam: Adam,
    batches: Vec<Vec<Vec<u32>>>,
    /// Pools of one thread, since a shard's small operations are slower on several threads.
    pools: Vec<rayon::ThreadPool>,
}

impl ModelTrainer {
    /// A new model, and the batches of tokenised stanzas on which it is trained once, in order.
    ///
    /// # Errors
    /// [`Error::Tensor`] if the spec's shapes cannot be laid out.
    pub fn new(spec: Spec, stanzas: Vec<Vec<Vec<u32>>>, settings: TrainingSettings) -> Result<ModelTrainer> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(settings.seed);
        let shape_of = spec.clone();
        let mut random =
            move |param, shape: &[usize]| Ok(Weight::Dense(random_param(&shape_of, param, shape, &mut rng)?));
        ModelTrainer::from_parameters(spec, &mut random, stanzas, settings)
    }

    /// As [`ModelTrainer::new`], but with given initial parameters, such as those of a trained model.
    ///
    /// # Errors
    /// The errors of `first`.
    pub fn from_parameters(
        spec: Spec,
        first: &mut Parameters,
        stanzas: Vec<Vec<Vec<u32>>>,
        settings: TrainingSettings,
    ) -> Result<ModelTrainer> {
        ModelTrainer::check_memory(&spec)?;
        let mut params = Vec::new();
        let model = Transformer::new(spec, &mut |param, shape| {
            let var = Var::from_tensor(&first(param, shape)?.dense()?)?;
            params.push((param, var.clone()));
            Ok(Weight::Dense(var.as_tensor().clone()))
        })?;
        let slots = params.iter().map(|(param, var)| Slot::new(param.to_string(), var.clone())).collect();
        let batches = batches(stanzas, settings.batch_nodes);
        check_batches(&model.spec, &batches, settings.batch_nodes)?;
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools = (0..settings.n_shards).map(|_| pool()).collect::<Result<_, _>>();
        let pools = pools.map_err(|e| Error::Internal(e.to_string()))?;
        Ok(ModelTrainer { settings, model, params, adam: Adam { slots, step: 0 }, batches, pools })
    }

    /// Refuses a model whose training does not fit into the free memory: its weights, two moments and the gradient of
    /// each shard.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the bytes that are needed and free.
    pub fn check_memory(spec: &Spec) -> Result<()> {
        let weights = product([count(spec), 5, size_of::<f32>()]);
        check_memory("the training", weights, "train a smaller model")
    }

    /// The model's spec.
    pub fn spec(&self) -> &Spec {
        &self.model.spec
    }

    /// The model in its present state.
    pub fn model(&self) -> &Transformer {
        &self.model
    }

    /// The number of steps taken, and the total number.
    pub fn steps(&self) -> (usize, usize) {
        (self.adam.step, self.batches.len())
    }

    /// The number of nodes in the batches of all steps so far, including the steps before a resumption.
    ///
    /// # Errors
    /// Those of a batch's forest.
    pub fn n_nodes(&self) -> Result<usize> {
        let batches = self.batches.iter().take(self.adam.step);
        let of_batch = |batch: &Vec<Vec<u32>>| Ok(self.shards(batch)?.iter().map(Forest::len).sum::<usize>());
        batches.map(of_batch).sum()
    }

    /// A batch's texts as one forest per shard.
    fn shards(&self, batch: &[Vec<u32>]) -> Result<Vec<Forest>> {
        let shards = batch.chunks(batch.len().div_ceil(self.settings.n_shards));
        shards.map(|texts| Ok(Forest::of_texts(texts)?.0)).collect()
    }

    /// The parameters in their present state.
    ///
    /// # Errors
    /// [`Error::Tensor`] if one cannot be copied.
    pub fn parameters(&self) -> Result<Vec<(Param, Tensor)>> {
        self.params.iter().map(|(param, var)| Ok((*param, var.as_tensor().copy()?))).collect()
    }

    /// Takes the next step; `None` when all batches are done.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the loss is not finite.
    pub fn step(&mut self) -> Result<Option<StepReport>> {
        let (step, n_steps) = self.steps();
        let Some(batch) = self.batches.get(step) else { return Ok(None) };
        let shards = self.shards(batch)?;
        let n_edges = shards.iter().map(|forest| forest.edges().count()).sum();
        let done: Vec<Result<(f32, Vec<Vec<f32>>)>> = std::thread::scope(|scope| {
            let jobs: Vec<_> = shards
                .iter()
                .zip(&self.pools)
                .map(|(forest, pool)| scope.spawn(|| pool.install(|| self.gradients(forest, n_edges))))
                .collect();
            jobs.into_iter()
                .map(|job| job.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let (mut loss, mut total) = (0.0, None::<Vec<Vec<f32>>>);
        for shard in done {
            let (part, grads) = shard?;
            loss += part;
            total = Some(match total {
                Some(sum) => add(sum, &grads),
                None => grads,
            });
        }
        if !loss.is_finite() {
            return Err(Error::NonFinite {
                place: format!("the loss of step {step}"),
                found: f64::from(loss),
                advice: "train with a lower rate".into(),
            });
        }
        self.adam.step(total.unwrap_or_default(), self.rate(step, n_steps))?;
        let n_nodes = shards.iter().map(Forest::len).sum();
        Ok(Some(StepReport { step: step + 1, n_steps, loss, n_nodes }))
    }

    /// One shard's part of the mean loss, and its gradients.
    fn gradients(&self, forest: &Forest, n_edges: usize) -> Result<(f32, Vec<Vec<f32>>)> {
        let (parents, targets): (Vec<u32>, Vec<u32>) = forest.edges().unzip();
        let stream = self.model.forward(forest, None, &mut NoHook)?;
        let rows = Tensor::from_vec(parents, targets.len(), &Device::Cpu)?;
        let logits = self.model.logits(&stream.index_select(&rows, 0)?)?; // [n_edges, d_vocab]
        let loss = logits.apply_op1(CrossEntropy { targets: Arc::new(targets), divisor: n_edges })?;
        Ok((loss.to_scalar()?, self.adam.gradients(&loss.backward()?)?))
    }

    /// The learning rate: a linear warm-up, then a cosine decay to a twentieth of the highest rate.
    fn rate(&self, step: usize, n_steps: usize) -> f32 {
        let TrainingSettings { rate, warm_up, .. } = self.settings;
        if step < warm_up {
            return rate * (step + 1) as f32 / warm_up as f32;
        }
        let done = (step - warm_up) as f32 / (n_steps.saturating_sub(warm_up)).max(1) as f32;
        rate * (0.05 + 0.95 * 0.5 * (1.0 + (std::f32::consts::PI * done).cos()))
    }

    /// Saves weights, moments and the step.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = HashMap::new();
        for slot in &self.adam.slots {
            let n = slot.first.len();
            tensors.insert(slot.name.clone(), slot.var.as_tensor().copy()?);
            tensors.insert(format!("{}.first", slot.name), Tensor::from_slice(&slot.first, n, &Device::Cpu)?);
            tensors
                .insert(format!("{}.second", slot.name), Tensor::from_slice(&slot.second, n, &Device::Cpu)?);
        }
        tensors.insert("step".into(), Tensor::from_slice(&[self.adam.step as u32], 1, &Device::Cpu)?);
        let bytes = safetensors::serialize(&tensors, None).map_err(|e| Error::Internal(e.to_string()))?;
        artefact::save_bytes(path, &bytes)
    }

    /// Resumes from the file that [`ModelTrainer::save`] wrote.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a checkpoint of another model.
    pub fn resume(&mut self, path: &Path) -> Result<()> {
        let expected = "a checkpoint of this training; move the file away to start again";
        let wrong = |found: String| Error::bad_file(path, found, expected);
        let tensors = tensors_of_file(path, expected)?;
        let get = |name: &str| tensors.get(name).ok_or_else(|| wrong(format!("no tensor `{name}`")));
        for slot in &mut self.adam.slots {
            slot.var.set(get(&slot.name)?).map_err(|e| wrong(e.to_string()))?;
            for (moments, kind) in [(&mut slot.first, "first"), (&mut slot.second, "second")] {
                let name = format!("{}.{kind}", slot.name);
                let found = get(&name)?.to_vec1().map_err(|e| wrong(format!("tensor `{name}`: {e}")))?;
                if found.len() != moments.len() {
                    return Err(wrong(format!("{} values of tensor `{name}`", found.len())));
                }
                *moments = found;
            }
        }
        let step = get("step")?.to_vec1::<u32>().map_err(|e| wrong(format!("tensor `step`: {e}")))?;
        self.adam.step = *step.first().ok_or_else(|| wrong("no step".into()))? as usize;
        Ok(())
    }
}

/// Refuses batches whose pass and gradients do not fit into the free memory.
fn check_batches(spec: &Spec, batches: &[Vec<Vec<u32>>], batch_nodes: usize) -> Result<()> {
    let tokens = |batch: &Vec<Vec<u32>>| batch.iter().map(Vec::len).sum();
    let n_nodes = batches.iter().map(tokens).max().unwrap_or(0).min(batch_nodes);
    // About half of the values of a pass are kept for the gradients.
    let of_blocks = product([n_nodes, spec.n_layers, memory::token_bytes(spec) / 2]);
    let of_logits = product([n_nodes, spec.d_vocab, 2 * size_of::<f32>()]);
    let needed = of_blocks.saturating_add(of_logits);
    check_memory("a batch", needed, "train with a smaller --batch")
}

fn add(mut sum: Vec<Vec<f32>>, more: &[Vec<f32>]) -> Vec<Vec<f32>> {
    for (to, from) in sum.iter_mut().zip(more) {
        to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
    }
    sum
}

/// Cuts the stanzas into batches of about `batch_nodes` distinct nodes.
fn batches(stanzas: Vec<Vec<Vec<u32>>>, batch_nodes: usize) -> Vec<Vec<Vec<u32>>> {
    let mut all = Vec::new();
    let (mut batch, mut n_nodes) = (Vec::new(), 0);
    for stanza in stanzas {
        // Nodes are counted per stanza, since different stanzas share few nodes.
        n_nodes += Forest::of_texts(&stanza).map_or(0, |(forest, _)| forest.len());
        batch.extend(stanza);
        if n_nodes >= batch_nodes {
            all.push(std::mem::take(&mut batch));
            n_nodes = 0;
        }
    }
    if !batch.is_empty() {
        all.push(batch);
    }
    all
}
