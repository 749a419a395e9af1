//! Sweeps of the bundled model: joined layers, historical ages, a kill, and the effect of steering on the text's
//! answer.

use mappa::datasets::bundled;
use mappa::hook_point::HookPoint;
use mappa::model::{Continuation, Model, Precision, generate};
use mappa::probes::ProbeSet;
use mappa::progress::Silent;
use mappa::results::{SweepRow, load_rows};
use mappa::steering::{
    Basis, DoseSweep, Gazetteer, LayerSet, Op, SteerHook, SteerHooks, SweepDirection, TokenChoice,
    TokenPositions, sweep,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn probes(dataset: &str) -> ProbeSet {
    ProbeSet::load(&super::root(&format!("probes/atlas/{dataset}/empty/probes.safetensors"))).unwrap()
}

/// A sweep of places with these prompts and eight tokens, without random directions.
fn plan<'a>(
    probes: &'a ProbeSet,
    layers: &'a LayerSet,
    doses: &'a [f64],
    prompts: &'a [String],
) -> DoseSweep<'a> {
    DoseSweep {
        kind: "place",
        probes,
        target: "longitude",
        layers,
        directions: &[SweepDirection::Probe(Basis::Pattern)],
        doses,
        prompts,
        parts: &[],
        at: TokenChoice::Prompt,
        n_random: 0,
        n_tokens: 8,
        names: None,
        gazetteer: None,
    }
}

fn countries() -> Gazetteer {
    Gazetteer::of_column(&bundled("world_place").unwrap(), "country").unwrap()
}

#[test]
fn joined_layers_equal_one_change_after_each_of_them() {
    let model = Model::bundled(Precision::F32).unwrap();
    let (probes, gazetteer, layers) = (probes("world_place"), countries(), "1+3".parse().unwrap());
    let prompt = "Vienna is in".to_string();
    let plan = DoseSweep {
        gazetteer: Some(&gazetteer),
        ..plan(&probes, &layers, &[0.0, 90.0], std::slice::from_ref(&prompt))
    };
    let rows = sweep(&model, &plan, &mut Silent).unwrap();
    assert!(rows.iter().all(|row| row.layers == "1+3"));
    assert_eq!(rows.iter().filter(|row| row.dose == 90.0).count(), 5, "predictions at layers 1 to 5");

    let framed = model.tokenizer.frame(&prompt, 0..prompt.len()).unwrap();
    let one = |layer: usize| {
        let point = HookPoint::ResidPost(layer);
        let op = Op::shift_along(Basis::Pattern, probes.get(point).unwrap(), &[0.0, 90.0]).unwrap();
        let positions = TokenPositions::new(&TokenChoice::Prompt, &framed).unwrap();
        SteerHook::new(model.spec(), point, op, positions).unwrap()
    };
    let end = framed.encoded.ids[0];
    let continuation = Continuation { ends: vec![end], ..Continuation::greedy(8) };
    let text = |steers: Vec<SteerHook>| {
        let written =
            generate(&model.transformer, &framed.encoded.ids, &continuation, &mut SteerHooks(steers))
                .unwrap();
        model.tokenizer.decode(written.new_ids()).unwrap()
    };
    let swept = |dose: f64| rows.iter().find(|row| row.dose == dose).unwrap().text.clone();
    assert_eq!(swept(0.0), text(vec![]));
    assert_eq!(swept(90.0), text(vec![one(1), one(3)]));
    assert_ne!(swept(90.0), text(vec![one(3)]), "the first layer has an effect as well");
}

/// The bundled model in its own folder, with a generation_config.json that ends texts at these tokens.
fn ending_at(folder: &Path, ends: serde_json::Value) -> Model {
    let folder = folder.join("atlas");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(super::root("models/atlas").join(name), folder.join(name)).unwrap();
    }
    let config = serde_json::json!({ "eos_token_id": ends });
    std::fs::write(folder.join("generation_config.json"), config.to_string()).unwrap();
    Model::load(&folder, Precision::F32).unwrap()
}

#[test]
fn texts_end_at_the_end_tokens_of_the_models_files() {
    let (lab, plain) = (tempfile::tempdir().unwrap(), Model::bundled(Precision::F32).unwrap());
    let prompt = "Vienna is in".to_string();
    let ids = plain.tokenizer.encode(&prompt).unwrap().ids;
    let greedy = || Continuation::greedy(8).until_end(plain.tokenizer.end_tokens());
    let whole = generate(&plain.transformer, &ids, &greedy(), &mut SteerHooks(vec![])).unwrap();
    let new = whole.new_ids().to_vec();
    let n = (1..new.len()).find(|n| !new[..*n].contains(&new[*n])).unwrap();
    for ends in [serde_json::json!(new[n]), serde_json::json!([287, new[n]])] {
        let model = ending_at(lab.path(), ends);
        let continuation = Continuation::greedy(8).until_end(model.tokenizer.end_tokens());
        let text = generate(&model.transformer, &ids, &continuation, &mut SteerHooks(vec![])).unwrap();
        assert_eq!((text.new_ids(), text.written_ids(), text.is_ended), (&new[..=n], &new[..n], true));
        let (probes, gazetteer, layers) = (probes("world_place"), countries(), "1".parse().unwrap());
        let plan = DoseSweep {
            gazetteer: Some(&gazetteer),
            ..plan(&probes, &layers, &[0.0, 1.0], std::slice::from_ref(&prompt))
        };
        let rows = sweep(&model, &plan, &mut Silent).unwrap();
        let swept = &rows.iter().find(|row| row.dose == 0.0).unwrap().text;
        assert_eq!(*swept, model.tokenizer.decode(&new[..n]).unwrap());
    }
}

