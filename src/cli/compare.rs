//! `mappa probe compare`, `mappa probe geometry` and `mappa probe strata`: analyses of probes.

use super::output;
use super::strata::StrataFlags;
use super::table::print_columns;
use super::within::within;
use clap::{Args, Subcommand};
use mappa::Result;
use mappa::lab::{Comparison, Geometry, Lab, compare_probes, geometry, name_in_lab};
use mappa::limits::RESAMPLES;
use mappa::model::BUNDLED_MODEL;
use mappa::probes::{Bootstrap, ResampledUnits, Resampling};
use mappa::results::{ComparisonRow, ParticipationRow, save_rows};
use std::path::PathBuf;

/// Analyses of probes.
#[derive(Subcommand)]
pub(super) enum Analysis {
    Compare(Compare),
    Geometry(GeometryFlags),
    Strata(Box<StrataFlags>),
}

impl Analysis {
    /// Runs the command.
    pub(super) fn run(&self, lab: &Lab) -> Result<()> {
        match self {
            Analysis::Compare(args) => args.run(lab),
            Analysis::Geometry(args) => args.run(lab),
            Analysis::Strata(args) => args.run(lab),
        }
    }
}

/// Compare two layers, prompts or models: paired differences with their intervals.
///
/// A and B are folders of probes, MODEL/DATASET/PROMPT, optionally followed by @ and a hook point. The default is the
/// layer with the best leave-one-out R² on training entities. Both sides must have the same test entities.
/// For a layer other than the default, predictions are computed again from the activations, which must still exist.
/// Both sides use the same resamples, so that errors common to both cancel.
///
/// Examples:
///   mappa probe compare atlas/art/empty atlas/art/empty@embed                what the blocks add
///   mappa probe compare atlas/art/empty@blocks.3.hook_resid_post atlas/art/empty
///   mappa probe compare pythia-160m/us_place/empty pythia-160m/us_place/where_us --by-group
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Compare {
    /// The first side; the differences are A minus B.
    #[arg(value_name = "A")]
    a: String,
    /// The second side.
    #[arg(value_name = "B")]
    b: String,
    /// Resample whole groups instead of single entities.
    #[arg(long)]
    by_group: bool,
    /// Number of bootstrap resamples of each interval.
    #[arg(long, default_value_t = 1000, value_parser = within(RESAMPLES))]
    resamples: usize,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also write the rows to this CSV file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl Compare {
    fn run(&self, lab: &Lab) -> Result<()> {
        if self.csv.is_none() {
            output::only_prints();
        }
        let units = if self.by_group { ResampledUnits::Groups } else { ResampledUnits::Entities };
        let bootstrap = Bootstrap { n_resamples: self.resamples, seed: self.seed };
        let resampling = Resampling { units, bootstrap };
        let Comparison { sides, rows } = compare_probes(lab, [&self.a, &self.b], resampling)?;
        for ((folder, point), side) in sides.iter().zip(["A", "B"]) {
            say!("{side}  {}, {point}", folder.display());
        }
        say!();
        print_columns(
            &["metric", "target", "A", "B", "A - B", "95 % interval", ""],
            &rows.iter().map(cells).collect::<Vec<_>>(),
        );
        say!();
        say!("*: zero lies outside the interval. Both sides use the same resamples of test entities.");
        if let Some(file) = &self.csv {
            save_rows(file, &rows)?;
            say!("rows: {}", file.display());
        }
        Ok(())
    }
}

fn cells(row: &ComparisonRow) -> Vec<String> {
    let number = |value: f64| format!("{value:.4}");
    let differs = row.low > 0.0 || row.high < 0.0;
    vec![
        row.metric.clone(),
        row.target.clone(),
        number(row.a),
        number(row.b),
        format!("{:+.4}", row.difference),
        format!("{:+.4} to {:+.4}", row.low, row.high),
        if differs { "*".into() } else { String::new() },
    ]
}

/// Show the geometry of probes: principal components, and angles between probes.
///
/// Writes into geometry/ in the probe folder of each dataset: participation.csv (the effective number of principal
/// components of the stream, and of each prediction), layers.csv, targets.csv and datasets.csv (cosines between the
/// probes of two layers, of two targets, and of two datasets). docs/neurons.md explains
/// how to read them.
///
/// Examples:
///   mappa probe geometry --dataset world_place --dataset us_place   is north the same direction in both?
///   mappa probe geometry --model pythia-160m --prompt coords        all datasets probed with this prompt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct GeometryFlags {
    /// The model as it was given to `mappa probe`, or its name below probes/.
    #[arg(long, default_value = BUNDLED_MODEL)]
    model: String,
    /// Datasets; repeat for several [default: all probed datasets].
    #[arg(long = "dataset", value_name = "NAME")]
    datasets: Vec<String>,
    /// The prompt's name, which is the last folder in the path of the results.
    #[arg(long, default_value = "empty")]
    prompt: String,
}

impl GeometryFlags {
    fn run(&self, lab: &Lab) -> Result<()> {
        let model = name_in_lab(lab, &self.model)?;
        for one in geometry(lab, &model, &self.prompt, &self.datasets)? {
            print(&one);
            say!("cosines and participation: {}", one.folder.display());
        }
        Ok(())
    }
}

fn print(Geometry { dataset, participation, targets, .. }: &Geometry) {
    say!();
    say!("{dataset}");
    let cosine = |row: &ParticipationRow| {
        let of_layer = targets.iter().find(|cosine| cosine.hook_point_a == row.hook_point);
        of_layer.map_or(String::new(), |cosine| format!("{:+.2}", cosine.weights))
    };
    let rows: Vec<Vec<String>> = participation
        .iter()
        .map(|row| {
            let (stream, probe) = (format!("{:.1}", row.stream), format!("{:.1}", row.probe));
            vec![row.layer.clone(), row.target.clone(), stream, probe, cosine(row)]
        })
        .collect();
    print_columns(
        &["layer", "target", "components of the stream", "of the prediction", "cosine of targets"],
        &rows,
    );
}
