//! Leakage: test entities with the same name, or nearly the same place or year, as a training entity.

use super::split::{Fold, Split};
use crate::datasets::{Dataset, Target, TargetKind};
use crate::probes::metrics::{EARTH_RADIUS_KM, KdTree, Point, point_of};
use rayon::prelude::*;
use std::collections::HashSet;
use std::fmt;

/// The default distance below which places are near.
///
/// # Units
/// Kilometres.
const NEAR_KM: f64 = 1.0;
/// The default distance below which years are near: one day.
///
/// # Units
/// Years.
const NEAR_YEARS: f64 = 1.0 / 365.0;

/// The number of leaked test entities.
#[derive(Debug, Clone, PartialEq)]
pub struct Leakage {
    /// The number of test entities.
    pub n_test: usize,
    /// The number of test entities with the name of a training entity, ignoring case.
    pub n_same_name: usize,
    /// The number of test entities near a training entity. Without a given threshold, `None` for whole years and other
    /// numbers: two entities may have equal numbers without any leak.
    pub near: Option<Near>,
}

/// The number of test entities near a training entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// The number of near test entities.
    pub n: usize,
    /// The threshold: kilometres for places, otherwise the target's unit.
    pub within: f64,
    /// The unit of the threshold.
    pub unit: String,
}

impl Leakage {
    /// Counts the leaked test entities of a split; the default threshold is 1 km for places and one day for years
    /// with fractions.
    pub fn of(dataset: &Dataset, split: &Split, within: Option<f64>) -> Leakage {
        let has_parts = || dataset.targets().iter().flatten().any(|value| value.fract() != 0.0);
        let (usual, unit) = match &dataset.kind {
            TargetKind::Place => (Some(NEAR_KM), "km"),
            TargetKind::Year => (has_parts().then_some(NEAR_YEARS), "years"),
            TargetKind::Quantity(quantity) => (None, quantity.unit.as_str()),
        };
        let within = within.or(usual);
        let names: Vec<String> =
            dataset.entities.iter().map(|entity| entity.name.trim().to_lowercase()).collect();
        let n_near = |within| split.folds.par_iter().map(|fold| near(dataset, fold, within)).sum();
        Leakage {
            n_test: split.folds.iter().map(|fold| fold.test.len()).sum(),
            n_same_name: split.folds.par_iter().map(|fold| same_names(&names, fold)).sum(),
            near: within.map(|within| Near { n: n_near(within), within, unit: unit.into() }),
        }
    }
}

impl fmt::Display for Leakage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Leakage { n_test, n_same_name, near } = self;
        write!(f, "of {n_test} test entities {n_same_name} have the name of a training entity")?;
        match near {
            Some(Near { n, within, unit }) => {
                let within = format!("{} {unit}", (within * 1e4).round() / 1e4);
                write!(f, ", {n} lie within {} of one", within.trim_end())
            }
            None => Ok(()),
        }
    }
}

fn same_names(names: &[String], fold: &Fold) -> usize {
    let known: HashSet<&str> = fold.train.iter().map(|&i| names[i].as_str()).collect();
    fold.test.iter().filter(|&&i| known.contains(names[i].as_str())).count()
}

