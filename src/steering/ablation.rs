//! Ablation of MLP neurons: neurons fixed at a value, the predictions of a probe meanwhile, and the model's loss.

use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::{AttentionDirection, Capture, Chain, Forest, Hook, NoHook, Transformer};
use crate::probes::Probe;
use candle_core::Tensor;
use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Tokens in one pass.
const PASS: usize = 4096;

/// One neuron of a block's MLP, and the value at which it is fixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldNeuron {
    /// The block.
    pub layer: usize,
    /// The neuron's index, from 0.
    pub unit: usize,
    /// Its value, after the non-linearity.
    pub value: f32,
}

/// A probe, and the hook point whose activations it takes.
#[derive(Debug, Clone, Copy)]
pub struct ProbeAt<'a> {
    /// The hook point.
    pub point: HookPoint,
    /// The probe.
    pub probe: &'a Probe,
}

/// The hook that fixes neurons at values, at every token.
#[derive(Debug, Clone, Default)]
pub struct AblationHook {
    by_layer: BTreeMap<usize, Vec<HeldNeuron>>,
}

impl AblationHook {
    /// Fixes these neurons.
    pub fn new(held: &[HeldNeuron]) -> AblationHook {
        let mut by_layer: BTreeMap<usize, Vec<HeldNeuron>> = BTreeMap::new();
        held.iter().for_each(|one| by_layer.entry(one.layer).or_default().push(*one));
        AblationHook { by_layer }
    }
}

impl Hook for AblationHook {
    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        let HookPoint::MlpPost(layer) = point else { return Ok(stream) };
        let Some(held) = self.by_layer.get(&layer) else { return Ok(stream) };
        let (n, width) = stream.dims2()?;
        let mut values = stream.flatten_all()?.to_vec1::<f32>()?;
        for row in values.chunks_exact_mut(width) {
            held.iter().for_each(|one| row[one.unit] = one.value);
        }
        Ok(Tensor::from_vec(values, (n, width), stream.device())?)
    }
}

/// Random neurons outside `like`, as many in each block as `like` has there; each is a block and an index.
///
/// `widths` has the number of neurons of each block; a block with too few other neurons gives fewer.
pub fn random_units(like: &[(usize, usize)], widths: &[usize], seed: u64) -> Vec<(usize, usize)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen = Vec::with_capacity(like.len());
    for (layer, width) in widths.iter().enumerate() {
        let taken: Vec<usize> = like.iter().filter(|one| one.0 == layer).map(|one| one.1).collect();
        let mut free: Vec<usize> = (0..*width).filter(|unit| !taken.contains(unit)).collect();
        let (drawn, _) = free.partial_shuffle(&mut rng, taken.len());
        chosen.extend(drawn.iter().map(|unit| (layer, *unit)));
    }
    chosen
}

/// A probe's prediction for each text at one of its tokens, while neurons are fixed.
///
/// # Shapes
/// `[n_texts, n_targets]`.
///
/// # Errors
/// [`crate::Error::Invalid`] for a text without tokens, or with tokens that the model cannot process.
pub fn readings(
    transformer: &Transformer,
    texts: &[(&[u32], usize)],
    probe: ProbeAt,
    ablation: &AblationHook,
) -> Result<Array2<f64>> {
    let ProbeAt { point, probe } = probe;
    let mut values = Vec::with_capacity(texts.len() * probe.n_targets());
    for batch in batches(texts) {
        let (forest, last) = transformer.forest(&contexts(transformer, batch))?;
        let mut capture = Capture::nodes(&[point], &read_nodes(transformer, batch, &last))?;
        transformer.forward(&forest, None, &mut Chain(&mut ablation.clone(), &mut capture))?;
        for row in capture.get(point)?.to_vec2::<f32>()? {
            values.extend(probe.predict_row(&row));
        }
    }
    let shape = (texts.len(), probe.n_targets());
    Array2::from_shape_vec(shape, values).map_err(|e| crate::Error::Internal(e.to_string()))
}

