//! Tests of all figures: their words, their bounds, their error texts.

use super::font;
use super::scene::{Anchor, Label, Mark, Point, Scene, Turn};
use super::style::FONT_SLACK;
use super::test_rows::{
    classes, exchanges, lenses, places, score, scores, sparse, strata, sweep, texts, units, years,
};
use super::*;
use crate::Result;
use crate::results::{
    LensScoreRow, NeuronRow, PredictionRow, RIDGE, ScoreRow, StratumRow, SweepPoint, SweepRow,
};

/// A caption as long as a run's own.
pub(super) const CAPTION: Caption = Caption {
    title: "World places at blocks.5.hook_resid_post",
    subtitle: "test R² 0.812 (95 % 0.784 to 0.841)",
    baselines: "names only −0.15, centroid −0.91, untrained −0.01, shuffled weights −0.02, embed −0.05, \
                shuffled labels −0.03",
};

/// Every kind of picture, by name.
fn scenes() -> Vec<(&'static str, Scene)> {
    let some = |names: &[&str]| -> Vec<ScoreRow> {
        scores(6).into_iter().filter(|row| names.contains(&row.dataset.as_str())).collect()
    };
    let at_target =
        |target: &str| -> Vec<SweepRow> { sweep().into_iter().filter(|r| r.target == target).collect() };
    let nearby = |rows: Vec<PredictionRow>| -> Vec<PredictionRow> {
        let near = |value: f64| 40.0 + value / 500.0;
        let to =
            |r: PredictionRow| PredictionRow { truth: near(r.truth), prediction: near(r.prediction), ..r };
        rows.into_iter().map(to).collect()
    };
    vec![
        ("used_by_layer", super::used_by_layer::scene(&exchanges(30), &scores(1), &CAPTION).unwrap()),
        ("r2_one", super::r2_by_layer::scene(&some(&["art"])).unwrap()),
        ("r2_two", super::r2_by_layer::scene(&some(&["art", "headline"])).unwrap()),
        ("r2_four", super::r2_by_layer::scene(&some(&["art", "headline", "us_place", "nyc_place"])).unwrap()),
        (
            "r2_five",
            super::r2_by_layer::scene(&some(&["art", "headline", "us_place", "nyc_place", "world_place"]))
                .unwrap(),
        ),
        ("r2_six", super::r2_by_layer::scene(&scores(6)).unwrap()),
        ("r2_deep", super::r2_by_layer::scene(&scores(32)).unwrap()),
        ("places", super::predictions::scene(&places(1000), &CAPTION).unwrap()),
        ("places_many", super::predictions::scene(&places(20_000), &CAPTION).unwrap()),
        ("places_near", super::predictions::scene(&nearby(places(300)), &CAPTION).unwrap()),
        ("years", super::predictions::scene(&years(1000), &CAPTION).unwrap()),
        (
            "years_alone",
            super::predictions::scene(&years(1000), &Caption { baselines: "", ..CAPTION }).unwrap(),
        ),
        ("units", super::neurons::scene(&units(6, 300), &CAPTION).unwrap()),
        ("units_deep", super::neurons::scene(&units(40, 20), &Caption { baselines: "", ..CAPTION }).unwrap()),
        ("classes", super::classes_by_layer::scene(&classes(6), &CAPTION).unwrap()),
        ("classes_deep", super::classes_by_layer::scene(&classes(32), &CAPTION).unwrap()),
        ("sparse", super::r2_by_k::scene(&sparse(), &CAPTION).unwrap()),
        ("strata", super::strata::scene(&strata(&["rank", "tokens", "continent"], 5), &CAPTION).unwrap()),
        ("strata_many", super::strata::scene(&strata(&["country"], 40), &CAPTION).unwrap()),
        ("sweep", super::dose_response::scene(&sweep()).unwrap()),
        (
            "sweep_place",
            super::dose_response::scene(&[at_target("latitude"), at_target("longitude")].concat()).unwrap(),
        ),
        ("sweep_year", super::dose_response::scene(&at_target("year")).unwrap()),
        ("sweep_narrow", super::dose_response::scene(&texts()).unwrap()),
        ("lens", super::lens_by_layer::scene(&lenses(6)).unwrap()),
        ("lens_deep", super::lens_by_layer::scene(&lenses(32)).unwrap()),
        ("texts", super::text_by_dose::scene(&texts()).unwrap()),
        ("texts_one", super::text_by_dose::scene(&texts_at(&["0"])).unwrap()),
        ("texts_two", super::text_by_dose::scene(&texts_at(&["1", "1+2"])).unwrap()),
    ]
}

