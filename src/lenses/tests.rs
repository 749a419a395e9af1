//! Laws of lenses, on the bundled model.

use super::score::log_probabilities;
use super::texts::LensText;
use super::*;
use crate::hook_point::HookPoint;
use crate::model::{Capture, Forest, Model, NoHook, Precision};
use crate::probes::PenaltyGrid;
use crate::progress::Silent;
use crate::tokenizer::Tokenizer;
use std::collections::BTreeMap;

fn model() -> Model {
    Model::bundled(Precision::F32).unwrap()
}

fn texts(tokenizer: &Tokenizer, of: &[&str]) -> Vec<LensText> {
    let text = |text: &&str| {
        let ids = tokenizer.encode(text).unwrap().ids;
        LensText { rows: 0..ids.len() - 1, ids }
    };
    let mut all: Vec<LensText> = of.iter().map(text).collect();
    all.sort_by(|a, b| a.ids.cmp(&b.ids));
    all
}

const HELD_OUT: [&str; 4] =
    ["Oslo north of Rome", "Lima west of Nairobi", "Vienna in Austria", "Oslo before Lima"];

/// The cross-entropy and the divergence of a lens at a hook point, computed text by text.
fn by_text(model: &Model, lens: &Lens, point: HookPoint, texts: &[LensText]) -> (f64, f64) {
    let (mut loss, mut kl, mut n) = (0.0, 0.0, 0.0);
    for text in texts {
        let mut capture = Capture::all(&[point]);
        let forest = Forest::of_text(&text.ids).unwrap();
        model.transformer.forward(&forest, None, &mut capture).unwrap();
        let last = model.transformer.forward(&forest, None, &mut NoHook).unwrap();
        let own = log_probabilities(&model.transformer.logits(&last).unwrap()).unwrap();
        let stream = capture.get(point).unwrap();
        let found = log_probabilities(&lens.logits(&model.transformer, point, stream).unwrap()).unwrap();
        for at in text.rows.clone() {
            loss -= f64::from(found[at][text.ids[at + 1] as usize]);
            let terms = own[at].iter().zip(&found[at]);
            kl += terms.map(|(p, q)| f64::from(*p).exp() * (f64::from(*p) - f64::from(*q))).sum::<f64>();
            n += 1.0;
        }
    }
    (loss / n, kl / n)
}

fn corpus(tokenizer: &Tokenizer) -> LensTexts {
    let names = ["Oslo", "Rome", "Lima", "Paris", "Cairo", "Tokyo", "Nairobi", "Vienna", "Madrid", "London"];
    let all: Vec<String> = names
        .iter()
        .flat_map(|a| names.iter().map(move |b| (a, b)))
        .flat_map(|(a, b)| ["north", "east"].map(|way| format!("{a} {way} of {b}")))
        .collect();
    let train: Vec<&str> = all.iter().map(String::as_str).collect();
    LensTexts { train: texts(tokenizer, &train), held_out: texts(tokenizer, &HELD_OUT), n_cut: 0 }
}

fn fitted(model: &Model, memory: usize) -> FittedLens {
    let settings = RidgeLensSettings { grid: PenaltyGrid::default(), memory };
    fit_ridge_lens(&model.transformer, &corpus(&model.tokenizer), &settings, &mut Silent).unwrap()
}