/// The tokens of each text on which the prediction depends: in a causal model, those up to the probed token.
fn contexts(transformer: &Transformer, texts: &[(&[u32], usize)]) -> Vec<Vec<u32>> {
    let cut = |(ids, read): &(&[u32], usize)| match transformer.spec.attention.direction {
        AttentionDirection::Causal => ids[..=*read].to_vec(),
        AttentionDirection::Bidirectional => ids.to_vec(),
    };
    texts.iter().map(cut).collect()
}

/// The nodes of the probed tokens, computed from each text's last node.
fn read_nodes(transformer: &Transformer, texts: &[(&[u32], usize)], last: &[u32]) -> Vec<u32> {
    match transformer.spec.attention.direction {
        AttentionDirection::Causal => last.to_vec(),
        // The texts of an encoder share no nodes, so the nodes of one text are consecutive.
        AttentionDirection::Bidirectional => {
            texts.iter().zip(last).map(|((ids, read), last)| last - (ids.len() - 1 - read) as u32).collect()
        }
    }
}

/// Divides texts into batches, one per pass.
fn batches<'t, 'a>(texts: &'t [(&'a [u32], usize)]) -> Vec<&'t [(&'a [u32], usize)]> {
    let (mut all, mut start, mut n_tokens) = (Vec::new(), 0, 0);
    for (i, (ids, _)) in texts.iter().enumerate() {
        if i > start && n_tokens + ids.len() > PASS {
            all.push(&texts[start..i]);
            (start, n_tokens) = (i, 0);
        }
        n_tokens += ids.len();
    }
    if start < texts.len() {
        all.push(&texts[start..]);
    }
    all
}