/// The figures with names and numbers as long as a user may have, by name.
fn long_scenes() -> Vec<(&'static str, Scene)> {
    let long = |word: &str| format!("{word} of the towns of the eastern and western provinces, with suburbs");
    let title = long("SmolLM2-135M-Instruct.Q4_1, a description");
    let caption = Caption { title: &title, subtitle: &title, baselines: &title };
    let scores: Vec<ScoreRow> =
        scores(6).into_iter().map(|row| ScoreRow { dataset: long(&row.dataset), ..row }).collect();
    let grouped = |rows: Vec<PredictionRow>| -> Vec<PredictionRow> {
        rows.into_iter().map(|row| PredictionRow { group: long(&row.group), ..row }).collect()
    };
    let great = |rows: Vec<PredictionRow>| -> Vec<PredictionRow> {
        let great = |value: f64| value * 1e6;
        let to = |r: PredictionRow| PredictionRow {
            truth: great(r.truth),
            prediction: great(r.prediction),
            target: long("income"),
            ..r
        };
        rows.into_iter().map(to).collect()
    };
    let joined = |layers: &[&str], doses: &[f64]| -> Vec<SweepPoint> {
        let point = |layers: &&str, dose: &f64, direction: &str| SweepPoint {
            layers: layers.to_string(),
            direction: direction.into(),
            dose: *dose,
            effect: dose * 17.3,
            kl: dose.abs(),
            n_read: 1,
            ..SweepPoint::default()
        };
        let of =
            |direction| layers.iter().flat_map(move |l| doses.iter().map(move |d| point(l, d, direction)));
        of("probe").chain(of("random")).collect()
    };
    let some = joined(&["6", "6+8+10", "2+4+6+8+10+12+14+16"], &[-60.0, 60.0]);
    let one = joined(&["6+8+10"], &[123_456.7]);
    let what = "change of the log-probability (nats)";
    let text = "change of the text (degrees)";
    let doses = |rows: Vec<SweepRow>, factor: f64| -> Vec<SweepRow> {
        rows.into_iter().map(|row| SweepRow { dose: row.dose * factor, ..row }).collect()
    };
    let long_lenses: Vec<LensScoreRow> = lenses(32)
        .into_iter()
        .map(|row| LensScoreRow { lens: long(&row.lens), model: long(&row.model), kl: row.kl * 1e4, ..row })
        .collect();
    vec![
        ("r2", super::r2_by_layer::scene(&scores).unwrap()),
        ("places", super::predictions::scene(&grouped(places(300)), &caption).unwrap()),
        ("years", super::predictions::scene(&grouped(years(300)), &caption).unwrap()),
        ("great", super::predictions::scene(&great(years(300)), &caption).unwrap()),
        ("units", super::neurons::scene(&units(6, 30), &caption).unwrap()),
        ("doses_some", super::dose_by_layer::scene(&some, text).unwrap()),
        ("doses_one", super::dose_by_layer::scene(&one, what).unwrap()),
        ("kl_some", super::effect_by_kl::scene(&some, what).unwrap()),
        ("kl_one", super::effect_by_kl::scene(&one, text).unwrap()),
        ("lens", super::lens_by_layer::scene(&long_lenses).unwrap()),
        ("texts", super::text_by_dose::scene(&doses(texts(), 1e5)).unwrap()),
        ("sweep", super::dose_response::scene(&doses(sweep(), 1e5)).unwrap()),
    ]
}

fn texts_at(layers: &[&str]) -> Vec<SweepRow> {
    texts().into_iter().filter(|row| layers.contains(&row.layers.as_str())).collect()
}

fn labels(scene: &Scene) -> impl Iterator<Item = &Label> {
    scene.marks.iter().filter_map(|mark| match mark {
        Mark::Text(label) => Some(label),
        _ => None,
    })
}

