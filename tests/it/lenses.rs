//! Lenses: middle layers against transformers, lenses of the library tuned-lens, and `mappa lens`
//! (fixtures: tests/fixtures/lenses/make.py).

use super::program::{done, mappa, refused};
use super::root;
use candle_core::{Device, Tensor};
use mappa::lenses::Lens;
use mappa::model::{Model, Precision, Transformer};
use mappa::results::{LensScoreRow, LensTokenRow, load_rows};
use std::collections::HashMap;
use std::path::Path;

/// Largest allowed difference, relative to the reference's largest value.
const TOLERANCE: f32 = 1e-5;

fn tensors(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn fixture(name: &str) -> HashMap<String, Tensor> {
    tensors(&root("tests/fixtures/lenses").join(name))
}

fn open(checkpoint: &str) -> (Transformer, HashMap<String, Tensor>) {
    let folder = root("tests/fixtures/models").join(checkpoint);
    let model = Model::load_transformer(&folder, Precision::F32).unwrap();
    (model, tensors(&folder.join("expected.safetensors")))
}

fn relative(ours: &Tensor, theirs: &Tensor) -> f32 {
    let most = |t: Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    most((ours - theirs).unwrap()) / most(theirs.clone())
}

#[test]
fn the_logit_lens_of_every_family_equals_transformers_at_every_layer() {
    let expected = fixture("logit_lens.safetensors");
    let (mut n_checkpoints, mut worst) = (0, 0f32);
    for checkpoint in super::families::checkpoints() {
        if !expected.contains_key(&format!("{checkpoint}.0")) {
            continue;
        }
        n_checkpoints += 1;
        let (model, reference) = open(&checkpoint);
        let points = Lens::points(&model.spec);
        let streams = &reference["0.hidden_states"];
        for (depth, point) in points.iter().enumerate().take(model.spec.n_layers) {
            let found = Lens::logit().logits(&model, *point, &streams.get(depth).unwrap()).unwrap();
            let error = relative(&found, &expected[&format!("{checkpoint}.{depth}")]);
            assert!(error < TOLERANCE, "{checkpoint}, depth {depth}: {error:e}");
            worst = worst.max(error);
        }
        // At the last layer the lens is the model itself, to the bit.
        let last = &reference["0.before_final_norm"];
        let (lens, own) = (Lens::logit().logits(&model, points[points.len() - 1], last), model.logits(last));
        assert_eq!(lens.unwrap().to_vec2::<f32>().unwrap(), own.unwrap().to_vec2::<f32>().unwrap());
    }
    println!("{n_checkpoints} checkpoints: largest relative error {worst:.1e}");
    assert!(n_checkpoints > 35);
}

#[test]
fn a_lens_of_the_library_tuned_lens_gives_its_logits() {
    let (model, reference) = open("llama");
    let folder = root("tests/fixtures/lenses/tuned");
    let (lens, made_for) = Lens::load(&folder, "tuned", &model.spec, &Device::Cpu).unwrap();
    assert_eq!(made_for, "llama");
    let expected = fixture("tuned.safetensors");
    for (depth, point) in Lens::mapped_points(&model.spec).into_iter().enumerate() {
        let stream = reference["0.hidden_states"].get(depth).unwrap();
        let error = relative(&lens.logits(&model, point, &stream).unwrap(), &expected[&depth.to_string()]);
        println!("depth {depth}: relative error {error:.1e}");
        assert!(error < TOLERANCE, "{error:e}");
        let plain = Lens::logit().logits(&model, point, &stream).unwrap();
        assert!(relative(&plain, &expected[&depth.to_string()]) > 0.01);
    }
}

#[test]
fn files_that_are_not_a_lens_of_the_model_are_refused() {
    let (model, _) = open("llama");
    let folder = tempfile::tempdir().unwrap();
    let refused = |part: &str| {
        let error = Lens::load(folder.path(), "x", &model.spec, &Device::Cpu).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains(part), "{part}: {error}");
    };
    let config = |layers: usize, kind: &str| {
        let text = format!(
            "{{\"base_model_name_or_path\": \"x\", \"d_model\": 12, \"num_hidden_layers\": {layers}, \"lens_type\": \"{kind}\"}}"
        );
        std::fs::write(folder.path().join("config.json"), text).unwrap();
    };
    refused("config.json");
    config(2, "other");
    refused("lens_type `other`");
    config(3, "linear_tuned_lens");
    refused("3 blocks of width 12");
    config(2, "linear_tuned_lens");
    refused("params.safetensors nor params.pt");
    let params = folder.path().join("params.safetensors");
    let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    let mut maps: HashMap<String, Tensor> = (0..2)
        .flat_map(|i| [(format!("{i}.weight"), zeros(&[12, 12])), (format!("{i}.bias"), zeros(&[12]))])
        .collect();
    let save = |maps: &HashMap<String, Tensor>| candle_core::safetensors::save(maps, &params).unwrap();
    let bias = maps.remove("1.bias").unwrap();
    save(&maps);
    refused("no tensor `1.bias`");
    maps.insert("1.bias".into(), zeros(&[11]));
    save(&maps);
    refused("`1.bias` of shape [11]");
    maps.insert("1.bias".into(), (bias.clone() + f64::NAN).unwrap());
    save(&maps);
    refused("`1.bias`");
    maps.insert("1.bias".into(), bias);
    maps.insert("2.bias".into(), zeros(&[12]));
    save(&maps);
    refused("a tensor `2.bias`");
    maps.remove("2.bias");
    save(&maps);
    Lens::load(folder.path(), "x", &model.spec, &Device::Cpu).unwrap();
    std::fs::write(folder.path().join("params.pt"), "no archive").unwrap();
    std::fs::remove_file(&params).unwrap();
    refused("params.pt");
}