#[test]
fn scores_are_those_of_each_text_alone_and_the_last_layer_is_the_model() {
    let model = model();
    let texts = corpus(&model.tokenizer);
    let lenses = [Lens::logit(), fitted(&model, 1 << 30).lens];
    let scores = score_lenses(&model.transformer, &lenses, &texts, &mut Silent).unwrap();
    for (lens, scores) in lenses.iter().zip(&scores) {
        assert_eq!(scores.len(), model.spec().n_layers + 1);
        for score in scores {
            let (loss, kl) = by_text(&model, lens, score.point, &texts.held_out);
            assert!(
                (score.cross_entropy - loss).abs() < 1e-4,
                "{}: {} {loss}",
                score.point,
                score.cross_entropy
            );
            assert!((score.kl - kl).abs() < 1e-4 && score.kl > -1e-6 && score.half_width > 0.0);
        }
        let last = scores.last().unwrap();
        assert!(last.kl.abs() < 1e-9 && last.agreement == 1.0, "{last:?}");
        assert_eq!(last.cross_entropy, scores_of(scores, last.point));
    }
    assert_eq!(scores[0].last(), scores[1].last());
    // The model's own loss, by other code.
    let ids: Vec<&[u32]> = texts.held_out.iter().map(|text| &text.ids[..]).collect();
    let mut own = (0.0, 0.0);
    for ids in &ids {
        let stream = model.transformer.forward(&Forest::of_text(ids).unwrap(), None, &mut NoHook).unwrap();
        let logits = model.transformer.logits(&stream).unwrap().to_vec2::<f32>().unwrap();
        for (row, id) in logits.iter().zip(&ids[1..]) {
            let total: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            own = (own.0 + total.ln() - f64::from(row[*id as usize]), own.1 + 1.0);
        }
    }
    assert!((scores[0].last().unwrap().cross_entropy - own.0 / own.1).abs() < 1e-5);
}

fn scores_of(scores: &[LensScore], point: HookPoint) -> f64 {
    scores.iter().find(|score| score.point == point).unwrap().cross_entropy
}

#[test]
fn a_ridge_lens_is_nearer_to_the_model_than_the_logit_lens() {
    let model = model();
    let lenses = [Lens::logit(), fitted(&model, 1 << 30).lens];
    let scores = score_lenses(&model.transformer, &lenses, &corpus(&model.tokenizer), &mut Silent).unwrap();
    let n_layers = model.spec().n_layers;
    let mean =
        |scores: &[LensScore]| scores[..n_layers].iter().map(|score| score.kl).sum::<f64>() / n_layers as f64;
    assert!(mean(&scores[1]) < 0.8 * mean(&scores[0]), "{} {}", mean(&scores[1]), mean(&scores[0]));
}

#[test]
fn layers_fitted_in_groups_give_the_same_bits_and_a_saved_lens_is_read_back() {
    let model = model();
    let (all, one_by_one) = (fitted(&model, 1 << 30), fitted(&model, 1));
    assert_eq!(all.penalties, one_by_one.penalties);
    let values = |lens: &Lens| -> BTreeMap<HookPoint, Vec<f32>> {
        let of = |t: &Translator| {
            let change = t.change.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            [change, t.bias.to_vec1().unwrap()].concat()
        };
        lens.translators.iter().map(|(point, translator)| (*point, of(translator))).collect()
    };
    assert!(values(&all.lens) == values(&one_by_one.lens));
    let folder = tempfile::tempdir().unwrap();
    all.lens.save(folder.path(), "atlas", model.spec()).unwrap();
    let (read, of) = Lens::load(folder.path(), "mine", model.spec(), &model.transformer.device()).unwrap();
    assert_eq!((read.name.as_str(), of.as_str()), ("mine", "atlas"));
    assert!(values(&read) == values(&all.lens));
}

#[test]
fn the_most_probable_words_are_those_of_all_logits() {
    let model = model();
    let ids = model.tokenizer.encode("Oslo north of Rome").unwrap().ids;
    let points = Lens::points(model.spec());
    let cells = lens_words(&model.transformer, &Lens::logit(), &ids, &points, 3).unwrap();
    assert_eq!(cells.len(), points.len() * ids.len());
    let stream = model.transformer.forward(&Forest::of_text(&ids).unwrap(), None, &mut NoHook).unwrap();
    let own = model.transformer.logits(&stream).unwrap().to_vec2::<f32>().unwrap();
    for cell in cells.iter().filter(|cell| Some(&cell.point) == points.last()) {
        let row = &own[cell.position];
        let best = (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        assert_eq!(cell.top[0].0 as usize, best);
        assert!(cell.top.windows(2).all(|pair| pair[0].1 >= pair[1].1) && cell.top.len() == 3);
        assert!(cell.top.iter().map(|(_, p)| p).sum::<f64>() <= 1.0 + 1e-6);
    }
}