/// The corners of the box that a label may fill, with room for a wider substitute font.
fn bounds(label: &Label) -> (Point, Point) {
    let width = font::width(&label.text, label.size) * FONT_SLACK;
    let before = match label.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => width / 2.0,
        Anchor::End => width,
    };
    let (above, below) = (0.8 * label.size, 0.25 * label.size);
    let (x, y) = label.at;
    match label.turn {
        Turn::Level => ((x - before, y - above), (x - before + width, y + below)),
        Turn::Upward => ((x - above, y + before - width), (x + below, y + before)),
    }
}

/// The message of a refusal.
pub(super) fn refusal(result: Result<Vec<u8>>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    error.to_string()
}

fn svg_of(bytes: Result<Vec<u8>>) -> String {
    String::from_utf8(bytes.unwrap()).unwrap()
}

/// Draws a figure.
type Draw<'a> = Box<dyn Fn(Format) -> Result<Vec<u8>> + 'a>;

#[test]
fn no_label_lies_outside_its_canvas_or_over_another() {
    for (name, scene) in scenes().into_iter().chain(long_scenes()) {
        let boxes: Vec<_> = labels(&scene).map(|label| (&label.text, bounds(label))).collect();
        for (i, (text, ((left, top), (right, bottom)))) in boxes.iter().enumerate() {
            assert!(*left >= -1e-6 && *top >= -1e-6, "{name}: {text}");
            assert!(*right <= scene.width + 1e-6 && *bottom <= scene.height, "{name}: {text}");
            for (other, ((l, t), (r, b))) in &boxes[..i] {
                let is_apart =
                    *left >= r - 1e-6 || *l >= right - 1e-6 || *top >= b - 1e-6 || *t >= bottom - 1e-6;
                assert!(is_apart, "{name}: `{text}` over `{other}`");
            }
        }
    }
}

#[test]
fn canvases_are_at_most_1200_wide_and_text_is_readable() {
    for (name, scene) in scenes() {
        assert!((600.0..=1200.0).contains(&scene.width), "{name}: {}", scene.width);
        assert!(labels(&scene).all(|label| label.size >= 12.0), "{name}");
    }
}

#[test]
fn no_mark_of_data_lies_outside_its_canvas() {
    for (name, scene) in scenes() {
        let inside = |(x, y): &Point| (0.0..=scene.width).contains(x) && (0.0..=scene.height).contains(y);
        let all = scene.marks.iter().all(|mark| match mark {
            Mark::Line { points, .. } | Mark::Area { points, .. } => points.iter().all(inside),
            Mark::Dot { at, .. } => inside(at),
            Mark::Text(_) => true,
        });
        assert!(all, "{name}");
    }
}

#[test]
fn the_r2_figure_has_its_words() {
    let svg = svg_of(r2_by_layer(&scores(6), Format::Svg));
    for words in [
        "World places",
        "US places",
        "New York places",
        "Historical figures",
        "Artworks",
        "Headlines",
        "linear probe, 95 % interval",
        "untrained model",
        "shuffled labels",
        "names only",
        "names and word vectors (read no model)",
        "probe with names and word vectors",
        "oracle: mean of the true group",
        "R² below −0.1",
        "R² on the test rows",
        "layer",
        "embed",
        "sans-serif",
    ] {
        assert!(svg.contains(words), "{words}");
    }
    let own = svg_of(r2_by_layer(&[score("my & own", RIDGE, "embed", [0.4, 0.1])], Format::Svg));
    assert!(own.contains("my &amp; own") && !own.contains("untrained") && !own.contains("below"));
}

#[test]
fn the_figures_of_classes_and_of_few_dimensions_have_their_words() {
    let svg = svg_of(classes_by_layer(&classes(6), &CAPTION, Format::Svg));
    for words in
        ["AUROC", "logistic, 95 % interval", "mean-difference", "most frequent class", "untrained model"]
    {
        assert!(svg.contains(words), "{words}");
    }
    let svg = svg_of(r2_by_k(&sparse(), &CAPTION, Format::Svg));
    for words in ["the best k dimensions", "all dimensions", "names only", "\n64\n", "R² on the test rows"] {
        assert!(svg.contains(words), "{words}");
    }
    assert!(refusal(r2_by_k(&[], &CAPTION, Format::Svg)).contains("scores.csv"));
    assert!(refusal(classes_by_layer(&[], &CAPTION, Format::Svg)).contains("scores.csv"));
}

