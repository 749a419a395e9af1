//! Import of files as datasets: four formats with equal results, written files, refusals, and probes of any number.

use super::program::{done, mappa};
use super::root;
use mappa::artefact::Card;
use mappa::datasets::{ImportPlan, Imported, IncompleteRows, Quantity, TargetChoice, TargetKind, find};
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    root("tests/fixtures/import").join(name)
}

fn quantity(column: &str, unit: &str) -> TargetChoice {
    TargetChoice::Quantity { column: column.into(), unit: unit.into() }
}

fn people(target: TargetChoice) -> ImportPlan {
    ImportPlan {
        name: "people".into(),
        entity: Some("who".into()),
        target,
        groups: vec!["town".into()],
        test: Some("part".into()),
        incomplete: IncompleteRows::LeftOut,
    }
}

/// The error of importing a file with these bytes and this extension.
fn refusal(ending: &str, bytes: &[u8], plan: &ImportPlan) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("theirs.{ending}"));
    std::fs::write(&path, bytes).unwrap();
    plan.read(&path).unwrap_err().to_string()
}

#[test]
fn four_formats_give_the_same_dataset() {
    let read = |name: &str| people(quantity("height", "cm")).read(&fixture(name)).unwrap();
    let first = read("people.csv");
    assert_eq!((first.dataset.entities.len(), first.n_left_out), (39, 1));
    assert_eq!(first.dataset.entities[3].name, "Ada, \"the first\"");
    assert_eq!(first.dataset.entities[7].target.values(), [152.5], "row 8 has no height");
    let kind = TargetKind::Quantity(Quantity { name: "height".into(), unit: "cm".into() });
    for name in ["people.csv", "people.tsv", "people.jsonl", "people.parquet", "people.zstd.parquet"] {
        let Imported { dataset, .. } = read(name);
        assert_eq!(dataset.kind, kind);
        let without_hash = |d: &mappa::datasets::Dataset| (d.entities.clone(), d.group_columns.clone());
        assert_eq!(without_hash(&dataset), without_hash(&first.dataset), "{name}");
    }
    for name in ["people.jsonl", "people.parquet"] {
        assert_eq!(read(name).columns_left_out, ["tags"], "{name}");
    }
}

#[test]
fn two_classes_become_the_numbers_0_and_1() {
    let plan = ImportPlan {
        name: "tasks".into(),
        entity: Some("prompt".into()),
        target: TargetChoice::Classes("label".into()),
        ..ImportPlan::default()
    };
    let read = |labels: [&str; 3]| {
        let rows: String = labels.iter().enumerate().map(|(i, l)| format!("\"text, {i}\",{l}\n")).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("theirs.csv");
        std::fs::write(&path, format!("prompt,label\n{rows}")).unwrap();
        plan.read(&path).map(|imported| imported.dataset)
    };
    let numbers = |labels: [&str; 3]| read(labels).unwrap().targets()[0].clone();
    assert_eq!(numbers(["spam", "ham", "spam"]), [1.0, 0.0, 1.0]);
    assert_eq!(numbers(["10", "9", "9"]), [1.0, 0.0, 0.0]);
    let dataset = read(["no", "yes", "no"]).unwrap();
    assert_eq!(mappa::datasets::labels(&dataset, "label").unwrap(), ["no", "yes", "no"]);
    assert_eq!(dataset.kind.names(), ["label as 0 or 1"]);
    for (labels, part) in [(["a", "b", "c"], "3 classes"), (["a", "a", "a"], "1 classes")] {
        let error = read(labels).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("`label`"), "{error}");
    }
}

#[test]
fn dates_are_years_in_each_format_and_times_in_nanoseconds_too() {
    let years = |name: &str, column: &str| {
        people(TargetChoice::Year(column.into())).read(&fixture(name)).unwrap().dataset.targets()
    };
    let expected = years("people.csv", "born");
    assert_eq!(expected[0][0], 1890.0);
    for name in ["people.tsv", "people.jsonl", "people.parquet", "people.zstd.parquet"] {
        assert_eq!(years(name, "born"), expected, "{name}");
    }
    assert_eq!(years("people.parquet", "born_at"), expected);
}

