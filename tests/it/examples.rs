//! Runs the examples.

#[allow(dead_code, reason = "the tests call `run`")]
#[path = "../../examples/custom_hook.rs"]
mod custom_hook;
#[allow(dead_code, reason = "the tests call `run`")]
#[path = "../../examples/own_data.rs"]
mod own_data;
#[allow(dead_code, reason = "the tests call `run`")]
#[path = "../../examples/quickstart.rs"]
mod quickstart;

use mappa::Lab;
use mappa::artefact::FolderName;
use mappa::probes::PROBES_FILE;

#[test]
fn the_quickstart_leaves_probes_in_its_lab() {
    let folder = tempfile::tempdir().unwrap();
    quickstart::run(folder.path()).unwrap();
    let lab = Lab::open(folder.path()).unwrap();
    let [atlas, place, empty] = ["atlas", "world_place", "empty"].map(FolderName::of_text);
    assert!(lab.probes(&atlas, &place, &empty).join(PROBES_FILE).is_file());
}

#[test]
fn own_data_are_imported_and_probed() {
    let folder = tempfile::tempdir().unwrap();
    own_data::run(folder.path()).unwrap();
    let found = std::fs::read_dir(folder.path().join("probes/atlas/north")).unwrap();
    assert_eq!(found.count(), 1);
}

#[test]
fn a_custom_hook_changes_the_next_token() {
    let folder = tempfile::tempdir().unwrap();
    custom_hook::run(&Lab::open(folder.path()).unwrap()).unwrap();
}