#[test]
fn the_prediction_figures_have_their_words() {
    let map = svg_of(predictions(&places(1000), &CAPTION, Format::Svg));
    let words = [CAPTION.title, CAPTION.subtitle, CAPTION.baselines, "n = 200 test rows"];
    for words in words.into_iter().chain(["°E", "°N", "France", "true place"]) {
        assert!(map.contains(words), "{words}");
    }
    let plot = svg_of(predictions(&years(1000), &CAPTION, Format::Svg));
    let words = [CAPTION.title, CAPTION.baselines, "n = 200 test rows"];
    for words in words.into_iter().chain(["true year", "predicted year", "predicted = true"]) {
        assert!(plot.contains(words), "{words}");
    }
}

#[test]
fn the_neuron_figure_has_its_words_and_marks_each_blocks_strongest_unit() {
    let rows = units(6, 300);
    let svg = svg_of(super::neurons(&rows, &CAPTION, Format::Svg));
    for words in
        [CAPTION.title, "latitude", "longitude", "block", "rank correlation", "follows it", "any other"]
    {
        assert!(svg.contains(words), "{words}");
    }
    let scene = super::neurons::scene(&rows, &CAPTION).unwrap();
    let is_mark = |mark: &&Mark| matches!(mark, Mark::Dot { radius, .. } if *radius == 3.6);
    assert_eq!(scene.marks.iter().filter(is_mark).count(), 2 * 6, "one per block and target");
    assert!(refusal(super::neurons(&[], &CAPTION, Format::Svg)).contains("mappa neurons"));
    let odd = [NeuronRow { rho: f64::NAN, ..rows[7].clone() }];
    assert!(refusal(super::neurons(&odd, &CAPTION, Format::Svg)).contains("unit 7 of block 0"));
}

#[test]
fn the_dose_response_figure_has_its_words() {
    let svg = svg_of(dose_response(&sweep(), Format::Svg));
    for words in [
        "Latitude",
        "Longitude",
        "Year",
        "dose (degrees)",
        "dose (years)",
        "KL (nats)",
        "change of the reading (degrees)",
        "change of the reading (years)",
        "each prompt",
        "random directions, mean, least to greatest",
        "reading moves by the dose",
        "steered at layer 3, read at layer 5",
        "read at the steered layer",
    ] {
        assert!(svg.contains(words), "{words}");
    }
}

#[test]
fn the_figure_of_texts_has_its_words_and_counts_texts_without_names() {
    let svg = svg_of(text_by_dose(&texts(), Format::Svg));
    for words in [
        "layer 0",
        "layers 0 + 1 + 2 + 3",
        "the text moved by (degrees)",
        "moved along the dose",
        "against it",
        "names nothing",
        "random directions, mean, least to greatest",
        "share of texts",
    ] {
        assert!(svg.contains(words), "{words}");
    }
    // 48 degrees east of 170 lies across the date line: the move is still to the east, along the dose.
    let rows: Vec<SweepRow> = texts_at(&["0"]).into_iter().filter(|row| row.direction == "probe").collect();
    let scene = super::text_by_dose::scene(&rows).unwrap();
    let areas = |rgb| {
        let is_meant = |mark: &&Mark| matches!(mark, Mark::Area { ink, .. } if ink.rgb == rgb);
        scene.marks.iter().filter(is_meant).count()
    };
    assert_eq!((areas(style::BLUE.rgb), areas(style::VERMILLION.rgb)), (6, 0), "six doses other than 0");
    let mut nowhere = rows.clone();
    nowhere.iter_mut().for_each(|row| row.named_value = None);
    assert!(refusal(text_by_dose(&nowhere, Format::Svg)).contains("--read"));
    let still: Vec<_> = rows.into_iter().filter(|row| row.dose != 0.0).collect();
    assert!(refusal(text_by_dose(&still, Format::Svg)).contains("dose 0"));
}