#[test]
fn a_joined_dose_moves_predictions_at_each_layer_and_a_missing_layer_is_refused() {
    let model = Model::bundled(Precision::F32).unwrap();
    let (probes, gazetteer, prompts) = (probes("world_place"), countries(), ["Athens is in".to_string()]);
    let reading = |layers: &str, dose: f64, at: usize| {
        let layers = layers.parse().unwrap();
        let plan =
            DoseSweep { gazetteer: Some(&gazetteer), ..plan(&probes, &layers, &[0.0, 40.0], &prompts) };
        let rows = sweep(&model, &plan, &mut Silent).unwrap();
        rows.iter().find(|row| row.dose == dose && row.read_layer == at).unwrap().reading
    };
    // The prediction at the first layer moves by the dose; at the second layer it keeps that change and moves by
    // the dose again.
    assert!((reading("2+3", 40.0, 2) - reading("2+3", 0.0, 2) - 40.0).abs() < 1e-2);
    let (joined, alone) = (reading("2+3", 40.0, 3), reading("2", 40.0, 3));
    assert!((joined - alone - 40.0).abs() < 1e-2, "{joined} {alone}");
    let layers = "2+6".parse().unwrap();
    let error = sweep(
        &model,
        &DoseSweep { gazetteer: Some(&gazetteer), ..plan(&probes, &layers, &[0.0], &prompts) },
        &mut Silent,
    );
    assert!(error.unwrap_err().to_string().contains("0 to 5"));
}

/// Cities of the test split that were not used to choose the layers, as in probes/atlas_steering.toml.
const HELD_OUT: [&str; 17] = [
    "Tromso",
    "Turku",
    "Aalborg",
    "Kharkiv",
    "Saint Petersburg",
    "Nizhny Novgorod",
    "Murmansk",
    "The Hague",
    "Utrecht",
    "Innsbruck",
    "Plzen",
    "Kosice",
    "Podgorica",
    "Durres",
    "Banja Luka",
    "Edirne",
    "Limerick",
];

/// A cell of the table in docs/steering.md: the numbers of texts that name a country further east, further west, and
/// none, with the mean divergence.
struct Cell {
    east: usize,
    west: usize,
    none: usize,
    kl: f64,
}

fn cell(rows: &[SweepRow], direction: &str, dose: f64) -> Cell {
    let last = rows.iter().map(|row| row.read_layer).max().unwrap();
    let at = |wanted: f64| {
        move |row: &&SweepRow| row.read_layer == last && row.direction == direction && row.dose == wanted
    };
    let named: BTreeMap<&str, f64> =
        rows.iter().filter(at(0.0)).map(|row| (row.prompt.as_str(), row.named_value.unwrap())).collect();
    let (mut cell, mut n) = (Cell { east: 0, west: 0, none: 0, kl: 0.0 }, 0.0);
    for row in rows.iter().filter(at(dose)) {
        let by = row
            .named_value
            .map(|value| (value - named[row.prompt.as_str()] + 540.0).rem_euclid(360.0) - 180.0);
        cell.east += usize::from(by.is_some_and(|by| by > 0.0));
        cell.west += usize::from(by.is_some_and(|by| by < 0.0));
        cell.none += usize::from(by.is_none());
        (cell.kl, n) = (cell.kl + row.kl, n + 1.0);
    }
    Cell { kl: cell.kl / n, ..cell }
}

#[test]
fn moving_european_cities_east_at_three_layers_moves_the_named_country() {
    let model = Model::bundled(Precision::F32).unwrap();
    let (probes, gazetteer, layers) = (probes("world_place"), countries(), "0+1+2".parse().unwrap());
    let prompts: Vec<String> = HELD_OUT.iter().map(|city| format!("{city} is in")).collect();
    let doses = [0.0, 30.0, 60.0, 90.0];
    let plan = DoseSweep { gazetteer: Some(&gazetteer), ..plan(&probes, &layers, &doses, &prompts) };
    let whole = DoseSweep { n_random: 2, n_tokens: 12, ..plan };
    let rows = sweep(&model, &whole, &mut Silent).unwrap();
    let cells = [30.0, 60.0, 90.0].map(|dose| cell(&rows, "probe", dose));
    assert!(cells[1].east >= 10 && cells[2].east >= 12, "most move east");
    assert!(cells.iter().all(|cell| cell.west <= 1), "at most one moves west");
    // Random directions, two for each city, have much smaller effects.
    assert!([30.0, 60.0, 90.0].map(|dose| cell(&rows, "random", dose).east).iter().all(|east| *east < 12));
    // The docs have the computed values.
    let words = cells.map(|c| format!("**{}** / {} / {} ({:.1})", c.east, c.west, c.none, c.kl));
    let line = format!("| 0+1+2 | pattern | 17 held out | {} |", words.join(" | "));
    let docs = std::fs::read_to_string(super::root("docs/steering.md")).unwrap();
    assert!(docs.contains(&line), "docs/steering.md lacks: {line}");
    let experiment = std::fs::read_to_string(super::root("probes/atlas_steering.toml")).unwrap();
    assert!(HELD_OUT.iter().all(|city| experiment.contains(&format!("\"{city}\""))));
}