#[test]
fn a_fitted_lens_is_scored_found_again_and_read_with() {
    let lab = tempfile::tempdir().unwrap();
    let lab = lab.path();
    let fit = ["lens", "fit", "--dataset", "headline", "--tokens", "1500", "--held-out", "0.1"];
    let text = done(mappa(lab, &fit));
    for part in ["ridge lens", "embed", "lens_by_layer.svg", "mappa lens", "The ridge lens is nearer"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let folder = lab.join("lenses/atlas/ridge");
    let files = ["card.json", "config.json", "lens.csv", "lens_by_layer.png", "params.safetensors"];
    assert!(files.iter().all(|name| folder.join(name).is_file()));
    let rows: Vec<LensScoreRow> = load_rows(&folder.join("lens.csv")).unwrap();
    let at = |lens: &str, layer: &str| {
        rows.iter().find(|row| row.lens == lens && row.layer == layer).unwrap().clone()
    };
    assert_eq!(rows.len(), 14);
    for layer in ["embed", "0", "3"] {
        assert!(at("ridge", layer).kl < at("logit", layer).kl, "{layer}");
        assert!(at("ridge", layer).penalty > 0.0 && at("logit", layer).penalty.is_nan());
    }
    let (logit, ridge) = (at("logit", "5"), at("ridge", "5"));
    assert_eq!((logit.cross_entropy, logit.kl, ridge.kl), (ridge.cross_entropy, 0.0, 0.0));
    let before = std::fs::read(folder.join("params.safetensors")).unwrap();
    assert!(done(mappa(lab, &fit)).contains("fitted before"));
    assert_eq!(std::fs::read(folder.join("params.safetensors")).unwrap(), before);
    refused(mappa(lab, &[&fit[..], &["--seed", "6"]].concat()), &["tokens_sha256", "--name"]);
    done(mappa(lab, &[&fit[..], &["--seed", "6", "--name", "other"]].concat()));
    std::fs::remove_file(folder.join("lens_by_layer.svg")).unwrap();
    assert!(done(mappa(lab, &["figure", "lens_by_layer"])).contains("lenses/atlas/ridge/lens_by_layer.svg"));
    let csv = lab.join("words.csv");
    let words = ["lens", "--prompt", "Oslo north of Rome", "--top", "2", "--csv", csv.to_str().unwrap()];
    let text = done(mappa(lab, &[&words[..], &["--ridge", "--layers", "embed,2-3,5"]].concat()));
    assert!(text.contains("the lens `ridge`") && text.lines().next().unwrap().starts_with("layer"), "{text}");
    let read: Vec<LensTokenRow> = load_rows(&csv).unwrap();
    let n_tokens = 1 + read.iter().map(|row| row.position).max().unwrap();
    assert_eq!(read.len(), 4 * 2 * n_tokens);
    assert!(read.iter().all(|row| row.lens == "ridge" && row.probability > 0.0 && row.probability <= 1.0));
    let plain: Vec<LensTokenRow> = {
        done(mappa(lab, &words));
        load_rows(&csv).unwrap()
    };
    let last = |rows: &[LensTokenRow]| -> Vec<(usize, String)> {
        rows.iter().filter(|row| row.layer == "5").map(|row| (row.position, row.read.clone())).collect()
    };
    assert_eq!(last(&plain), last(&read));
    assert!(
        done(mappa(lab, &["lens", "--prompt", "Oslo north of Rome", "--last", "1"])).lines().count() >= 8
    );
}

#[test]
fn encoders_and_unsuitable_settings_are_refused() {
    let lab = tempfile::tempdir().unwrap();
    let lab = lab.path();
    let words = |more: &[&str]| mappa(lab, &[&["lens", "--prompt", "Oslo"], more].concat());
    refused(words(&["--ridge"]), &["`ridge`", "mappa lens fit"]);
    refused(words(&["--lens", "nothing"]), &["`nothing`", "mappa lens fit"]);
    refused(words(&["--layers", "6"]), &["--layers", "0 to 5"]);
    refused(words(&["--layers", "3-1"]), &["--layers"]);
    refused(words(&["--top", "0"]), &["--top"]);
    refused(mappa(lab, &["lens"]), &["--prompt"]);
    let fit = |more: &[&str]| mappa(lab, &[&["lens", "fit", "--dataset", "headline"], more].concat());
    refused(fit(&["--held-out", "1"]), &["--held-out", "between 0 and 1"]);
    refused(fit(&["--memory", "0"]), &["--memory"]);
    refused(fit(&["--alphas", "x"]), &["alphas"]);
    std::fs::write(lab.join("one.txt"), "Oslo\n").unwrap();
    let one = lab.join("one.txt");
    refused(mappa(lab, &["lens", "fit", "--texts", one.to_str().unwrap()]), &["texts"]);
    assert!(!lab.join("lenses").exists());
}

#[test]
fn an_encoder_is_refused_by_its_name() {
    let folder = root("tests/fixtures/models/bert");
    let model = Model::load_transformer(&folder, Precision::F32).unwrap();
    let error = Lens::check_model("bert", &model).unwrap_err().to_string();
    assert!(error.contains("`bert`") && error.contains("encoder"), "{error}");
}