#[test]
fn an_imported_dataset_is_found_by_name_and_never_overwritten() {
    let lab = tempfile::tempdir().unwrap();
    let imported = people(quantity("children", "")).read(&fixture("people.csv")).unwrap();
    let (file, is_new) = imported.save(lab.path()).unwrap();
    assert!(is_new && file.ends_with("datasets/people.csv"));
    assert_eq!(find(lab.path(), "people").unwrap(), imported.dataset);
    let heading = std::fs::read_to_string(&file).unwrap().lines().next().unwrap().to_string();
    assert_eq!(heading, "who [name],born,height,children [target],town [group],part [test]");
    let card = Card::load(&file.with_extension("json")).unwrap().unwrap();
    let source = mappa::artefact::hash(&std::fs::read(fixture("people.csv")).unwrap());
    for (field, value) in [
        ("source_sha256", source.as_str()),
        ("target", "children"),
        ("unit", ""),
        ("groups", "town"),
        ("name_column", "who"),
    ] {
        assert_eq!(card.inputs[field], value, "{field}");
    }
    assert_eq!((card.notes["n_entities"].as_str(), card.notes["n_test"].as_str()), ("40", "8"));
    assert_eq!(card.notes["range of children"], "0 to 4");
    assert!(!imported.save(lab.path()).unwrap().1, "the second import finds the same file");
    let other = people(quantity("height", "cm")).read(&fixture("people.csv")).unwrap();
    let error = other.save(lab.path()).unwrap_err().to_string();
    assert!(error.contains("people.json") && error.contains("target"), "{error}");
    std::fs::write(&file, "name,year\nA,1\n").unwrap();
    let error = imported.save(lab.path()).unwrap_err().to_string();
    assert!(error.contains("changed after its import") && error.contains("--name"), "{error}");
    std::fs::remove_file(file.with_extension("json")).unwrap();
    assert!(imported.save(lab.path()).unwrap_err().to_string().contains("not imported"));
}

#[test]
fn an_import_of_an_imported_file_is_the_same() {
    let lab = tempfile::tempdir().unwrap();
    let imported = people(quantity("height", "cm")).read(&fixture("people.parquet")).unwrap();
    let (file, _) = imported.save(lab.path()).unwrap();
    let again = ImportPlan { name: "people".into(), ..ImportPlan::default() }.read(&file).unwrap();
    assert_eq!(again.dataset, imported.dataset);
}

#[test]
fn latitude_and_longitude_follow_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.csv");
    std::fs::write(&path, "x,name,y\n170,Wellington,-41\n12,Rome,42\n").unwrap();
    let place = |latitude: &str, longitude: &str| ImportPlan {
        name: "towns".into(),
        target: TargetChoice::Place { latitude: latitude.into(), longitude: longitude.into() },
        ..ImportPlan::default()
    };
    assert_eq!(place("y", "x").read(&path).unwrap().dataset.targets(), [[-41.0, 42.0], [170.0, 12.0]]);
    let error = place("x", "y").read(&path).unwrap_err().to_string();
    assert!(error.contains("theirs.csv: row 1: latitude") && error.contains("170"), "{error}");
}

