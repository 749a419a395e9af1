//! The flags about texts, through the command itself: shown, extracted, left out, and run.

use super::program::{mappa, refused};
use super::root;
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use std::process::Output;

/// The output of a command that must succeed.
fn done(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// A lab with a dataset of towns in rounds of ten; the cell of the column `land` is empty in rows 2 and 5.
fn towns(lab: &Path, n_rounds: usize) -> PathBuf {
    let file = lab.join("towns.csv");
    let mut rows = String::from("name,country,latitude,longitude,is_test\n");
    let names = ["Oslo", "Rome", "Lima", "Nairobi", "Tunis", "Athens", "Warsaw", "Cairo", "Paris", "Bergen"];
    for i in 0..10 * n_rounds {
        let name = format!("{}{}", ["", "New ", "Old "][i / 10], names[i % 10]);
        let land = if [1, 4].contains(&i) { "" } else { ["North", "South"][i % 2] };
        rows += &format!("{name},{land},{i},{},{}\n", 2 * i, i % 4 == 0);
    }
    std::fs::write(&file, rows).unwrap();
    file
}

fn shape(file: &Path) -> Vec<usize> {
    let bytes = std::fs::read(file).unwrap();
    SafeTensors::deserialize(&bytes).unwrap().tensor("activations").unwrap().shape().to_vec()
}

/// A column of a CSV file.
fn column(file: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let at = reader.headers().unwrap().iter().position(|column| column == name).unwrap();
    reader.records().map(|row| row.unwrap()[at].to_string()).collect()
}

#[test]
fn unplaced_entities_are_an_error_or_are_left_out_and_listed() {
    let lab = tempfile::tempdir().unwrap();
    let file = towns(lab.path(), 3);
    let dataset = file.to_str().unwrap();
    let args = ["extract", "--dataset", dataset, "--prompt", "{}, {country}"];
    let parts = [
        "towns: row 2",
        "`Rome`",
        "`country` is empty",
        "1 more cannot be placed",
        "rows 5",
        "--skip-unplaced",
    ];
    refused(mappa(lab.path(), &args), &parts);
    assert!(!lab.path().join("activations").exists());
    let (_, told) = done(&mappa(lab.path(), &[&args[..], &["--skip-unplaced"]].concat()));
    assert!(told.contains("2 entities left out") && told.contains("unplaced.csv"), "{told}");
    let folder = std::fs::read_dir(lab.path().join("activations/atlas/towns"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert_eq!(shape(&folder.join("blocks.5.hook_resid_post.safetensors")), [28, 128]);
    let rows: Vec<String> = (1..=30).filter(|row| ![2, 5].contains(row)).map(|row| row.to_string()).collect();
    assert_eq!(column(&folder.join("spans.csv"), "row"), rows);
    let unplaced = folder.join("unplaced.csv");
    assert_eq!(column(&unplaced, "row"), ["2", "5"]);
    assert_eq!(column(&unplaced, "text"), ["{}, {country}"; 2]);
    assert_eq!(column(&unplaced, "problem"), ["its column `country` is empty"; 2]);
    // The probe predicts the recorded rows, and names them by their entities.
    done(&mappa(
        lab.path(),
        &["probe", "--dataset", dataset, "--prompt", "{}, {country}", "--skip-unplaced", "--resamples", "5"],
    ));
    let name = folder.file_name().unwrap();
    let predictions = lab.path().join("probes/atlas/towns").join(name).join("predictions.csv");
    let read = column(&predictions, "name");
    assert!(read.contains(&"Paris".to_string()) && !read.contains(&"Tunis".to_string()), "{read:?}");
    // Without the flag, the omission is not ignored: the store of fewer entities has another card.
    refused(mappa(lab.path(), &args), &["n_entities_left_out 2"]);
}

#[test]
fn texts_are_shown_and_nothing_is_written() {
    let lab = tempfile::tempdir().unwrap();
    let file = towns(lab.path(), 1);
    let args = ["extract", "--dataset", file.to_str().unwrap(), "--show-texts", "2", "--prompt"];
    let (shown, _) = done(&mappa(lab.path(), &[&args[..], &["Where is {}? It is {latitude}"]].concat()));
    for part in [
        "10 texts",
        "BOS: <|text|>",
        "row 1: Oslo",
        "Where is Oslo? It is 0",
        "Ġis [Ġ",
        "read at token",
        "the model does not see the tokens after it",
        "row 2: Rome",
    ] {
        assert!(shown.contains(part), "`{part}` is not in: {shown}");
    }
    assert!(!shown.contains("row 3"), "{shown}");
    let (shown, _) = done(&mappa(lab.path(), &[&args[..], &["{}, {country}"]].concat()));
    assert!(
        shown.contains("2 of 10 entities have no tokens of their own") && shown.contains("row 5: \"Tunis\""),
        "{shown}"
    );
    assert!(!lab.path().join("activations").exists());
}

#[test]
fn a_file_of_prompts_fills_one_folder_per_prompt() {
    let lab = tempfile::tempdir().unwrap();
    let file = towns(lab.path(), 1);
    let prompts = lab.path().join("prompts.toml");
    std::fs::write(&prompts, "where = \"Where is {}?\"\ncoords = 'coords'\nnoise = 'random:5'\n").unwrap();
    let args = ["extract", "--dataset", file.to_str().unwrap(), "--prompts", prompts.to_str().unwrap()];
    let (said, told) = done(&mappa(lab.path(), &args));
    assert_eq!(said.matches("extracted: 10 entities").count(), 3, "{said}");
    assert!(told.contains("BOS <|text|>"), "{told}");
    let folder = lab.path().join("activations/atlas/towns");
    let card = |name: &str| std::fs::read_to_string(folder.join(name).join("card.json")).unwrap();
    assert!(card("where").contains(r#""prompt": "Where is {}?""#), "{}", card("where"));
    assert!(card("coords").contains("lat/lon"));
    assert!(card("noise").contains("10 random tokens (seed 5)"));
    assert!(card("noise").contains(r#""bos": "<|text|>""#));
    let (said, _) = done(&mappa(lab.path(), &args));
    assert_eq!(said.matches("found, extracted before").count(), 3, "{said}");
    // A name of another prompt is refused because of the card.
    std::fs::write(&prompts, "where = \"Where's {}\"\n").unwrap();
    refused(mappa(lab.path(), &args), &["card.json", "prompt Where is {}?", "now Where's {}"]);
    refused(mappa(lab.path(), &[&args[..], &["--prompt", "x"]].concat()), &["--prompts"]);
}

#[test]
fn every_setting_has_its_own_folder_and_card() {
    let lab = tempfile::tempdir().unwrap();
    let model = root("tests/fixtures/runs/pythia");
    let args = ["extract", "--model", model.to_str().unwrap(), "--dataset", "nyc_place"];
    let with = |more: &[&str]| mappa(lab.path(), &[&args[..], more].concat());
    for more in
        [&[][..], &["--bos", "always"], &["--bos", "never", "--names", "paper"], &["--prompt", "where_nyc"]]
    {
        done(&with(more));
    }
    let folder = lab.path().join("activations/pythia/nyc_place");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["empty", "empty-bos_always", "empty-paper_names-bos_never", "where_nyc"]);
    let first =
        |name: &str| column(&folder.join(name).join("spans.csv"), "position")[0].parse::<usize>().unwrap();
    assert_eq!(first("empty-bos_always"), first("empty") + 1);
    let card = std::fs::read_to_string(folder.join("empty-bos_always/card.json")).unwrap();
    assert!(card.contains(r#""bos": "<|endoftext|>""#), "{card}");
    refused(with(&["--bos", "perhaps"]), &["as-model, always or never"]);
    refused(with(&["--chat"]), &["a model without a chat template", "chat_template.jinja"]);
    refused(with(&["--chat-date", "2024-01-01"]), &["--chat"]);
    refused(with(&["--prompt", "release"]), &["`release` for `nyc_place`", "where_nyc"]);
    refused(with(&["--prompt", "{borough}"]), &["`{borough}`", "{borough_name}"]);
    refused(with(&["--prompt", "{} {"]), &["braces in pairs"]);
}

/// The run's fixture with a chat template added.
fn chatty(lab: &Path) -> PathBuf {
    let (from, to) = (root("tests/fixtures/runs/pythia"), lab.join("models/chatty"));
    std::fs::create_dir_all(&to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\nmodel:{% endfor %} {{ strftime_now('%Y') }}";
    std::fs::write(to.join("chat_template.jinja"), template).unwrap();
    to
}

#[test]
fn an_experiment_sets_the_texts_and_a_misspelt_field_is_refused() {
    let lab = tempfile::tempdir().unwrap();
    let model = chatty(lab.path());
    let file = lab.path().join("one.toml");
    let run = |more: &str| {
        let text = format!("model = {model:?}\ndatasets = [\"nyc_place\"]\nresamples = 5\n{more}\n");
        std::fs::write(&file, text).unwrap();
        mappa(lab.path(), &["run", file.to_str().unwrap()])
    };
    let fields = "prompt = \"where_nyc\"\nnames = \"paper\"\nchat = true\nchat_date = \"2025-01-31\"\nbos = \"always\"\nskip_unplaced = true";
    done(&run(fields));
    let name = "where_nyc-paper_names-chat_2025-01-31-bos_always";
    let card = lab.path().join("activations/chatty/nyc_place").join(name).join("card.json");
    let card = std::fs::read_to_string(card).unwrap();
    for part in [
        "chat_template_sha256",
        r#""chat_date": "2025-01-31""#,
        r#""bos": "<|endoftext|>""#,
        "Where in New York City",
    ] {
        assert!(card.contains(part), "`{part}` is not in: {card}");
    }
    assert!(lab.path().join("probes/chatty/nyc_place").join(name).join("scores.csv").is_file());
    assert!(lab.path().join("figures/chatty").join(name).join("r2_by_layer.svg").is_file());
    let drawn =
        mappa(lab.path(), &["figure", "--model", "chatty", "--dataset", "nyc_place", "--prompt", name]);
    assert!(done(&drawn).0.contains(name));
    for (more, part) in [
        ("bosh = \"always\"", "bosh"),
        ("bos = \"sometimes\"", "sometimes"),
        ("names = \"mine\"", "mine"),
        ("chat = \"yes\"", "chat"),
        ("chat_date = \"31 January\"", "2024-07-26"),
        ("prompt = \"coords\"", "`coords` for `nyc_place`"),
        ("prompt = \"random\"\nchat = true", "random tokens"),
    ] {
        refused(run(more), &[part]);
    }
}

#[test]
fn a_prompt_that_repeats_bos_is_noted_once() {
    let lab = tempfile::tempdir().unwrap();
    let file = towns(lab.path(), 1);
    let prompt = "<|text|>Where is {}?";
    let args = ["extract", "--dataset", file.to_str().unwrap(), "--show-texts", "1", "--prompt"];
    let (_, notes) = done(&mappa(lab.path(), &[&args[..], &[prompt]].concat()));
    assert_eq!(notes.matches("the model receives two").count(), 1, "{notes}");
    let (_, notes) = done(&mappa(lab.path(), &[&args[..], &["Where is {}?"]].concat()));
    assert!(!notes.contains("note:"), "{notes}");
    // The dose is 0, but the text is still tokenised.
    let steer = ["steer", "--tokens", "1", "--layer", "3", "--dose", "0 east", "--prompt", prompt];
    let notes = String::from_utf8(mappa(lab.path(), &steer).stderr).unwrap();
    assert_eq!(notes.matches("the model receives two").count(), 1, "{notes}");
}
