//! Foreign texts in the output: for any text in a file, an answer of a server or a flag, each line of the output is
//! short and without control characters.

use super::hub_server::Hub;
use super::program::{command, mappa};
use super::root;
use std::path::Path;
use std::process::Output;

/// The greatest length of a line on standard error, in bytes.
const LINE: usize = 1600;

/// Texts that move the cursor, change colours, end lines or reverse the direction of writing, and very long texts.
fn evil() -> Vec<String> {
    let short = [
        "\u{1b}[31mred\u{1b}]0;title\u{7}",
        "a\rb",
        "a\nb\n\nc",
        "x\u{202e}y\u{2066}z",
        "\u{9b}2J\u{85}\u{7f}",
    ];
    short.into_iter().map(String::from).chain(["n".repeat(1_000_000), "\u{1b}".repeat(100_000)]).collect()
}

/// Asserts that an output has no control characters except line ends, and no very long line.
#[track_caller]
fn is_clean(output: &Output, what: &str) -> String {
    let texts = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    for text in &texts {
        let bad = text.chars().find(|c| *c != '\n' && mappa::shown::is_unprintable(*c));
        assert!(bad.is_none(), "{what}: {bad:?} in {:?}", text.chars().take(500).collect::<String>());
    }
    let longest = texts[1].lines().map(str::len).max().unwrap_or(0);
    assert!(longest <= LINE, "{what}: a line of {longest} bytes: {:?}", texts[1].chars().take(300));
    assert!(texts[1].lines().count() < 12, "{what}: {:?}", texts[1].chars().take(2000));
    assert!(output.status.code().is_some_and(|code| code <= 1), "{what}: {:?}", output.status);
    texts.concat()
}

fn copy_of_atlas(to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(root("models/atlas").join(name), to.join(name)).unwrap();
    }
}

/// A quoted cell of a CSV file.
fn cell(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[test]
fn headings_cells_and_fields_of_datasets() {
    let lab = tempfile::tempdir().unwrap();
    for evil in evil() {
        let (quoted, json) = (cell(&evil), serde_json::to_string(&evil).unwrap());
        for (name, text) in [
            ("heading.csv", format!("name,{quoted},year\nA,1,1\nB,2,2\n")),
            ("group.csv", format!("name,{},year\nA,1,1\nB,2,2\n", cell(&format!("{evil} [group]")))),
            ("target.csv", format!("name,{}\nA,1\nB,2\n", cell(&format!("{evil} [target: {evil}]")))),
            ("twice.csv", format!("name,{quoted},{quoted},year\nA,1,1,1\n")),
            ("missing.csv", format!("{quoted},b\nA,1\n")),
            ("name.csv", format!("name,year\n{quoted},1\nB,2\n")),
            ("year.csv", format!("name,year\nA,{quoted}\nB,2\n")),
            ("place.csv", format!("name,latitude,longitude\nA,{quoted},1\n")),
            ("row.csv", format!("name,year\nA,1,{quoted}\n")),
            ("object.json", format!("[{{\"name\": \"A\", {json}: 1}}]")),
            ("value.json", format!("[{{\"name\": \"A\", \"year\": {json}}}]")),
            ("broken.json", format!("[{{\"name\": {json}, ]")),
            ("line.jsonl", format!("{{\"name\": {json}, \"year\": {json}}}\n")),
            ("no.parquet", evil.clone()),
        ] {
            let file = lab.path().join(name);
            std::fs::write(&file, text).unwrap();
            let file = file.to_str().unwrap();
            is_clean(&mappa(lab.path(), &["datasets", "import", file, "--replace"]), name);
            is_clean(&mappa(lab.path(), &["extract", "--dataset", file, "--verify"]), name);
            is_clean(&mappa(lab.path(), &["extract", "--dataset", file, "--show-texts", "1"]), name);
        }
        is_clean(&mappa(lab.path(), &["datasets", "list"]), "datasets list");
    }
}

#[test]
fn configs_tokenizers_templates_and_weights_of_models() {
    let lab = tempfile::tempdir().unwrap();
    let model = lab.path().join("models/evil");
    let config = std::fs::read_to_string(root("models/atlas/config.json")).unwrap();
    let tokenizer = std::fs::read_to_string(root("models/atlas/tokenizer.json")).unwrap();
    let with = |text: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = serde_json::from_str(text).unwrap();
        change(&mut json);
        json.to_string()
    };
    for evil in evil() {
        let index = serde_json::json!({ "weight_map": { &evil: &evil } }).to_string();
        let header = serde_json::json!({ &evil: { "dtype": &evil, "shape": [1], "data_offsets": [0, 4] } })
            .to_string();
        let mut tensors = (header.len() as u64).to_le_bytes().to_vec();
        tensors.extend(header.bytes().chain([0; 4]));
        let adapter = serde_json::json!({ "peft_type": &evil, "base_model_name_or_path": &evil }).to_string();
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("config.json", with(&config, &|json| json["model_type"] = evil.clone().into()).into()),
            ("config.json", with(&config, &|json| json["hidden_act"] = evil.clone().into()).into()),
            ("config.json", with(&config, &|json| json["hidden_size"] = evil.clone().into()).into()),
            (
                "config.json",
                with(&config, &|json| json["rope_scaling"] = serde_json::json!({"rope_type": &evil})).into(),
            ),
            ("config.json", format!("{{\"model_type\": {evil}").into()),
            ("config.json", evil.clone().into()),
            ("tokenizer.json", with(&tokenizer, &|json| json["model"]["type"] = evil.clone().into()).into()),
            ("tokenizer.json", with(&tokenizer, &|json| json["version"] = evil.clone().into()).into()),
            ("tokenizer.json", evil.clone().into()),
            ("tokenizer_config.json", format!("{{\"chat_template\": 1, \"x\": {evil}").into()),
            ("chat_template.jinja", format!("{{{{ raise_exception({evil:?}) }}}}{{% {evil} %}}").into()),
            (
                "chat_template.jinja",
                format!("{{{{ raise_exception('{}') }}}}", evil.replace('\n', " ")).into(),
            ),
            ("model.safetensors.index.json", index.into()),
            ("model.safetensors", tensors),
            ("adapter_config.json", adapter.into()),
            ("generation_config.json", format!("{{\"eos_token_id\": {evil}").into()),
        ];
        for (name, bytes) in cases {
            _ = std::fs::remove_dir_all(&model);
            copy_of_atlas(&model);
            if name == "model.safetensors.index.json" {
                std::fs::remove_file(model.join("model.safetensors")).unwrap();
            }
            std::fs::write(model.join(name), bytes).unwrap();
            is_clean(&mappa(lab.path(), &["models", "inspect", "evil"]), name);
            if !name.starts_with("config") && !name.starts_with("tokenizer") {
                let args = ["generate", "--model", "evil", "--prompt", "Paris", "--tokens", "1", "--chat"];
                is_clean(&mappa(lab.path(), &args), name);
            }
        }
        std::fs::remove_dir_all(&model).unwrap();
        is_clean(&mappa(lab.path(), &["models", "list"]), "models list");
    }
}