#[test]
fn a_refused_import_names_file_row_and_column() {
    let plan = ImportPlan { name: "own".into(), target: quantity("size", "m"), ..ImportPlan::default() };
    for (ending, text, parts) in [
        ("csv", "name,size\nA,1\nB,big\n", &["theirs.csv: row 2", "size", "`big`", "number"][..]),
        ("csv", "name,size\nA,1\nB,\n", &["row 2", "size: found ``", "--skip-incomplete"]),
        ("csv", "name,size\nA,1\nB,NaN\n", &["row 2", "size: found `NaN`"]),
        ("csv", "name,size\nNan,1\nB,inf\n", &["row 2", "size", "`inf`"]),
        ("csv", "name,size\nA,1\n ,2\n", &["row 2", "name: found ` `"]),
        ("csv", "name,size\nA,1\nB,2,3\n", &["row 2", "3 fields where the header has 2"]),
        ("csv", "name,size\nA,1\nB,1\n", &["size = 1 in each of 2 rows", "differs"]),
        ("csv", "name,weight\nA,1\n", &["no column `size`", "name, weight"]),
        ("csv", "label,size\nA,1\n", &["no column `name` or `title`", "label, size"]),
        ("csv", "name,size,size\nA,1,2\n", &["two columns `size`"]),
        ("csv", "name,size\n", &["no rows"]),
        ("csv", "name,size [target: km]\nA,1\n", &["no column `size`"]),
        ("tsv", "name,size\nA,1\n", &["no column `size`", "name,size"]),
        (
            "jsonl",
            "{\"name\":\"A\",\"size\":1}\n\n{\"name\":\"B\",\n",
            &["theirs.jsonl: row 2", "JSON object"],
        ),
        ("jsonl", "[1]\n", &["row 1", "JSON object"]),
        ("jsonl", "{\"name\":\"A\",\"size\":[1]}\n", &["no column `size`", "lists"]),
        ("jsonl", "{\"name\":\"A\",\"size\":1}\n{\"name\":\"B\"}\n", &["row 2", "size: found ``"]),
        ("parquet", "PAR1, or not", &["theirs.parquet", "complete Parquet file"]),
        ("xlsx", "", &["theirs.xlsx", ".parquet"]),
    ] {
        let error = refusal(ending, text.as_bytes(), &plan);
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }
    let twice = ImportPlan { entity: Some("size".into()), ..plan.clone() };
    let error = refusal("csv", b"name,size\nA,1\n", &twice);
    assert!(error.contains("column `size`") && error.contains("[name]"), "{error}");
    for name in ["", "a/b", "..", "a.csv"] {
        let plan = ImportPlan { name: name.into(), ..plan.clone() };
        assert!(refusal("csv", b"name,size\nA,1\n", &plan).contains("letters, digits"), "{name}");
    }
    let whole = std::fs::read(fixture("people.parquet")).unwrap();
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        assert!(refusal("parquet", &whole[..length], &plan).contains("theirs.parquet"));
    }
}

#[test]
fn a_quantity_is_probed_scored_and_drawn() {
    let lab = tempfile::tempdir().unwrap();
    // The distance from the equator: the bundled model represents this number to some degree.
    let world = mappa::datasets::bundled("world_place").unwrap();
    let rows = world.entities.iter().take(300).map(|e| {
        format!(
            "{{\"name\":{:?},\"country\":{:?},\"far\":{}}}\n",
            e.name,
            e.groups[0],
            e.target.values()[0].abs()
        )
    });
    let path = lab.path().join("far.jsonl");
    std::fs::write(&path, rows.collect::<String>()).unwrap();
    let args = ["datasets", "import", path.to_str().unwrap(), "--target", "far", "--unit", "degrees of arc"];
    let output = done(mappa(lab.path(), &args));
    assert!(output.contains("300 entities") && output.contains("target far (degrees of arc)"), "{output}");
    assert!(done(mappa(lab.path(), &["datasets", "list"])).contains("far (degrees of arc)"));
    let output = done(mappa(lab.path(), &["probe", "--dataset", "far", "--resamples", "20"]));
    assert!(output.contains("degrees of arc"), "{output}");
    let folder = lab.path().join("probes/atlas/far/empty");
    let scores = std::fs::read_to_string(folder.join("scores.csv")).unwrap();
    assert!(scores.contains(",test,mae_degrees_of_arc,far,") && scores.contains(",test,r2,far,"));
    assert!(std::fs::read_to_string(folder.join("predictions.csv")).unwrap().contains(",far,"));
    let figure = std::fs::read_to_string(lab.path().join("figures/atlas/empty/far.svg")).unwrap();
    assert!(figure.contains("predicted far"));
    let refused = mappa(lab.path(), &["extract", "--dataset", "far", "--prompt", "coords"]);
    assert_eq!(refused.status.code(), Some(1));
}
