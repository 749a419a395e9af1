//! What of the test entities stands in the training entities already: the same name, or a place or time next to it.

use super::metrics::{EARTH_RADIUS_KM, KdTree, Point, point_of};
use super::split::{Fold, Split};
use crate::datasets::{Dataset, Target, TargetKind};
use rayon::prelude::*;
use std::collections::HashSet;
use std::fmt;

/// How near is near, for places.
///
/// # Units
/// Kilometres.
const NEAR_KM: f64 = 1.0;
/// How near is near, for years: a day.
///
/// # Units
/// Years.
const NEAR_YEARS: f64 = 1.0 / 365.0;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Leakage {
    /// How many test entities there are.
    pub n_test: usize,
    /// How many have the name of a training entity, whatever its case.
    pub n_same_name: usize,
    /// How many lie near a training entity, where near has a meaning: of whole years and of other numbers, equal ones
    /// are no leak, unless a threshold is asked for.
    pub near: Option<Near>,
}

/// Test entities next to a training entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// How many there are.
    pub n: usize,
    /// The threshold: kilometres for places, else the target's unit.
    pub within: f64,
    /// The unit of the threshold.
    pub unit: String,
}

impl Leakage {
    /// Looks at every test entity of a split; by default near is a kilometre, or a day where years have parts.
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
                    Target::Place { lat, lon } => Some(point_of((lat, lon))),
                    _ => None,
                })
                .collect()
        };
        let known = KdTree::of(&points(&fold.train));
        let km = |squared_chord: f64| 2.0 * EARTH_RADIUS_KM * (squared_chord.sqrt() / 2.0).min(1.0).asin();
        return points(&fold.test).iter().filter(|point| km(known.nearest(point)) < within).count();
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
    use super::super::fixture::noise;
    use super::*;
    use crate::datasets::parse;
    use std::path::Path;

    fn dataset(header: &str, learnt: &[&str], scored: &[&str]) -> Dataset {
        let mut rows: String = learnt.iter().map(|row| format!("{row},False\n")).collect();
        rows.extend(scored.iter().map(|row| format!("{row},True\n")));
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
        // The Louvre is 1.3 km from the middle of Paris, the seam 0.2 km from the other side.
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
        // The year of another event says nothing of this one.
        let whole = dataset("year", &["a,1900", "b,1950"], &["d,1900"]);
        assert_eq!(near(&whole, None), None);
        assert!(!Leakage::of(&whole, &fold(&whole), None).to_string().contains("within"));
        let rivers = dataset("length [target: km]", &["a,100", "b,200"], &["c,104", "d,300"]);
        assert_eq!((near(&rivers, None), near(&rivers, Some(5.0))), (None, Some(1)));
        assert!(Leakage::of(&rivers, &fold(&rivers), Some(5.0)).to_string().contains("1 lie within 5 km"));
    }

    #[test]
    fn it_counts_as_looking_at_every_pair_does() {
        let place = |row: ndarray::ArrayView1<f64>| format!("p,{},{}", row[0] * 4.0, row[1] * 4.0);
        let all: Vec<String> = noise((200, 2), 5).rows().into_iter().map(place).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let places = dataset("latitude,longitude", &all[..120], &all[120..]);
        let split = fold(&places);
        let km = |i: usize, j: usize| {
            let [a, b] = [i, j].map(|i| places.entities[i].target);
            let (Target::Place { lat, lon }, Target::Place { lat: lat2, lon: lon2 }) = (a, b) else {
                panic!()
            };
            super::super::great_circle_km(lat, lon, lat2, lon2)
        };
        for within in [1.0, 10.0, 30.0] {
            let n = (120..200).filter(|&i| (0..120).any(|j| km(i, j) < within)).count();
            assert_eq!(n_near(&Leakage::of(&places, &split, Some(within))), Some(n));
        }
    }
}
