//! Files and folders of a lab that were exchanged with others of the same kind are refused, with both names.

use super::program::{done, mappa, refused};
use std::path::Path;

/// A lab with probes of two datasets of the same names and places, in another order.
fn new_lab() -> tempfile::TempDir {
    let lab = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(lab.path().join("datasets")).unwrap();
    for (name, shift) in [("towns", 0), ("cities", 5)] {
        let mut text = "name,latitude,longitude,is_test\n".to_string();
        for i in 0..48 {
            let town = ["Oslo", "Rome", "Lima"][(i + shift) % 3];
            text += &format!("{town} {i},{},{},{}\n", (i * 7) % 60, (i * 11) % 90, i % 4 == 0);
        }
        std::fs::write(lab.path().join(format!("datasets/{name}.csv")), text).unwrap();
        done(mappa(lab.path(), &["probe", "--dataset", name, "--no-baselines"]));
    }
    lab
}

/// Exchanges a file or a folder of two folders.
fn exchange(lab: &Path, folders: [&str; 2], name: &str) {
    let [a, b] = folders.map(|folder| lab.join(folder).join(name));
    let aside = lab.join("aside");
    std::fs::rename(&a, &aside).unwrap();
    std::fs::rename(&b, &a).unwrap();
    std::fs::rename(&aside, &b).unwrap();
}

const STORES: [&str; 2] = ["activations/atlas/towns/empty", "activations/atlas/cities/empty"];

const READERS: [&[&str]; 5] = [
    &["extract", "--dataset", "towns"],
    &["probe", "--dataset", "towns", "--no-baselines"],
    &["probe", "--dataset", "towns", "--no-baselines", "--split", "random"],
    &["probe", "geometry", "--prompt", "empty.alone"],
    &["extract", "--dataset", "towns", "--verify"],
];

#[test]
fn files_of_a_store_belong_to_its_card() {
    let lab = new_lab();
    let names = |is_one: &dyn Fn(&str) -> bool| -> Vec<String> {
        let entries = std::fs::read_dir(lab.path().join(STORES[0])).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| is_one(name) && !name.starts_with('.')).collect()
    };
    let is_array = |name: &str| name.ends_with(".safetensors") || name == "blocks.csv";
    for (which, exchanged) in [
        ("all but the card", names(&|name| name != "card.json")),
        ("arrays and their blocks", names(&is_array)),
        ("the rest", names(&|name| name != "card.json" && !is_array(name))),
    ] {
        exchanged.iter().for_each(|name| exchange(lab.path(), STORES, name));
        for args in READERS {
            let output = mappa(lab.path(), args);
            refused(&output, &["activations/atlas/", "/empty"]);
            assert_eq!(
                String::from_utf8_lossy(&output.stderr).matches("error: ").count(),
                1,
                "{which}: {args:?}"
            );
        }
        exchanged.iter().for_each(|name| exchange(lab.path(), STORES, name));
        READERS.iter().for_each(|args| drop(done(mappa(lab.path(), args))));
    }
}

#[test]
fn a_store_of_an_earlier_version_opens_and_is_bound_to_its_card_by_the_next_command() {
    let lab = new_lab();
    let card = lab.path().join(STORES[0]).join("card.json");
    let written = std::fs::read_to_string(&card).unwrap();
    let mut earlier: serde_json::Value = serde_json::from_str(&written).unwrap();
    earlier.as_object_mut().unwrap().remove("files").unwrap();
    std::fs::write(&card, serde_json::to_string_pretty(&earlier).unwrap()).unwrap();
    done(mappa(lab.path(), &["probe", "--dataset", "towns", "--no-baselines"]));
    assert_eq!(std::fs::read_to_string(&card).unwrap(), written);
    // Hashes of blocks alone are made again, since the checksums still belong to the card.
    let blocks = lab.path().join(STORES[0]).join("blocks.csv");
    let own = std::fs::read(&blocks).unwrap();
    std::fs::copy(lab.path().join(STORES[1]).join("blocks.csv"), &blocks).unwrap();
    done(mappa(lab.path(), READERS[0]));
    assert!(std::fs::read(&blocks).unwrap() == own);
    for name in ["checksums.csv", "spans.csv"] {
        exchange(lab.path(), STORES, name);
    }
    refused(mappa(lab.path(), READERS[0]), &["as card.json says", "another extraction"]);
}

#[test]
fn a_folder_of_probes_that_lies_where_another_belongs_is_named() {
    let lab = new_lab();
    std::fs::rename(lab.path().join("probes/atlas/towns"), lab.path().join("aside")).unwrap();
    std::fs::rename(lab.path().join("probes/atlas/cities"), lab.path().join("probes/atlas/towns")).unwrap();
    std::fs::rename(lab.path().join("aside"), lab.path().join("probes/atlas/cities")).unwrap();
    let toward = ["--prompt", "Oslo", "--toward", "lat=1,lon=2", "--tokens", "1"];
    for args in [
        &["figure", "--prompt", "empty.alone"][..],
        &["figure", "--dataset", "towns", "--prompt", "empty.alone"],
        &["probe", "compare", "atlas/towns/empty.alone", "atlas/cities/empty.alone"],
        &["probe", "geometry", "--prompt", "empty.alone"],
        &["probe", "--dataset", "towns", "--no-baselines"],
        &[&["steer"][..], &toward].concat(),
        &[&["steer", "--dataset", "towns"][..], &toward].concat(),
    ] {
        refused(mappa(lab.path(), args), &["towns", "cities"]);
    }
    // Named by its path, a folder may lie anywhere.
    let path = lab.path().join("probes/atlas/towns/empty.alone");
    let chosen = ["steer", "--probes", path.to_str().unwrap()];
    done(mappa(lab.path(), &[&chosen[..], &toward].concat()));
}
