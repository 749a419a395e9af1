//! `mappa probe strata`: the same surplus as in the scores, cards, figures, and refused settings.

use super::program::{done, mappa, refused};
use mappa::results::{ALL, MEAN, SURPLUS, ScoreKey, ScoreRow, StratumRow, load_rows};
use std::path::Path;

/// Quick settings; the model's baselines are not needed for strata, but belong to the probes.
const QUICK: [&str; 4] = ["--dataset", "nyc_place", "--resamples", "40"];

fn strata(lab: &Path, more: &[&str]) -> String {
    done(mappa(lab, &[&["probe", "strata"], &QUICK[..], more].concat()))
}

#[test]
fn strata_add_up_to_the_surplus_of_the_scores_and_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path();
    let output = strata(lab, &[]);
    for part in ["rank of the rarest word in glove.6B.50d", "tokens of the name", "borough", "contributions"]
    {
        assert!(output.contains(part), "`{part}` is not in: {output}");
    }
    assert!(output.contains("script: all test entities are in one stratum"), "{output}");
    let probes = lab.join("probes/atlas/nyc_place/empty");
    let scores: Vec<ScoreRow> = load_rows(&probes.join("scores.csv")).unwrap();
    let rows: Vec<StratumRow> = load_rows(&probes.join("strata/strata.csv")).unwrap();
    let point = rows[0].hook_point.parse().unwrap();
    for text in ["names-only", "word-vectors", "text"] {
        let of = |by: &str| -> Vec<&StratumRow> {
            rows.iter().filter(|row| row.by == by && row.text == text && row.target == MEAN).collect()
        };
        let method = format!("ridge+{text}");
        let surplus = ScoreKey::test(&method, SURPLUS, MEAN).at(&scores, Some(point)).unwrap();
        let whole = of(ALL)[0];
        assert!((whole.surplus - surplus.value).abs() < 1e-12 && whole.n_test == 101, "{whole:?}");
        assert!((whole.surplus_low - surplus.low).abs() < 1e-9, "{whole:?} {surplus:?}");
        for by in ["rank", "tokens", "script", "borough_name"] {
            let sum: f64 = of(by).iter().map(|row| row.contribution).sum();
            assert!((sum - surplus.value).abs() < 1e-12, "{by}: {sum} {}", surplus.value);
            assert_eq!(of(by).iter().map(|row| row.n_test).sum::<usize>(), 101, "{by}");
        }
    }
    let figure = lab.join("figures/atlas/empty/nyc_place_strata.svg");
    let drawn = std::fs::read(&figure).unwrap();
    let csv = std::fs::read(probes.join("strata/strata.csv")).unwrap();
    assert!(strata(lab, &[]).contains("scored before"));
    assert_eq!(std::fs::read(probes.join("strata/strata.csv")).unwrap(), csv);
    std::fs::remove_file(&figure).unwrap();
    done(mappa(lab, &["figure", "strata", "--dataset", "nyc_place"]));
    assert_eq!(std::fs::read(&figure).unwrap(), drawn);
    // Other properties and another layer have a folder of their own.
    strata(lab, &["--by", "tokens", "--hook-point", "embed"]);
    let other: Vec<StratumRow> = load_rows(&probes.join("strata.by_tokens.at_embed/strata.csv")).unwrap();
    assert!(other.iter().all(|row| row.layer == "embed" && ["all", "tokens"].contains(&row.by.as_str())));
    assert!(lab.join("figures/atlas/empty.by_tokens.at_embed/nyc_place_strata.png").is_file());
    for (flags, part) in [
        (&["--by", "moon"][..], "moon"),
        (&["--hook-point", "blocks.*.hook_resid_post"], "6 hook points"),
        (&["--no-baselines"], "text baselines"),
        (&["--split", "group:name"], "at most 20 folds"),
        (&["--vectors", "none", "--by", "rank"], "--vectors FILE"),
    ] {
        refused(mappa(lab, &[&["probe", "strata"], &QUICK[..], flags].concat()), &[part]);
    }
}
