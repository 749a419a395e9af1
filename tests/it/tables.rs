//! Tables of other programs: parsed as by pandas with stated options, or refused with advice.

use super::root;
use mappa::datasets::{Dataset, ImportPlan, IncompleteRows, TargetChoice, load};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture(name: &str) -> PathBuf {
    root("tests/fixtures/import/tables").join(name)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_string()).collect()
}

/// A file in its own folder.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(name: &str, text: &str) -> mappa::Result<Dataset> {
    load(&file(name, text.as_bytes()).1)
}

fn holds(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

/// A plan with one column for the target and one for the names.
fn import(path: &Path, (entity, target): (&str, &str)) -> Dataset {
    let target = TargetChoice::Quantity { column: target.into(), unit: String::new() };
    let (entity, incomplete) = (Some(entity.into()), IncompleteRows::LeftOut);
    let plan = ImportPlan { name: "own".into(), entity, target, incomplete, ..ImportPlan::default() };
    plan.read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).dataset
}

#[test]
fn cells_equal_those_of_pandas() {
    let all: Value = serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    let (mut n_numbers, mut n_texts) = (0, 0);
    for (name, expected) in all.as_object().unwrap() {
        let columns = texts(&expected["columns"]);
        let rows: Vec<Vec<String>> = expected["rows"].as_array().unwrap().iter().map(texts).collect();
        let column = |place: usize| -> Vec<&str> { rows.iter().map(|row| row[place].as_str()).collect() };
        let number = |cell: &&str| cell.parse::<f64>().ok();
        let is_number = |place: &usize| {
            let cells = column(*place);
            cells.iter().all(|cell| cell.is_empty() || number(cell).is_some()) && cells.concat() != ""
        };
        let (numbers, others): (Vec<usize>, Vec<usize>) = (0..columns.len()).partition(is_number);
        let entity = &columns[others[0]];
        for place in numbers {
            let values: Vec<f64> = column(place).iter().filter_map(number).collect();
            if values.iter().all(|value| *value == values[0]) {
                continue;
            }
            let dataset = import(&fixture(name), (entity, &columns[place]));
            assert_eq!(dataset.targets(), [values], "{name}: {}", columns[place]);
            n_numbers += 1;
            let kept: Vec<&Vec<String>> = rows.iter().filter(|row| !row[place].is_empty()).collect();
            for other in &others {
                let at = dataset.table.column(&columns[*other]).expect(&columns[*other]);
                for (row, expected) in kept.iter().zip(1..).map(|(row, n)| (n, &row[*other])) {
                    assert_eq!(dataset.table.cell(row, at), Some(expected.trim()), "{name}: row {row}");
                    n_texts += 1;
                }
            }
            assert_eq!(dataset.table.columns().len(), columns.len(), "{name}");
        }
    }
    assert!(n_numbers >= 20 && n_texts >= 60, "{n_numbers} columns of numbers and {n_texts} texts compared");
}

