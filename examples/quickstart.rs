//! The main workflow: extract, probe, compare the score with its baselines, steer a sentence.
//!
//! Run with `cargo run --release --example quickstart`.

use mappa::{Change, Lab, Result};
use std::path::Path;

/// Probes the bundled model for places, and steers a text about Nairobi towards Japan.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let lab = Lab::open(folder)?;
    // The bundled model; a folder, a GGUF file or a hub name works as well.
    let model = lab.model("atlas")?;
    // Extracts the residual stream, fits a ridge probe at each layer, and scores it with its baselines.
    let probes = lab.probe(&model, "world_place")?;
    println!("{probes}");
    // Steers along the probe's direction; the target is in degrees.
    println!("{}", lab.steer(&model, "Nairobi", &Change::toward("lat=35,lon=139")?)?);
    Ok(())
}

fn main() -> Result<()> {
    run(Path::new("quickstart-lab"))
}
