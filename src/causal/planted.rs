//! A model with a planted plane: its answer depends on the plane of the entity's stream that block 2 copies, and on
//! nothing else.

use super::*;
use crate::model::{
    BlockPart, NormKind, ParamKind, Place, Sizes, Spec, Tensor, Transformer, Weight, untrained,
};
use candle_core::{DType, Device};
use ndarray::Array2;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

const D: usize = 24;
const ANSWERS: usize = 6;
const ENTITIES: usize = 1200;
const IS: u32 = ENTITIES as u32;
const IN: u32 = IS + 1;
/// The block that copies the plane from the entity to the last token.
const COPIES: usize = 2;

/// The planted model, its question, and the rotation: row 0 and 1 span the used plane, row 6 and 7 the unused one.
struct Planted {
    model: Transformer,
    question: Question,
    rotation: Array2<f64>,
}

fn tensor(values: &Array2<f64>) -> Tensor {
    let flat: Vec<f32> = values.iter().map(|x| *x as f32).collect();
    Tensor::from_vec(flat, values.dim(), &Device::Cpu).unwrap()
}

/// The point of an answer on a circle.
fn point(answer: usize) -> [f64; 2] {
    let (sin, cos) = (std::f64::consts::TAU * answer as f64 / ANSWERS as f64).sin_cos();
    [cos, sin]
}

/// Embeddings in rotated coordinates; `decoy` adds the answer to an unused plane as well.
fn embeddings(decoy: f64, normal: &mut dyn FnMut() -> f64) -> Array2<f64> {
    let n_tokens = ENTITIES + 2 + ANSWERS;
    let mut all = Array2::from_shape_simple_fn((n_tokens, D), || 0.0);
    for (token, mut row) in all.rows_mut().into_iter().enumerate() {
        row.iter_mut().skip(6).for_each(|x| *x = normal());
        if token < ENTITIES {
            let [x, y] = point(token % ANSWERS);
            (row[0], row[1], row[2]) = (2.0 * x, 2.0 * y, 3.0);
            (row[6], row[7]) = (row[6] + decoy * x, row[7] + decoy * y);
        } else {
            row.mapv_inplace(|x| 0.2 * x);
            row[3] = 3.0;
        }
    }
    all
}

impl Planted {
    fn new(decoy: f64) -> Planted {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
        let mut normal = move || -> f64 { StandardNormal.sample(&mut rng) };
        let rotation = Subspace::random(D, D, 3).unwrap().basis().to_owned();
        let sizes = Sizes {
            d_model: D,
            n_layers: 4,
            n_heads: 2,
            d_mlp: 8,
            d_vocab: ENTITIES + 2 + ANSWERS,
            n_context: 8,
        };
        let spec = Spec { norm: NormKind::RmsNorm, ..Spec::plain("planted", sizes).untied() };
        // Sparse matrices in rotated coordinates.
        let sparse = |rows: usize, entries: &[(usize, usize, f64)]| {
            let mut matrix = Array2::zeros((rows, D));
            entries.iter().for_each(|(i, j, value)| matrix[[*i, *j]] = *value);
            matrix.dot(&rotation)
        };
        let embed = embeddings(decoy, &mut normal).dot(&rotation);
        let unembed: Vec<(usize, usize, f64)> = (0..ANSWERS)
            .flat_map(|answer| {
                let [x, y] = point(answer);
                let token = ENTITIES + 2 + answer;
                [(token, 4, 2.0 * x), (token, 5, 2.0 * y)]
            })
            .collect();
        let model = Transformer::new(spec, &mut |param, shape| {
            let values = match (param.place, param.kind) {
                (Place::Embed, _) => tensor(&embed),
                (Place::Unembed, _) => tensor(&sparse(shape[0], &unembed)),
                (Place::Block(COPIES, BlockPart::Query), ParamKind::Weight) => {
                    tensor(&sparse(D, &[(0, 3, 2.0)]))
                }
                (Place::Block(COPIES, BlockPart::Key), ParamKind::Weight) => {
                    tensor(&sparse(D, &[(0, 2, 2.0)]))
                }
                (Place::Block(COPIES, BlockPart::Value), ParamKind::Weight) => {
                    tensor(&sparse(D, &[(0, 0, 1.0), (1, 1, 1.0)]))
                }
                (Place::Block(COPIES, BlockPart::AttnOut), ParamKind::Weight) => {
                    tensor(&sparse(D, &[(0, 4, 2.0), (1, 5, 2.0)])).t()?.contiguous()?
                }
                (place, ParamKind::Weight) if place.is_norm() => {
                    Tensor::ones(shape, DType::F32, &Device::Cpu)?
                }
                (Place::Block(_, BlockPart::Up | BlockPart::Down), ParamKind::Weight) => {
                    let noise: Vec<f32> =
                        (0..shape.iter().product()).map(|_| 0.03 * normal() as f32).collect();
                    Tensor::from_vec(noise, shape, &Device::Cpu)?
                }
                _ => Tensor::zeros(shape, DType::F32, &Device::Cpu)?,
            };
            Ok(Weight::Dense(values))
        })
        .unwrap();
        let text = |entity: usize| {
            let before = [IN, IS].into_iter().take(entity % 3);
            let ids: Vec<u32> = before.chain([entity as u32, IS, IN]).collect();
            QuestionText { position: ids.len() - 3, ids, answer: entity % ANSWERS }
        };
        let answers = (0..ANSWERS).map(|answer| (ENTITIES + 2 + answer) as u32).collect();
        Planted { model, question: Question { texts: (0..ENTITIES).map(text).collect(), answers }, rotation }
    }

    fn plane(&self, first: usize) -> Subspace {
        Subspace::spanned_by(self.rotation.slice(ndarray::s![first..first + 2, ..])).unwrap()
    }
}