#[test]
fn gguf_files() {
    let lab = tempfile::tempdir().unwrap();
    let text = |text: &[u8]| [&(text.len() as u64).to_le_bytes()[..], text].concat();
    for evil in evil() {
        for key in ["general.architecture", evil.as_str()] {
            let mut bytes = b"GGUF\x03\0\0\0".to_vec();
            bytes.extend([1u64.to_le_bytes(), 1u64.to_le_bytes()].concat());
            bytes.extend([text(key.as_bytes()), 8u32.to_le_bytes().to_vec(), text(evil.as_bytes())].concat());
            bytes.extend(
                [text(evil.as_bytes()), 1u32.to_le_bytes().to_vec(), 4u64.to_le_bytes().to_vec()].concat(),
            );
            bytes.extend([99u32.to_le_bytes().to_vec(), 0u64.to_le_bytes().to_vec()].concat());
            let file = lab.path().join("evil.gguf");
            std::fs::write(&file, bytes).unwrap();
            is_clean(&mappa(lab.path(), &["models", "inspect", file.to_str().unwrap()]), key);
        }
    }
}

#[test]
fn experiments_prompts_and_cards() {
    let lab = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = lab.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let towns = write("towns.csv", "name,year\nVienna,1\nOslo,2\nRome,3\n");
    for evil in evil() {
        let json = serde_json::to_string(&evil).unwrap();
        for text in [
            format!("model = {json}\ndatasets = ['towns']\n"),
            format!("model = 'atlas'\ndatasets = [{json}]\n"),
            format!("model = 'atlas'\ndatasets = [1]\n{json} = 1\n"),
            format!("model = 'atlas'\ndatasets = ['a']\nsplit = {json}\n"),
            format!("model = 'atlas'\ndatasets = ['a']\nmethod = {json}\n"),
            format!("model = 'atlas'\ndatasets = ['a']\n[prompts]\n{json} = ['x']\n"),
            evil.clone(),
        ] {
            let file = write("x.toml", &text);
            let all = is_clean(&mappa(lab.path(), &["run", &file]), "x.toml");
            assert!(
                text.starts_with("model = \"") || all.contains("x.toml") || all.contains("dataset"),
                "{all}"
            );
        }
        let prompts = write("prompts.toml", &format!("{json} = {json}\n"));
        is_clean(&mappa(lab.path(), &["extract", "--dataset", &towns, "--prompts", &prompts]), "prompts");
        for card in [format!("{{\"inputs\": {{{json}: {json}}}, \"record\": {{}}}}"), evil.clone()] {
            write("activations/atlas/towns/empty/card.json", &card);
            is_clean(&mappa(lab.path(), &["extract", "--dataset", &towns]), "card");
            write("probes/atlas/towns/empty/card.json", &card);
            is_clean(&mappa(lab.path(), &["probe", "--dataset", &towns]), "card of probes");
        }
    }
}

