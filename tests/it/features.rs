//! Sparse dictionaries: the files of other projects, their latents, and properties of clamping.

use super::root;
use mappa::features::{ActivationIndex, Dictionary, Groups, SparseActivation};
use mappa::hook_point::HookPoint;
use mappa::steering::{Norm, Op};
use mappa::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, array};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const POINT: HookPoint = HookPoint::ResidPost(1);
/// The dictionaries that make.py wrote.
const KINDS: [&str; 6] = ["standard", "topk", "topk_rescaled", "jumprelu", "earlier_topk", "gemma_scope"];

/// A small dictionary whose latent `i` has axis `i` as its direction, and one more latent along all axes.
pub(crate) fn dictionary(point: HookPoint, d_in: usize, activation: SparseActivation) -> Arc<Dictionary> {
    let mut w_enc = Array2::zeros((d_in, d_in + 1));
    w_enc.diag_mut().fill(1.0);
    w_enc.column_mut(d_in).fill(0.1);
    let w_dec = w_enc.t().to_owned();
    Arc::new(Dictionary {
        hook_point: point,
        model: None,
        made_with_bos: None,
        activation,
        b_enc: Array1::zeros(d_in + 1),
        w_dec,
        b_dec: Array1::zeros(d_in),
        w_enc,
        subtracts_b_dec: true,
    })
}

fn activations(d_sae: usize) -> [SparseActivation; 3] {
    [SparseActivation::Relu, SparseActivation::TopK(3), SparseActivation::JumpRelu(vec![0.4; d_sae])]
}

fn fixture(kind: &str) -> PathBuf {
    let folder = root("tests/fixtures/features");
    if kind == "gemma_scope" { folder.join("gemma_scope/params.npz") } else { folder.join(kind) }
}

fn load(kind: &str) -> Result<Dictionary> {
    Dictionary::load(&fixture(kind), (kind == "gemma_scope").then_some(POINT))
}