/// The first 480 entities are for training.
const TRAIN: usize = 480;

/// Trains on some pairs with the wanted answers, and returns the share of the wanted answers on others.
struct Trial<'a> {
    model: &'a Transformer,
    question: &'a Question,
    layer: usize,
}

impl Trial<'_> {
    fn sources(&self) -> SourceStreams {
        SourceStreams::new(self.model, self.question, &[self.layer]).unwrap()
    }

    fn das(&self, wanted: &[usize]) -> Das {
        let sources = self.sources();
        let texts: Vec<usize> = (0..TRAIN).collect();
        let pairs = training_pairs(&self.question.labels(), &texts, TRAIN, 1);
        let pairs = Interchange::new(self.model, self.question, &sources, &pairs).unwrap();
        let settings = DasSettings { rank: 2, epochs: 8, ..DasSettings::default() };
        Das::find(&pairs, self.layer, Search { settings, wanted }, &mut |_, _| Ok(())).unwrap()
    }

    fn accuracy(&self, exchange: Exchange, wanted: &[usize]) -> f64 {
        let sources = self.sources();
        let texts: Vec<usize> = (TRAIN..ENTITIES).collect();
        let pairs = grouped_pairs(&self.question.labels(), &texts, 1200, 2);
        let pairs = Interchange::new(self.model, self.question, &sources, &pairs).unwrap();
        let answers = pairs.answers(self.layer, exchange).unwrap();
        let right = pairs.pairs().zip(&answers).filter(|(pair, found)| found.answer == wanted[pair.source]);
        right.count() as f64 / answers.len() as f64
    }
}

#[test]
fn the_planted_plane_is_found_and_controls_are_at_chance() {
    let Planted { model, question, .. } = &Planted::new(0.0);
    let planted = Planted::new(0.0);
    let (labels, all) = (question.labels(), (0..ENTITIES).collect::<Vec<usize>>());
    let answers = answers_of(model, question, &all).unwrap();
    assert!(answers.iter().zip(&labels).filter(|(a, b)| a == b).count() as f64 / ENTITIES as f64 > 0.99);
    let at = |layer| Trial { model, question, layer };
    for layer in [0, 1] {
        let das = at(layer).das(&labels);
        let angle = *das.subspace.angles(&planted.plane(0)).unwrap().last().unwrap();
        let accuracy = at(layer).accuracy(Exchange::Subspace(&das.subspace), &labels);
        println!("layer {layer}: angle {angle:.2}, accuracy {accuracy:.3}, loss {:.3}", das.loss);
        assert!(angle < 5.0 && accuracy > 0.95, "layer {layer}: {angle} degrees, {accuracy}");
        assert!(at(layer).accuracy(Exchange::Stream, &labels) > 0.95);
        assert!(at(layer).accuracy(Exchange::Subspace(&planted.plane(0)), &labels) > 0.95);
    }
    // Controls: no exchange, other subspaces, a layer after the copy, arbitrary labels, an untrained model.
    let none = at(1).accuracy(Exchange::Nothing, &labels);
    let random = Subspace::random(2, D, 77).unwrap();
    let of_random = at(1).accuracy(Exchange::Subspace(&random), &labels);
    let after = at(2).accuracy(Exchange::Subspace(&planted.plane(0)), &labels);
    let whole_after = at(2).accuracy(Exchange::Stream, &labels);
    println!("none {none:.3}, random {of_random:.3}, after {after:.3}, {whole_after:.3}");
    for other in [of_random, after, whole_after] {
        assert!((other - none).abs() < 0.05, "{other} against {none}");
    }
    let chance = question.chance();
    let arbitrary = arbitrary_answers(ENTITIES, ANSWERS, 4);
    let das = at(1).das(&arbitrary);
    let of_arbitrary = at(1).accuracy(Exchange::Subspace(&das.subspace), &arbitrary);
    let random_model = untrained(&model.spec, 5).unwrap();
    let untrained = Trial { model: &random_model, question, layer: 1 };
    let das = untrained.das(&labels);
    let of_untrained = untrained.accuracy(Exchange::Subspace(&das.subspace), &labels);
    println!("arbitrary {of_arbitrary:.3}, untrained {of_untrained:.3}, chance {chance:.3}");
    for other in [of_arbitrary, of_untrained] {
        assert!((other - chance).abs() < 0.05, "{other} against {chance}");
    }
}

#[test]
fn a_predictable_but_unused_plane_changes_no_answer() {
    let planted = Planted::new(6.0);
    let trial = Trial { model: &planted.model, question: &planted.question, layer: 1 };
    let labels = planted.question.labels();
    assert!(trial.accuracy(Exchange::Subspace(&planted.plane(6)), &labels) < 0.05);
    assert!(trial.accuracy(Exchange::Subspace(&planted.plane(0)), &labels) > 0.95);
    // Without the plane that is used, the model guesses; without the other, it does not.
    let texts: Vec<usize> = (0..120).collect();
    let control = vec![vec![IS, IN, 3, IS]];
    let texts = AblationTexts {
        model: &planted.model,
        question: &planted.question,
        texts: &texts,
        control: &control,
    };
    let without = |first: usize| {
        texts.measure(Some(&Projection::new(1, planted.plane(first), &Fill::Zero, 0))).unwrap()
    };
    let (whole, used, unused) = (texts.measure(None).unwrap(), without(0), without(6));
    assert!(whole.accuracy > 0.99 && unused.accuracy > 0.99 && used.accuracy < 0.4, "{used:?} {unused:?}");
    assert!((used.entity_loss - whole.entity_loss).abs() > 0.1, "{used:?} {whole:?}");
}