fn command(lab: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mappa"));
    command.arg("--lab").arg(lab).args(["steer", "sweep"]).args(args);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A lab with the bundled model's probes.
fn lab() -> tempfile::TempDir {
    let lab = tempfile::tempdir().unwrap();
    for dataset in ["world_place", "historical_figure"] {
        let file = format!("probes/atlas/{dataset}/empty/probes.safetensors");
        std::fs::create_dir_all(lab.path().join(&file).parent().unwrap()).unwrap();
        std::fs::copy(super::root(&file), lab.path().join(&file)).unwrap();
    }
    lab
}

/// Waits until a layer's rows are saved.
fn wait_for_a_layer(child: &mut Child, folder: &Path) {
    let started = Instant::now();
    while std::fs::read_dir(folder).map_or(0, |files| files.filter(|f| is_layer(f.as_ref().unwrap())).count())
        == 0
    {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        assert!(started.elapsed() < Duration::from_secs(120), "no layer is done");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn is_layer(file: &std::fs::DirEntry) -> bool {
    file.path().extension().is_some_and(|ending| ending == "csv")
}

#[test]
fn a_dose_a_prompt_or_a_layer_given_twice_is_refused_before_any_work() {
    let lab = lab();
    let base = ["--target=year", "--dataset=historical_figure", "--random=1"];
    for (more, named) in [
        (["--doses=0,5,-0", "--prompts=Plutarch", "--layers=1"], "doses: found `0` twice"),
        (
            ["--doses=0,5", "--prompts=Plutarch,Dante,Plutarch", "--layers=1"],
            "prompts: found `Plutarch` twice",
        ),
        (["--doses=0,5", "--prompts=Plutarch", "--layers=0+1,2,0+1"], "layers: found `0+1` twice"),
    ] {
        let output =
            command(lab.path(), &[&base[..], &more].concat()).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && error.contains(named), "{more:?}: {error}");
    }
    assert!(!lab.path().join("steering").exists());
}

#[test]
fn a_killed_sweep_of_eras_ends_with_the_same_bytes() {
    let args = [
        "--target=year",
        "--dataset=historical_figure",
        "--doses=-400,0,400",
        "--prompts=Plutarch,Avicenna,Dante Alighieri",
        "--template={} is from the age of",
        "--read=age",
        "--names=age=baroque",
        "--layers=0,1,0+1,2,3,0+1+2",
        "--random=1",
    ];
    let (whole, killed) = (lab(), lab());
    assert!(command(whole.path(), &args).status().unwrap().success());
    let sweep = |lab: &Path| lab.join("steering/atlas/year");
    let mut child = command(killed.path(), &args).spawn().unwrap();
    wait_for_a_layer(&mut child, &sweep(killed.path()).join("layers"));
    child.kill().unwrap();
    child.wait().unwrap();
    let layers = std::fs::read_dir(sweep(killed.path()).join("layers")).unwrap();
    let n_done = layers.filter(|file| is_layer(file.as_ref().unwrap())).count();
    assert!(!sweep(killed.path()).join("sweep.csv").exists(), "it was killed before its end");
    println!("killed with {n_done} of 6 layers done");
    assert!(command(killed.path(), &args).status().unwrap().success());
    for file in
        ["sweep.csv", "dose_response.svg", "dose_by_layer.svg", "effect_by_kl.svg", "text_by_dose.svg"]
    {
        let bytes = |lab: &Path| std::fs::read(sweep(lab).join(file)).unwrap();
        assert!(bytes(killed.path()) == bytes(whole.path()), "{file} differs");
    }
    let rows: Vec<SweepRow> = load_rows(&sweep(whole.path()).join("sweep.csv")).unwrap();
    for row in rows.iter().filter(|row| row.dose == 0.0) {
        assert!(row.named_value.is_some(), "{row:?}");
        assert!(row.names_log_prob.unwrap() < 0.0 && row.perplexity.unwrap() >= 1.0, "{row:?}");
    }
    let age = |prompt: &str| rows.iter().find(|row| row.prompt.starts_with(prompt)).unwrap().named.clone();
    assert_eq!((age("Avicenna"), age("Dante")), ("crusade".into(), "plague".into()));
}
