//! Steering from the command line: files there and back, a sweep found again, refusals.

use std::path::Path;
use std::process::{Command, Output};

fn steer(lab: &Path, args: &[&str]) -> Output {
    let probes = super::root("probes");
    if !lab.join("probes").exists() {
        for dataset in ["world_place", "historical_figure"] {
            let folder = format!("atlas/{dataset}/empty");
            std::fs::create_dir_all(lab.join("probes").join(&folder)).unwrap();
            let file = format!("{folder}/probes.safetensors");
            std::fs::copy(probes.join(&file), lab.join("probes").join(&file)).unwrap();
        }
    }
    Command::new(env!("CARGO_BIN_EXE_mappa")).arg("--lab").arg(lab).arg("steer").args(args).output().unwrap()
}

fn done(lab: &Path, args: &[&str]) -> String {
    let output = steer(lab, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(lab: &Path, args: &[&str], parts: &[&str]) {
    let output = steer(lab, args);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {message}");
    parts.iter().for_each(|part| assert!(message.contains(part), "`{part}` is not in: {message}"));
}

#[test]
fn a_direction_goes_to_llama_cpps_format_and_back_and_steers_alike() {
    let lab = tempfile::tempdir().unwrap();
    let path = |name: &str| lab.path().join(name).display().to_string();
    let (file, gguf, back) = (path("east.safetensors"), path("east.gguf"), path("back.safetensors"));
    done(lab.path(), &["extract", "--probe", "longitude", "--out", &file]);
    let said = done(lab.path(), &["export", &file, &gguf]);
    assert!(
        said.contains("left out: blocks.0.hook_resid_post") && said.contains("wrote 5 vectors"),
        "{said}"
    );
    done(lab.path(), &["import", &gguf, &back]);
    let lens = done(lab.path(), &["inspect", &back]);
    assert!(lens.contains("world_place longitude               1.00") || lens.contains("1.00"), "{lens}");
    let text = |direction: &str| {
        done(
            lab.path(),
            &["--prompt", "Vienna is in", "--direction", direction, "--dose", "90x", "--layer", "2"],
        )
    };
    assert_eq!(text(&file), text(&back));
    assert_eq!(text(&file), text(&gguf));
    // One times the probe's vector is one degree.
    let degrees = done(lab.path(), &["--prompt", "Vienna is in", "--dose", "90 east", "--layer", "2"]);
    assert_eq!(text(&file).lines().nth(2), degrees.lines().nth(2));
    refused(lab.path(), &["import", &gguf, &back, "--shift", "-2"], &["--shift", "-2"]);
    refused(lab.path(), &["import", &gguf, &back, "--shift", "9"], &["blocks.10.hook_resid_post"]);
}

#[test]
fn a_sweep_is_found_again_and_other_inputs_are_refused() {
    let lab = tempfile::tempdir().unwrap();
    let args = |doses: &'static str| {
        let doses = ["--doses", doses, "--prompts", "Warsaw is in,Athens is in", "--layers", "1,3"];
        let more = ["--read", "country", "--names", "country=Japan", "--random", "1", "--tokens", "6"];
        [&["sweep", "--target", "longitude"][..], &doses, &more].concat()
    };
    let said = done(lab.path(), &args("0,90"));
    assert!(said.contains("best within 2 nats: layer"), "{said}");
    let file = lab.path().join("steering/atlas/longitude/sweep.csv");
    let rows: Vec<mappa::results::SweepRow> = mappa::results::load_rows(&file).unwrap();
    // Two prompts, two doses, two directions; read at layers 1 to 5 and 3 to 5.
    assert_eq!(rows.len(), 2 * 2 * 2 * (5 + 3));
    for row in rows.iter().filter(|row| row.dose == 0.0) {
        assert!(row.kl < 1e-9 && !row.named.is_empty() && row.names_log_prob.unwrap() < 0.0, "{row:?}");
    }
    let at = |row: &&mappa::results::SweepRow| {
        row.read_layer.to_string() == row.layers && row.direction == "probe"
    };
    for pair in rows.iter().filter(at).collect::<Vec<_>>().chunks(2) {
        assert!((pair[1].reading - pair[0].reading - 90.0).abs() < 1e-2, "{pair:?}");
    }
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(lab.path().join("steering/atlas/longitude/layers/3.csv")).unwrap();
    done(lab.path(), &args("0,90"));
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    refused(lab.path(), &args("0,80"), &["card.json", "doses"]);
}

#[test]
fn wrong_input_gets_its_error() {
    let lab = tempfile::tempdir().unwrap();
    let with = |more: &[&'static str]| [&["--prompt", "Nairobi"][..], more].concat();
    refused(lab.path(), &with(&["--dose", "30 east", "--layer", "9"]), &["--layer", "9", "0 to 5"]);
    refused(lab.path(), &with(&["--layer", "3"]), &["no change"]);
    refused(lab.path(), &with(&["--dose", "2 rms", "--layer", "3"]), &["--direction"]);
    refused(lab.path(), &with(&["--dose", "30 east", "--layer", "3", "--at", "span:Rome"]), &["Rome"]);
    refused(lab.path(), &with(&["--dose", "30 east", "--layer", "3", "--top-p", "0"]), &["top-p"]);
    refused(lab.path(), &with(&["--dose", "30 east", "--layer", "3", "--chat"]), &["chat template"]);
    let sweep =
        |more: &[&'static str]| [&["sweep", "--target", "longitude", "--prompts", "Oslo"][..], more].concat();
    refused(lab.path(), &sweep(&["--doses", "30"]), &["doses with 0"]);
    refused(
        lab.path(),
        &sweep(&["--doses", "0,1", "--called", "b", "--names", "country=Oz"]),
        &["country=Oz"],
    );
    refused(
        lab.path(),
        &sweep(&["--doses", "0,1", "--called", "c", "--read", "planet"]),
        &["planet", "country"],
    );
    refused(
        lab.path(),
        &["sweep", "--target", "height", "--prompts", "Oslo", "--doses", "0,1"],
        &["longitude"],
    );
    // A probe of another model.
    let file = lab.path().join("probes/atlas/world_place/empty/probes.safetensors");
    let mut probes = mappa::probes::ProbeSet::load(&file).unwrap();
    probes.about.model = "other".into();
    probes.save(&file).unwrap();
    refused(lab.path(), &with(&["--dose", "30 east", "--layer", "3"]), &["`other`", "`atlas`"]);
}