fn near(dataset: &Dataset, fold: &Fold, within: f64) -> usize {
    if dataset.kind == TargetKind::Place {
        let points = |of: &[usize]| -> Vec<Point> {
            of.iter()
                .filter_map(|&i| match dataset.entities[i].target {
                    Target::Place { lat, lon } => Some(point_of(lat, lon)),
                    _ => None,
                })
                .collect()
        };
        let known = KdTree::of(&points(&fold.train));
        let km = |squared_chord: f64| 2.0 * EARTH_RADIUS_KM * (squared_chord.sqrt() / 2.0).min(1.0).asin();
        return known.nearest(&points(&fold.test)).into_iter().filter(|chord| km(*chord) < within).count();
    }
    let value = |&i: &usize| dataset.entities[i].target.values()[0];
    let mut known: Vec<f64> = fold.train.iter().map(value).collect();
    known.sort_by(f64::total_cmp);
    let is_near = |value: f64| {
        let at = known.partition_point(|other| *other < value);
        let around = [at.checked_sub(1), Some(at)].into_iter().flatten();
        around.filter_map(|i| known.get(i)).any(|other| (other - value).abs() < within)
    };
    fold.test.iter().map(value).filter(|value| is_near(*value)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::parse;
    use crate::probes::fixture::noise;
    use crate::probes::great_circle_km;
    use std::path::Path;

    fn dataset(header: &str, train: &[&str], test: &[&str]) -> Dataset {
        let mut rows: String = train.iter().map(|row| format!("{row},False\n")).collect();
        rows.extend(test.iter().map(|row| format!("{row},True\n")));
        parse(Path::new("x.csv"), format!("name,{header},is_test\n{rows}").as_bytes()).unwrap()
    }

    fn fold(dataset: &Dataset) -> Split {
        let (test, train) = (0..dataset.entities.len()).partition(|&i| dataset.entities[i].is_test);
        Split { folds: vec![Fold { train, test }] }
    }

    fn n_near(found: &Leakage) -> Option<usize> {
        found.near.as_ref().map(|near| near.n)
    }

    #[test]
    fn same_names_and_near_places_are_counted() {
        let places = dataset(
            "latitude,longitude",
            &["Salem,10,10", "Paris,48.85,2.35", "Fiji,0,179.999"],
            &["SALEM,40,40", "Louvre,48.86,2.34", "Seam,0,-179.999", "Far,-40,0"],
        );
        let found = Leakage::of(&places, &fold(&places), None);
        // The Louvre is 1.3 km from the centre of Paris; the two places near 180° are 0.2 km apart.
        assert_eq!((found.n_test, found.n_same_name, n_near(&found)), (4, 1, Some(1)));
        assert_eq!(n_near(&Leakage::of(&places, &fold(&places), Some(2.0))), Some(2));
        assert!(found.to_string().contains("of 4 test entities 1") && found.to_string().contains("1 km"));
    }

    #[test]
    fn near_years_are_counted() {
        let years = dataset("year", &["a,1900", "b,1950.5", "c,2000"], &["d,1900", "e,1950", "f,1930"]);
        let near = |dataset: &Dataset, within| n_near(&Leakage::of(dataset, &fold(dataset), within));
        assert_eq!(near(&years, None), Some(1));
        assert_eq!(near(&years, Some(0.6)), Some(2));
        assert_eq!(near(&years, Some(100.0)), Some(3));
        // Two different events in the same year are not a leak.
        let whole = dataset("year", &["a,1900", "b,1950"], &["d,1900"]);
        assert_eq!(near(&whole, None), None);
        assert!(!Leakage::of(&whole, &fold(&whole), None).to_string().contains("within"));
        let rivers = dataset("length [target: km]", &["a,100", "b,200"], &["c,104", "d,300"]);
        assert_eq!((near(&rivers, None), near(&rivers, Some(5.0))), (None, Some(1)));
        assert!(Leakage::of(&rivers, &fold(&rivers), Some(5.0)).to_string().contains("1 lie within 5 km"));
    }

    #[test]
    fn counts_equal_those_over_all_pairs() {
        let place = |row: ndarray::ArrayView1<f64>| format!("p,{},{}", row[0] * 4.0, row[1] * 4.0);
        let all: Vec<String> = noise([200, 2], 5).rows().into_iter().map(place).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let places = dataset("latitude,longitude", &all[..120], &all[120..]);
        let split = fold(&places);
        let km = |i: usize, j: usize| {
            let [a, b] = [i, j].map(|i| places.entities[i].target);
            let (Target::Place { lat, lon }, Target::Place { lat: lat2, lon: lon2 }) = (a, b) else {
                panic!()
            };
            great_circle_km(lat, lon, lat2, lon2)
        };
        for within in [1.0, 10.0, 30.0] {
            let n = (120..200).filter(|&i| (0..120).any(|j| km(i, j) < within)).count();
            assert_eq!(n_near(&Leakage::of(&places, &split, Some(within))), Some(n));
        }
    }
}
