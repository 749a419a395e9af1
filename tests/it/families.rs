//! Each family against transformers, at every layer and the logits (fixtures: tests/fixtures/models/make.py).

use super::root;
use candle_core::{Device, Tensor};
use mappa::hook_point::HookPoint;
use mappa::model::families::{FAMILIES, Measured};
use mappa::model::{
    AttentionDirection, Capture, Forest, KvCache, Model, NoHook, Placement, Precision, Transformer,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Largest allowed difference, relative to the reference's largest value.
const TOLERANCE: f32 = 5e-5;

/// All checkpoints by their folders' names.
pub(crate) fn checkpoints() -> Vec<String> {
    let entries = std::fs::read_dir(root("tests/fixtures/models")).unwrap();
    let folders =
        entries.map(|entry| entry.unwrap()).filter(|entry| entry.path().join("config.json").is_file());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

struct Reference {
    model: Transformer,
    tensors: HashMap<String, Tensor>,
    texts: Vec<Vec<u32>>,
}

impl Reference {
    fn open(checkpoint: &str) -> Reference {
        let folder = root("tests/fixtures/models").join(checkpoint);
        let tensors =
            candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu).unwrap();
        let texts: Vec<Vec<u32>> = (0..)
            .map_while(|i| tensors.get(&format!("{i}.ids")))
            .map(|ids| ids.to_vec1::<i64>().unwrap().into_iter().map(|id| id as u32).collect())
            .collect();
        assert!(texts.len() >= 3);
        Reference { model: Model::load_transformer(&folder, Precision::F32).unwrap(), tensors, texts }
    }

    /// The reference for `ResidPre(0)` and each `ResidPost` of a single text.
    fn stream(&self, text: usize) -> Vec<Tensor> {
        let all = &self.tensors[&format!("{text}.hidden_states")];
        let n = all.dim(0).unwrap();
        assert_eq!(n, self.model.spec.n_layers + 1);
        let mut stream: Vec<Tensor> = (0..n - 1).map(|l| all.get(l).unwrap()).collect();
        stream.push(self.tensors[&format!("{text}.before_final_norm")].clone());
        stream
    }

    fn is_causal(&self) -> bool {
        self.model.spec.attention.direction == AttentionDirection::Causal
    }

    fn last_layer(&self) -> HookPoint {
        HookPoint::ResidPost(self.model.spec.n_layers - 1)
    }

    /// The largest relative error over texts, layers and logits.
    fn error(&self) -> f32 {
        let points = HookPoint::stream(self.model.spec.n_layers);
        let mut worst = 0f32;
        for (i, text) in self.texts.iter().enumerate() {
            let mut capture = Capture::all(&points);
            let last = self.model.forward(&Forest::of_text(text).unwrap(), None, &mut capture).unwrap();
            for (point, theirs) in points.iter().zip(self.stream(i)) {
                worst = worst.max(relative(capture.get(*point).unwrap(), &theirs));
            }
            let logits = self.model.logits(&last).unwrap();
            worst = worst.max(relative(&logits, &self.tensors[&format!("{i}.logits")]));
        }
        worst
    }
}

fn relative(ours: &Tensor, theirs: &Tensor) -> f32 {
    let scalar = |t: Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    scalar((ours - theirs).unwrap()) / scalar(theirs.clone())
}

fn choices(model: &Transformer) -> String {
    let words: Vec<String> = model.spec.choices().into_iter().map(|(_, words)| words).collect();
    words.join("; ")
}

/// The version of transformers that made a fixture.
fn version(checkpoint: &str) -> String {
    let path = root("tests/fixtures/models").join(checkpoint).join("expected.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let made_with = header.metadata().as_ref().unwrap()["made_with"].clone();
    made_with.split("transformers ").nth(1).unwrap().split([' ', ',', ';']).next().unwrap().to_string()
}

#[test]
fn every_layer_and_the_logits_equal_transformers() {
    let mut measured = Vec::new();
    for checkpoint in &checkpoints() {
        let reference = Reference::open(checkpoint);
        let error = reference.error();
        println!("{checkpoint}: largest relative error {error:.1e}");
        assert!(error < TOLERANCE, "{checkpoint}: {error:e}");
        let family = reference.model.spec.family.to_string();
        measured.push(Measured {
            family,
            checkpoint: checkpoint.clone(),
            error,
            transformers: version(checkpoint),
            choices: choices(&reference.model),
        });
    }
    // `mappa models families` prints this list: MAPPA_RECORD=1 writes it again.
    let (table, page) = (root("src/model/families/measured.csv"), root("docs/families.md"));
    if std::env::var_os("MAPPA_RECORD").is_some() {
        mappa::results::save_rows(&table, &measured).unwrap();
        let text = std::fs::read_to_string(&page).unwrap();
        let before = text.split(TABLE_BEGINS).next().unwrap();
        std::fs::write(&page, format!("{before}{TABLE_BEGINS}\n{}", markdown(&measured))).unwrap();
    }
    let recorded: Vec<Measured> = mappa::results::load_rows(&table).unwrap();
    assert_eq!(recorded.len(), measured.len(), "the table has other rows; run with MAPPA_RECORD=1");
    for (then, now) in recorded.iter().zip(&measured) {
        assert_eq!((&then.checkpoint, &then.family), (&now.checkpoint, &now.family));
        assert_eq!((&then.transformers, &then.choices), (&now.transformers, &now.choices));
        // Another processor may round differently, but not by an order of magnitude.
        assert!(
            now.error < 10.0 * then.error.max(1e-6),
            "{}: {} then, {} now",
            now.checkpoint,
            then.error,
            now.error
        );
    }
}

/// The header of the table in docs/families.md.
const TABLE_BEGINS: &str = "| family | checkpoint | error | transformers | choices of the checkpoint |";

/// The table's lines below its header.
fn markdown(rows: &[Measured]) -> String {
    let line = |row: &Measured| {
        let Measured { family, checkpoint, error, transformers, choices } = row;
        format!("| {family} | {checkpoint} | {error:.1e} | {transformers} | {choices} |\n")
    };
    std::iter::once("|---|---|--:|---|---|\n".to_string()).chain(rows.iter().map(line)).collect()
}

#[test]
fn the_page_of_families_has_the_measured_table() {
    let recorded: Vec<Measured> =
        mappa::results::load_rows(&root("src/model/families/measured.csv")).unwrap();
    let page = std::fs::read_to_string(root("docs/families.md")).unwrap();
    assert!(page.ends_with(&format!("{TABLE_BEGINS}\n{}", markdown(&recorded))), "run with MAPPA_RECORD=1");
}

#[test]
fn every_family_has_a_fixture_and_each_choice_occurs_with_all_values() {
    let specs: Vec<_> = checkpoints().iter().map(|name| Reference::open(name).model.spec).collect();
    let covered: BTreeSet<&str> = specs.iter().map(|spec| spec.family).collect();
    let known: BTreeSet<&str> = FAMILIES.iter().map(|family| family.model_type).collect();
    assert_eq!(covered, known);
    let tied = |wanted| specs.iter().filter(|spec| spec.head.unwrap().tied == wanted).count();
    assert!(tied(true) > 5 && tied(false) > 5);
    for wanted in [true, false] {
        assert!(
            specs.iter().any(|spec| spec.biases.qkv == wanted)
                && specs.iter().any(|s| s.biases.mlp == wanted)
        );
    }
    let uneven = specs.iter().filter(|spec| spec.n_heads / spec.n_kv_heads == 3 && spec.n_kv_heads > 1);
    assert!(uneven.count() > 3);
    let windows = specs.iter().flat_map(|spec| &spec.layers).filter_map(|layer| layer.window);
    assert!(windows.filter(|window| *window < 9).count() > 5);
}

#[test]
fn the_forest_equals_each_text_alone_and_transformers_padded_batch() {
    for checkpoint in &checkpoints() {
        let reference = Reference::open(checkpoint);
        let points = HookPoint::stream(reference.model.spec.n_layers);
        let (forest, last) = reference.model.forest(&reference.texts).unwrap();
        let n_tokens: usize = reference.texts.iter().map(Vec::len).sum();
        assert_eq!(
            forest.len() < n_tokens,
            reference.is_causal(),
            "{checkpoint}: prefixes are shared only in causal models"
        );
        let mut capture = Capture::all(&points);
        reference.model.forward(&forest, None, &mut capture).unwrap();
        for (i, text) in reference.texts.iter().enumerate() {
            let mut alone = Capture::all(&points);
            reference.model.forward(&Forest::of_text(text).unwrap(), None, &mut alone).unwrap();
            let path = forest.path(last[i]);
            let path = Tensor::from_slice(&path, path.len(), &Device::Cpu).unwrap();
            for point in &points {
                let ours = capture.get(*point).unwrap().index_select(&path, 0).unwrap();
                let error = relative(&ours, alone.get(*point).unwrap());
                assert!(error < TOLERANCE, "{checkpoint}: alone, {point}: {error:e}");
            }
            let ours = capture.get(reference.last_layer()).unwrap().index_select(&path, 0).unwrap();
            let error = relative(&ours, &reference.tensors[&format!("{i}.padded")]);
            assert!(error < TOLERANCE, "{checkpoint}: padded: {error:e}");
        }
    }
}

#[test]
fn an_encoder_refuses_shared_prefixes_and_a_cache() {
    let reference = Reference::open("bert");
    let (shared, _) = Forest::of_texts(&reference.texts).unwrap();
    let refused = reference.model.forward(&shared, None, &mut NoHook).unwrap_err().to_string();
    assert!(refused.contains("an encoder does not generate"), "{refused}");
    let mut grown = Forest::of_text(&reference.texts[0]).unwrap();
    let mut cache = KvCache::default();
    reference.model.forward(&grown, Some(&mut cache), &mut NoHook).unwrap();
    grown.grow(1);
    assert!(reference.model.forward(&grown, Some(&mut cache), &mut NoHook).is_err());
}

#[test]
fn the_last_layer_is_before_the_final_norm() {
    let mut n_checked = 0;
    for checkpoint in &checkpoints() {
        let reference = Reference::open(checkpoint);
        let mut capture = Capture::all(&[reference.last_layer()]);
        reference.model.forward(&Forest::of_text(&reference.texts[0]).unwrap(), None, &mut capture).unwrap();
        let theirs = reference.tensors["0.hidden_states"].get(reference.model.spec.n_layers).unwrap();
        let difference = relative(capture.get(reference.last_layer()).unwrap(), &theirs);
        let has_final_norm = reference.model.spec.head.unwrap().norm;
        assert_eq!(difference > 0.01, has_final_norm, "{checkpoint}: {difference}");
        n_checked += usize::from(has_final_norm);
    }
    assert!(n_checked > 30);
}

#[test]
fn resid_post_is_resid_pre_plus_the_outputs_of_the_block() {
    let mut counts = BTreeMap::new();
    for checkpoint in &checkpoints() {
        let reference = Reference::open(checkpoint);
        for l in 0..reference.model.spec.n_layers {
            let points = [
                HookPoint::ResidPre(l),
                HookPoint::AttnOut(l),
                HookPoint::MlpOut(l),
                HookPoint::ResidPost(l),
            ];
            let mut capture = Capture::all(&points);
            let forest = Forest::of_text(&reference.texts[2]).unwrap();
            reference.model.forward(&forest, None, &mut capture).unwrap();
            let [pre, attn, mlp, post] = points.map(|p| capture.get(p).unwrap().clone());
            let sum = ((pre + attn).unwrap() + mlp).unwrap();
            // If a norm follows the sum, the stream is not the plain sum; another test covers that case.
            let is_plain = reference.model.spec.placement != Placement::AfterSum;
            assert_eq!(relative(&sum, &post) < 1e-6, is_plain, "{checkpoint}: layer {l}");
            *counts.entry(is_plain).or_insert(0) += 1;
        }
    }
    assert!(counts[&true] > 60 && counts[&false] >= 8, "{counts:?}");
}

#[test]
fn norms_after_the_sum_apply_to_the_stream() {
    for checkpoint in ["bert", "roberta", "distilbert", "opt_post_norm"] {
        let reference = Reference::open(checkpoint);
        let last = reference.model.spec.n_layers - 1;
        let points = [HookPoint::ResidMid(last), HookPoint::MlpOut(last), HookPoint::ResidPost(last)];
        let mut capture = Capture::all(&points);
        let forest = Forest::of_text(&reference.texts[2]).unwrap();
        reference.model.forward(&forest, None, &mut capture).unwrap();
        let [mid, mlp, post] = points.map(|p| capture.get(p).unwrap().clone());
        // A norm's output minus its bias, divided by its weight, has mean 0 and variance 1: the same for every
        // positive multiple of the sum, so the normed sum and the normed stream have the same direction.
        let sum = (mid + mlp).unwrap();
        let unit = |t: &Tensor| {
            let centred = t.broadcast_sub(&t.mean_keepdim(1).unwrap()).unwrap();
            let scale = centred.sqr().unwrap().mean_keepdim(1).unwrap().sqrt().unwrap();
            centred.broadcast_div(&scale).unwrap()
        };
        let theirs = normed(checkpoint, last, &unit(&sum));
        assert!(relative(&post, &theirs) < TOLERANCE, "{checkpoint}: {:e}", relative(&post, &theirs));
    }
}

/// A normalised sum times weight plus bias of the norm after the last MLP, from the checkpoint.
fn normed(checkpoint: &str, l: usize, unit: &Tensor) -> Tensor {
    let path = root("tests/fixtures/models").join(checkpoint).join("model.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let stem = match checkpoint {
        "distilbert" => format!("distilbert.transformer.layer.{l}.output_layer_norm"),
        "opt_post_norm" => format!("model.decoder.layers.{l}.final_layer_norm"),
        name => format!("{name}.encoder.layer.{l}.output.LayerNorm"),
    };
    let get = |kind: &str| tensors[&format!("{stem}.{kind}")].to_dtype(candle_core::DType::F32).unwrap();
    unit.broadcast_mul(&get("weight")).unwrap().broadcast_add(&get("bias")).unwrap()
}

#[test]
fn cached_equals_uncached() {
    for checkpoint in &checkpoints() {
        let reference = Reference::open(checkpoint);
        if !reference.is_causal() {
            continue;
        }
        let text = &reference.texts[2];
        let whole = reference.model.forward(&Forest::of_text(text).unwrap(), None, &mut NoHook).unwrap();
        let mut forest = Forest::of_text(&text[..3]).unwrap();
        let mut cache = KvCache::default();
        let mut rows = vec![reference.model.forward(&forest, Some(&mut cache), &mut NoHook).unwrap()];
        for &token in &text[3..] {
            forest.grow(token);
            rows.push(reference.model.forward(&forest, Some(&mut cache), &mut NoHook).unwrap());
        }
        let cached = Tensor::cat(&rows, 0).unwrap();
        assert!(relative(&cached, &whole) < 1e-5, "{checkpoint}: {:e}", relative(&cached, &whole));
    }
}