#[test]
fn answers_of_a_server() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::exactly(&[]);
    let pull = || {
        let mut command = command(cache.path(), &["models", "pull", "lab/tiny"]);
        command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HUB_CACHE", cache.path()).env("NO_PROXY", "*");
        command.output().unwrap()
    };
    for evil in evil() {
        let commit = super::hub_server::COMMIT;
        for listing in [
            serde_json::json!({ "sha": &evil }).to_string(),
            serde_json::json!({ "sha": commit, "siblings": [{ "rfilename": &evil }] }).to_string(),
            serde_json::json!({ "sha": commit, "siblings": &evil }).to_string(),
            evil.clone(),
        ] {
            hub.state().listing = Some(listing);
            is_clean(&pull(), "listing");
        }
    }
}

#[test]
fn flags_that_were_pasted() {
    let lab = tempfile::tempdir().unwrap();
    for evil in evil().into_iter().map(|text| text.chars().take(20_000).collect::<String>()) {
        for args in [
            &["extract", "--dataset", &evil][..],
            &["extract", "--dataset", "art", "--hook-points", &evil],
            &["extract", "--dataset", "art", "--read", &evil],
            &["extract", "--dataset", "art", "--model", &evil],
            &["steer", "--prompt", "x", "--dose", &evil],
            &["steer", "--prompt", "x", "--at", &evil],
            &["probe", "--dataset", "art", "--split", &evil],
            &["models", "inspect", &evil],
            &["figure", "--model", &evil],
            &[&evil],
        ] {
            let mut command = command(lab.path(), args);
            is_clean(&command.env("HF_HUB_OFFLINE", "1").output().unwrap(), args[0]);
        }
    }
}

#[test]
fn secrets_of_addresses_are_neither_shown_nor_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (lab, store) = (folder.path().join("lab"), folder.path().join("store"));
    std::fs::create_dir_all(&lab).unwrap();
    std::fs::create_dir_all(&store).unwrap();
    std::fs::write(lab.join("towns.csv"), "name,year\nVienna,1\nOslo,2\nRome,3\n").unwrap();
    let towns = lab.join("towns.csv");
    let address = format!("file://KEY:SECRET@localhost{}", store.display());
    for address in
        [&*address, "s3://KEY:SECRET@bucket/x?sig=SECRET", "x://KEY:SECRET@bucket", "s3://KEY:SEC/RET@"]
    {
        let mut command = command(&lab, &["extract", "--dataset", towns.to_str().unwrap(), "--verify"]);
        let output =
            command.env("MAPPA_ACTIVATIONS", address).env("AWS_ENDPOINT", "http://127.0.0.1:1").output();
        let output = output.unwrap();
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8(all).unwrap();
        assert!(!all.contains("SECRET") && !all.contains("RET@"), "{all}");
    }
    // The command line in a card.
    let args = ["datasets", "import", towns.to_str().unwrap(), "--unit", "https://me:SECRET@x/?sig=SECRET"];
    let args = [&args[..], &["--target", "year", "--name", "kept"]].concat();
    assert!(mappa(&lab, &args).status.success());
    let card = std::fs::read_to_string(lab.join("datasets/kept.json")).unwrap();
    let command = card.lines().find(|line| line.contains("\"command\"")).unwrap();
    assert!(command.contains("https://***@x/?***") && !command.contains("SECRET"), "{command}");
}

/// Malformed addresses with the secret `SECRET` or `SEC/RET`.
const MISSPELT: [&str; 17] = [
    "s3:/KEY:SECRET@bucket",
    "s3//KEY:SECRET@bucket",
    "KEY:SECRET@host/x",
    "htp:/me:SECRET@host/x",
    "https:\\\\me:SECRET@host",
    "s3://KEY:SECRET",
    "s3:///KEY:SEC/RET@bucket/x",
    "https://host/x#token=SECRET",
    "host/x?sig=SECRET",
    "x://host/x?SECRET",
    "host/x&token=SECRET",
    "host/x;sig=SECRET",
    "host/x%3Ftoken=SECRET",
    "host/x%253Ftoken%253DSECRET",
    "me%3ASECRET%40host",
    "https://me:\"SECRET@host",
    "hf_SECRET@hub.example/x",
];