#[test]
fn a_file_of_each_format_loads_directly_as_a_dataset() {
    for (name, text) in [
        ("p.csv", "Place Name,LAT,Lng\nOslo,59.9,10.7\nRome,41.9,12.5\n"),
        ("p.CSV", "sep=;\r\nplace;latitude;long\r\nOslo;59,9;10,7\r\nRome;41,9;12,5\r\n"),
        ("p.Tsv", "city\tlat\tlon\nOslo\t59.9\t10.7\nRome\t41.9\t12.5\n"),
        (
            "p.Jsonl",
            "\u{feff}{\"name\":\"Oslo\",\"lat\":59.9,\"lon\":10.7}\r{\"name\":\"Rome\",\"lat\":41.9,\"lon\":12.5}\r",
        ),
        (
            "p.ndjson",
            "{\"name\":\"Oslo\",\"lat\":\"59.9\",\"lon\":10.7}\n{\"name\":\"Rome\",\"lat\":41.9,\"lon\":12.5}",
        ),
        (
            "p.json",
            "[{\"title\":\"Oslo\",\"lat\":59.9,\"lon\":10.7},\n{\"title\":\"Rome\",\"lat\":41.9,\"lon\":12.5}]",
        ),
    ] {
        let dataset = read(name, text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(dataset.targets(), [[59.9, 41.9], [10.7, 12.5]], "{name}");
        assert_eq!((dataset.name.as_str(), dataset.entities[0].name.as_str()), ("p", "Oslo"), "{name}");
    }
    let dataset = load(&fixture("kinds.parquet")).unwrap_err().to_string();
    holds(&dataset, &["row 3", "year: found ``", "mappa datasets import", "--skip-incomplete"]);
}

#[test]
fn numbers_are_accepted_only_if_they_are_unambiguous() {
    let size = |text: &str| import(&file("s.csv", text.as_bytes()).1, ("name", "size")).targets()[0].clone();
    assert_eq!(size("name;size\nA;8.336.817\nB;65.283\n"), [8_336_817.0, 65_283.0]);
    assert_eq!(size("name;size\nA;8.5\nB;65.283\n"), [8.5, 65.283]);
    assert_eq!(size("name;size\nA;1 234,5\nB;7\n"), [1234.5, 7.0]);
    assert_eq!(
        size("name;size;x\nA;65.283;1,5\nB;12.345;2,5\n"),
        [65_283.0, 12_345.0],
        "as the other column"
    );
    assert_eq!(size("name,size\nA,65.283\nB,12.345\n"), [65.283, 12.345]);
    assert_eq!(size("name,size\nA,\"65,283\"\nB,\"1,012,345\"\n"), [65_283.0, 1_012_345.0]);
    let places = read("p.csv", "name;lat;lon\nA;59,913;10,752\nB;48,208;16,373\n").unwrap();
    assert_eq!(places.targets(), [[59.913, 48.208], [10.752, 16.373]], "nowhere is 59,913 degrees north");
    let plan = ImportPlan {
        name: "own".into(),
        target: TargetChoice::Quantity { column: "size".into(), unit: String::new() },
        ..ImportPlan::default()
    };
    for (text, parts) in [
        ("name;size\nA;65.283\nB;12.345\n", ["row 1", "`65.283`", "65.283 or 65283"]),
        ("name,size\nA,\"65,283\"\nB,7\n", ["row 1", "`65,283`", "65283 or 65.283"]),
        ("name;size\nA;6,5\nB;\nC;6.5\n", ["row 3", "`6.5`, with a decimal point", "row 1 has `6,5`"]),
        ("name,size\nA,1\nB,1e300\n", ["row 2", "size", "to 3.4e38"]),
        ("name,size\nA,1\nB,inf\n", ["row 2", "`inf`", "expected a number"]),
        ("name,size\nA,1\nB,-\n", ["row 2", "found `-`", "--skip-incomplete"]),
        ("name,size\nA,1\nB,12 km\n", ["row 2", "`12 km`", "expected a number"]),
    ] {
        let error = plan.read(&file("s.csv", text.as_bytes()).1).unwrap_err().to_string();
        holds(&error, &parts);
    }
}

#[test]
fn an_imported_file_is_read_back_unchanged() {
    for (text, target) in [
        (
            "name;size\nA;8.336.817\nB;65.283\n",
            TargetChoice::Quantity { column: "size".into(), unit: "m".into() },
        ),
        ("name;size\nA;19690720\nB;1900-01-01\n", TargetChoice::Year("size".into())),
        (
            "name;size;x\nA;59,913;10,752\nB;-3,5;1\n",
            TargetChoice::Place { latitude: "size".into(), longitude: "x".into() },
        ),
    ] {
        let (folder, path) = file("s.csv", text.as_bytes());
        let imported =
            ImportPlan { name: "own".into(), target, ..ImportPlan::default() }.read(&path).unwrap();
        let written = load(&imported.save(folder.path()).unwrap().0).unwrap();
        assert_eq!(written, imported.dataset);
        let size = written.table.column("size").unwrap();
        let plain = written.table.cell(1, size).unwrap();
        assert!(["8336817", "1969-07-20", "59.913"].contains(&plain), "{plain}");
    }
}

#[test]
fn no_row_is_silently_lost() {
    for (text, parts) in [
        ("name,year\nA,1\n\"B,2\nC,3\n", &["quoted cell that begins in line 3 and does not end", ".tsv"][..]),
        ("sep=;\nname;year\n\"A\"x;1\n", &["`x` after the closing quote sign", "in line 3"]),
        ("name,year\n\"A\"x,1\n", &["`x` after the closing quote sign", "in line 2"]),
        ("name,year\n\"A\" ,1\n", &["after the closing quote sign", "line 2"]),
        ("name,year\n\"B,2\nC,3\n\"D,4\n", &["`D` after", "begins in line 2", "in line 4"]),
        ("name,year\n\"B,2\nC,3\nD\",4\n", &["row 1", "line 2", "whole rows"]),
        ("name,year\nA,1\n\n\nB,2,3\n", &["row 2: line 5: 3 fields where the header has 2, with `,`"]),
        ("name,year\nA,1\nB\n", &["row 2: 1 fields where the header has 2"]),
        ("name,year,x\nA, \"a, b\",1\n", &["row 1", "4 fields", "first character"]),
        ("name;a,year\nx;b,1\n", &["`,` and `;`", "sep=;"]),
        ("name,year\nA\0,1\n", &["NUL byte in line 2"]),
        ("name,year\n", &["no rows"]),
        ("", &["no rows"]),
        ("\n\n,,\n", &["no rows"]),
    ] {
        holds(&read("t.csv", text).unwrap_err().to_string(), parts);
    }
    let error = read("t.tsv", "name\tyear\nA\t1\t2\n").unwrap_err().to_string();
    holds(&error, &["row 1: 3 fields where the header has 2, with tabs"]);
    let quoted = read("t.tsv", "name\tyear\n\"A\"\t1\nB\t2\n").unwrap();
    assert_eq!(quoted.entities[0].name, "\"A\"");
    holds(&quoted.notes.join("\n"), &["1 cells are in quote signs", ".csv"]);
    let long = format!("name,year\n{},1\nB,2\n", "x".repeat(10 << 20));
    assert_eq!(read("t.csv", &long).unwrap().entities[0].name.len(), 10 << 20);
    let lines = read("t.csv", "name,year\n\"Smith, John\nPoet\",1900\nB,2\n").unwrap();
    assert_eq!(lines.entities[0].name, "Smith, John\nPoet");
}

#[test]
fn duplicate_column_names_are_refused_in_every_format() {
    let plan = ImportPlan { name: "own".into(), ..ImportPlan::default() };
    for (name, text, parts) in [
        ("t.csv", "name,year,year\nA,1,2\n", ["two columns `year`", "the 2nd and the 3rd"]),
        ("t.csv", "name,,year,,year\nA,,1,,2\n", ["two columns `year`", "the 3rd and the 5th"]),
        ("t.tsv", "name\tyear\tname\nA\t1\t2\n", ["two columns `name`", "the 1st and the 3rd"]),
        ("t.csv", "name,year [group], year \nA,1,2\n", ["two columns `year`", "the 2nd and the 3rd"]),
        (
            "t.jsonl",
            "{\"name\":\"A\",\"year\":1,\"year\":2}\n",
            ["two fields `year`", "number 2 and number 3"],
        ),
        (
            "t.json",
            "[{\"year\":1,\"name\":\"A\",\"year\":2}]",
            ["two fields `year`", "number 1 and number 3"],
        ),
        ("t.csv", "Name,NAME,year\nA,B,1\n", ["`Name` (column 1) and `NAME` (column 2)", "--entity Name"]),
        ("t.csv", "city,person,year\nA,B,1\n", ["may each hold the name", "--entity city"]),
    ] {
        let (_folder, path) = file(name, text.as_bytes());
        holds(&load(&path).unwrap_err().to_string(), &parts);
        holds(&plan.read(&path).unwrap_err().to_string(), &parts);
    }
}

#[test]
fn compact_dates_are_dates_and_never_years() {
    let years = |text: &str| read("t.csv", text).map(|dataset| dataset.targets()[0].clone());
    assert_eq!(years("name,when\nA,20010101\nB,1999-01-01\n").unwrap(), [2001.0, 1999.0]);
    for (text, parts) in [
        ("name,when\nA,19690720\nB,1900\n", &["row 1", "`19690720`", "`1900` in row 2"][..]),
        ("name,year\nA,1900\nB,20000000\n", &["row 2", "`20000000`", "-1000000 to 9999"]),
        ("name,year\nA,1900\nB,1e300\n", &["row 2", "`1e300`"]),
        ("name,year\nA,1900\nB,NaN\n", &["row 2", "`NaN`", "--skip-incomplete"]),
        ("name,year\nA,1900\nB,44 BC\n", &["row 2", "`44 BC`", "-44"]),
        ("name,year\nA,1900\nB,c. 1850\n", &["row 2", "`c. 1850`", "1969-07-20"]),
        ("name,latitude,longitude\nA,1,1\nB,900,1\n", &["row 2", "latitude: found 900"]),
        ("name,latitude,longitude\nA,1,1\nB,1,1e300\n", &["row 2", "longitude"]),
        ("name,latitude,longitude\nA,1,1\nB,52°30′N,1\n", &["row 2", "`52°30′N`", "-33.92"]),
    ] {
        holds(&years(text).unwrap_err().to_string(), parts);
    }
}

fn mappa(lab: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mappa"))
        .current_dir(lab)
        .args(["--lab", "."])
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn the_suggested_command_for_an_ambiguous_file_works() {
    let lab = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("own.csv", "id,label,size\n1,A,3\n2,B,4\n"),
        (
            "my file.jsonl",
            "{\"who\":\"A\",\"born\":\"1900-01-02\"}\n{\"who\":\"B\",\"born\":\"1901-01-02\"}\n",
        ),
        ("t.tsv", "city\tperson\tyear\nA\tC\t1\nB\tD\t2\n"),
        ("imdb.tsv", "title\tstartYear\nA\t1999\nB\t\\N\nC\t2001\n"),
        ("it's.csv", "name,how high\nA,3\nB,4\n"),
    ] {
        std::fs::write(lab.path().join(name), text).unwrap();
        let output = mappa(lab.path(), &["extract", "--dataset", name, "--show-texts", "1"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        let command = error.split('`').find(|part| part.starts_with("mappa datasets import")).expect(&error);
        let script = command.replacen("mappa", &format!("'{}' --lab .", env!("CARGO_BIN_EXE_mappa")), 1);
        let done = Command::new("sh").current_dir(lab.path()).args(["-c", &script]).output().unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn nothing_is_written_outside_its_folder() {
    let lab = tempfile::tempdir().unwrap();
    let inside = lab.path().join("lab");
    std::fs::create_dir(&inside).unwrap();
    for name in ["...csv", ".csv", "..jsonl", "a\nb.csv", "a\u{1b}[2J.csv"] {
        let text =
            if name.ends_with("csv") { "name,year\nA,1\nB,2\n" } else { "{\"name\":\"A\",\"year\":1}\n" };
        std::fs::write(inside.join(name), text).unwrap();
        for args in [vec!["extract", "--dataset", name], vec!["datasets", "import", name]] {
            let output = mappa(&inside, &args);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{name}: {error}");
            assert!(!error.trim_end().contains(char::is_control), "{error:?}");
        }
        std::fs::remove_file(inside.join(name)).unwrap();
    }
    for args in [
        &["figure", "--model", "../up", "--dataset", "world_place"][..],
        &["figure", "--dataset", "../up"],
        &["train", "--name", "../up"],
        &["features", "train", "--hook-point", "blocks.0.hook_resid_post", "--name", ".."],
        &["steer", "sweep", "--dataset", "world_place", "--target", "latitude", "--called", "../../up"],
        &["probe", "geometry", "--model", ".."],
    ] {
        let output = mappa(&inside, args);
        assert!(!output.status.success(), "{args:?}");
    }
    let left: Vec<_> =
        std::fs::read_dir(lab.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lab"]);
    let below: Vec<_> = std::fs::read_dir(&inside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(below.is_empty(), "{below:?}");
}

#[test]
fn every_kind_of_text_file_is_read_without_its_byte_order_mark() {
    let lab = tempfile::tempdir().unwrap();
    let model = lab.path().join("marked");
    std::fs::create_dir(&model).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let bytes = std::fs::read(root("models/atlas").join(name)).unwrap();
        let mark = if name.ends_with("json") { "\u{feff}" } else { "" };
        std::fs::write(model.join(name), [mark.as_bytes(), &bytes].concat()).unwrap();
    }
    let write = |name: &str, text: &str| std::fs::write(lab.path().join(name), text).unwrap();
    write("plain.txt", "warm\nhot\n");
    write("marked.txt", "\u{feff}warm\r\nhot\r\n");
    write("mac.txt", "warm\rhot\r");
    write("cold.txt", "cold\nice\n");
    write(
        "pairs.jsonl",
        "{\"positive\":\"warm\",\"negative\":\"cold\"}\n{\"positive\":\"hot\",\"negative\":\"ice\"}\n",
    );
    write(
        "mac.jsonl",
        "\u{feff}{\"positive\":\"warm\",\"negative\":\"cold\"}\r{\"positive\":\"hot\",\"negative\":\"ice\"}",
    );
    write("prompts.toml", "\u{feff}where = \"Where is {}?\"\r\n");
    let vectors = |model: &str, args: &[&str]| {
        let args = [&["steer", "extract", "--model", model, "--out", "v.safetensors"], args].concat();
        let output = mappa(lab.path(), &args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::remove_file(lab.path().join("v.json")).unwrap();
        std::fs::read(lab.path().join("v.safetensors")).unwrap()
    };
    let plain = vectors("atlas", &["--positive", "plain.txt", "--negative", "cold.txt"]);
    for (model, args) in [
        ("atlas", &["--positive", "marked.txt", "--negative", "cold.txt"][..]),
        ("atlas", &["--positive", "mac.txt", "--negative", "cold.txt"]),
        ("marked", &["--positive", "plain.txt", "--negative", "cold.txt"]),
        ("atlas", &["--pairs", "pairs.jsonl"]),
        ("atlas", &["--pairs", "mac.jsonl"]),
    ] {
        assert!(vectors(model, args) == plain, "{model} {args:?}");
    }
    let args = ["extract", "--dataset", "world_place", "--prompts", "prompts.toml", "--show-texts", "1"];
    let output = mappa(lab.path(), &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(lab.path().join("latin.txt"), b"warm\nh\xf6t\n").unwrap();
    let args =
        ["steer", "extract", "--positive", "latin.txt", "--negative", "cold.txt", "--out", "w.safetensors"];
    let error = String::from_utf8(mappa(lab.path(), &args).stderr).unwrap();
    holds(&error, &["latin.txt", "line 2", "iconv -f WINDOWS-1252 -t UTF-8"]);
}

#[test]
fn characters_missing_from_the_font_are_reported() {
    let lab = tempfile::tempdir().unwrap();
    let world = mappa::datasets::bundled("world_place").unwrap();
    let rows = world.entities.iter().take(60).zip(0..).map(|(entity, i)| {
        let [lat, lon] = entity.target.values()[..] else { panic!("a place was expected") };
        format!("{},{},{lat},{lon},{}\n", entity.name.replace(',', ""), ["日本", "Polska"][i % 2], i % 5 == 0)
    });
    let rows: Vec<String> = rows.collect();
    let write = |name: &str, rows: &str| {
        std::fs::write(lab.path().join(name), format!("name,country,latitude,longitude,is_test\n{rows}"))
            .unwrap();
    };
    write("世界.csv", &rows.concat());
    write("plain.csv", &rows.concat().replace("日本", "Россия"));
    let args = ["--resamples", "20", "--no-baselines"];
    let output = mappa(lab.path(), &[&["probe", "--dataset", "世界.csv"], &args[..]].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    let notes: Vec<&str> = error.lines().filter(|line| line.contains("empty boxes")).collect();
    assert!(
        notes.iter().any(|note| note.contains("世界.png") && note.contains("世界.svg shows them")),
        "{error}"
    );
    // In the same lab, the figure of all datasets would contain the other name.
    std::fs::remove_dir_all(lab.path().join("probes")).unwrap();
    let output = mappa(lab.path(), &[&["probe", "--dataset", "plain.csv"], &args[..]].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !error.contains("empty boxes"), "{error}");
}