/// Arrays that sae-lens computed.
fn golden(name: &str) -> Array2<f32> {
    let bytes = std::fs::read(root("tests/fixtures/features/golden.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    let values = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Array2::from_shape_vec((tensor.shape()[0], tensor.shape()[1]), values).unwrap()
}

/// The greatest difference, as a share of the greatest value.
fn apart(a: ArrayView2<f32>, b: ArrayView2<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    let most = b.iter().fold(0f32, |most, x| most.max(x.abs()));
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max) / most
}

#[test]
fn each_kind_encodes_and_decodes_as_sae_lens_does() {
    let rows = golden("rows");
    for kind in KINDS {
        let dictionary = load(kind).unwrap();
        let (acts, decoded) = (golden(&format!("{kind}.acts")), golden(&format!("{kind}.decoded")));
        assert!(acts.iter().any(|a| *a == 0.0) && acts.iter().any(|a| *a > 0.0), "{kind} is not sparse");
        let found = dictionary.encode(rows.view()).unwrap();
        let error = apart(found.view(), acts.view());
        assert!(error < 1e-5, "{kind}: activations are {error} apart");
        let same = found.iter().zip(&acts).all(|(a, b)| (*a == 0.0) == (*b == 0.0));
        assert!(same, "{kind}: other latents are active");
        let error = apart(dictionary.decode(found.view()).unwrap().view(), decoded.view());
        assert!(error < 1e-5, "{kind}: decoded rows are {error} apart");
        for (row, acts) in rows.rows().into_iter().zip(found.rows()) {
            for (latent, a) in acts.iter().enumerate() {
                let alone = dictionary.encode_latent(row.as_slice().unwrap(), latent);
                assert!(
                    (alone - f64::from(*a)).abs() < 1e-5,
                    "{kind}: latent {latent} alone: {alone} for {a}"
                );
            }
        }
    }
}

#[test]
fn a_saved_dictionary_is_loaded_unchanged() {
    for kind in KINDS {
        // Kept, so that make.py can read them with sae-lens.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("features").join(kind);
        let dictionary = load(kind).unwrap();
        dictionary.save(&folder).unwrap();
        assert_eq!(Dictionary::load(&folder, None).unwrap(), dictionary, "{kind}");
    }
}

/// A copy of a fixture's folder with a text of its config replaced.
fn with_config(kind: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(fixture(kind).join("cfg.json")).unwrap();
    assert!(config.contains(from), "{from} is not in {config}");
    std::fs::write(folder.path().join("cfg.json"), config.replace(from, to)).unwrap();
    let weights = "sae_weights.safetensors";
    std::fs::copy(fixture(kind).join(weights), folder.path().join(weights)).unwrap();
    folder
}

fn refusal(folder: &Path, point: Option<HookPoint>) -> String {
    Dictionary::load(folder, point).unwrap_err().to_string()
}

#[test]
fn unsupported_fields_and_tensors_are_refused_by_name() {
    for (kind, from, to, parts) in [
        ("standard", "\"standard\"", "\"gated\"", ["`architecture`", "gated", "jumprelu"]),
        (
            "standard",
            "\"normalize_activations\": \"none\"",
            "\"normalize_activations\": \"layer_norm\"",
            ["`normalize_activations`", "layer_norm", "none"],
        ),
        ("standard", "\"d_in\": 8", "\"d_in\": 9", ["W_enc", "[8, 24]", "[9, 24]"]),
        ("standard", "\"d_sae\": 24", "\"d_sae\": 0", ["`d_sae`", "0", "from 1"]),
        ("standard", "hook_resid_post", "hook_normalized", ["cfg.json", "hook_normalized", "known forms"]),
        ("standard", "\"hook_name\"", "\"no_name\"", ["hook point", "none", "--hook-point"]),
        ("topk", "\"k\": 4", "\"k\": 25", ["k: found", "25", "1 to 24"]),
        ("topk", "\"k\": 4", "\"k\": null", ["`k`", "missing", "above 0"]),
        ("topk", "\"topk\"", "\"jumprelu\"", ["no tensor", "`threshold`", "incomplete"]),
        ("jumprelu", "\"jumprelu\"", "\"standard\"", ["a tensor", "`threshold`", "W_dec"]),
        (
            "earlier_topk",
            "\"finetuning_scaling_factor\": false",
            "\"finetuning_scaling_factor\": true",
            ["`finetuning_scaling_factor`", "true", "false"],
        ),
        (
            "standard",
            "\"metadata\": {",
            "\"metadata\": {\"model_from_pretrained_kwargs\": {\"center_writing_weights\": true},",
            ["`center_writing_weights`", "true", "does not centre"],
        ),
    ] {
        let error = refusal(with_config(kind, from, to).path(), None);
        assert!(parts.iter().all(|part| error.contains(part)), "{from} to {to}: {error}");
    }
    let error = refusal(&fixture("gemma_scope"), None);
    assert!(error.contains("params.npz") && error.contains("--hook-point"), "{error}");
    let error = refusal(&fixture("standard"), Some(HookPoint::ResidPost(0)));
    assert!(error.contains("blocks.1.hook_resid_post") && error.contains("blocks.0"), "{error}");
}

#[test]
fn a_damaged_file_is_refused_naming_the_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let broken = |change: &dyn Fn(&mut Dictionary)| {
        let mut dictionary = load("standard").unwrap();
        change(&mut dictionary);
        dictionary.save(folder.path()).map(|()| refusal(folder.path(), None))
    };
    let error = broken(&|dictionary| dictionary.w_dec[(2, 1)] = f32::NAN).unwrap();
    assert!(error.contains("`W_dec`") && error.contains("NaN"), "{error}");
    let error = broken(&|dictionary| dictionary.b_enc = array![1.0, 2.0]).unwrap_err();
    assert!(matches!(&error, Error::Invalid { what, .. } if what.contains("b_enc")), "{error}");
    let whole = std::fs::read(fixture("gemma_scope")).unwrap();
    for length in [0, 30, whole.len() / 2, whole.len() - 8] {
        let path = folder.path().join("params.npz");
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = refusal(&path, Some(POINT));
        assert!(error.contains("params.npz"), "{length} bytes: {error}");
    }
    let nothing = refusal(&folder.path().join("nothing"), None);
    assert!(nothing.contains("cfg.json"), "{nothing}");
}

/// A row after a clamp, and the latent's activations before and after.
fn clamped(dictionary: &Arc<Dictionary>, row: &[f32], latent: usize, target: f64) -> (Vec<f32>, f64, f64) {
    let mut moved = row.to_vec();
    let before = dictionary.encode_latent(row, latent);
    Op::clamp(dictionary, latent, target).unwrap().apply(&mut moved, Norm::Free);
    let after = dictionary.encode_latent(&moved, latent);
    (moved, before, after)
}