#[test]
fn secrets_of_misspelt_addresses_are_neither_shown_nor_stored() {
    let lab = tempfile::tempdir().unwrap();
    std::fs::write(lab.path().join("towns.csv"), "name,year\nVienna,1\nOslo,2\nRome,3\n").unwrap();
    let towns = lab.path().join("towns.csv");
    let towns = towns.to_str().unwrap();
    let is_hidden = |output: &Output, what: &str| {
        let all = String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).unwrap();
        assert!(!all.contains("SECRET") && !all.contains("RET@"), "{what}: {all}");
    };
    for address in MISSPELT.into_iter().chain(["SECRET@host", "host?SECRET", "host#SECRET", "KEY:SECRET"]) {
        for (name, args) in [
            ("MAPPA_ACTIVATIONS", &["extract", "--dataset", towns, "--verify"][..]),
            ("HF_ENDPOINT", &["extract", "--model", "some/repo", "--dataset", towns]),
        ] {
            let mut command = command(lab.path(), args);
            command.env("HF_HUB_CACHE", lab.path()).env("AWS_ENDPOINT", "http://127.0.0.1:1");
            command.env("HF_HUB_OFFLINE", "1");
            is_hidden(&command.env(name, address).output().unwrap(), &format!("{name}={address}"));
        }
    }
    for address in MISSPELT {
        for args in [
            &["extract", "--dataset", address][..],
            &["extract", "--dataset", towns, "--model", address],
            &["figure", "--model", address],
            &["run", address],
            &["steer", "--prompt", "x", "--dose", address],
            &["probe", "--no-such-flag", address],
            &[address],
            &["datasets", "pull", "paper", "--from", address],
        ] {
            let mut command = command(lab.path(), args);
            let output = command.env("HF_HUB_OFFLINE", "1").env("NO_PROXY", "*").output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{args:?}");
            is_hidden(&output, &format!("{args:?}"));
        }
        let args = ["datasets", "import", towns, "--unit", address, "--target", "year", "--name", "kept"];
        assert!(mappa(lab.path(), &[&args[..], &["--replace"]].concat()).status.success());
        let card = std::fs::read_to_string(lab.path().join("datasets/kept.json")).unwrap();
        let command = card.lines().find(|line| line.contains("\"command\"")).unwrap();
        assert!(!command.contains("SECRET") && !command.contains("RET@"), "{command}");
    }
}

#[test]
fn an_error_in_the_flags_is_one_line_that_names_the_help() {
    let lab = tempfile::tempdir().unwrap();
    let evil = "x\n\nUsage: y\n\nFor more information z";
    for (args, parts) in [
        (&["probe", "--foo"][..], &["'--foo'", "see `mappa probe --help`"][..]),
        (&["prob"], &["tip: a similar subcommand exists: 'probe'", "see `mappa --help`"]),
        (&["extract"], &["--dataset <NAME|FILE>", "see `mappa extract --help`"]),
        (&["steer", "sweep", "--target", "x"], &["--doses", "see `mappa steer sweep --help`"]),
        (&["figure", "none"], &["possible values: predictions", "see `mappa figure --help`"]),
        (&["probe", "--resamples", "-1"], &["'-1'", "whole number"]),
        (&["generate", "--prompt", "x", "--tokens", "many"], &["'many'", "whole number"]),
        (&["generate", "--prompt", "x", "--temperature", "warm"], &["'warm'", "expected a number"]),
        (&["generate", "--prompt", "x", "--temperature", "-1"], &["temperature: found -1", "positive"]),
        (&["datasets", "import"], &["<FILE>", "see `mappa datasets import --help`"]),
        (&[evil], &["x\\n\\nUsage: y", "For more information z", "see `mappa --help`"]),
        (&["probe", "--split", evil], &["see `mappa probe --help`"]),
    ] {
        let output = mappa(lab.path(), args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(error.starts_with("error: ") && error.lines().count() == 1, "{args:?}: {error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{args:?}: {error}");
    }
    for page in [&["--help"][..], &["probe", "--help"], &["--version"], &["datasets"]] {
        let output = mappa(lab.path(), page);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(text.starts_with("mappa 0") || text.contains("\n\nUsage: mappa"), "{page:?}: {text}");
    }
}

#[test]
#[cfg(unix)]
fn a_lab_that_cannot_be_written_names_the_flag_for_another() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (lab, file) = (folder.path().join("lab"), folder.path().join("towns.csv"));
    std::fs::write(&file, "name,year\nVienna,1\nOslo,2\nRome,3\n").unwrap();
    std::fs::create_dir(&lab).unwrap();
    std::fs::set_permissions(&lab, std::fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write everywhere.
    if std::fs::write(lab.join("x"), "").is_ok() {
        return;
    }
    let output = mappa(&lab, &["datasets", "import", file.to_str().unwrap()]);
    super::program::refused(output, &["Permission denied", "--lab DIR"]);
}
