//! The bundled facts compared with the files of other sources, if these exist (`../shared/data`).

use super::root;
use mappa::datasets::{BUNDLED, bundled, check_against, load};
use std::collections::HashSet;

fn exceptions(dataset: &str) -> HashSet<String> {
    let mut reader = csv::Reader::from_path(root("datasets/exceptions.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert!(rows.iter().all(|row| row[4].len() > 20), "an exception without its reason");
    rows.iter().filter(|row| &row[0] == dataset).map(|row| row[1].to_string()).collect()
}

#[test]
fn every_shared_row_agrees_or_has_a_reason() {
    let folder = root("../shared/data");
    let mut n_skipped = 0;
    for name in BUNDLED {
        let path = folder.join(format!("{name}.csv"));
        if !path.is_file() {
            n_skipped += 1;
            continue;
        }
        let report = check_against(&bundled(name).unwrap(), &load(&path).unwrap());
        println!(
            "{name}: {} rows, {} shared, {} differ",
            report.n_rows,
            report.n_shared,
            report.disagreements.len()
        );
        let known = exceptions(name);
        assert!(report.unexplained(&known).is_empty(), "{name}: {:?}", report.unexplained(&known));
        assert_eq!(report.disagreements.len(), known.len(), "{name}: an exception without a difference");
    }
    println!("skipped: {n_skipped} of {} reference files are missing", BUNDLED.len());
}

#[test]
fn the_bundled_datasets_have_what_the_readme_promises() {
    for (name, at_least) in [
        ("world_place", 1000),
        ("us_place", 600),
        ("nyc_place", 400),
        ("historical_figure", 800),
        ("art", 800),
        ("headline", 400),
    ] {
        let dataset = bundled(name).unwrap();
        let names: HashSet<&str> = dataset.entities.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names.len(), dataset.entities.len(), "{name}: a name occurs twice");
        assert!(names.len() >= at_least, "{name}: {}", names.len());
        let n_test = dataset.entities.iter().filter(|e| e.is_test).count() as f64;
        assert!((0.16..0.26).contains(&(n_test / names.len() as f64)), "{name}: test share");
    }
    let world = bundled("world_place").unwrap();
    let continent = world.group_columns.iter().position(|c| c == "continent").unwrap();
    let continents: HashSet<&str> = world.entities.iter().map(|e| e.groups[continent].as_str()).collect();
    assert_eq!(continents.len(), 6, "{continents:?}");
}
