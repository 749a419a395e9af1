//! Steering from the command line: safetensors and GGUF files, a resumed sweep, refusals.

use super::program;
use mappa::hook_point::HookPoint;
use mappa::model::{Continuation, Model, NoHook, Precision, generate};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
    program::done(steer(lab, args))
}

fn refused(lab: &Path, args: &[&str], parts: &[&str]) {
    program::refused(steer(lab, args), parts);
}

#[test]
fn a_direction_in_llama_cpps_format_steers_as_the_original() {
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
fn a_sweep_is_resumed_and_other_inputs_are_refused() {
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
    // Two prompts, two doses, two directions; predictions at layers 1 to 5 and 3 to 5.
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
fn wrong_input_is_refused() {
    let lab = tempfile::tempdir().unwrap();
    let with = |more: &[&'static str]| [&["--prompt", "Nairobi"][..], more].concat();
    refused(lab.path(), &with(&["--dose", "30 east", "--layer", "9"]), &["--layer", "9", "0 to 5"]);
    refused(lab.path(), &with(&["--layer", "3"]), &["no change"]);
    let guessed = done(lab.path(), &with(&["--dose", "30 east", "--tokens", "2"]));
    assert!(guessed.contains("blocks.0.hook_resid_post") && guessed.contains("blocks.2."), "{guessed}");
    refused(lab.path(), &with(&["--dose", "2 rms", "--layer", "3"]), &["--direction"]);
    for dose in ["30", "30 ", "NaN east", "east", "1e999 east"] {
        refused(lab.path(), &with(&["--layer", "3", "--dose", dose]), &["its unit", dose]);
    }
    refused(lab.path(), &with(&["--toward", "lat=91,lon=0", "--layer", "3"]), &["91", "-90 to 90"]);
    refused(lab.path(), &with(&["--toward", "mars", "--layer", "3"]), &["mars", "lat=35,lon=139"]);
    for (at, part) in [
        ("span:Rome", "Rome"),
        ("last,span:Rome", "Rome"),
        ("nowhere", "prompt, generated"),
        ("last,", "last,"),
    ] {
        refused(lab.path(), &with(&["--dose", "30 east", "--layer", "3", "--at", at]), &[part]);
    }
    refused(lab.path(), &with(&["--dose", "30 east", "--layer", "3", "--top-p", "0"]), &["top-p"]);
    refused(lab.path(), &with(&["--dose", "30 east", "--layer", "3", "--chat"]), &["chat template"]);
    refused(
        lab.path(),
        &with(&["--dose", "30 east", "--hook-points", "blocks.2.hook_q"]),
        &["hook_resid_post"],
    );
    // Probes of a model of the same name with another width and depth, then probes of another model.
    let file = lab.path().join("probes/atlas/world_place/empty/probes.safetensors");
    let mut probes = mappa::probes::ProbeSet::load(&file).unwrap();
    let three = HookPoint::ResidPost(3);
    let mut narrow = probes.get(three).unwrap().clone();
    narrow.probe.weights = narrow.probe.weights.slice(ndarray::s![.., ..64]).to_owned();
    narrow.stream.pattern = narrow.stream.pattern.slice(ndarray::s![.., ..64]).to_owned();
    narrow.stream.mean = narrow.stream.mean.slice(ndarray::s![..64]).to_owned();
    let mut others = mappa::probes::ProbeSet::new(probes.about.clone());
    others.insert(three, narrow);
    others.save(&file).unwrap();
    let args = with(&["--dose", "30 east", "--layer", "3"]);
    refused(lab.path(), &args, &["64 weights at blocks.3.hook_resid_post", "128 weights"]);
    let mut deeper = mappa::probes::ProbeSet::new(probes.about.clone());
    deeper.insert(HookPoint::ResidPost(9), probes.get(three).unwrap().clone());
    deeper.save(&file).unwrap();
    refused(lab.path(), &args, &["blocks.9.hook_resid_post", "no such hook point"]);
    probes.about.model = "other".into();
    probes.save(&file).unwrap();
    refused(lab.path(), &with(&["--dose", "30 east", "--layer", "3"]), &["`other`", "`atlas`"]);
}

#[test]
fn a_refused_sweep_leaves_no_files_that_block_the_corrected_one() {
    let lab = tempfile::tempdir().unwrap();
    let sweep = |more: &[&'static str]| {
        let small = ["--prompts", "Oslo", "--layers", "3", "--random", "0", "--tokens", "2"];
        [&["sweep", "--target", "longitude"][..], &small, more].concat()
    };
    refused(lab.path(), &sweep(&["--doses", "30"]), &["doses that include 0"]);
    refused(lab.path(), &sweep(&["--doses", "0,30", "--names", "country=Oz"]), &["country=Oz"]);
    refused(lab.path(), &sweep(&["--doses", "0,30", "--names", "planet=Mars"]), &["planet", "country"]);
    refused(lab.path(), &sweep(&["--doses", "0,30", "--names", "Japan"]), &["Japan", "COLUMN=VALUE"]);
    refused(lab.path(), &sweep(&["--doses", "0,30", "--read", "planet"]), &["planet", "country"]);
    refused(lab.path(), &sweep(&["--doses", "0,30", "--at", "span:Rome"]), &["Rome"]);
    refused(
        lab.path(),
        &["sweep", "--target", "height", "--prompts", "Oslo", "--doses", "0,1"],
        &["longitude"],
    );
    let beyond = ["sweep", "--target", "longitude", "--prompts", "Oslo", "--doses", "0,30", "--layers", "6"];
    refused(lab.path(), &beyond, &["--layers", "6", "0 to 5"]);
    assert!(!lab.path().join("steering").exists());
    done(lab.path(), &sweep(&["--doses", "0,30", "--names", "country=Japan"]));
}

#[test]
fn vectors_of_another_width_or_hook_point_are_refused() {
    let lab = tempfile::tempdir().unwrap();
    let save = |name: &str, tensors: &[(&str, Vec<f32>)]| {
        let tensor = |values: &Vec<f32>| {
            candle_core::Tensor::from_slice(values, values.len(), &candle_core::Device::Cpu).unwrap()
        };
        let path = lab.path().join(name);
        let tensors = tensors.iter().map(|(name, values)| (name.to_string(), tensor(values))).collect();
        candle_core::safetensors::save::<String, _>(&tensors, &path).unwrap();
        path.display().to_string()
    };
    let narrow = save("narrow.safetensors", &[("direction", vec![1.0; 7])]);
    let mut values = vec![0.5; 128];
    values[9] = f32::NAN;
    let broken = save("broken.safetensors", &[("blocks.3.hook_resid_post", values)]);
    let at_three = save("three.safetensors", &[("blocks.3.hook_resid_post", vec![0.5; 128])]);
    let two = save("two.safetensors", &[("a", vec![0.5; 128]), ("b", vec![0.5; 128])]);
    let zero = save("zero.safetensors", &[("direction", vec![0.0; 128])]);
    let steered = |file: &str, dose: &str, layer: &str, parts: &[&str]| {
        let args = ["--prompt", "Nairobi", "--direction", file, "--dose", dose, "--layer", layer];
        refused(lab.path(), &args, parts);
    };
    steered(&narrow, "1x", "3", &["7 values", "128"]);
    steered(&broken, "1x", "3", &["broken.safetensors", "blocks.3.hook_resid_post", "NaN"]);
    steered(&at_three, "1x", "2", &["blocks.2.hook_resid_post", "blocks.3.hook_resid_post"]);
    steered(&two, "1x", "3", &["two.safetensors", "among several"]);
    steered(&zero, "1 rms", "3", &["direction"]);
    steered(&at_three, "30 east", "3", &["degrees", "rms or x"]);
    steered(&at_three, "1e308x", "3", &["smaller dose"]);
    steered("nowhere.safetensors", "1x", "3", &["nowhere.safetensors"]);
    let out = lab.path().join("v.gguf").display().to_string();
    refused(lab.path(), &["export", &broken, &out], &["NaN"]);
    refused(lab.path(), &["export", &narrow, &out], &["control vector"]);
    refused(lab.path(), &["inspect", &broken], &["NaN"]);
    assert!(!lab.path().join("v.gguf").exists());
}

#[test]
fn logits_are_written_with_and_without_steering_and_with_the_prompts_tokens() {
    let lab = tempfile::tempdir().unwrap();
    let file = lab.path().join("new/logits.safetensors");
    let path = file.display().to_string();
    let logits = |dose: &str| {
        let how = ["--dose", dose, "--layer", "2", "--tokens", "1", "--logits", &path];
        done(lab.path(), &[&["--prompt", "Vienna is in"][..], &how].concat());
        let all = candle_core::safetensors::load(&file, &candle_core::Device::Cpu).unwrap();
        let row = |name: &str| all[name].to_vec1::<f32>().unwrap();
        (all["ids"].to_vec1::<i64>().unwrap(), row("unsteered"), row("steered"))
    };
    let (ids, unsteered, steered) = logits("0 east");
    let model = Model::bundled(Precision::F32).unwrap();
    let framed = model.tokenizer.frame("Vienna is in", 0..12).unwrap();
    assert_eq!(ids, framed.encoded.ids.iter().map(|id| i64::from(*id)).collect::<Vec<_>>());
    let plan = Continuation::greedy(1);
    let ids = framed.encoded.ids;
    let first = generate(&model.transformer, &ids, &plan, &mut NoHook).unwrap();
    assert_eq!(unsteered, first.first_logits);
    assert_eq!(unsteered, steered);
    let (_, again, moved) = logits("90 east");
    assert_eq!(again, unsteered);
    assert!(moved.iter().zip(&unsteered).any(|(a, b)| (a - b).abs() > 0.5));
}

/// The answers of the interactive prompt to the given lines.
fn asked(lab: &Path, flags: &[&str], lines: &[&str]) -> Vec<String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mappa"))
        .arg("--lab")
        .arg(lab)
        .args(["steer", "--interactive", "--tokens", "8"])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    // The text before the first prompt is the help, printed at the start.
    said.split("> ").skip(1).map(|answer| answer.trim_end().to_string()).collect()
}

#[test]
fn the_interactive_prompt_takes_changes_between_texts_and_continues_after_wrong_ones() {
    let lab = tempfile::tempdir().unwrap();
    let text = |more: &[&str]| {
        let usual = ["--prompt", "Vienna is in", "--tokens", "8", "--stream"];
        let layer = if more.contains(&"--layer") { &[][..] } else { &["--layer", "2"] };
        done(lab.path(), &[&usual[..], layer, more].concat()).trim_end().to_string()
    };
    let guessed = text(&["--dose", "180 east", "--layer", "0,1,2"]);
    let (plain, east) = (text(&["--dose", "0 east"]), text(&["--dose", "180 east"]));
    let (tokyo, last) = (
        text(&["--toward", "lat=35,lon=139"]),
        text(&["--toward", "lat=35,lon=139", "--at", "last,generated"]),
    );
    assert_ne!(plain, east);
    let lines = [
        ("Vienna is in", plain.as_str()),
        ("/dose 180 east", ""),
        ("Vienna is in", &guessed),
        ("/layer 9", "0 to 5"),
        ("/layer two", "blocks with commas"),
        ("/layer 2", ""),
        ("Vienna is in", &east),
        ("/dose 30 parsecs", "a number in parsecs"),
        ("/toward mars", "lat=35,lon=139"),
        ("/at nowhere", "generated"),
        ("/wander", "/quit"),
        ("Vienna is in", &east),
        ("/toward lat=35,lon=139", ""),
        ("Vienna is in", &tokyo),
        ("/at last,generated", ""),
        ("Vienna is in", &last),
        ("/off", ""),
        ("Vienna is in", &plain),
        ("", ""),
        ("/help", "/toward"),
        ("/quit", ""),
        ("Vienna is in", "is not answered"),
    ];
    let answers = asked(lab.path(), &[], &lines.map(|(line, _)| line));
    assert_eq!(answers.len(), lines.len() - 1, "{answers:#?}");
    for ((line, expected), answer) in lines.iter().zip(&answers) {
        let is_right = if expected.is_empty() || line.starts_with("Vienna") && expected.starts_with("Vienna")
        {
            answer == expected
        } else {
            answer.contains(expected)
        };
        assert!(is_right, "`{line}` was answered by `{answer}`, not `{expected}`");
    }
    // The end of the input also ends the session; flags give the initial change.
    let answers = asked(lab.path(), &["--dose", "180 east", "--layer", "2"], &["Vienna is in"]);
    assert_eq!(answers, [east, String::new()]);
}