#[test]
fn clamping_to_the_present_activation_changes_nothing_and_to_another_sets_it() {
    let rows = [[0.5f32, -1.0, 2.0, 0.0, 0.3, 1.5, -0.2, 0.1], [3.0, 0.2, 0.1, 2.5, 1.9, 0.0, 0.0, -4.0]];
    for activation in activations(9) {
        let dictionary = dictionary(POINT, 8, activation);
        for (row, latent) in rows.iter().flat_map(|row| (0..9).map(move |latent| (row, latent))) {
            let before = dictionary.encode_latent(row, latent);
            let (same, ..) = clamped(&dictionary, row, latent, before);
            assert!(row.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-6), "latent {latent} of {row:?}");
        }
        // The encoder of these latents gives 1 for their own direction: if active or at 0 before, they reach the
        // target.
        for (row, latent, target) in
            [(&rows[0], 2, 7.0), (&rows[0], 5, 9.0), (&rows[1], 0, 2.6), (&rows[0], 3, 5.0)]
        {
            let (.., after) = clamped(&dictionary, row, latent, target);
            assert!(
                (after - target).abs() < 1e-6,
                "latent {latent} has activation {after}, expected {target}"
            );
        }
        // A latent with a pre-activation below zero stays below the target by that amount.
        let (.., after) = clamped(&dictionary, &rows[0], 1, 5.0);
        assert!((after - 4.0).abs() < 1e-6, "{after}");
        let mut there = rows[0].to_vec();
        for by in [4.0, -4.0] {
            Op::add_latent(&dictionary, 8, by).unwrap().apply(&mut there, Norm::Free);
        }
        assert!(rows[0].iter().zip(&there).all(|(a, b)| (a - b).abs() < 1e-6), "{there:?}");
    }
    let small = dictionary(POINT, 8, SparseActivation::Relu);
    assert!(Op::clamp(&small, 9, 1.0).unwrap_err().to_string().contains("0 to 8"));
}

#[test]
fn a_clamp_keeps_the_error_of_the_reconstruction() {
    let rows = golden("rows");
    for kind in KINDS {
        let dictionary = Arc::new(load(kind).unwrap());
        for row in rows.rows() {
            let (moved, before, _) = clamped(&dictionary, row.as_slice().unwrap(), 3, 2.0);
            for (i, (moved, row)) in moved.iter().zip(row).enumerate() {
                let expected = f64::from(*row) + (2.0 - before) * f64::from(dictionary.w_dec[(3, i)]);
                assert!((f64::from(*moved) - expected).abs() < 1e-6, "{kind}");
            }
        }
    }
}

#[test]
fn top_k_keeps_the_first_of_equal_values() {
    let dictionary = dictionary(POINT, 4, SparseActivation::TopK(2));
    let encoded = dictionary.encode(array![[1.0, 1.0, 1.0, 0.0]].view()).unwrap();
    assert_eq!(encoded, array![[1.0, 1.0, 0.0, 0.0, 0.0]]);
    let each: Vec<f64> =
        (0..5).map(|latent| dictionary.encode_latent(&[1.0, 1.0, 1.0, 0.0], latent)).collect();
    assert_eq!(each, [1.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn latents_are_chosen_on_training_rows_and_measured_on_test_rows() {
    let dictionary = dictionary(POINT, 2, SparseActivation::Relu);
    // Latent 0 detects group a in training; on test rows it finds one of two, and one of another group.
    let rows = array![
        [5.0, 0.0],
        [4.0, 0.0],
        [3.0, 0.0],
        [1.0, 2.0],
        [0.0, 3.0],
        [9.0, 0.0],
        [0.0, 1.0],
        [6.0, 0.0]
    ];
    let labels = ["a", "a", "a", "b", "b", "a", "a", "b"].map(String::from);
    let is_test = [false, false, false, false, false, true, true, true];
    let groups = Groups::new(&labels, is_test.to_vec());
    let active = ActivationIndex::of(&dictionary, rows.view()).unwrap();
    assert_eq!((active.alive(), active.greatest(0), active.density(1)), (vec![0, 1, 2], 9.0, 3.0 / 8.0));
    let matches = groups.matches(&active, 3);
    let best = matches[0];
    assert_eq!((best.latent, best.threshold, best.train_f1), (0, 3.0, 1.0));
    assert_eq!(groups.names()[best.group], "a");
    let test = groups.test(&active, &best).unwrap();
    assert_eq!((test.precision, test.recall, test.f1, test.n), (0.5, 0.5, 0.5, 2));
    // scikit-learn: average_precision_score([1, 1, 0], [9, 0, 6]) = 0.5 · 1 + 0.5 · 2/3.
    assert!((test.average_precision - (0.5 + 1.0 / 3.0)).abs() < 1e-12, "{}", test.average_precision);
    assert!(matches.iter().all(|found| groups.names()[found.group] == "a"), "b has only two training rows");
    let changed = Groups::new(&["a", "a", "a", "b", "b", "b", "b", "a"].map(String::from), is_test.to_vec());
    assert_eq!(changed.matches(&active, 3), matches, "test rows changed the choice");
}
