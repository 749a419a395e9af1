//! Rows that a figure refuses or ignores; the names of all figures.

use super::scene::Mark;
use super::test_rows::{
    classes, exchanges, lenses, places, score, scores, sparse, strata, sweep, texts, units, years,
};
use super::tests::{CAPTION, refusal};
use super::*;
use crate::Error;
use crate::results::{InterchangeRow, NAMES_ONLY, RIDGE, StratumRow, SweepPoint};

#[test]
fn empty_rows_are_refused_with_the_rows_that_are_needed() {
    assert!(refusal(r2_by_layer(&[], Format::Svg)).contains("metric `r2`"));
    assert!(refusal(predictions(&[], &CAPTION, Format::Svg)).contains("split `test`"));
    assert!(refusal(dose_response(&[], Format::Svg)).contains("`probe` and `random`"));
}

#[test]
fn a_dataset_without_test_rows_is_refused() {
    let mut rows = scores(3);
    for row in rows.iter_mut().filter(|row| row.dataset == "art") {
        row.split = "train".into();
    }
    assert!(refusal(r2_by_layer(&rows, Format::Svg)).contains("test scores of `art`"));
    let only = [score("art", NAMES_ONLY, "", [0.4, 0.1])];
    assert!(refusal(r2_by_layer(&only, Format::Svg)).contains("test scores of `art`"));
    let trained: Vec<_> = years(50).into_iter().filter(|row| row.split == "train").collect();
    assert!(refusal(predictions(&trained, &CAPTION, Format::Svg)).contains("no test rows"));
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let mut rows = scores(3);
    rows[1].value = f64::NAN;
    let mut places = places(10);
    places[3].prediction = f64::INFINITY;
    let mut sweep = sweep();
    sweep[5].kl = f64::NAN;
    for result in [
        r2_by_layer(&rows, Format::Svg),
        predictions(&places, &CAPTION, Format::Svg),
        dose_response(&sweep, Format::Svg),
    ] {
        assert!(matches!(result, Err(Error::NonFinite { .. })));
    }
}

#[test]
fn rows_of_different_results_are_refused() {
    let twice = [scores(3), scores(3)].concat();
    assert!(refusal(r2_by_layer(&twice, Format::Svg)).contains("one model and one prompt"));
    let mixed = [places(50), years(50)].concat();
    assert!(refusal(predictions(&mixed, &CAPTION, Format::Svg)).contains("one dataset"));
    let halved = places(50);
    assert!(refusal(predictions(&halved[1..], &CAPTION, Format::Svg)).contains("same order"));
    assert!(refusal(predictions(&halved[..99], &CAPTION, Format::Svg)).contains("per entity"));
    let still: Vec<_> = sweep().into_iter().filter(|row| row.dose != 0.0).collect();
    assert!(refusal(dose_response(&still, Format::Svg)).contains("dose 0"));
    let random: Vec<_> = sweep().into_iter().filter(|row| row.direction == "random").collect();
    assert!(refusal(dose_response(&random, Format::Svg)).contains("direction `probe`"));
}

#[test]
fn scores_of_other_hook_points_are_ignored() {
    let rows = scores(3);
    let mut more = rows.clone();
    let mut other = score("art", RIDGE, "1", [0.9, 0.1]);
    other.hook_point = "blocks.1.hook_mlp_out".into();
    more.push(other);
    assert!(r2_by_layer(&rows, Format::Svg).unwrap() == r2_by_layer(&more, Format::Svg).unwrap());
}

#[test]
fn strata_without_intervals_are_drawn_as_points() {
    let mut rows = strata(&["rank"], 2);
    let n_intervals = |rows: &[StratumRow]| {
        let is_interval = |mark: &&Mark| matches!(mark, Mark::Line { width: 2.0, .. });
        super::strata::scene(rows, &CAPTION).unwrap().marks.iter().filter(is_interval).count()
    };
    assert_eq!(n_intervals(&rows), 6);
    (rows[0].r2_text_low, rows[0].r2_both_low, rows[0].contribution_low) = (f64::NAN, f64::NAN, f64::NAN);
    assert_eq!(n_intervals(&rows), 3);
    assert!(refusal(super::strata(&[], &CAPTION, Format::Svg)).contains("mappa probe strata"));
}

#[test]
fn a_causal_figure_refuses_no_rows_and_shares_that_are_not_finite() {
    let caption = Caption { title: "t", subtitle: "", baselines: "" };
    let draw = |rows: &[InterchangeRow]| used_by_layer(rows, &[], &caption, Format::Svg);
    assert!(draw(&[]).unwrap_err().to_string().contains("mappa cause"));
    let mut rows = exchanges(4);
    let text = String::from_utf8(draw(&rows).unwrap()).unwrap();
    assert!(text.contains("found by gradient") && !text.contains("predictable: R²"));
    rows[3].low = f64::NAN;
    assert!(draw(&rows).unwrap_err().to_string().contains("layer"));
}

#[test]
fn figures_have_different_names_and_are_drawn_from_saved_rows() {
    let point = SweepPoint { dose: 1.0, direction: "probe".into(), n_read: 1, ..SweepPoint::default() };
    let rows = SavedRows {
        scores: scores(2),
        predictions: Captioned { rows: places(50), ..Captioned::default() },
        classes: Captioned { rows: classes(3), ..Captioned::default() },
        sparse: Captioned { rows: sparse(), ..Captioned::default() },
        neurons: Captioned { rows: units(2, 9), ..Captioned::default() },
        strata: Captioned { rows: strata(&["rank", "continent"], 3), ..Captioned::default() },
        sweep: texts(),
        points: Captioned { rows: vec![point], ..Captioned::default() },
        lenses: lenses(3),
        causes: Captioned { rows: exchanges(3), ..Captioned::default() },
    };
    let names: std::collections::BTreeSet<&str> = FIGURES.iter().map(|figure| figure.name).collect();
    assert_eq!(names.len(), FIGURES.len());
    for figure in FIGURES {
        assert!(figure.applies(&rows) && !figure.applies(&SavedRows::default()), "{}", figure.name);
        assert!(figure.draw(&rows, Format::Svg).unwrap().starts_with(b"<svg"), "{}", figure.name);
    }
}