/// The mean loss over all tokens except each text's first; a token's loss is minus the logarithm of its probability.
///
/// # Units
/// Nats per token.
///
/// # Errors
/// [`crate::Error::Invalid`] if the model has no language-model head.
pub fn mean_loss(
    transformer: &Transformer,
    texts: &[&[u32]],
    ablation: Option<&AblationHook>,
) -> Result<f64> {
    let (mut sum, mut n) = (0.0, 0);
    for ids in texts.iter().filter(|ids| ids.len() > 1) {
        let forest = Forest::of_text(&ids[..ids.len() - 1])?;
        let stream = match ablation {
            Some(ablation) => transformer.forward(&forest, None, &mut ablation.clone())?,
            None => transformer.forward(&forest, None, &mut NoHook)?,
        };
        let logits = transformer.logits(&stream)?.to_vec2::<f32>()?; // [n_tokens - 1, d_vocab]
        for (row, id) in logits.iter().zip(&ids[1..]) {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f64 = row.iter().map(|x| f64::from(x - most).exp()).sum();
            sum += total.ln() - f64::from(row[*id as usize] - most);
            n += 1;
        }
    }
    Ok(if n == 0 { f64::NAN } else { sum / f64::from(n) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Sizes, Spec, untrained};
    use ndarray::Array1;

    fn model() -> Transformer {
        let sizes = Sizes { d_model: 16, n_layers: 2, n_heads: 2, d_mlp: 24, d_vocab: 50, n_context: 64 };
        untrained(&Spec::llama(sizes), 3).unwrap()
    }

    fn probe() -> Probe {
        let weights = Array2::from_shape_fn((2, 16), |(t, d)| ((t * 16 + d) as f64).sin());
        Probe { weights, bias: Array1::zeros(2), penalty: 1.0 }
    }

    const TEXTS: [&[u32]; 3] = [&[1, 2, 3, 4], &[1, 2, 9], &[7, 7, 7, 7, 7]];

    fn mlp_post(model: &Transformer, layer: usize) -> Vec<Vec<f32>> {
        let mut capture = Capture::all(&[HookPoint::MlpPost(layer)]);
        model.forward(&Forest::of_text(TEXTS[0]).unwrap(), None, &mut capture).unwrap();
        capture.get(HookPoint::MlpPost(layer)).unwrap().to_vec2().unwrap()
    }

    #[test]
    fn no_units_change_nothing_and_each_unit_adds_its_output_weights() {
        let (model, probe, point) = (model(), probe(), HookPoint::ResidPost(1));
        let texts = [(TEXTS[0], 3)];
        let plain =
            readings(&model, &texts, ProbeAt { point, probe: &probe }, &AblationHook::default()).unwrap();
        // In the last block nothing else depends on the neuron: the stream changes by its output weights times its
        // change.
        let before = mlp_post(&model, 1)[3][5];
        let held = HeldNeuron { layer: 1, unit: 5, value: before + 2.0 };
        let moved =
            readings(&model, &texts, ProbeAt { point, probe: &probe }, &AblationHook::new(&[held])).unwrap();
        let (reads, writes) = model.mlp_weights(1).unwrap();
        assert_eq!((reads.dims(), writes.dims()), (&[24, 16][..], &[24, 16][..]));
        let out: Vec<f64> = writes.to_vec2::<f32>().unwrap()[5].iter().map(|w| f64::from(*w)).collect();
        let expected = probe.weights.dot(&Array1::from_vec(out)) * 2.0;
        for target in 0..2 {
            let found = moved[[0, target]] - plain[[0, target]];
            assert!((found - expected[target]).abs() < 1e-4, "{found} and not {}", expected[target]);
        }
        let as_it_was: Vec<HeldNeuron> =
            (0..24).map(|unit| HeldNeuron { layer: 1, unit, value: mlp_post(&model, 1)[3][unit] }).collect();
        let same = readings(&model, &texts, ProbeAt { point, probe: &probe }, &AblationHook::new(&as_it_was))
            .unwrap();
        assert!((&same - &plain).iter().all(|e| e.abs() < 1e-5));
        assert!(model.mlp_weights(2).unwrap_err().to_string().contains("0 to 1"));
    }

    #[test]
    fn random_units_are_other_units_of_the_same_blocks() {
        let like = [(0, 3), (2, 1), (2, 5), (2, 0)];
        let drawn = random_units(&like, &[10, 10, 6], 4);
        let of = |units: &[(usize, usize)], layer| units.iter().filter(|one| one.0 == layer).count();
        assert_eq!([0, 1, 2].map(|layer| of(&drawn, layer)), [1, 0, 3]);
        assert!(drawn.iter().all(|one| !like.contains(one)));
        assert_eq!(drawn, random_units(&like, &[10, 10, 6], 4));
        assert_ne!(random_units(&[(0, 3)], &[500], 1), random_units(&[(0, 3)], &[500], 2));
    }

    #[test]
    fn texts_together_have_the_readings_of_each_alone_and_the_mean_of_their_losses() {
        let (model, probe, point) = (model(), probe(), HookPoint::ResidPost(0));
        let ablation = AblationHook::new(&[
            HeldNeuron { layer: 0, unit: 3, value: 0.7 },
            HeldNeuron { layer: 1, unit: 1, value: 0.0 },
        ]);
        let texts: Vec<(&[u32], usize)> = TEXTS.iter().map(|ids| (*ids, ids.len() - 2)).collect();
        let all = readings(&model, &texts, ProbeAt { point, probe: &probe }, &ablation).unwrap();
        for (i, text) in texts.iter().enumerate() {
            let alone = readings(&model, &[*text], ProbeAt { point, probe: &probe }, &ablation).unwrap();
            assert!((&alone.row(0) - &all.row(i)).iter().all(|e| e.abs() < 1e-5));
        }
        let each: Vec<f64> =
            TEXTS.iter().map(|t| mean_loss(&model, &[t], Some(&ablation)).unwrap()).collect();
        let weights: Vec<f64> = TEXTS.iter().map(|t| t.len() as f64 - 1.0).collect();
        let mean = each.iter().zip(&weights).map(|(e, w)| e * w).sum::<f64>() / weights.iter().sum::<f64>();
        assert!((mean_loss(&model, &TEXTS, Some(&ablation)).unwrap() - mean).abs() < 1e-12);
        let plain = mean_loss(&model, &TEXTS, None).unwrap();
        assert_eq!(plain, mean_loss(&model, &TEXTS, Some(&AblationHook::default())).unwrap());
        // An untrained model is near a uniform distribution: ln 50 nats.
        assert!(plain > 2.0 && plain < 8.0, "{plain}");
    }
}