#[test]
fn both_formats_have_their_magic_bytes_and_are_reproducible() {
    for (format, magic) in [(Format::Svg, b"<svg".as_slice()), (Format::Png, b"\x89PNG\r\n\x1a\n")] {
        let draw = || {
            [
                r2_by_layer(&scores(2), format).unwrap(),
                predictions(&places(100), &CAPTION, format).unwrap(),
                predictions(&years(100), &CAPTION, format).unwrap(),
                dose_response(&sweep(), format).unwrap(),
                super::neurons(&units(3, 40), &CAPTION, format).unwrap(),
            ]
        };
        let first = draw();
        assert!(first.iter().all(|bytes| bytes.starts_with(magic)));
        assert!(first == draw());
    }
}

#[test]
fn a_prediction_outside_the_axes_is_counted_and_not_drawn() {
    let mut rows = places(1000);
    rows[0].prediction = 4000.0;
    let svg = svg_of(predictions(&rows, &CAPTION, Format::Svg));
    assert!(svg.contains("n = 200 test rows, 1 predicted outside the axes and not drawn"));
}

#[test]
fn many_groups_share_the_last_colour() {
    let mut rows = years(100);
    for (i, row) in rows.iter_mut().enumerate() {
        row.group = format!("a group with a name that is much too long {}", i % 60);
    }
    let svg = svg_of(predictions(&rows, &CAPTION, Format::Svg));
    assert!(svg.contains("other (4 more)") && svg.contains("a group with a name that is…"));
}

/// Fails at the first character that XML 1.0 does not allow, and at a sign that is not escaped.
fn assert_is_xml(svg: &str, what: &str) {
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    assert!(svg.chars().all(is_allowed), "{what}: {:?}", svg.chars().find(|c| !is_allowed(*c)));
    // Every `<` begins a tag of plotters, and every `&` an entity.
    for (at, _) in svg.match_indices('<') {
        let tag = svg[at + 1..].trim_start_matches('/');
        let known = ["svg", "rect", "polyline", "polygon", "circle", "line", "path", "text", "g"];
        assert!(known.iter().any(|name| tag.starts_with(name)), "{what}: {:?}", tag.chars().take(20));
    }
    for (at, _) in svg.match_indices('&') {
        let known = ["amp;", "lt;", "gt;", "quot;", "apos;"];
        assert!(known.iter().any(|name| svg[at + 1..].starts_with(name)), "{what}: an & at {at}");
    }
}

#[test]
fn hostile_names_give_figures_that_are_xml_and_no_larger_than_others() {
    let long = "x".repeat(1_000_000);
    for evil in ["a\u{1b}[31m\u{0}\u{8}\u{fffe}b", "<b>&\"'</b>", "a\nb\r\u{202e}c", &long] {
        let evil = || evil.to_string();
        let score = |row: ScoreRow| ScoreRow { dataset: evil(), ..row };
        let scores = scores(6).into_iter().filter(|row| row.dataset == "art").map(score).collect();
        let prediction = |row: PredictionRow| PredictionRow { target: evil(), group: evil(), ..row };
        let caption = Caption { title: &evil(), subtitle: &evil(), baselines: &evil() };
        let years: Vec<PredictionRow> = years(50).into_iter().map(prediction).collect();
        let swept = |row: SweepRow| SweepRow { target: evil(), prompt: evil(), text: evil(), ..row };
        let rows: Vec<SweepRow> = texts().into_iter().map(swept).collect();
        let neurons: Vec<NeuronRow> =
            units(6, 20).into_iter().map(|row| NeuronRow { target: evil(), ..row }).collect();
        let strata: Vec<StratumRow> = strata(&["rank"], 3)
            .into_iter()
            .map(|row| StratumRow { by: evil(), stratum: evil(), ..row })
            .collect();
        let scores: Vec<ScoreRow> = scores;
        let all: Vec<(&str, Draw)> = vec![
            ("scores", Box::new(|format| r2_by_layer(&scores, format))),
            ("predictions", Box::new(|format| predictions(&years, &caption, format))),
            ("neurons", Box::new(|format| super::neurons(&neurons, &caption, format))),
            ("strata", Box::new(|format| super::strata(&strata, &caption, format))),
            ("doses", Box::new(|format| dose_response(&rows, format))),
            ("texts", Box::new(|format| text_by_dose(&rows, format))),
        ];
        for (name, draw) in all {
            if let Ok(svg) = draw(Format::Svg) {
                assert_is_xml(&String::from_utf8(svg).unwrap(), name);
                assert!(draw(Format::Png).unwrap().len() < 2_000_000, "{name}");
            }
        }
    }
}
