//! `mappa features` and `mappa steer --feature` on the bundled model, with a dictionary whose latents are axes of
//! the stream.

use super::features::dictionary;
use mappa::features::SparseActivation;
use mappa::hook_point::HookPoint;
use mappa::results::{ClampRow, LatentGroupRow, LatentRow, SweepRow, load_rows};
use std::path::Path;
use std::process::Command;

/// The output of a command, or its error.
fn mappa(lab: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_mappa")).arg("--lab").arg(lab).args(args).output().unwrap();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        code => Err(format!("{code:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

#[test]
fn latents_are_listed_and_clamped_and_wrong_arguments_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path();
    let point = HookPoint::ResidPost(3);
    dictionary(point, 128, SparseActivation::TopK(12)).save(&lab.join("axes")).unwrap();
    dictionary(point, 8, SparseActivation::Relu).save(&lab.join("narrow")).unwrap();
    let (axes, narrow) = (lab.join("axes"), lab.join("narrow"));
    let (axes, narrow) = (axes.to_str().unwrap(), narrow.to_str().unwrap());
    let text = lab.join("text.txt");
    std::fs::write(&text, "Vienna is in Austria Europe.\nNairobi Kenya Africa.\n").unwrap();

    let missing =
        mappa(lab, &["steer", "--prompt", "Vienna", "--feature", &format!("{axes}:5"), "--dose", "3x"]);
    let missing = missing.unwrap_err();
    assert!(missing.contains("mappa extract") && missing.contains(&point.to_string()), "{missing}");

    let listed =
        mappa(lab, &["features", "list", axes, "--text", text.to_str().unwrap(), "--latents", "4"]).unwrap();
    for part in ["129 latents (topk, k 12)", "1199 entities", "12.0 per entity", "country", "⟦"] {
        assert!(listed.contains(part), "`{part}` is not in: {listed}");
    }
    let rows = lab.join("features/atlas/axes/world_place/empty");
    let units: Vec<LatentRow> = load_rows(&rows.join("units.csv")).unwrap();
    let ordered = units.windows(2).all(|w| w[0].unit != w[1].unit || w[0].activation >= w[1].activation);
    assert!(ordered && units.iter().filter(|row| row.rank == 1).all(|row| row.activation == row.greatest));
    let groups: Vec<LatentGroupRow> = load_rows(&rows.join("by_country.csv")).unwrap();
    assert!(groups.iter().any(|row| row.chosen_for == "group" && row.group == "India"));
    let unit = units[0].unit.to_string();
    let one = mappa(lab, &["features", "list", axes, "--latent", &unit, "--column", "continent"]).unwrap();
    assert!(one.contains("raises") && one.contains("Africa"), "{one}");

    let feature = format!("{axes}:{unit}");
    let steer = |dose: &str| {
        mappa(lab, &["steer", "--prompt", "Vienna is in", "--feature", &feature, "--dose", dose])
    };
    for dose in ["clamp 3x", "3x", "-4 activation", "clamp 0 activation", "2 rms"] {
        let shown = steer(dose).unwrap();
        assert!(shown.contains("steered") && shown.contains("Vienna"), "{dose}: {shown}");
    }
    let press =
        ["features", "clamp", axes, "--groups", "1", "--times", "0,2", "--prompts", "3", "--random", "2"];
    let pressed = mappa(lab, &press).unwrap();
    assert!(pressed.contains("text names it"), "{pressed}");
    let pressed: Vec<ClampRow> = load_rows(&rows.join("press_country.csv")).unwrap();
    assert_eq!(pressed.len(), 6);
    // Adding an activation of 0 changes nothing; adding twice the greatest does.
    let random: Vec<&ClampRow> = pressed.iter().filter(|row| row.way == "random").collect();
    assert!(random.iter().all(|row| (row.own == 0.0 && row.kl == 0.0) == (row.times == 0.0)), "{random:?}");

    for (refused, parts) in [
        (steer("30 east"), ["degrees", "clamp 3x"]),
        (mappa(lab, &["features", "list", axes, "--latent", "129"]), ["--latent", "0 to 128"]),
        (
            mappa(lab, &["features", "list", axes, "--hook-point", "blocks.1.hook_resid_post"]),
            ["blocks.3", "blocks.1"],
        ),
        (mappa(lab, &["features", "list", axes, "--column", "moon"]), ["moon", "country"]),
        (mappa(lab, &["features", "list", narrow]), ["8 values", "128 wide"]),
        (
            mappa(lab, &["steer", "--prompt", "a", "--feature", axes, "--dose", "1x"]),
            ["DICT:LATENT", "latent"],
        ),
        (
            mappa(lab, &["steer", "--prompt", "a", "--dose", "clamp 1x", "--layer", "1"]),
            ["--feature", "--dose"],
        ),
    ] {
        let error = refused.unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
    }
    let beyond = format!("{axes}:129");
    for dose in ["2 rms", "3x", "clamp 3x", "clamp 0x", "4 activation"] {
        let error =
            mappa(lab, &["steer", "--prompt", "a", "--feature", &beyond, "--dose", dose]).unwrap_err();
        assert!(error.contains("latent: found 129; expected 0 to 128"), "{dose}: {error}");
    }
}

#[test]
fn a_latent_is_swept_after_the_block_of_its_dictionary() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path();
    let probes = "probes/atlas/world_place/empty/probes.safetensors";
    std::fs::create_dir_all(lab.join(probes).parent().unwrap()).unwrap();
    std::fs::copy(super::root(probes), lab.join(probes)).unwrap();
    dictionary(HookPoint::ResidPost(3), 128, SparseActivation::TopK(12)).save(&lab.join("axes")).unwrap();
    let feature = format!("{}:5", lab.join("axes").display());
    let sweep = |more: &[&str]| {
        let of = ["steer", "sweep", "--target", "longitude", "--doses", "0,2", "--prompts", "Vienna,Athens"];
        mappa(lab, &[&of[..], &["--feature", &feature, "--random", "1", "--tokens", "3"], more].concat())
    };
    let printed = sweep(&[]).unwrap();
    assert!(
        printed.contains("along the dose (mean over prompts)")
            && printed.contains("steering/atlas/longitude"),
        "{printed}"
    );
    let rows: Vec<SweepRow> = load_rows(&lab.join("steering/atlas/longitude/sweep.csv")).unwrap();
    assert!(rows.iter().all(|row| row.layers == "3" && (row.kl == 0.0) == (row.dose == 0.0)), "{rows:?}");
    let of =
        |direction: &str| rows.iter().filter(|row| row.direction == direction && row.dose == 2.0).count();
    assert!(of("probe") >= 2 && of("probe") == of("random"), "{rows:?}");
    let card = std::fs::read_to_string(lab.join("steering/atlas/longitude/card.json")).unwrap();
    assert!(card.contains(&feature), "{card}");
    let beyond = format!("{}:129", lab.join("axes").display());
    let of = ["steer", "sweep", "--target", "longitude", "--doses", "0,2", "--prompts", "Vienna"];
    let error = mappa(lab, &[&of[..], &["--feature", &beyond, "--called", "beyond"]].concat()).unwrap_err();
    assert!(error.contains("latent: found 129; expected 0 to 128"), "{error}");
    let error = sweep(&["--layers", "1", "--called", "other"]).unwrap_err();
    assert!(error.contains("blocks.3") && error.contains("blocks.1"), "{error}");
}
