//! Your own dataset: a CSV file with names and a number, probed with custom settings.
//!
//! Run with `cargo run --release --example own_data`.

use mappa::datasets::{ImportPlan, TargetChoice};
use mappa::lab::{ExtractionSettings, ProbeRequest, ProbingSettings, Prompting};
use mappa::progress::Silent;
use mappa::{Lab, Result};
use std::path::Path;

/// Writes an example file: the cities of a bundled dataset, with their names and degrees north as a plain number.
fn file_of_ones_own(lab: &Lab) -> Result<String> {
    let rows = lab.dataset("world_place")?.entities.into_iter().step_by(3);
    let rows = rows.map(|city| format!("\"{}\",{}\n", city.name, city.target.values()[0]));
    Ok(format!("city,north\n{}", rows.collect::<String>()))
}

/// Imports the file, and probes its number under a prompt.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let lab = Lab::open(folder)?;
    let file = folder.join("cities.csv");
    mappa::artefact::save_bytes(&file, file_of_ones_own(&lab)?.as_bytes())?;
    let plan = ImportPlan {
        name: "north".into(),
        entity: Some("city".into()),
        target: TargetChoice::Quantity { column: "north".into(), unit: "degrees".into() },
        ..ImportPlan::default()
    };
    plan.read(&file)?.replace(lab.root())?;

    let request = ProbeRequest {
        extraction: ExtractionSettings {
            prompting: Prompting { prompt: "{} is in".into(), ..Prompting::default() },
            ..ExtractionSettings::default()
        },
        probing: ProbingSettings {
            methods: vec!["pca".into()],
            resamples: 200,
            ..ProbingSettings::default()
        },
    };
    let model = lab.model("atlas")?;
    let probes = request.probe(&lab, &model, lab.dataset("north")?, &mut Silent)?;
    println!("{probes}");
    println!("scores, predictions, probes: {}", probes.folder.display());
    Ok(())
}

fn main() -> Result<()> {
    run(Path::new("own-data-lab"))
}
